"""An agent's turn: REPLY.

Every turn goes through `Agent._drive_scope`, whether it is asked for by `ask`, `run`, an answer's own `ask`, a subtask
or a hub: it sets the turn up and yields `drive`, which runs it. REPLY is that call of `drive`, so the program's
middleware is within it.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any

from callboard._load import native
from callboard.ag2.faults import report
from callboard.ag2.patching import Patches

from . import llm
from .agents import AGENT
from .hooks import HOOKS

Drive = Callable[[], Awaitable[Any]]


def install(patches: Patches) -> None:
    """Watch turns being set up."""
    watches = patches.switch.watches
    watch = native.Watch(None, HOOKS.reply(), (), patches.switch)

    def make(function: Any) -> Any:
        def drive_scope(agent: Any, event: Any, /, **given: Any) -> AbstractAsyncContextManager[Drive] | _Turn:
            if not watches():
                scope: AbstractAsyncContextManager[Drive] = function(agent, event, **given)
                return scope
            try:
                given = llm.watching(given, patches)
            except Exception as error:
                report("a model of the program's own", error)
            return _Turn(function(agent, event, **given), watch, (agent, event))

        return drive_scope

    patches.wrap(f"{AGENT}._drive_scope", make)


class _Turn:
    """AG2's turn, and its `drive`, which is watched.

    For each function that AG2 subscribes in a turn it reads the variables of all its callers. So there are few of them
    here while it is awaited, and each has a value: one without would cost it an exception.
    """

    __slots__ = ("about", "drive", "scope", "watch")

    def __init__(self, scope: AbstractAsyncContextManager[Drive], watch: native.Watch, about: tuple[Any, Any]) -> None:
        self.scope = scope
        self.watch = watch
        self.about = about

    async def __aenter__(self) -> Drive:
        self.drive = await self.scope.__aenter__()
        return self

    async def __call__(self) -> Any:
        waiting = self.watch.begin(self.about, None)
        if waiting is None:
            return await self.drive()
        reply = None
        try:
            reply = await self.drive()
        except BaseException:
            self.watch.finish(waiting, None, sys.exc_info()[1])
            raise
        self.watch.finish(waiting, reply, None)
        return reply

    def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> Awaitable[bool | None]:
        return self.scope.__aexit__(kind, error, trace)
