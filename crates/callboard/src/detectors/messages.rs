//! Two agents that send each other the same two messages again and again.

use std::collections::{HashMap, VecDeque};

use callboard_core::{EventKind, Record, SpanId, Value, keys};

use super::{Detector, Finding, MOST_KEPT, words};

/// The last messages of each conversation: of two agents with each other, and of all who speak to one (in a group chat,
/// its manager).
#[derive(Default)]
pub(super) struct PingPong {
    conversations: HashMap<(String, String), Conversation>,
}

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
        let Record::Event(event) = record else { return };
        let is_silent = event.attribute(keys::SILENT).and_then(Value::as_bool) == Some(true);
        if event.kind != EventKind::AgentSendMsg || is_silent {
            return;
        }
        let name = |key| event.attribute(key).and_then(Value::as_str).map(str::to_owned);
        let (Some(by), Some(to), Some(words)) = (
            name(keys::AGENT_SENDER),
            name(keys::AGENT_RECIPIENT),
            event.attribute(keys::MESSAGE).and_then(words),
        ) else {
            return;
        };
        let between = if by < to { (by.clone(), to.clone()) } else { (to.clone(), by.clone()) };
        for conversation in [between, (String::new(), to)] {
            let is_known = self.conversations.contains_key(&conversation);
            if !is_known && self.conversations.len() >= MOST_KEPT {
                continue;
            }
            let said = Said { by: by.clone(), words: words.clone(), span: event.span.span_id };
            let conversation = self.conversations.entry(conversation).or_default();
            if let Some((one, two, spans)) = conversation.add(said) {
                found.push(Finding {
                    kind: "ping_pong",
                    text: format!("{one} and {two} say the same to each other again and again"),
                    spans,
                    more: Vec::new(),
                    at: event.span.clone(),
                    time_unix_ns: event.time_unix_ns,
                });
            }
        }
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
