//! The keys of attributes that the native hooks record; `callboard/ag2/keys.py` has those of all hooks, and says more.

pub(super) const SENDER: &str = "ag2.agent.sender";
pub(super) const SENDER_ID: &str = "ag2.agent.sender.id";
pub(super) const RECIPIENT: &str = "ag2.agent.recipient";
pub(super) const RECIPIENT_ID: &str = "ag2.agent.recipient.id";
pub(super) const AGENT_INTERNAL: &str = "callboard.agent.internal";
pub(super) const MESSAGE: &str = "ag2.message";
pub(super) const SILENT: &str = "ag2.silent";
