"""A hub handing a message over to an agent, which answers it in a turn: what that turn knows of its surroundings."""

from __future__ import annotations

from typing import Any

from callboard import SpanContext
from callboard.ag2.scope import Carried, Scope


class Delivery(Scope):
    """A message being handled by the agent that got it; `span` is the channel's."""

    __slots__ = ("channel_id", "channel_span", "sender", "tools")

    def __init__(self, span: SpanContext, channel_id: str, sender: dict[str, Any], outer: Scope | None) -> None:
        super().__init__(span, None)
        self.outer = outer  # Of the channel: what surrounds the hub's task has nothing to do with it.
        self.channel_span = span
        self.channel_id = channel_id
        self.sender = sender
        """The attributes that name who posted the message."""
        self.tools: dict[str, int] = {}
        """When each tool was last called in the turn."""

    def carried(self) -> Carried:
        """Return this as what a task goes on with."""
        carried = Carried(self.channel_span)
        carried.scope = self
        return carried

    def tool_began(self, name: str, started_ns: int) -> None:
        """Keep when a tool was called: a hand-off begins with it."""
        self.tools[name] = started_ns
