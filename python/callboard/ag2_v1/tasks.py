"""A turn within a tool: NESTED_CHAT.

That is a subtask, or an agent that another one has as a tool: AG2 runs both by its function `run_task`, which makes
whatever goes wrong within a part of its result. A task in the background goes on after its tool has returned.

A program may call that function under a name of its own, from before telemetry began. Such a task is known by what asks
for the turn: the function is among the callers where the turn is set up.
"""

from __future__ import annotations

import sys
from inspect import unwrap
from types import CodeType
from typing import Any

from callboard import SpanKind, current_span
from callboard.ag2.agents import name_of, sender_and_recipient
from callboard.ag2.patching import Patches, Steps
from callboard.ag2.scope import Scope, current

from . import keys
from .agents import acting, internal
from .arguments import argument

RUN_TASK = "run_task"
_MODULE = "ag2.tools.subagents.run_task"


def install(patches: Patches) -> None:
    """Watch tasks being run. AG2's agents know the function by another name."""
    patches.wrap_function(f"{_MODULE}:{RUN_TASK}", patches.watcher(nested_chat))
    patches.wrap_function("ag2.agent:_run_task", patches.watcher(nested_chat))


class Task(Scope):
    """A task being run."""

    __slots__ = ()


def nested_chat(function: str, /, *args: Any, **kwargs: Any) -> Steps:
    """NESTED_CHAT, from the task to its result; the agent's turn is its child."""
    agent, objective = argument(args, kwargs, 0, "agent"), argument(args, kwargs, 1, "objective")
    parent = current_span()
    if parent is None or agent is None:
        return
    context = kwargs.get("context")
    span = parent.start_child(
        SpanKind.NESTED_CHAT,
        {
            keys.CHAT_FUNCTION: RUN_TASK,
            **sender_and_recipient(acting(), agent),
            keys.GEN_AI_AGENT_NAME: name_of(agent),
            keys.CHAT_INITIAL_MESSAGE: f"{objective}\n\n{context}" if context else objective,
            **internal(agent),
        },
    )
    current.set(Task(span, None))
    result, error = yield span
    if error is not None:
        return
    if not hasattr(result, "task_id"):  # The agent's reply, where only its turn was seen.
        span.set_attribute(keys.CHAT_SUMMARY, result.body)
        return
    span.set_attributes({keys.CHAT_SUMMARY: result.result, keys.TASK_ID: result.task_id})
    if result.error is not None:
        span.record_exception(result.error)


def code_of_run_task() -> CodeType | None:
    """Return the code by which AG2's `run_task` is known; None in a version without it."""
    function = getattr(sys.modules.get(_MODULE), RUN_TASK, None)
    code = None if function is None else getattr(unwrap(function), "__code__", None)
    return code if isinstance(code, CodeType) else None


def asked_by(code: CodeType | None, agent: Any) -> dict[str, Any] | None:
    """Return what `run_task` was called with where it asks for this agent's turn and was not seen being called."""
    if code is None or isinstance(current.get(), Task):
        return None
    frame = sys._getframe(1)
    while frame.f_code is not code:
        if frame.f_back is None:
            return None
        frame = frame.f_back
    asked = {name: frame.f_locals.get(name) for name in ("agent", "objective", "context")}
    return asked if asked["agent"] is agent else None
