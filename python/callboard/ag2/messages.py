"""Messages from agent to agent: AGENT_SEND_MSG.

The hook is `_process_message_before_send`, the first thing that `send` and `a_send` do, rather than these
two: a chat without `max_turns` recurses through them.

AGENT_TRANSITION has no place in a chat of two. The draft records it where a next speaker is selected, with
the reason of the selection; two agents alternate by the messages themselves, and nothing selects.
"""

from __future__ import annotations

from .agents import AGENT
from .hooks import HOOKS
from .patching import Patches


def install(patches: Patches) -> None:
    """Watch messages on their way out."""
    patches.watch(f"{AGENT}._process_message_before_send", HOOKS.message())
