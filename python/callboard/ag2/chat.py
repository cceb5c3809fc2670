"""A chat of two agents: CHAT, its ROUNDs, its SUMMARY.

With `max_turns` AG2 runs a loop: the initiator replies and sends, the recipient answers, and so on. That is a
round each, and the initiator opens it: by replying, or in the first round by sending. The next round ends the
one before, and so does the summary. (Nothing waits in `send` to end a round the moment it returns: without
`max_turns` AG2 recurses through `send` and `receive`, once a message, and every frame of ours would bring a
long chat nearer to the recursion limit.)

Without `max_turns` there are no rounds; there the replies are numbered, as `callboard.exchange`.
"""

from __future__ import annotations

import inspect
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from callboard import SpanContext, SpanKind, current_span

from . import figures, images, keys
from .agents import AGENT, internal, name_of, sender_and_recipient
from .faults import guard
from .nested import NestedChat
from .patching import Patches, Steps
from .scope import current, here
from .tally import Tally


def install(patches: Patches) -> None:
    """Watch chats being initiated and summarized."""
    # An override may take other arguments. It is a chat where it calls AG2's function.
    make = patches.watcher(chat)
    patches.wrap(f"{AGENT}.initiate_chat", lambda function: _taking_parent(make(function)))
    patches.wrap(f"{AGENT}.a_initiate_chat", lambda function: _taking_parent(make(function)))
    patches.watch(f"{AGENT}._summarize_chat", summary)


class Chat(Tally):
    """A chat in progress; `agent` is the initiator."""

    __slots__ = ("answered", "begun", "count", "function", "max_turns", "recipient", "round", "sent")

    def __init__(self, span: SpanContext, function: str, initiator: Any, recipient: Any, max_turns: Any) -> None:
        super().__init__(span, initiator)
        self.function = function
        self.recipient = recipient
        self.max_turns = max_turns if isinstance(max_turns, int) else None
        self.round: SpanContext | None = None
        self.count = 0
        self.begun = False
        self.sent = False
        self.answered = False

    @staticmethod
    def innermost() -> Chat | None:
        """Find the chat whose own turn it is: nothing has opened a span in it but its round."""
        scope = current.get()
        if not isinstance(scope, Chat):
            return None
        span = current_span()
        return scope if span is scope.span or span is scope.round else None

    def before_send(self, sender: Any, recipient: Any, message: Any) -> None:
        """Note a message that is about to be sent."""
        if sender is not self.agent or recipient is not self.recipient:
            return
        if not self.begun:
            self.begun = True
            if self.span is not None:
                self.span.set_attribute(keys.CHAT_INITIAL_MESSAGE, images.by_reference(message))
        if self.round is None:
            self._open_round()
        self.sent = True

    def before_reply(self, agent: Any) -> None:
        """Note that an agent is about to reply. The initiator does so to begin the next round."""
        if self.max_turns is None:
            self.count += 1
        elif agent is self.agent and (self.round is None or self.sent) and not self._answers_itself():
            self.end_round()
            self._open_round()

    def end_round(self, error: BaseException | None = None) -> None:
        """End the round that is open, if one is."""
        if self.round is not None:
            self.round.end(error)
            self.round = None

    def _answers_itself(self) -> bool:
        """Whether this is the recipient's reply of the round, in a chat of an agent with itself."""
        if self.agent is not self.recipient or self.round is None or self.answered:
            return False
        self.answered = True
        return True

    def _open_round(self) -> None:
        if self.max_turns is None or self.span is None:
            return
        self.count += 1
        self.sent = self.answered = False
        self.round = self.span.start_child(
            SpanKind.ROUND,
            {keys.CHAT_FUNCTION: self.function, keys.ROUND: self.count, keys.ROUNDS_MAX: self.max_turns},
        )


def chat(
    function: str,
    initiator: Any,
    /,
    recipient: Any,
    clear_history: Any = True,
    silent: Any = False,
    cache: Any = None,
    max_turns: Any = None,
    *args: Any,
    **kwargs: Any,
) -> Steps:
    """CHAT, from its initiation to its result."""
    parent = here()
    if parent is None:
        return
    span = parent.start_child(
        SpanKind.CHAT,
        {
            keys.CHAT_FUNCTION: function,
            **sender_and_recipient(initiator, recipient),
            keys.GEN_AI_AGENT_NAME: name_of(initiator),
            **internal(initiator, recipient),
        },
    )
    scope = Chat(span, function, initiator, recipient, max_turns)
    current.set(scope)
    result, error = yield span
    scope.end_round(error)
    span.set_attributes(figures.compared(scope, recipient, result, scope.close()))
    if error is None:
        history = getattr(result, "chat_history", None)
        if isinstance(history, list):
            history = images.history(span, initiator, history, id(recipient))
        if isinstance(scope.outer, NestedChat):
            scope.outer.history = history
        span.set_attributes({keys.CHAT_HISTORY: history, keys.CHAT_SUMMARY: getattr(result, "summary", None)})


def summary(
    function: str,
    agent: Any,
    /,
    summary_method: Any,
    summary_args: Any = None,
    recipient: Any = None,
    *args: Any,
    **kwargs: Any,
) -> Steps:
    """SUMMARY, where the chat has a method of summarizing."""
    scope = Chat.innermost()
    if scope is not None:
        scope.end_round()
    parent = here()
    if parent is None or summary_method is None:
        return
    method = summary_method if isinstance(summary_method, str) else getattr(summary_method, "__name__", None)
    span = parent.start_child(
        SpanKind.SUMMARY,
        {
            **sender_and_recipient(agent, recipient),
            keys.SUMMARY_FUNCTION: method or type(summary_method).__name__,
            keys.GEN_AI_AGENT_NAME: name_of(agent),
        },
    )
    result, error = yield span
    if error is None:
        span.set_attribute(keys.SUMMARY, result)


def _taking_parent(function: Any) -> Any:
    """Make `function` take the keyword `telemetry_parent_context`: the span under which the chat stands."""
    if inspect.iscoroutinefunction(function):

        async def a_initiate(*args: Any, telemetry_parent_context: Any = None, **kwargs: Any) -> Any:
            with _under(telemetry_parent_context):
                return await function(*args, **kwargs)

        return a_initiate

    def initiate(*args: Any, telemetry_parent_context: Any = None, **kwargs: Any) -> Any:
        with _under(telemetry_parent_context):
            return function(*args, **kwargs)

    return initiate


def _under(parent: Any) -> AbstractContextManager[Any]:
    if isinstance(parent, SpanContext):
        with guard("the parent of a chat"):
            active: AbstractContextManager[Any] = parent.activate()
            return active
    return nullcontext()
