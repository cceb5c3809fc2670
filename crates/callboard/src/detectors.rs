//! What goes wrong in a team of agents, found while it happens: each finding is an event that names its evidence.
//!
//! ```text
//! records of a run ──▶ detectors, one state a run ──▶ the same records, and `finding` events among them
//! ```
//!
//! A detector is exact: it tells what was said, done or paid twice, and guesses nothing; a number that is an estimate is told
//! as "about". Each tells a thing once. They see what providers see, on the pipeline's thread, and what they keep is bounded.

mod contexts;
mod groups;
mod handoffs;
mod messages;
mod places;
mod prefixes;
mod tools;

use std::collections::HashMap;
use std::sync::Arc;

use callboard_core::{
    Attribute, Event, EventKind, Record, RecordProcessor, SpanHead, SpanId, UnixNanos, Value,
};

/// The kind of the event that tells of a finding.
pub const FINDING: &str = "finding";
/// Which finding it is: `ping_pong`, `repeated_tool_call`, `hand_off_cycle`, `agent_never_chosen`, `costly_selection`,
/// `idle_context` or `broken_prompt_cache`.
pub const FINDING_KIND: &str = "callboard.finding";
/// The finding in a sentence.
pub const FINDING_TEXT: &str = "callboard.finding.text";
/// The ids of the spans that show it, in order.
pub const FINDING_SPANS: &str = "callboard.finding.spans";
/// Of a broken prompt cache, what was changed: `system_message`, `tools`, or messages that were `changed`, `removed` or
/// `inserted`.
pub const FINDING_CHANGE: &str = "callboard.finding.change";
/// Of a broken prompt cache, the place in the history from which on nothing is shared, counted from 0.
pub const FINDING_INDEX: &str = "callboard.finding.index";
/// Of a broken prompt cache, the role of the message at that place.
pub const FINDING_ROLE: &str = "callboard.finding.role";
/// Of a broken prompt cache, about how many tokens that the first call had sent were sent again past it.
pub const FINDING_TOKENS: &str = "callboard.finding.tokens";

/// How many runs at a time are looked at. What further ones do is not.
const MOST_RUNS: usize = 256;
/// How many things of one sort a detector keeps of a run.
const MOST_KEPT: usize = 10_000;

/// Adds `finding` events to the records of each run.
#[derive(Default)]
pub struct Detectors {
    runs: HashMap<SpanId, Vec<Box<dyn Detector>>>,
}

/// Looks for one thing in the records of one run.
trait Detector: Send {
    fn see(&mut self, record: &Record, found: &mut Vec<Finding>);
}

/// What a detector found.
struct Finding {
    kind: &'static str,
    text: String,
    spans: Vec<SpanId>,
    /// What else is told of it.
    more: Vec<Attribute>,
    /// The span in which it shows, which has not ended.
    at: Arc<SpanHead>,
    time_unix_ns: UnixNanos,
}

impl RecordProcessor for Detectors {
    fn process(&mut self, batch: &mut Vec<Record>) {
        let mut found = Vec::new();
        let mut seen = Vec::with_capacity(batch.len());
        for record in batch.drain(..) {
            self.see(&record, &mut found);
            let findings = found.drain(..).map(|finding| Record::Event(finding.into()));
            // What shows at a span's end still belongs to the span.
            if matches!(record, Record::SpanEnded(_)) {
                seen.extend(findings);
                seen.push(record);
            } else {
                seen.push(record);
                seen.extend(findings);
            }
        }
        *batch = seen;
    }
}

impl Detectors {
    fn see(&mut self, record: &Record, found: &mut Vec<Finding>) {
        let run = record.span().run.root_span_id;
        if !self.runs.contains_key(&run) {
            if !record.span().is_root() || self.runs.len() >= MOST_RUNS {
                return;
            }
            self.runs.insert(run, of_a_run());
        }
        for detector in self.runs.get_mut(&run).into_iter().flatten() {
            detector.see(record, found);
        }
        if matches!(record, Record::SpanEnded(ended) if ended.span.is_root()) {
            self.runs.remove(&run);
        }
    }
}

fn of_a_run() -> Vec<Box<dyn Detector>> {
    vec![
        Box::<messages::PingPong>::default(),
        Box::<tools::RepeatedToolCalls>::default(),
        Box::<handoffs::HandOffCycles>::default(),
        Box::<groups::Groups>::default(),
        Box::<contexts::IdleContexts>::default(),
        Box::<prefixes::BrokenPrefixes>::default(),
    ]
}

impl From<Finding> for Event {
    fn from(finding: Finding) -> Self {
        let spans: Vec<Value> = finding.spans.iter().map(|span| span.to_string().into()).collect();
        let mut attributes = vec![
            (FINDING_KIND.into(), finding.kind.into()),
            (FINDING_TEXT.into(), finding.text.into()),
            (FINDING_SPANS.into(), spans.into()),
        ];
        attributes.extend(finding.more);
        let kind = EventKind::from_value(FINDING);
        Self { span: finding.at, kind, time_unix_ns: finding.time_unix_ns, attributes }
    }
}

/// A number of things in words: "1 call", "2 calls".
fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// The words of a message: its content where it is a map, else itself. None where it has none.
fn words(message: &Value) -> Option<String> {
    let content = match message {
        Value::Map(entries) => callboard_core::value::find(entries, "content")?,
        other => other,
    };
    match content {
        Value::Null => None,
        Value::Text(text) if text.is_empty() => None,
        Value::Text(text) => Some(text.to_string()),
        other => Some(other.to_json()),
    }
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn one_thing_has_no_plural() {
        assert_eq!(counted(1, "selection"), "1 selection");
        assert_eq!(counted(0, "selection"), "0 selections");
        assert_eq!(counted(2, "time"), "2 times");
    }
}
