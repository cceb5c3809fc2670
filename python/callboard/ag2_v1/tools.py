"""Tools that a model asked for: `tool_call`, TOOL_EXECUTION.

The hook is around the tool's middleware, so that a call which one denies or answers shows too. A tool that fails
answers the model all the same; the span has the error.
"""

from __future__ import annotations

from typing import Any

from callboard import EventKind, SpanKind, current_span
from callboard._load import native
from callboard.ag2.agents import name_of
from callboard.ag2.faults import guard
from callboard.ag2.patching import Patches, Steps
from callboard.ag2.scope import Scope, current, enclosing

from . import keys
from .agents import acting
from .arguments import argument
from .delivery import Delivery
from .messages import content_of
from .serializing import encoder_of


def install(patches: Patches) -> None:
    """Watch calls of tools being executed. Several of one answer run side by side, a task each."""
    patches.wrap_function("ag2.tools.executor:_execute_call", patches.watcher(tool_call))


class ToolCall(Scope):
    """A tool being executed."""

    __slots__ = ()


def tool_call(function: str, /, *args: Any, **kwargs: Any) -> Steps:
    """tool_call, from the model's call to what it is answered."""
    parent, call = current_span(), argument(args, kwargs, 1, "call")
    if parent is None or call is None:
        return
    agent = acting()
    span = parent.start_child(
        SpanKind.TOOL_CALL,
        {
            keys.GEN_AI_OPERATION: "execute_tool",
            keys.GEN_AI_AGENT_NAME: name_of(agent),
            keys.GEN_AI_TOOL_NAME: call.name,
            keys.GEN_AI_TOOL_TYPE: "function",
            keys.GEN_AI_TOOL_CALL_ID: call.id,
            keys.GEN_AI_TOOL_CALL_ARGUMENTS: call.arguments,
        },
    )
    delivery = enclosing(Delivery)
    if delivery is not None:
        delivery.tool_began(call.name, native.clock_ns())
    current.set(ToolCall(span, None))
    outcome, error = yield span
    if error is not None:
        return
    content = None
    with guard("a tool's result"):
        result = getattr(outcome, "result", None)
        encode = encoder_of(getattr(agent, "_serializer", None))
        content = None if result is None else content_of(result.parts, encode)
    span.set_attribute(keys.GEN_AI_TOOL_CALL_RESULT, content)
    span.record_event(
        EventKind.TOOL_EXECUTION,
        {
            keys.TOOL_CALL_ID: call.id,
            keys.FUNCTION_NAME: call.name,
            keys.FUNCTION_ARGUMENTS: call.arguments,
            keys.FUNCTION_CONTENT: content,
        },
    )
    failure = getattr(outcome, "error", None)
    if failure is not None:
        span.record_exception(failure)
