"""Streamed answers: when the first piece of one is there.

AG2 reads a stream to its end within the client's `create`, and what comes of it tells nothing of when it began.
OpenAI's stream is looked at as AG2's client goes through it, so that a piece of a tool's call counts as well as
text. The other clients are known to stream by the events that they send, whatever takes these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .llm import CLIENT, ModelCall
from .patching import Patches
from .scope import current


def install(patches: Patches) -> None:
    """Watch the pieces of streamed answers."""
    patches.wrap(f"{CLIENT}._handle_openai_bad_request_error", _handling)
    patches.note_making("autogen.events.client_events:StreamEvent", piece)


def piece(*args: Any, **kwargs: Any) -> None:
    """A piece of a streamed text is told of."""
    call = current.get()
    if isinstance(call, ModelCall):
        call.chunk()


def _handling(function: Any) -> Any:
    """AG2 puts this around what asks OpenAI, each time; there the stream can be had."""

    def handle_openai_bad_request_error(create: Callable[..., Any]) -> Any:
        call = current.get()
        return function(_watching(create, call) if isinstance(call, ModelCall) else create)

    return handle_openai_bad_request_error


def _watching(create: Callable[..., Any], call: ModelCall) -> Callable[..., Any]:
    def create_watched(*args: Any, **kwargs: Any) -> Any:
        answer = create(*args, **kwargs)
        return _watched(answer, call) if kwargs.get("stream") else answer

    return create_watched


def _watched(chunks: Iterable[Any], call: ModelCall) -> Iterator[Any]:
    """Yield the same, as it comes."""
    rest = iter(chunks)
    for first in rest:
        call.chunk()
        yield first
        break
    yield from rest
