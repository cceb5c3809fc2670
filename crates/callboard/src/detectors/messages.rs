//! Two agents that send each other the same two messages again and again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use callboard_core::{Event, EventKind, Record, SpanHead, SpanId, SpanKind, Value, keys};

use super::places::{Places, is_chat};
use super::{Detector, Finding, MOST_KEPT, words};

/// The last messages of each conversation.
#[derive(Default)]
pub(super) struct PingPong {
    chats: Places<Arc<Chat>>,
    conversations: HashMap<Key, Conversation>,
}

/// The innermost chat that a span is within.
struct Chat {
    id: SpanId,
    is_group: bool,
    /// Of a group chat, who passes on to all others what each says to it.
    manager: Option<String>,
    /// It is a framework's own means.
    is_internal: bool,
}

/// In which chat two agents speak to each other; none where in no chat. In a group chat all speak to all.
type Key = (Option<SpanId>, Option<(String, String)>);

#[derive(Default)]
struct Conversation {
    last: VecDeque<Said>,
    has_told: bool,
}

#[derive(Clone)]
struct Said {
    by: String,
    words: String,
    span: SpanId,
}

impl Detector for PingPong {
    fn see(&mut self, record: &Record, found: &mut Vec<Finding>) {
        match record {
            Record::SpanStarted(span) => {
                self.chats.start(span, |around| Chat::of(span).map(Arc::new).or(around));
            }
            Record::Event(event) if event.kind == EventKind::AgentSendMsg => {
                found.extend(self.hear(event));
            }
            Record::SpanEnded(ended) => {
                self.chats.end(&ended.span);
                if is_chat(&ended.span) {
                    let id = Some(ended.span.span_id);
                    self.conversations.retain(|(chat, _), _| *chat != id);
                }
            }
            _ => {}
        }
    }
}

impl PingPong {
    fn hear(&mut self, event: &Event) -> Option<Finding> {
        let name = |key| event.attribute(key).and_then(Value::as_str).map(str::to_owned);
        if is_users(event) {
            return None;
        }
        let (by, to) = (name(keys::AGENT_SENDER)?, name(keys::AGENT_RECIPIENT)?);
        let words = event.attribute(keys::MESSAGE).and_then(words)?;
        let is_silent = event.attribute(keys::SILENT).and_then(Value::as_bool) == Some(true);
        let key = match self.chats.of(&event.span) {
            Some(chat) if chat.is_internal || chat.is_passed_on(&by, is_silent) => return None,
            Some(chat) if chat.is_group => (Some(chat.id), None),
            None if is_silent => return None,
            chat => (chat.map(|chat| chat.id), Some(pair(&by, to))),
        };
        if !self.conversations.contains_key(&key) && self.conversations.len() >= MOST_KEPT {
            return None;
        }
        let said = Said { by, words, span: event.span.span_id };
        let (one, two, spans) = self.conversations.entry(key).or_default().add(said)?;
        Some(Finding {
            kind: "ping_pong",
            text: format!("{one} and {two} say the same to each other again and again"),
            spans,
            more: Vec::new(),
            at: event.span.clone(),
            time_unix_ns: event.time_unix_ns,
        })
    }
}

/// Whether the user of the program says it, or is told it: a program may ask the same as often as it likes.
fn is_users(event: &Event) -> bool {
    let ids = [keys::AGENT_SENDER_ID, keys::AGENT_RECIPIENT_ID];
    ids.iter().any(|id| event.attribute(id).and_then(Value::as_str) == Some(keys::USER_ID))
}

fn pair(by: &str, to: String) -> (String, String) {
    if *by < *to { (by.to_owned(), to) } else { (to, by.to_owned()) }
}

impl Chat {
    /// The chat that a span is; none where it is another kind.
    fn of(span: &SpanHead) -> Option<Self> {
        let text = |key| span.attribute(key).and_then(Value::as_str).map(str::to_owned);
        let flag = |key| span.attribute(key).and_then(Value::as_bool) == Some(true);
        is_chat(span).then(|| Self {
            id: span.span_id,
            is_group: span.kind == SpanKind::GroupChat,
            manager: text("gen_ai.agent.name"),
            is_internal: flag(keys::AGENT_INTERNAL),
        })
    }

    /// Whether a message in it is another's that is passed on: the manager's copies, or where nobody manages it the silent ones.
    fn is_passed_on(&self, by: &str, is_silent: bool) -> bool {
        self.is_group && self.manager.as_deref().map_or(is_silent, |manager| manager == by)
    }
}

impl Conversation {
    /// The two who say the same by turns, for the second time, and where; told once, until one says something else.
    fn add(&mut self, said: Said) -> Option<(String, String, Vec<SpanId>)> {
        self.last.push_back(said);
        if self.last.len() > 4 {
            self.last.pop_front();
        }
        let [first, second, third, fourth] = self.last.make_contiguous() else { return None };
        let is_same = |one: &Said, two: &Said| one.by == two.by && one.words == two.words;
        let repeats = first.by != second.by && is_same(first, third) && is_same(second, fourth);
        let tells = repeats && !self.has_told;
        self.has_told = repeats;
        let spans = vec![first.span, second.span, third.span, fourth.span];
        tells.then(|| (first.by.clone(), second.by.clone(), spans))
    }
}
