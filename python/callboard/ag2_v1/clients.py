"""The clients of models, and the two ways in which one is watched.

AG2's clients derive from `LLMClient`. Their method `__call__` is watched, and so is that of each class that a program
derives from it: innermost of all, so that each attempt of a middleware that tries again is a call, and what AG2 asks a
model for its own use (to sum up a conversation) is one too. Any other client is watched by a middleware, the turn's
last: one that derives from nothing, a function, one whose `__call__` is a plain method or was assigned later.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from itertools import chain
from typing import Any
from weakref import WeakSet

from callboard.ag2.faults import guard
from callboard.ag2.patching import Patches, watched

from .llm import bound_llm_call, llm_call

CLIENT = "ag2.config.client:LLMClient"

_watched: WeakSet[Callable[..., Any]] = WeakSet()
"""The methods that stand for a client's own and are watched."""


def install(patches: Patches) -> None:
    """Watch the clients of models, and the classes of them that are defined or imported from now on."""

    def make(function: Any) -> Any:
        if not iscoroutinefunction(function):
            return _passing_on(function)
        wrapper = watched(function, llm_call, function.__name__, switch=patches)
        _watched.add(wrapper)
        return wrapper

    patches.wrap(f"{CLIENT}.__call__", make, overrides=True)
    patches.cover_subclasses(CLIENT)


def _passing_on(function: Any) -> Any:
    """Return what stands for a plain method, which returns whatever awaitable it likes: the middleware awaits it."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def watching(given: dict[str, Any], patches: Patches) -> dict[str, Any]:
    """Return a turn's settings, with a middleware that watches the client where its own method is not watched."""
    client = given.get("client")
    with guard("a client of the program's own"):
        if getattr(type(client), "__call__", None) in _watched:  # noqa: B004  # the method itself is asked for
            return given
        innermost = (lambda event, context: Innermost(client, patches),)
        return {**given, "additional_middleware": chain(given.get("additional_middleware", ()), innermost)}
    return given


class Innermost:
    """A middleware that watches the client, whatever that is, and passes everything else on."""

    def __init__(self, client: Any, patches: Patches) -> None:
        self.client = client
        self.patches = patches

    def on_llm_call(self, call_next: Any, /, *args: Any, **kwargs: Any) -> Awaitable[Any]:
        """Have the call watched, with what AG2 has bound to it by name."""
        bound = getattr(call_next, "keywords", None) or {}
        call = watched(call_next, bound_llm_call, self.client, bound, switch=self.patches, is_coroutine=True)
        answer: Awaitable[Any] = call(*args, **kwargs)
        return answer

    def on_turn(self, call_next: Any, /, *args: Any, **kwargs: Any) -> Awaitable[Any]:
        """Go on."""
        answer: Awaitable[Any] = call_next(*args, **kwargs)
        return answer

    on_tool_execution = on_human_input = on_turn
