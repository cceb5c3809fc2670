"""A human being asked: `human_input`, which lasts as long as the human takes.

The hook is `Context.ask` (`input` before AG2 1.1), by which every question goes: a tool's own, and whether a tool may
be called. The span has the error where nobody answers in time, or there is nobody to ask.
"""

from __future__ import annotations

from typing import Any

from callboard import SpanKind, current_span
from callboard.ag2.agents import name_of
from callboard.ag2.patching import Patches, Steps
from callboard.ag2.scope import Scope, current

from . import keys
from .agents import acting
from .arguments import argument

CONTEXT = "ag2.context:ConversationContext"


def install(patches: Patches) -> None:
    """Watch questions to a human."""
    from ag2.context import ConversationContext  # type: ignore[import-not-found, unused-ignore]  # it is loaded by now

    has_ask = hasattr(ConversationContext, "ask") or not hasattr(ConversationContext, "input")
    patches.watch(f"{CONTEXT}.{'ask' if has_ask else 'input'}", human_input)


class HumanInput(Scope):
    """A human being asked on behalf of an agent."""

    __slots__ = ()


def human_input(function: str, /, *args: Any, **kwargs: Any) -> Steps:
    """human_input, from the question to the answer."""
    parent = current_span()
    question = argument(args, kwargs, 1, "request" if function == "ask" else "message")
    if parent is None or question is None:
        return
    about = {keys.GEN_AI_AGENT_NAME: name_of(acting()), keys.HUMAN_PROMPT: getattr(question, "content", question)}
    span = parent.start_child(SpanKind.HUMAN_INPUT, about)
    current.set(HumanInput(span, None))
    answer, error = yield span
    if error is None:
        span.set_attribute(keys.HUMAN_RESPONSE, answer)
