"""Hand-offs in a workflow: SWARM_ON_CONDITION for those by a condition, SWARM_TRANSITION for all.

An agent hands off by a tool. Either a rule of the workflow is about the tool having been called (ON_CONDITION), or the
tool returns who goes on (a `Handoff`: REPLY_RESULT). The turn's packet has it when the turn is over, and that settles
who speaks next. ON_CONDITION has a span, a child of the channel's, from the tool's start to there. REPLY_RESULT is an
event in the channel's span: AG2 1.x has no rounds.
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
    """SWARM_TRANSITION; at the end of a SWARM_ON_CONDITION, which began with the tool, where a rule handed off."""
    hub, target = channel.hub, routing.get("target") or following
    about = {
        **channels.name(hub, envelope.sender_id, keys.SWARM_SOURCE, keys.SWARM_SOURCE_ID),
        keys.SWARM_TARGET: None if target is None else hub.name_for(target),
        keys.SWARM_CONDITION: routing.get("tool"),
        keys.HANDOFF_REASON: routing.get("reason"),
        keys.TRANSITION_REASON: reason_of(routing),
    }
    following_speaker = {}
    if following is not None:
        following_speaker = channels.name(hub, following, keys.NEXT_SPEAKER, keys.NEXT_SPEAKER_ID)
    if about[keys.TRANSITION_REASON] != "ON_CONDITION":
        channel.span.record_event(EventKind.SWARM_TRANSITION, {**about, **following_speaker})
        return
    delivery = enclosing(Delivery)
    began = None if delivery is None else delivery.tools.get(str(routing.get("tool")))
    attributes = {**about, keys.GEN_AI_AGENT_NAME: about[keys.SWARM_SOURCE]}
    start_ns = native.clock_ns() if began is None else began
    span = channel.span.start_child(SpanKind.SWARM_ON_CONDITION, attributes, current=False, start_ns=start_ns)
    span.record_event(EventKind.SWARM_TRANSITION, {**about, **following_speaker})
    span.end()


def reason_of(routing: dict[str, Any]) -> str:
    """Say by which rule a hand-off came about."""
    return "REPLY_RESULT" if routing.get("target") else "ON_CONDITION"
