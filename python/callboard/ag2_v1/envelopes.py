"""Messages in a hub's channels: AGENT_SEND_MSG, one for each who gets it, and AGENT_TRANSITION.

Where a channel's rules say who speaks next, that one is who the message is for, and where they say that nobody does,
whoever opened the channel; the others' copies are silent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from callboard import EventKind

from . import handoffs, keys

if TYPE_CHECKING:
    from .network import Channel, Channels

TEXT = "ag2.msg.text"
PACKET = "ag2.packet"
CONTEXT = "ag2.context.set"
_OF_THE_HUBS = ("ag2.channel.", "ag2.task.", "ag2.expectation.")


def is_of_the_hubs(envelope: Any) -> bool:
    """Whether an envelope is the hub's bookkeeping (invitations, what became of tasks) and no message."""
    return bool(envelope.event_type.startswith(_OF_THE_HUBS))


def posted(channels: Channels, channel: Channel, envelope: Any, metadata: Any) -> None:
    """A message was accepted and sent out."""
    message, recipients = message_of(envelope), _recipients(envelope, metadata)
    is_message = envelope.event_type != CONTEXT
    state = channel.hub.adapter_state(metadata.channel_id)
    following = _following(channel.hub, envelope, metadata, state) if is_message else None
    addressee = following or (metadata.creator_id if hasattr(state, "expected_next_speaker") else None)
    if is_message and not channel.spoken:
        channel.spoken = True
        channel.span.set_attribute(keys.CHAT_INITIAL_MESSAGE, message)
    for recipient in recipients:
        is_copy = addressee in recipients and recipient != addressee
        channel.span.record_event(
            EventKind.AGENT_SEND_MSG,
            {
                **channels.name(channel.hub, envelope.sender_id, keys.SENDER, keys.SENDER_ID),
                **channels.name(channel.hub, recipient, keys.RECIPIENT, keys.RECIPIENT_ID),
                keys.MESSAGE: message,
                keys.SILENT: is_copy or not is_message,
                keys.ENVELOPE_ID: envelope.envelope_id,
                keys.ENVELOPE_CAUSE: envelope.causation_id,
                keys.ENVELOPE_TYPE: envelope.event_type,
            },
        )
    routing = routing_of(envelope)
    is_hand_off = routing.get("kind") == "handoff"
    if is_hand_off:
        handoffs.hand_off(channels, channel, envelope, routing, following)
    if following not in (None, envelope.sender_id) and (channel.is_group or is_hand_off):
        channel.span.record_event(
            EventKind.AGENT_TRANSITION,
            {
                **channels.name(channel.hub, envelope.sender_id, keys.LAST_SPEAKER, keys.LAST_SPEAKER_ID),
                **channels.name(channel.hub, str(following), keys.NEXT_SPEAKER, keys.NEXT_SPEAKER_ID),
                keys.TRANSITION_REASON: _reason(metadata, routing, is_hand_off),
            },
        )


def routing_of(envelope: Any) -> dict[str, Any]:
    """Return what a workflow's packet says of who is to go on; empty for every other envelope."""
    routing = envelope.event_data.get("routing") if envelope.event_type == PACKET else None
    return routing if isinstance(routing, dict) else {}


def message_of(envelope: Any) -> Any:
    """Return what is said: the text, or, in an envelope of the program's own kind, its data."""
    data = envelope.event_data
    if envelope.event_type == PACKET:
        routing = routing_of(envelope)
        return data.get("body") or f"{routing.get('tool', 'handoff')}: {routing.get('reason', '')}"
    text = data.get("text") if envelope.event_type == TEXT else None
    return text if isinstance(text, str) else data


def _recipients(envelope: Any, metadata: Any) -> Sequence[str]:
    everybody = metadata.participant_ids() if envelope.audience is None else envelope.audience
    return [one for one in everybody if one != envelope.sender_id]


def _following(hub: Any, envelope: Any, metadata: Any, state: Any) -> str | None:
    """Say who is to speak next after this envelope, where the channel's rules do."""
    if getattr(state, "last_envelope_id", envelope.envelope_id) != envelope.envelope_id:
        return None
    expected = hub.adapter_for(metadata.channel_id).expected_next(metadata, state)
    agent_id: str | None = getattr(expected, "agent_id", None)
    return agent_id


def _reason(metadata: Any, routing: dict[str, Any], is_hand_off: bool) -> str:
    if is_hand_off:
        return handoffs.reason_of(routing)
    kind: str = metadata.manifest.type
    return {"discussion": "Round robin selection", "workflow": "AFTER_WORK"}.get(kind, kind)
