//! The same tool call with the same arguments, again and again in one chat.
//!
//! Who calls a tool is the agent whose message asked for it, not the one that runs it: in a group chat one executor runs the
//! tools of all agents.

use std::collections::HashMap;

use callboard_core::{Event, EventKind, Record, SpanHead, SpanId, SpanKind, Value, keys};

use super::places::Places;
use super::{Detector, Finding, MOST_KEPT, counted};

/// The number of equal calls that is a finding.
const REPEATED: usize = 3;

/// The calls of each chat, with the spans in which they were made.
#[derive(Default)]
pub(super) struct RepeatedToolCalls {
    chats: Places<SpanId>,
    calls: HashMap<Call, Vec<SpanId>>,
}

#[derive(PartialEq, Eq, Hash)]
struct Call {
    /// The innermost chat; outside of every chat the outermost reply. None where there is neither.
    chat: Option<SpanId>,
    agent: String,
    tool: String,
    arguments: String,
}

impl Detector for RepeatedToolCalls {
    fn see(&mut self, record: &Record, found: &mut Vec<Finding>) {
        match record {
            Record::SpanStarted(span) => {
                self.chats.start(span, |around| chat_of(span, around));
            }
            Record::Event(event) if event.kind == EventKind::ToolExecution => {
                found.extend(self.count(event));
            }
            Record::SpanEnded(ended) => {
                let chat = Some(ended.span.span_id);
                if self.chats.of(&ended.span) == chat {
                    self.calls.retain(|call, _| call.chat != chat);
                }
                self.chats.end(&ended.span);
            }
            _ => {}
        }
    }
}

impl RepeatedToolCalls {
    fn count(&mut self, event: &Event) -> Option<Finding> {
        let call = Call {
            chat: self.chats.of(&event.span),
            agent: caller(&event.span).unwrap_or_default().to_owned(),
            tool: event.attribute("ag2.function.name").and_then(Value::as_str)?.to_owned(),
            arguments: event.attribute("ag2.function.arguments").map(canonical).unwrap_or_default(),
        };
        if !self.calls.contains_key(&call) && self.calls.len() >= MOST_KEPT {
            return None;
        }
        let times = counted(REPEATED, "time");
        let text = format!("{} was called {times} with the same arguments", call.tool);
        let spans = self.calls.entry(call).or_default();
        if spans.len() >= REPEATED {
            return None;
        }
        spans.push(event.span.span_id);
        (spans.len() == REPEATED).then(|| Finding {
            kind: "repeated_tool_call",
            text,
            spans: spans.clone(),
            more: Vec::new(),
            at: event.span.clone(),
            time_unix_ns: event.time_unix_ns,
        })
    }
}

/// The agent that called: the one whose message asked for the tool where that is known, else the one that runs it.
fn caller(span: &SpanHead) -> Option<&str> {
    let name = |key| span.attribute(key).and_then(Value::as_str);
    name(keys::TOOL_CALLER).or_else(|| name("gen_ai.agent.name"))
}

/// The conversation that a span is in, given its parent's.
fn chat_of(span: &SpanHead, around: Option<SpanId>) -> Option<SpanId> {
    match span.kind {
        SpanKind::Chat | SpanKind::GroupChat | SpanKind::NestedChat => Some(span.span_id),
        SpanKind::Reply => around.or(Some(span.span_id)),
        _ => around,
    }
}

/// The arguments as JSON whose blanks and order say nothing.
fn canonical(arguments: &Value) -> String {
    let json = match arguments.as_str() {
        Some(text) => text.to_owned(),
        None => arguments.to_json(),
    };
    match serde_json::from_str::<serde_json::Value>(&json) {
        Ok(parsed) => parsed.to_string(),
        Err(_) => json,
    }
}
