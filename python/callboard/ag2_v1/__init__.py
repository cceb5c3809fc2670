"""Instrumentation of AG2 1.x (the module `ag2`): what its agents do, as spans and events.

    turns.py     REPLY; AGENT_SEND_MSG of the user        network.py    CHAT, GROUP_CHAT: a hub's channels
    tasks.py     NESTED_CHAT                              envelopes.py  AGENT_SEND_MSG, AGENT_TRANSITION
    clients.py   how a client of models is watched        handoffs.py   SWARM_ON_CONDITION, SWARM_TRANSITION
    llm.py       llm_call, COST, LLM_CREATE               delivery.py   what a hub hands over
    model.py     what a client is asked                   tools.py      tool_call, TOOL_EXECUTION
    usage.py     what an answer used                      human.py      human_input
    messages.py  events as messages                       agents.py     AGENT_CREATION
    serializing.py, arguments.py, keys.py                 what these share

How a hook gets in and out, what a body is, and what is current are the classic hooks': patching.py and scope.py of
`callboard.ag2`. Everything here runs on asyncio, so the current span follows by itself, except to where a hub hands
a message over: network.py carries it there.

This module is small, as every context imports it; the hooks are loaded once `ag2` is.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from typing import Any

from callboard.ag2.installing import Installation

__all__ = ["acquire", "instrument", "release", "uninstrument"]

_AREAS = ("agents", "turns", "clients", "llm", "tools", "tasks", "human", "network")


def _areas() -> Iterator[Any]:
    """Load the hooks; none for another module of this name, such as a program's own `ag2.py`."""
    if hasattr(sys.modules["ag2"], "Agent"):
        for name in _AREAS:
            yield importlib.import_module(f"{__name__}.{name}")


_installation = Installation("ag2", _areas)

instrument = _installation.instrument
uninstrument = _installation.uninstrument
acquire = _installation.acquire
release = _installation.release
