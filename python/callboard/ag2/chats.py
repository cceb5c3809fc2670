"""Several chats in a row, or several that wait for one another: `initiate_chats`."""

from __future__ import annotations

from typing import Any

from callboard import SpanKind

from . import keys
from .patching import Patches, Steps
from .scope import here

MODULE = "autogen.agentchat.chat"


def install(patches: Patches) -> None:
    """Watch the module functions; the methods of agents call these."""
    patches.wrap_function(f"{MODULE}:initiate_chats", patches.watcher(chats))
    patches.wrap_function(f"{MODULE}:a_initiate_chats", patches.watcher(chats))


def chats(function: str, /, chat_queue: Any, *args: Any, **kwargs: Any) -> Steps:
    """CHATS: its chats are its children, whether they run one after another or as tasks."""
    span = here()
    if span is None:
        return
    length = len(chat_queue) if hasattr(chat_queue, "__len__") else None
    yield span.start_child(SpanKind.CHATS, {keys.CHAT_FUNCTION: function, keys.CHAT_QUEUE_LENGTH: length})
