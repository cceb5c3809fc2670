//! The keys of attributes that the native hooks record; `callboard/ag2/keys.py` has those of all hooks, and says more.

pub(super) const SENDER: &str = "ag2.agent.sender";
pub(super) const SENDER_ID: &str = "ag2.agent.sender.id";
pub(super) const RECIPIENT: &str = "ag2.agent.recipient";
pub(super) const RECIPIENT_ID: &str = "ag2.agent.recipient.id";
pub(super) const AGENT_INTERNAL: &str = "callboard.agent.internal";
pub(super) const MESSAGE: &str = "ag2.message";
pub(super) const SILENT: &str = "ag2.silent";
pub(super) const EXCHANGE: &str = "callboard.exchange";
pub(super) const MESSAGES: &str = "ag2.messages";
pub(super) const MESSAGES_START: &str = "ag2.messages.start";
pub(super) const MESSAGES_END: &str = "ag2.messages.end";
pub(super) const REPLY: &str = "ag2.reply";
pub(super) const REPLY_FUNCTION: &str = "ag2.reply_function";
pub(super) const REPLY_MODULE: &str = "ag2.reply_module";
pub(super) const FINAL: &str = "ag2.final";

pub(super) const GEN_AI_AGENT_NAME: &str = "gen_ai.agent.name";
