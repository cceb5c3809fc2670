"""Into other threads, where Python takes no context variables along: what is current here is current there.

    threading.Thread.start, a Timer's too    AG2's run, run_iter, sequential_run; an async tool in a sync chat
    ThreadPoolExecutor.submit                loop.run_in_executor: an async chat that calls its model
    concurrent.futures.Future                what is called back once such work is done

A thread's is what was current where it was started; a worker of an executor has it for each piece of work by itself.
asyncio, `asyncio.to_thread` and anyio copy the context by themselves. (docs/decisions/0016)
"""

from __future__ import annotations

from typing import Any

from callboard.ag2.faults import guard
from callboard.ag2.patching import Patches
from callboard.ag2.scope import Carried

_WORKERS = "concurrent.futures.thread"


def install(patches: Patches) -> None:
    """Watch the ways into other threads, each once its module is loaded."""
    patches.when_loaded("threading", lambda patches: patches.wrap("threading:Thread.start", _start))
    patches.when_loaded(_WORKERS, _install_executors)


def _install_executors(patches: Patches) -> None:
    patches.wrap(f"{_WORKERS}:ThreadPoolExecutor.submit", _submit)
    patches.wrap("concurrent.futures._base:Future.add_done_callback", _add_done_callback)


def _start(function: Any) -> Any:
    def start(self: Any) -> None:
        carried = None if _is_worker(self) else Carried.from_here()
        if carried is None:
            function(self)
            return
        with guard("a thread that is started"):
            _have_run_in(carried, self)
        try:
            function(self)
        except BaseException:
            vars(self).pop("run", None)  # It did not start: it is as it was.
            raise

    return start


def _is_worker(thread: Any) -> bool:
    """Whether a thread does what is submitted to an executor, from wherever."""
    return getattr(getattr(thread, "_target", None), "__module__", None) == _WORKERS


def _have_run_in(carried: Carried, thread: Any) -> None:
    """Have a thread's `run`, the class's or one that the program gave it, find its own what was current here."""
    own = vars(thread)
    given = own.get("run")
    resumed = _resumed(carried, thread.run)

    def run() -> None:
        own.pop("run", None)
        if given is not None:
            own["run"] = given
        resumed()

    own["run"] = run


def _submit(function: Any) -> Any:
    def submit(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        return function(self, _going_on(fn), *args, **kwargs)

    return submit


def _add_done_callback(function: Any) -> Any:
    def add_done_callback(self: Any, fn: Any) -> None:
        function(self, _going_on(fn))

    return add_done_callback


def _going_on(function: Any) -> Any:
    """Make a function find what is current here, wherever it is called; itself where no run is."""
    carried = Carried.from_here()
    return function if carried is None else _resumed(carried, function)


def _resumed(carried: Carried, function: Any) -> Any:
    def resumed(*args: Any, **kwargs: Any) -> Any:
        with carried.resumed():
            return function(*args, **kwargs)

    return resumed
