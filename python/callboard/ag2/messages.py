"""Messages from agent to agent: AGENT_SEND_MSG.

The hook is `_process_message_before_send`, the first thing that `send` and `a_send` do, rather than these
two: a chat without `max_turns` recurses through them.

AGENT_TRANSITION has no place in a chat of two. The draft records it where a next speaker is selected, with
the reason of the selection; two agents alternate by the messages themselves, and nothing selects.
"""

from __future__ import annotations

from typing import Any

from callboard import EventKind

from . import images, keys
from .agents import AGENT, sender_and_recipient
from .chat import Chat
from .patching import Patches, Steps
from .scope import here


def install(patches: Patches) -> None:
    """Watch messages on their way out."""
    patches.watch(f"{AGENT}._process_message_before_send", message)


def message(
    function: str, sender: Any, /, message: Any, recipient: Any = None, silent: Any = None, *args: Any, **kwargs: Any
) -> Steps:
    """AGENT_SEND_MSG: the message as the sender's own hooks return it."""
    chat = Chat.innermost()
    if chat is not None:
        chat.before_send(sender, recipient, message)
    sent, error = yield None
    span = here()
    if error is None and span is not None:
        about = {keys.MESSAGE: images.by_reference(sent), keys.SILENT: silent}
        span.record_event(EventKind.AGENT_SEND_MSG, {**sender_and_recipient(sender, recipient), **about})
