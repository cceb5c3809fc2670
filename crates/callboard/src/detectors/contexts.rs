//! A context that grows while nothing new is said.

use std::collections::{HashMap, HashSet};

use callboard_core::{Context, Record, SpanId, SpanKind, Value};

use super::{Detector, Finding, MOST_KEPT, counted, words};

/// So many calls in a row that add nothing new are told of.
const IDLE_CALLS: usize = 3;

/// What each agent's model was last asked.
#[derive(Default)]
pub(super) struct IdleContexts {
    agents: HashMap<String, Asked>,
}

#[derive(Default)]
struct Asked {
    context: Context,
    said: HashSet<String>,
    idle: Vec<SpanId>,
}

impl Detector for IdleContexts {
    fn see(&mut self, record: &Record, found: &mut Vec<Finding>) {
        let Record::SpanStarted(span) = record else { return };
        let (SpanKind::LlmCall, Some(Value::Messages(context))) =
            (&span.kind, span.attribute("gen_ai.input.messages"))
        else {
            return;
        };
        let agent =
            span.attribute("gen_ai.agent.name").and_then(Value::as_str).unwrap_or("a model");
        if !self.agents.contains_key(agent) && self.agents.len() >= MOST_KEPT {
            return;
        }
        let asked = self.agents.entry(agent.to_owned()).or_default();
        if let Some(spans) = asked.add(context, span.span_id) {
            found.push(Finding {
                kind: "idle_context",
                text: format!(
                    "what {agent} is asked grew over {} to {}, and none of it is new",
                    counted(IDLE_CALLS, "call"),
                    counted(context.len(), "message")
                ),
                spans,
                more: Vec::new(),
                at: span.clone(),
                time_unix_ns: span.start_unix_ns,
            });
        }
    }
}

impl Asked {
    /// The calls in a row whose context grew by what stood in it already; told once, until there are new ones.
    fn add(&mut self, context: &Context, span: SpanId) -> Option<Vec<SpanId>> {
        let known = self.context.len();
        let goes_on =
            known > 0 && context.len() > known && context.first(known).is_same(&self.context);
        if !goes_on {
            self.said.clear();
            self.idle.clear();
        }
        let new = &context.messages()[if goes_on { known } else { 0 }..];
        let mut is_new = false;
        for said in new.iter().flat_map(|message| said(message.body())) {
            is_new |= self.said.insert(said);
        }
        self.context = context.clone();
        if is_new {
            self.idle.clear();
        } else if goes_on {
            self.idle.push(span);
        }
        (self.idle.len() == IDLE_CALLS).then(|| self.idle.clone())
    }
}

/// What a message says: its words, and what tools it calls with what arguments. The ids of calls say nothing.
fn said(message: &Value) -> Vec<String> {
    let calls = message.get("tool_calls").and_then(Value::as_list).unwrap_or_default();
    let functions = calls.iter().filter_map(|call| call.get("function"));
    let called = functions.chain(message.get("function_call")).filter(|it| **it != Value::Null);
    words(message).into_iter().chain(called.map(Value::to_json)).collect()
}
