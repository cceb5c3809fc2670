"""An agent's turn: REPLY, and the messages by which a program asks for one.

Every turn goes through `Agent._drive_scope` (`_turn_scope` before AG2 1.1), whether it is asked for by `ask`, `run`, an
answer's own `ask`, a subtask or a hub: it sets the turn up and yields `drive`, which runs it. REPLY is that call of
`drive`, so the program's middleware is within it.

What a program asks is a message from the user to the agent, and the reply is one back. A turn that another agent or a
hub asks for is not the user's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Any

from callboard import EventKind, SpanContext, SpanKind, current_span
from callboard.ag2.agents import name_of, sender_and_recipient
from callboard.ag2.faults import guard
from callboard.ag2.patching import Patches, Steps, watched
from callboard.ag2.scope import Scope, current, enclosing

from . import clients, keys, tasks
from .agents import AGENT, acting, internal
from .arguments import argument
from .delivery import Delivery
from .messages import calls_of, content_of_response, message_of, messages_of
from .serializing import encoder_of

USER = "user"
"""The name and the id of whoever runs the program."""

Drive = Callable[[], Awaitable[Any]]


def install(patches: Patches) -> None:
    """Watch turns being set up."""
    watches = patches.switch.watches
    run = watched(_driven, reply, switch=patches, is_coroutine=True)
    run_task = tasks.code_of_run_task()

    def runner(agent: Any, event: Any) -> Callable[[Drive], Awaitable[Any]]:
        asked, turn = tasks.asked_by(run_task, agent), partial(run, agent, event)
        if asked is None:
            return turn
        nested: Callable[[Drive], Awaitable[Any]]
        nested = watched(turn, _nested_chat, asked, switch=patches, is_coroutine=True)
        return nested

    def make(function: Any) -> Any:
        def drive_scope(*args: Any, **kwargs: Any) -> AbstractAsyncContextManager[Drive] | _Turn:
            scope: AbstractAsyncContextManager[Drive]
            if not watches():
                scope = function(*args, **kwargs)
                return scope
            scope = function(*args, **clients.watching(kwargs, patches))
            with guard("a turn"):
                return _Turn(scope, runner(args[0], argument(args, kwargs, 1, "event")))
            return scope

        return drive_scope

    patches.wrap(f"{AGENT}.{_turn_scope()}", make)


def _nested_chat(asked: dict[str, Any], drive: Drive, /) -> Steps:
    """NESTED_CHAT of a task that was not seen being called, from its turn's beginning to its end."""
    yield from tasks.nested_chat(tasks.RUN_TASK, **asked)


def _turn_scope() -> str:
    from ag2 import Agent  # type: ignore[import-not-found, unused-ignore]  # here, as only a program that has it comes here

    return "_turn_scope" if hasattr(Agent, "_turn_scope") and not hasattr(Agent, "_drive_scope") else "_drive_scope"


class Turn(Scope):
    """An agent's turn in progress."""

    __slots__ = ()


def reply(agent: Any, event: Any, /, *args: Any) -> Steps:
    """REPLY, from the event that a turn begins with to its answer."""
    parent = current_span()
    if parent is None:
        return
    outer, delivery = current.get(), enclosing(Delivery)
    sender = acting()
    is_asked_by_user = sender is None and delivery is None
    started: list[Any] = []
    with guard("what a turn begins with"):
        started = messages_of([event], encoder_of(getattr(agent, "_serializer", None)))
    span = parent.start_child(
        SpanKind.REPLY,
        {
            keys.REPLY_FUNCTION: "ask",
            **(outer.sender if isinstance(outer, Delivery) else sender_and_recipient(sender, None)),
            **sender_and_recipient(None, agent),
            keys.GEN_AI_AGENT_NAME: name_of(agent),
            keys.MESSAGES_START: started,
            **internal(agent),
        },
    )
    current.set(Turn(span, agent))
    if is_asked_by_user and started and started[0]["role"] == USER:
        _send(span, _user_to(agent), started[0])
    answer, error = yield span
    response = getattr(answer, "response", None)
    if error is None and response is not None:
        said = message_of(response) if calls_of(response) else content_of_response(response)
        span.set_attribute(keys.REPLY, said)
        if is_asked_by_user and said is not None:
            _send(span, _to_user(agent), said)


def _user_to(agent: Any) -> dict[str, Any]:
    return {keys.SENDER: USER, keys.SENDER_ID: USER, **sender_and_recipient(None, agent)}


def _to_user(agent: Any) -> dict[str, Any]:
    return {**sender_and_recipient(agent, None), keys.RECIPIENT: USER, keys.RECIPIENT_ID: USER}


def _send(span: SpanContext, parties: dict[str, Any], message: Any) -> None:
    """Record AGENT_SEND_MSG: a text, or a whole message where it is more than that."""
    content = message.get("content") if isinstance(message, dict) and "tool_calls" not in message else None
    said = content if isinstance(content, str) else message
    span.record_event(EventKind.AGENT_SEND_MSG, {**parties, keys.MESSAGE: said, keys.SILENT: False})


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
