"""Attribute keys that the hooks of AG2 1.x record: the classic hooks' (`callboard.ag2.keys`), and those of networks."""

from callboard.ag2.keys import *  # noqa: F403  # the same thing has the same key in both AG2s

CHANNEL_ID = "callboard.channel.id"
CHANNEL_TYPE = "callboard.channel.type"
CHANNEL_CLOSE_REASON = "callboard.channel.close_reason"
ENVELOPE_ID = "callboard.envelope.id"
ENVELOPE_CAUSE = "callboard.envelope.causation_id"
ENVELOPE_TYPE = "callboard.envelope.type"
HANDOFF_REASON = "callboard.handoff.reason"
TASK_ID = "callboard.task.id"
