"""Chats within a reply: NESTED_CHAT.

`register_nested_chats` makes a reply function of the chats; it is known by what it encloses, their queue. So it
does not matter whether it was registered before telemetry began, nor whether the function that starts the
chats is AG2's or the program's.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

from callboard import SpanContext, SpanKind

from . import images, keys
from .agents import name_of, sender_and_recipient
from .patching import Steps
from .scope import Scope, current, here

QUEUE = "chat_queue"


class NestedChat(Scope):
    """Nested chats in progress; `agent` is the one that they reply for."""

    __slots__ = ("history",)

    def __init__(self, span: SpanContext, agent: Any) -> None:
        super().__init__(span, agent)
        self.history: Any = None
        """Of the last chat that ended."""


def is_nested_chat(function: Any) -> bool:
    """Whether a reply function is one that `register_nested_chats` made."""
    return type(function) is FunctionType and QUEUE in function.__code__.co_freevars


def nested_chat(function: Any, agent: Any, /, messages: Any = None, sender: Any = None, *_: Any, **__: Any) -> Steps:
    """NESTED_CHAT, with its chats as its children."""
    parent = here()
    if parent is None:
        return
    queue = _queue_of(function)
    history = images.history(parent, agent, messages, id(sender)) if isinstance(messages, list) else messages
    span = parent.start_child(
        SpanKind.NESTED_CHAT,
        {
            keys.CHAT_FUNCTION: function.__name__,
            **sender_and_recipient(sender, agent),
            keys.CHAT_QUEUE_LENGTH: len(queue) if hasattr(queue, "__len__") else None,
            keys.MESSAGES: history,
            keys.GEN_AI_AGENT_NAME: name_of(agent),
        },
    )
    scope = NestedChat(span, agent)
    current.set(scope)
    result, error = yield span
    if error is None:
        _, summary = result
        span.set_attributes({keys.CHAT_HISTORY: scope.history, keys.CHAT_SUMMARY: summary})


def _queue_of(function: Any) -> Any:
    place = function.__code__.co_freevars.index(QUEUE)
    return function.__closure__[place].cell_contents
