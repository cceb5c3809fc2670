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

from callboard import SpanContext, SpanKind, current_span
from callboard.ag2.agents import name_of, sender_and_recipient
from callboard.ag2.faults import guard
from callboard.ag2.patching import Patches, Steps, watched
from callboard.ag2.scope import Scope, current

from . import history, keys, llm
from .agents import AGENT, acting, internal
from .delivery import Delivery

Drive = Callable[[], Awaitable[Any]]


def install(patches: Patches) -> None:
    """Watch turns being set up."""

    def make(function: Any) -> Any:
        def drive_scope(agent: Any, event: Any, /, **given: Any) -> AbstractAsyncContextManager[Drive]:
            if current_span() is None or not patches.live:
                scope: AbstractAsyncContextManager[Drive] = function(agent, event, **given)
                return scope
            with guard("a model of the program's own"):
                given = llm.watching(given, patches)
            return _Watched(function(agent, event, **given), agent, event, patches)

        return drive_scope

    patches.wrap(f"{AGENT}._drive_scope", make)


class Turn(Scope):
    """An agent's turn in progress."""

    __slots__ = ()


class _Watched(AbstractAsyncContextManager[Drive]):
    """AG2's turn, whose `drive` is watched."""

    __slots__ = ("about", "patches", "scope")

    def __init__(self, scope: AbstractAsyncContextManager[Drive], agent: Any, event: Any, patches: Patches) -> None:
        self.scope = scope
        self.about = (agent, event)
        self.patches = patches

    async def __aenter__(self) -> Drive:
        drive = await self.scope.__aenter__()
        watcher: Drive = watched(drive, reply, *self.about, switch=self.patches, is_coroutine=True)
        return watcher

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> bool | None:
        return await self.scope.__aexit__(kind, error, trace)


def reply(agent: Any, event: Any, /) -> Steps:
    """REPLY: `agent` has its turn, which began with `event`. Whoever's turn that is within is answered."""
    parent = current_span()
    if parent is None:
        return
    span = parent.start_child(
        SpanKind.REPLY,
        {
            keys.REPLY_FUNCTION: "ask",
            **_sender(),
            **sender_and_recipient(None, agent),
            keys.GEN_AI_AGENT_NAME: name_of(agent),
            keys.MESSAGES_START: history.of_event(event),
            **internal(agent),
        },
    )
    current.set(Turn(span, agent))
    result, error = yield span
    if error is None:
        _record_answer(span, result)


def _record_answer(span: SpanContext, result: Any) -> None:
    response = result.response
    span.set_attribute(keys.REPLY, response.content if not response.tool_calls else history.of_response(response))


def _sender() -> dict[str, Any]:
    """Name who is answered: whoever posted what a hub delivers, else the agent whose turn this is within."""
    scope = current.get()
    return scope.sender if isinstance(scope, Delivery) else sender_and_recipient(acting(), None)
