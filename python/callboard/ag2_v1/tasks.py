"""A turn within a tool: NESTED_CHAT.

That is a subtask, or an agent that another one has as a tool: AG2 runs both by `run_task`, which makes whatever goes
wrong within a part of its result. A subtask in the background goes on after its tool has returned.
"""

from __future__ import annotations

from typing import Any

from callboard import SpanKind, current_span
from callboard.ag2.agents import name_of, sender_and_recipient
from callboard.ag2.patching import Patches, Steps
from callboard.ag2.scope import Scope, current

from . import keys
from .agents import acting, internal


def install(patches: Patches) -> None:
    """Watch tasks being run. An agent knows the function by another name."""
    patches.wrap_function("ag2.tools.subagents.run_task:run_task", patches.watcher(nested_chat))
    patches.wrap_function("ag2.agent:_run_task", patches.watcher(nested_chat))


class Task(Scope):
    """A task being run."""

    __slots__ = ()


def nested_chat(function: str, agent: Any, /, objective: Any, *, context: Any = "", **_: Any) -> Steps:
    """NESTED_CHAT, from the task to its result; the agent's turn is its child."""
    parent = current_span()
    if parent is None:
        return
    span = parent.start_child(
        SpanKind.NESTED_CHAT,
        {
            keys.CHAT_FUNCTION: function,
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
    span.set_attributes({keys.CHAT_SUMMARY: result.result, keys.TASK_ID: result.task_id})
    if result.error is not None:
        span.record_exception(result.error)
