"""Calls of a model: `llm_call`, with LLM_CREATE and COST.

The hook is the client, innermost of all: each attempt of a middleware that tries again is a call, what a middleware
answers itself is none, and what AG2 asks a model for its own use (to sum up a conversation) is one too. AG2's clients
derive from `LLMClient`. One that does not is watched by a middleware, the turn's last.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from callboard.ag2.faults import guard
from callboard.ag2.patching import Patches, watched

from .hooks import HOOKS

CLIENT = "ag2.config.client:LLMClient"


def install(patches: Patches) -> None:
    """Watch the clients of models, and the classes of them that are defined or imported from now on."""
    patches.watch(f"{CLIENT}.__call__", HOOKS.llm_call(), overrides=True)
    patches.cover_subclasses(CLIENT)
    patches.note_making("ag2.events.types:ModelMessageChunk", chunk)


def chunk(*args: Any, **kwargs: Any) -> None:
    """A piece of a streamed answer is there."""
    HOOKS.note_chunk()


def watching(given: dict[str, Any], patches: Patches) -> dict[str, Any]:
    """Add to a turn's settings what watches a client that is none of AG2's classes."""
    for cls in type(given.get("client")).__mro__:
        if cls.__name__ == "LLMClient":
            return given
    middleware = (*given.get("additional_middleware", ()), lambda event, context: Innermost(given["client"], patches))
    return {**given, "additional_middleware": middleware}


class Innermost:
    """A middleware that watches the client, whatever that is, and leaves everything else alone."""

    def __init__(self, client: Any, patches: Patches) -> None:
        self.client = client
        self.patches = patches

    def on_llm_call(self, call_next: Any, events: Any, context: Any) -> Awaitable[Any]:
        """Have the call watched, with the tools that AG2 has bound to it."""
        tools = None
        with guard("the tools of a call"):
            tools = getattr(call_next, "keywords", {}).get("tools")
        hook = HOOKS.llm_call_of(self.client, tools)
        answer: Awaitable[Any] = watched(call_next, hook, switch=self.patches, is_coroutine=True)(events, context)
        return answer

    def on_turn(self, call_next: Any, event: Any, context: Any) -> Awaitable[Any]:
        """Go on."""
        answer: Awaitable[Any] = call_next(event, context)
        return answer

    on_tool_execution = on_human_input = on_turn
