"""An agent's turn: REPLY.

Every turn goes through `Agent._drive_scope`, whether it is asked for by `ask`, `run`, an answer's own `ask`, a subtask
or a hub: it sets the turn up and yields `drive`, which runs it. REPLY is that call of `drive`, so the program's
middleware is within it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any

from callboard import current_span
from callboard.ag2.faults import report
from callboard.ag2.patching import Patches, watched

from . import llm
from .agents import AGENT
from .hooks import HOOKS

Drive = Callable[[], Awaitable[Any]]

_REPLY = HOOKS.reply()


def install(patches: Patches) -> None:
    """Watch turns being set up."""

    def make(function: Any) -> Any:
        def drive_scope(agent: Any, event: Any, /, **given: Any) -> AbstractAsyncContextManager[Drive] | _Watched:
            if current_span() is None or not patches.live:
                scope: AbstractAsyncContextManager[Drive] = function(agent, event, **given)
                return scope
            try:
                given = llm.watching(given, patches)
            except Exception as error:
                report("a model of the program's own", error)
            return _Watched(function(agent, event, **given), agent, event, patches)

        return drive_scope

    patches.wrap(f"{AGENT}._drive_scope", make)


class _Watched:
    """AG2's turn, whose `drive` is watched."""

    __slots__ = ("about", "patches", "scope")

    def __init__(self, scope: AbstractAsyncContextManager[Drive], agent: Any, event: Any, patches: Patches) -> None:
        self.scope = scope
        self.about = (agent, event)
        self.patches = patches

    async def __aenter__(self) -> Drive:
        drive = await self.scope.__aenter__()
        watcher: Drive = watched(drive, _REPLY, *self.about, switch=self.patches, is_coroutine=True)
        return watcher

    def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> Awaitable[bool | None]:
        return self.scope.__aexit__(kind, error, trace)
