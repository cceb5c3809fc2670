"""Instrumentation of AG2 classic (the module `autogen`): what its agents do, as spans and events.

    patching.py    how a hook gets into AG2 and out again; what a hook may raise stays inside
    installing.py  whether AG2 is instrumented, and for whom
    scope.py       what AG2 is doing now, beside the current span; carried across threads
    views.py       an attribute of agents that AG2's own readers get a view of
    chats.py       CHATS                   llm.py        llm_call, LLM_CREATE, COST (model.py: the request)
    chat.py        CHAT, ROUND, SUMMARY    tools.py      tool_call, TOOL_EXECUTION
    nested.py      NESTED_CHAT             hooks.py      the hooks that are in Rust
    groups.py      GROUP_CHAT, ROUND       human.py      human_input
    selection.py   GROUPCHAT_SELECT_SPEAKER, AGENT_TRANSITION
    handoffs.py    SWARM_ON_CONDITION, SWARM_TRANSITION (swarm.py: of the older swarm)
    messages.py    AGENT_SEND_MSG          code.py       code_execution
    reply.py       REPLY, REPLY_FUNCTION   reasoning.py  REASONING
    agents.py      AGENT_CREATION          console.py    CONSOLE_PRINT
    tally.py       what was spent within a chat; figures.py: AG2's own figure beside it
    streams.py     when a streamed answer began; images.py: images in messages, by reference

The wrappers are inert where no run is current.
"""

from __future__ import annotations

from . import (
    agents,
    chat,
    chats,
    code,
    console,
    figures,
    groups,
    handoffs,
    human,
    llm,
    messages,
    reasoning,
    reply,
    selection,
    streams,
    swarm,
    tools,
)
from .installing import Installation

__all__ = ["acquire", "instrument", "release", "uninstrument"]

_AREAS = (
    agents,
    *(chats, chat, figures, groups, selection, handoffs, swarm),
    *(messages, reply, llm, streams, tools, human, code, reasoning),
    console,
)

_installation = Installation("autogen", lambda: _AREAS)

instrument = _installation.instrument
uninstrument = _installation.uninstrument
acquire = _installation.acquire
release = _installation.release
