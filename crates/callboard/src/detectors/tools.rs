//! The same tool call with the same arguments, again and again.

use std::collections::HashMap;

use callboard_core::{EventKind, Record, SpanId, Value};

use super::{Detector, Finding, MOST_KEPT};

/// So many equal calls are told of.
const REPEATED: usize = 3;

/// The spans in which each call was made, by who ran the tool, the tool's name and its arguments.
#[derive(Default)]
pub(super) struct RepeatedToolCalls {
    calls: HashMap<(String, String, String), Vec<SpanId>>,
}

impl Detector for RepeatedToolCalls {
    fn see(&mut self, record: &Record, found: &mut Vec<Finding>) {
        let Record::Event(event) = record else { return };
        if event.kind != EventKind::ToolExecution {
            return;
        }
        let Some(name) = event.attribute("ag2.function.name").and_then(Value::as_str) else {
            return;
        };
        let arguments = event.attribute("ag2.function.arguments").map(canonical);
        let agent = event.span.attribute("gen_ai.agent.name").and_then(Value::as_str);
        let agent = agent.unwrap_or_default().to_owned();
        let call = (agent, name.to_owned(), arguments.unwrap_or_default());
        if !self.calls.contains_key(&call) && self.calls.len() >= MOST_KEPT {
            return;
        }
        let spans = self.calls.entry(call).or_default();
        if spans.len() >= REPEATED {
            return;
        }
        spans.push(event.span.span_id);
        if spans.len() == REPEATED {
            found.push(Finding {
                kind: "repeated_tool_call",
                text: format!("{name} was called {REPEATED} times with the same arguments"),
                spans: spans.clone(),
                more: Vec::new(),
                at: event.span.clone(),
                time_unix_ns: event.time_unix_ns,
            });
        }
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
