//! One agent that asks another, and what comes back, where no message is sent: what is drawn of such spans.
//!
//! ```text
//! nested_chat with an initial message     an agent that another one has as a tool, or a subtask
//! reply directly within a tool_call       a tool's function that asks an agent
//! ```
//!
//! Both are two arrows: the question at the span's start, the answer at its end. Nested chats whose agents send each other
//! messages have no initial message of their own, and are drawn by these messages.

use std::collections::HashMap;

use callboard_core::{
    Record, SpanChanged, SpanEnded, SpanHead, SpanId, SpanKind, Status, Text, UnixNanos, Value,
    keys, value,
};

use super::label;
use super::transcript::{Interaction, agent};
use crate::providers::runs::{RunKey, key_of};

/// The most spans in progress that are known, of each sort. What happens in further ones is not drawn.
const MOST_OPEN: usize = 10_000;

const INITIAL_MESSAGE: &str = "ag2.chat.initial_message";
const SUMMARY: &str = "ag2.chat_result.summary";
const MESSAGES: &str = "ag2.messages.start";
const REPLY: &str = "ag2.reply";

type SpanKey = (RunKey, SpanId);

/// The questions that wait for their answers.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    open: HashMap<SpanKey, Exchange>,
    /// Tools being run, and the agent that called each.
    tools: HashMap<SpanKey, Text>,
}

#[derive(Debug)]
struct Exchange {
    asking: Text,
    asked: Text,
    answer: String,
}

impl Exchanges {
    /// Takes up a record, and returns what it adds to the diagram.
    pub(super) fn enter(&mut self, record: &Record) -> Option<Interaction> {
        match record {
            Record::SpanStarted(span) => self.start(span),
            Record::SpanChanged(changed) => {
                self.change(changed);
                None
            }
            Record::SpanEnded(ended) => self.end(ended),
            _ => None,
        }
    }

    fn start(&mut self, span: &SpanHead) -> Option<Interaction> {
        match span.kind {
            SpanKind::ToolCall if self.tools.len() < MOST_OPEN => {
                let caller = span.attribute(keys::TOOL_CALLER);
                let caller = caller.or_else(|| span.attribute("gen_ai.agent.name"));
                self.tools.insert(key(span), agent(caller));
                None
            }
            SpanKind::NestedChat => {
                let message = span.attribute(INITIAL_MESSAGE)?;
                self.ask(span, agent(span.attribute(keys::AGENT_SENDER)), message)
            }
            SpanKind::Reply => {
                let caller = self.tools.get(&(key_of(&span.run), span.parent_span_id?))?.clone();
                let sender =
                    span.attribute(keys::AGENT_SENDER).filter(|name| **name != Value::Null);
                let asking = sender.map_or(caller, |name| agent(Some(name)));
                let message = span.attribute(MESSAGES).map_or(Value::Null, last_message);
                self.ask(span, asking, &message)
            }
            _ => None,
        }
    }

    fn ask(&mut self, span: &SpanHead, asking: Text, message: &Value) -> Option<Interaction> {
        let asked = agent(span.attribute(keys::AGENT_RECIPIENT));
        if asking.is_empty() || asked.is_empty() || self.open.len() >= MOST_OPEN {
            return None;
        }
        let interaction = said(span.start_unix_ns, asking.clone(), asked.clone(), shown(message));
        self.open.insert(key(span), Exchange { asking, asked, answer: String::new() });
        Some(interaction)
    }

    fn change(&mut self, changed: &SpanChanged) {
        let answer = || {
            let of = if changed.span.kind == SpanKind::Reply { REPLY } else { SUMMARY };
            value::find(&changed.attributes, of)
        };
        if let Some(exchange) = self.open.get_mut(&key(&changed.span))
            && let Some(answer) = answer()
        {
            exchange.answer = shown(answer);
        }
    }

    fn end(&mut self, ended: &SpanEnded) -> Option<Interaction> {
        let key = key(&ended.span);
        self.tools.remove(&key);
        if ended.span.is_root() {
            // Whatever is still open in a run ends with it.
            self.open.retain(|(run, _), _| *run != key.0);
            self.tools.retain(|(run, _), _| *run != key.0);
        }
        let Exchange { asking, asked, answer } = self.open.remove(&key)?;
        let message = match &ended.status {
            Status::Error { message } => shown(&Value::from(format!("Error: {message}"))),
            _ => answer,
        };
        Some(said(ended.end_unix_ns, asked, asking, message))
    }
}

fn key(span: &SpanHead) -> SpanKey {
    (key_of(&span.run), span.span_id)
}

fn said(time_unix_ns: UnixNanos, from: Text, to: Text, message: String) -> Interaction {
    Interaction { time_unix_ns, from, to, message }
}

fn shown(message: &Value) -> String {
    label::of_message(message, |_| None)
}

/// The last message of a history.
fn last_message(history: &Value) -> Value {
    match history {
        Value::Messages(history) => {
            history.messages().last().map(|message| message.body().clone()).unwrap_or(Value::Null)
        }
        Value::List(messages) => messages.last().cloned().unwrap_or(Value::Null),
        other => other.clone(),
    }
}
