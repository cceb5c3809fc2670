"""Agents: that one is made, which one acts now, and which ones AG2 made for a subtask."""

from __future__ import annotations

from typing import Any

from callboard import EventKind, current_span
from callboard.ag2.patching import Patches, Steps
from callboard.ag2.scope import Scope, current

from . import keys

AGENT = "ag2.agent:Agent"


def install(patches: Patches) -> None:
    """Watch agents being made, and AG2 making one."""
    patches.watch(f"{AGENT}.__init__", agent_creation)
    patches.watch(f"{AGENT}._run_subtask", subtask)


class Subtask(Scope):
    """AG2 running a subtask, for which it makes an agent."""

    __slots__ = ("made",)

    def __init__(self) -> None:
        super().__init__(None, None)
        self.made: Any = None


def subtask(function: str, /, *args: Any, **kwargs: Any) -> Steps:
    """Keep which agent AG2 makes for a subtask."""
    current.set(Subtask())
    yield None


def agent_creation(function: str, /, *args: Any, **kwargs: Any) -> Steps:
    """AGENT_CREATION, once the agent is what its constructor makes it."""
    _, error = yield None
    span = current_span()
    if error is not None or span is None:
        return
    agent = args[0]
    scope = current.get()
    if isinstance(scope, Subtask):
        scope.made = agent
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
    """Return the mark of an agent that AG2 made for the subtask in progress; nothing for every other agent."""
    scope = current.get()
    while scope is not None and agent is not None:
        if isinstance(scope, Subtask) and scope.made is agent:
            return {keys.AGENT_INTERNAL: True}
        scope = scope.outer
    return {}


def acting() -> Any:
    """Return the agent whose turn this is; None outside of every turn."""
    scope = current.get()
    while scope is not None and scope.agent is None:
        scope = scope.outer
    return None if scope is None else scope.agent
