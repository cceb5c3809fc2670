"""Agents: that one is made, and which one acts now."""

from __future__ import annotations

from typing import Any

from callboard import EventKind, current_span
from callboard.ag2.agents import name_of
from callboard.ag2.patching import Patches, Steps
from callboard.ag2.scope import current

from . import keys

AGENT = "ag2.agent:Agent"


def install(patches: Patches) -> None:
    """Watch agents being made."""
    patches.watch(f"{AGENT}.__init__", agent_creation)


def agent_creation(function: str, agent: Any, /, *args: Any, **kwargs: Any) -> Steps:
    """AGENT_CREATION, once the agent is what its constructor makes it."""
    _, error = yield None
    span = current_span()
    if error is None and span is not None:
        span.record_event(
            EventKind.AGENT_CREATION,
            {
                keys.AGENT_ID: str(id(agent)),
                keys.AGENT_TYPE: type(agent).__name__,
                keys.AGENT_NAME: agent.name,
                keys.AGENT_SYSTEM_MESSAGE: "\n".join(agent.system_prompt),
                keys.AGENT_HAS_LLM_CONFIG: agent.config is not None,
                **internal(agent),
            },
        )


def internal(agent: Any) -> dict[str, bool]:
    """Give the mark of what an agent of AG2's own does: one that it makes for a subtask."""
    name = name_of(agent)
    return {keys.AGENT_INTERNAL: True} if isinstance(name, str) and name.startswith("subtask-") else {}


def acting() -> Any:
    """Return the agent whose turn this is; None outside of every turn."""
    scope = current.get()
    while scope is not None and scope.agent is None:
        scope = scope.outer
    return None if scope is None else scope.agent
