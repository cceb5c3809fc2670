"""Hand-offs in a workflow: SWARM_ON_CONDITION, with SWARM_TRANSITION at its end.

An agent hands off by a tool. Either the tool says to whom (it returns a `Handoff`: REPLY_RESULT), or a rule of the
workflow is about the tool having been called (ON_CONDITION). The turn's packet tells of it when the turn is over, and
that settles who speaks next; so the span, a child of the channel's, runs from the tool's start to there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from callboard import EventKind, SpanKind
from callboard._load import native
from callboard.ag2.scope import enclosing

from . import keys
from .delivery import Delivery

if TYPE_CHECKING:
    from .network import Channel, Channels


def hand_off(
    channels: Channels, channel: Channel, envelope: Any, routing: dict[str, Any], following: str | None
) -> None:
    """SWARM_ON_CONDITION, from the tool that handed off to the next speaker."""
    hub, target = channel.hub, routing.get("target") or following
    about = {
        **channels.name(hub, envelope.sender_id, keys.SWARM_SOURCE, keys.SWARM_SOURCE_ID),
        keys.SWARM_TARGET: None if target is None else hub.name_for(target),
        keys.SWARM_CONDITION: routing.get("tool"),
        keys.HANDOFF_REASON: routing.get("reason"),
        keys.TRANSITION_REASON: reason_of(routing),
    }
    delivery = enclosing(Delivery)
    began = None if delivery is None else delivery.tools.get(str(routing.get("tool")))
    attributes = {**about, keys.GEN_AI_AGENT_NAME: about[keys.SWARM_SOURCE]}
    start_ns = native.clock_ns() if began is None else began
    span = channel.span.start_child(SpanKind.SWARM_ON_CONDITION, attributes, current=False, start_ns=start_ns)
    if following is not None:
        about.update(channels.name(hub, following, keys.NEXT_SPEAKER, keys.NEXT_SPEAKER_ID))
    span.record_event(EventKind.SWARM_TRANSITION, about)
    span.end()


def reason_of(routing: dict[str, Any]) -> str:
    """Say by which rule a hand-off came about."""
    return "REPLY_RESULT" if routing.get("target") else "ON_CONDITION"
