"""The kinds of spans and events, with the values that stand in attributes.

The first twelve span kinds, and every event kind but `EXCEPTION`, are the AG2 telemetry draft's. Wherever a kind is
taken, text does as well: a kind of your own is just a name.
"""

from __future__ import annotations

from enum import Enum


class SpanKind(str, Enum):
    """What a span, work with a duration, covers."""

    WORKFLOW = "workflow"
    """The whole traced program: the root of a run."""
    CHATS = "chats"
    """Several chats, one after the other: `initiate_chats`."""
    CHAT = "chat"
    """One chat: `initiate_chat`."""
    NESTED_CHAT = "nested_chat"
    """A chat within a reply."""
    GROUP_CHAT = "group_chat"
    """A chat among several agents: `run_chat`."""
    ROUND = "round"
    """A round, where the chat has `max_round` or `max_turns`."""
    REPLY = "reply"
    """An agent replying to another."""
    REPLY_FUNCTION = "reply_function"
    """One function tried during a reply."""
    SUMMARY = "summary"
    """Summarising a chat."""
    REASONING = "reasoning"
    """A step of a reasoning agent."""
    GROUPCHAT_SELECT_SPEAKER = "groupchat_select_speaker"
    """Choosing the next speaker, by whatever method."""
    SWARM_ON_CONDITION = "swarm_on_condition"
    """A hand-off on a condition."""
    LLM_CALL = "llm_call"
    """A call of a model."""
    TOOL_CALL = "tool_call"
    """A call of a tool."""
    HUMAN_INPUT = "human_input"
    """Waiting for a person."""
    CODE_EXECUTION = "code_execution"
    """Running code that an agent wrote."""


class EventKind(str, Enum):
    """What an event, a point in time inside a span, tells of."""

    AGENT_TRANSITION = "agent_transition"
    """The turn moved from one agent to another."""
    AGENT_CREATION = "agent_creation"
    """An agent was constructed."""
    GROUPCHAT_CREATION = "groupchat_creation"
    """A group chat was constructed."""
    LLM_CREATE = "llm_create"
    """A model call was answered, from the cache or not, or failed."""
    AGENT_SEND_MSG = "agent_send_msg"
    """An agent sent a message to another."""
    TOOL_EXECUTION = "tool_execution"
    """A tool or function has run."""
    COST = "cost"
    """Something cost money, a model call or anything else."""
    SWARM_TRANSITION = "swarm_transition"
    """Why a hand-off went where it did."""
    CONSOLE_PRINT = "console_print"
    """Console output."""
    EXCEPTION = "exception"
    """An exception, with OpenTelemetry's `exception.*` attributes."""
