"""Where AG2 goes on in another thread without a copy of the context: the current span is carried there.

    an async chat calls the model      loop.run_in_executor -> ThreadPoolExecutor.submit
    an async tool in a sync chat       _run_async_in_thread
    run, run_iter, sequential_run      a thread that works on a ThreadIOStream made by the caller

The first also covers tools that put work on an executor of their own. A plain `threading.Thread` is left
alone: it may outlive the run that happens to start it.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from callboard import current_span

from .agents import AGENT
from .patching import Maker, Patches, Steps
from .scope import Carried

STREAMS = "autogen.io.thread_io_stream"


def install(patches: Patches) -> None:
    """Watch the ways into other threads."""
    streams: WeakKeyDictionary[Any, Carried] = WeakKeyDictionary()
    patches.wrap("concurrent.futures.thread:ThreadPoolExecutor.submit", _submit)
    patches.wrap(f"{AGENT}._run_async_in_thread", _run_async_in_thread)
    patches.wrap("autogen.io.base:IOStream.set_default", _set_default(streams))

    def stream_creation(function: str, stream: Any, /, *args: Any, **kwargs: Any) -> Steps:
        """Have the stream remember from where its thread is started."""
        yield None
        carried = Carried.from_here()
        if carried is not None:
            streams[stream] = carried

    patches.watch(f"{STREAMS}:ThreadIOStream.__init__", stream_creation)


def _submit(function: Any) -> Any:
    def submit(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        carried = Carried.from_here()
        if carried is None:
            return function(self, fn, *args, **kwargs)

        def resumed(*args: Any, **kwargs: Any) -> Any:
            with carried.resumed():
                return fn(*args, **kwargs)

        return function(self, resumed, *args, **kwargs)

    return submit


def _run_async_in_thread(function: Any) -> Any:
    def run_async_in_thread(self: Any, coro: Any) -> Any:
        carried = Carried.from_here()
        return function(self, coro if carried is None else _resumed(carried, coro))

    return run_async_in_thread


async def _resumed(carried: Carried, coro: Coroutine[Any, Any, Any]) -> Any:
    with carried.resumed():
        return await coro


def _set_default(streams: WeakKeyDictionary[Any, Carried]) -> Maker:
    """AG2's threads begin with `with IOStream.set_default(stream):`. There the stream brings the span."""

    def carried_by(stream: Any) -> Carried | None:
        try:
            return streams.get(stream)
        except TypeError:  # None, or a stream of the program's own that cannot be a weak key.
            return None

    def make(function: Any) -> Any:
        def set_default(stream: Any) -> AbstractContextManager[Any]:
            default: AbstractContextManager[Any] = function(stream)
            if current_span() is not None:
                return default
            carried = carried_by(stream)
            return default if carried is None else _both(default, carried.resumed())

        return set_default

    return make


@contextmanager
def _both(first: AbstractContextManager[Any], second: AbstractContextManager[Any]) -> Iterator[Any]:
    with first as entered, second:
        yield entered
