"""Agents: that one is made, and which classes of them a program defines."""

from __future__ import annotations

from typing import Any

from callboard import EventKind
from callboard._load import native

from . import keys
from .patching import Patches, Steps
from .scope import current, here

AGENT = "autogen.agentchat.conversable_agent:ConversableAgent"


def install(patches: Patches) -> None:
    """Watch agents being made, and the classes of agents that are defined from now on."""
    patches.watch(f"{AGENT}.__init__", agent_creation)
    patches.cover_subclasses(AGENT)


def agent_creation(function: str, agent: Any, /, *args: Any, **kwargs: Any) -> Steps:
    """AGENT_CREATION, once the agent is what its constructor makes it."""
    _, error = yield None
    span = here()
    if error is None and span is not None:
        scope = current.get()
        if scope is not None and agent.name in scope.internal_names:
            mark_internal(agent)
        llm_config = getattr(agent, "llm_config", None)
        span.record_event(
            EventKind.AGENT_CREATION,
            {
                keys.AGENT_ID: str(id(agent)),
                keys.AGENT_TYPE: type(agent).__name__,
                keys.AGENT_NAME: agent.name,
                keys.AGENT_SYSTEM_MESSAGE: getattr(agent, "system_message", None),
                keys.AGENT_DESCRIPTION: getattr(agent, "description", None),
                keys.AGENT_HAS_LLM_CONFIG: llm_config is not None and llm_config is not False,
                keys.AGENT_HUMAN_INPUT_MODE: getattr(agent, "human_input_mode", None),
                **internal(agent),
            },
        )


def sender_and_recipient(sender: Any, recipient: Any) -> dict[str, Any]:
    """Give the four attributes that name two agents; a missing agent has none."""
    attributes: dict[str, Any] = {}
    if sender is not None:
        attributes[keys.SENDER] = name_of(sender)
        attributes[keys.SENDER_ID] = str(id(sender))
    if recipient is not None:
        attributes[keys.RECIPIENT] = name_of(recipient)
        attributes[keys.RECIPIENT_ID] = str(id(recipient))
    return attributes


def mark_internal(agent: Any) -> None:
    """Keep in mind that AG2 made this agent for its own use."""
    INTERNAL.mark(agent)


def internal(*agents: Any) -> dict[str, bool]:
    """Give the mark of what an agent of AG2's own does; nothing where all are the program's."""
    for agent in agents:
        if agent in INTERNAL:
            return {keys.AGENT_INTERNAL: True}
    return {}


INTERNAL = native.InternalAgents()


def name_of(agent: Any) -> Any:
    """Return an agent's name; None where it has none."""
    return getattr(agent, "name", None)
