"""An agent's turn: REPLY.

Every turn goes through `Agent._drive_scope`, whether it is asked for by `ask`, `run`, an answer's own `ask`, a subtask
or a hub: it sets the turn up and yields `drive`, which runs it. REPLY is that call of `drive`, so the program's
middleware is within it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Any

from callboard.ag2.faults import report
from callboard.ag2.patching import Patches, watched

from . import llm
from .agents import AGENT
from .hooks import HOOKS

Drive = Callable[[], Awaitable[Any]]


def install(patches: Patches) -> None:
    """Watch turns being set up."""
    watches = patches.switch.watches
    run = watched(_driven, HOOKS.reply(), switch=patches, is_coroutine=True)

    def make(function: Any) -> Any:
        def drive_scope(agent: Any, event: Any, /, **given: Any) -> AbstractAsyncContextManager[Drive] | _Turn:
            if not watches():
                scope: AbstractAsyncContextManager[Drive] = function(agent, event, **given)
                return scope
            try:
                given = llm.watching(given, patches)
            except Exception as error:
                report("a model of the program's own", error)
            return _Turn(function(agent, event, **given), partial(run, agent, event))

        return drive_scope

    patches.wrap(f"{AGENT}._drive_scope", make)


def _driven(agent: Any, event: Any, drive: Drive) -> Awaitable[Any]:
    """Run the turn of this agent that begins with this event."""
    return drive()


class _Turn:
    """AG2's turn, whose `drive` is watched: `run` gets it, and runs it.

    For each function that AG2 subscribes in a turn it reads the variables of all its callers. So there are few of them
    here while it is awaited, and each has a value: one without would cost it an exception.
    """

    __slots__ = ("run", "scope")

    def __init__(self, scope: AbstractAsyncContextManager[Drive], run: Callable[[Drive], Awaitable[Any]]) -> None:
        self.scope = scope
        self.run = run

    async def __aenter__(self) -> Drive:
        return partial(self.run, await self.scope.__aenter__())

    def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> Awaitable[bool | None]:
        return self.scope.__aexit__(kind, error, trace)
