"""Instrumentation of AG2 classic (the module `autogen`): what its agents do, as spans and events.

    patching.py    how a hook gets into AG2 and out again; what a hook may raise stays inside
    scope.py       what AG2 is doing now, beside the current span; carried across threads
    chats.py       CHATS                   llm.py        llm_call, LLM_CREATE (model.py: request and answer)
    chat.py        CHAT, ROUND, SUMMARY    cost.py       COST
    nested.py      NESTED_CHAT             tools.py      tool_call, TOOL_EXECUTION
    groups.py      GROUP_CHAT, ROUND       human.py      human_input
    selection.py   GROUPCHAT_SELECT_SPEAKER, AGENT_TRANSITION
    handoffs.py    SWARM_ON_CONDITION, SWARM_TRANSITION (swarm.py: of the older swarm)
    messages.py    AGENT_SEND_MSG          code.py       code_execution
    reply.py       REPLY, REPLY_FUNCTION   reasoning.py  REASONING
    agents.py      AGENT_CREATION          console.py    CONSOLE_PRINT
    threads.py     the ways into other threads

The wrappers are inert where no run is current.
"""

from __future__ import annotations

from callboard._load import process_lock

from . import (
    agents,
    chat,
    chats,
    code,
    console,
    groups,
    handoffs,
    human,
    llm,
    messages,
    reasoning,
    reply,
    selection,
    swarm,
    threads,
    tools,
)
from .faults import guard
from .importing import ImportWatch
from .patching import Patches, is_whole

__all__ = ["acquire", "instrument", "release", "uninstrument"]

_AREAS = (
    agents,
    *(chats, chat, groups, selection, handoffs, swarm),
    *(messages, reply, llm, tools, human, code, reasoning),
    *(console, threads),
)


class _Installation:
    """Whether AG2 is instrumented, and for whom: by hand (once, however often), for contexts in progress."""

    def __init__(self) -> None:
        self.lock = process_lock
        self.by_hand = False
        self.contexts = 0
        self.patches: Patches | None = None
        self.watch = ImportWatch("autogen", self.imported)

    @property
    def is_wanted(self) -> bool:
        return self.by_hand or self.contexts > 0

    def update(self) -> None:
        """Bring AG2 into the state that is wanted; where it is yet to be imported, as soon as it is."""
        with self.lock:
            if not self.is_wanted:
                self._remove()
            elif self.patches is None and is_whole("autogen"):
                self._install()
            elif self.patches is None:
                self.watch.start()

    def imported(self) -> None:
        """Take it up that AG2 has just been imported."""
        with self.lock:
            if self.is_wanted and self.patches is None:
                self._install()

    def _install(self) -> None:
        self.watch.stop()
        self.patches = Patches()
        for area in _AREAS:
            with guard(f"anything by {area.__name__}"):
                area.install(self.patches)

    def _remove(self) -> None:
        self.watch.stop()
        if self.patches is not None:
            self.patches.restore()
            self.patches = None


_installation = _Installation()


def instrument() -> bool:
    """Instrument AG2 until `uninstrument`, beyond the telemetry contexts, which do it by themselves.

    Where `autogen` has not been imported yet, that happens as soon as it is. Returns False if it had been
    asked for before.
    """
    with _installation.lock:
        asked_before, _installation.by_hand = _installation.by_hand, True
        _installation.update()
    return not asked_before


def uninstrument() -> bool:
    """Undo `instrument`; AG2 stays instrumented while a telemetry context is in progress.

    Returns False if there was nothing to undo.
    """
    with _installation.lock:
        asked_before, _installation.by_hand = _installation.by_hand, False
        _installation.update()
    return asked_before


def acquire() -> None:
    """Count a telemetry context that begins. Each `acquire` needs its `release`."""
    with _installation.lock:
        _installation.contexts += 1
        _installation.update()


def release() -> None:
    """Count a telemetry context that has ended."""
    with _installation.lock:
        _installation.contexts = max(0, _installation.contexts - 1)
        _installation.update()
