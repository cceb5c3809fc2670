//! Group chats: agents that were never chosen, and choosing that cost more than the work.

use std::collections::{HashMap, HashSet};

use callboard_core::{EventKind, Record, SpanHead, SpanId, SpanKind, Value, keys, value};

use super::{Detector, Finding, MOST_KEPT};
use crate::providers::cost::Money;

/// The group chats that are in progress, and where each of their spans belongs.
#[derive(Default)]
pub(super) struct Groups {
    groups: HashMap<SpanId, Group>,
    places: HashMap<SpanId, Place>,
}

#[derive(Default)]
struct Group {
    agents: Vec<String>,
    heard: HashSet<String>,
    selections: Vec<SpanId>,
    selecting: Money,
    working: Money,
}

/// The innermost group chat that a span is within, and whether it is part of choosing a speaker there.
#[derive(Clone, Copy)]
struct Place {
    group: SpanId,
    is_selecting: bool,
}

impl Detector for Groups {
    fn see(&mut self, record: &Record, found: &mut Vec<Finding>) {
        match record {
            Record::SpanStarted(span) => self.start(span),
            Record::SpanChanged(changed) => {
                let selected = value::find(&changed.attributes, "ag2.agent.selected");
                self.hear(&changed.span, selected);
            }
            Record::Event(event) if event.kind == EventKind::Cost => {
                let cost = event.attribute(keys::COST).and_then(Money::from_value);
                self.pay(&event.span, cost.unwrap_or_default());
            }
            Record::Event(event) if event.kind == EventKind::AgentSendMsg => {
                self.hear(&event.span, event.attribute(keys::AGENT_SENDER));
            }
            Record::SpanEnded(ended) => {
                self.places.remove(&ended.span.span_id);
                if let Some(group) = self.groups.remove(&ended.span.span_id) {
                    let at = (&ended.span, ended.end_unix_ns);
                    found.extend(group.never_chosen(at));
                    found.extend(group.costly_selection(at));
                }
            }
            _ => {}
        }
    }
}

impl Groups {
    fn start(&mut self, span: &SpanHead) {
        if self.places.len() >= MOST_KEPT {
            return;
        }
        if span.kind == SpanKind::GroupChat {
            let agents = match span.attribute("ag2.agents") {
                Some(Value::List(names)) => names.iter().filter_map(Value::as_str).collect(),
                _ => Vec::new(),
            };
            let is_the_programs =
                |name: &&str| !name.starts_with('_') && !name.starts_with("wrapped_");
            let agents = agents.into_iter().filter(is_the_programs).map(str::to_owned).collect();
            self.groups.insert(span.span_id, Group { agents, ..Group::default() });
            let place = Place { group: span.span_id, is_selecting: false };
            self.places.insert(span.span_id, place);
        } else if !span.is_root()
            && let Some(place) = span.parent_span_id.and_then(|id| self.places.get(&id)).copied()
        {
            let is_selection = span.kind == SpanKind::GroupchatSelectSpeaker;
            if is_selection && let Some(group) = self.groups.get_mut(&place.group) {
                group.selections.push(span.span_id);
            }
            let is_selecting = place.is_selecting || is_selection;
            self.places.insert(span.span_id, Place { is_selecting, ..place });
        }
    }

    fn hear(&mut self, span: &SpanHead, agent: Option<&Value>) {
        let place = self.places.get(&span.span_id);
        if let Some(group) = place.and_then(|place| self.groups.get_mut(&place.group)) {
            group.heard.extend(agent.and_then(Value::as_str).map(str::to_owned));
        }
    }

    fn pay(&mut self, span: &SpanHead, cost: Money) {
        let Some(place) = self.places.get(&span.span_id) else { return };
        if let Some(group) = self.groups.get_mut(&place.group) {
            let sum = if place.is_selecting { &mut group.selecting } else { &mut group.working };
            *sum += cost;
        }
    }
}

type At<'a> = (&'a std::sync::Arc<SpanHead>, u64);

impl Group {
    /// Where as many speakers were chosen as there are agents, those who never had a word.
    fn never_chosen(&self, (at, time_unix_ns): At<'_>) -> Option<Finding> {
        let never: Vec<_> = self.agents.iter().filter(|name| !self.heard.contains(*name)).collect();
        if never.is_empty() || self.selections.len() < self.agents.len() {
            return None;
        }
        let names = never.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        let text = format!("{names} was never chosen in {} selections", self.selections.len());
        let spans = self.selections.clone();
        Some(Finding {
            kind: "agent_never_chosen",
            text,
            spans,
            more: Vec::new(),
            at: at.clone(),
            time_unix_ns,
        })
    }

    fn costly_selection(&self, (at, time_unix_ns): At<'_>) -> Option<Finding> {
        let text = format!(
            "choosing who speaks cost ${:.6}, what was said ${:.6}",
            self.selecting.usd(),
            self.working.usd()
        );
        let spans = self.selections.clone();
        (self.selecting > self.working).then(|| Finding {
            kind: "costly_selection",
            text,
            spans,
            more: Vec::new(),
            at: at.clone(),
            time_unix_ns,
        })
    }
}
