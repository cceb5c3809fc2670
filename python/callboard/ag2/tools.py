"""Tools and functions that a model asked for: `tool_call`, TOOL_EXECUTION.

The agent that runs a tool is seldom the one that called it: in a chat of two it is the other one, in a group an
executor runs the tools of all agents. The caller is the agent whose message asked.
"""

from __future__ import annotations

from typing import Any

from callboard import EventKind, SpanContext, SpanKind
from callboard._load import native

from . import handoffs, keys, swarm
from .agents import AGENT, name_of
from .groups import GroupRun
from .patching import Patches, Steps
from .reply import Reply
from .scope import Scope, current, here, innermost


def install(patches: Patches) -> None:
    """Watch functions being executed, plain and coroutine ones."""
    patches.watch(f"{AGENT}.execute_function", tool_call, overrides=True)
    patches.watch(f"{AGENT}.a_execute_function", tool_call, overrides=True)


class ToolCall(Scope):
    """A function being executed for the model's call of it."""

    __slots__ = ("call",)

    def __init__(self, span: SpanContext, agent: Any, call: Any) -> None:
        super().__init__(span, agent)
        self.call = call


def tool_call(function: str, agent: Any, /, func_call: Any, call_id: Any = None, *args: Any, **kwargs: Any) -> Steps:
    """tool_call. AG2 makes a tool's exception its content, so that a failed tool returns like any other."""
    outer = innermost(ToolCall)
    if outer is not None and outer.call is func_call:
        return  # An override of `execute_function` calls the one that it overrides.
    parent = here()
    if parent is None:
        return
    name, arguments = func_call.get("name"), func_call.get("arguments")
    span = parent.start_child(
        SpanKind.TOOL_CALL,
        {
            keys.GEN_AI_OPERATION: "execute_tool",
            keys.GEN_AI_AGENT_NAME: name_of(agent),
            **caller(),
            keys.GEN_AI_TOOL_NAME: name,
            keys.GEN_AI_TOOL_TYPE: "function",
            keys.GEN_AI_TOOL_CALL_ID: call_id,
            keys.GEN_AI_TOOL_CALL_ARGUMENTS: arguments,
        },
    )
    started_ns = native.clock_ns()
    current.set(ToolCall(span, agent, func_call))
    result, error = yield span
    if error is not None:
        return
    succeeded, answer = result
    content = answer.get("content")
    for looks_for_hand_off in (handoffs.tool_result, swarm.tool_result):
        looks_for_hand_off(agent, name, content, started_ns)
    span.set_attribute(keys.GEN_AI_TOOL_CALL_RESULT, content)
    span.record_event(
        EventKind.TOOL_EXECUTION,
        {
            keys.TOOL_CALL_ID: call_id,
            keys.FUNCTION_NAME: name,
            keys.FUNCTION_ARGUMENTS: arguments,
            keys.FUNCTION_CONTENT: content,
        },
    )
    if not succeeded:
        span.set_error(str(content))


def caller() -> dict[str, Any]:
    """Give the attribute that names the agent whose message asked for the tool; nothing where that is not known."""
    scope = current.get()
    while scope is not None and not isinstance(scope, (Reply, ToolCall)):
        scope = scope.outer
    if not isinstance(scope, Reply):
        return {}
    around = scope.outer
    name = name_of(handoffs.asking_agent(around) if isinstance(around, GroupRun) else scope.sender)
    return {} if name is None else {keys.TOOL_CALLER: name}
