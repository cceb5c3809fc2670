//! Group chats: agents that were never chosen, and choosing that cost more than the work.

use std::collections::HashSet;

use callboard_core::id::IdMap;
use callboard_core::{Event, EventKind, Record, SpanHead, SpanId, SpanKind, Value, keys, value};

use super::places::Places;
use super::{Detector, Finding, counted};
use crate::providers::cost::Money;

/// Why a group chat ended.
const TERMINATION: &str = "ag2.groupchat.termination";
/// It ended as it had all its rounds.
const ROUND_LIMIT: &str = "Max rounds reached";

/// The group chats that are in progress, and where each of their spans belongs.
#[derive(Default)]
pub(super) struct Groups {
    groups: IdMap<SpanId, Group>,
    places: Places<Place>,
}

#[derive(Default)]
struct Group {
    /// Where it takes place itself, if within another one.
    around: Option<Place>,
    agents: Vec<String>,
    heard: HashSet<String>,
    /// Whether it ended at its round limit: it had all the turns that it may have.
    at_its_limit: bool,
    selections: Vec<SpanId>,
    selecting: Spent,
    working: Spent,
}

/// What was paid for something.
#[derive(Default)]
struct Spent {
    sum: Money,
    /// Nobody has a price for some of it, so that it was more.
    is_more: bool,
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
                let termination = value::find(&changed.attributes, TERMINATION);
                if let Some(group) = self.groups.get_mut(&changed.span.span_id) {
                    group.at_its_limit |= is_round_limit(termination);
                }
            }
            Record::Event(event) if event.kind == EventKind::Cost => self.pay(event),
            Record::Event(event) if event.kind == EventKind::AgentSendMsg => {
                self.hear(&event.span, event.attribute(keys::AGENT_SENDER));
            }
            Record::SpanEnded(ended) => {
                self.places.end(&ended.span);
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
        if self.places.is_full() {
            return;
        }
        if span.kind == SpanKind::GroupChat {
            let mut outer = None;
            self.places.start(span, |around| {
                outer = around;
                Some(Place { group: span.span_id, is_selecting: false })
            });
            self.groups.insert(span.span_id, Group::of(span, outer));
            return;
        }
        let is_selection = span.kind == SpanKind::GroupchatSelectSpeaker;
        let place = self.places.start(span, |around| {
            let place = around?;
            Some(Place { is_selecting: place.is_selecting || is_selection, ..place })
        });
        if is_selection && let Some(group) = place.and_then(|it| self.groups.get_mut(&it.group)) {
            group.selections.push(span.span_id);
        }
    }

    fn hear(&mut self, span: &SpanHead, agent: Option<&Value>) {
        let place = self.places.of(span);
        if let Some(group) = place.and_then(|place| self.groups.get_mut(&place.group)) {
            group.heard.extend(agent.and_then(Value::as_str).map(str::to_owned));
        }
    }

    /// Adds what a call cost to each group chat that it is within.
    fn pay(&mut self, event: &Event) {
        let cost = event.attribute(keys::COST).and_then(Money::from_value);
        let unpriced = event.attribute(keys::COST_UNPRICED).and_then(Value::as_bool);
        let mut place = self.places.of(&event.span);
        while let Some(Place { group, is_selecting }) = place {
            let Some(group) = self.groups.get_mut(&group) else { return };
            let spent = if is_selecting { &mut group.selecting } else { &mut group.working };
            spent.sum += cost.unwrap_or_default();
            spent.is_more |= unpriced == Some(true);
            place = group.around;
        }
    }
}

fn is_round_limit(termination: Option<&Value>) -> bool {
    termination.and_then(Value::as_str) == Some(ROUND_LIMIT)
}

type At<'a> = (&'a std::sync::Arc<SpanHead>, u64);

impl Group {
    fn of(span: &SpanHead, around: Option<Place>) -> Self {
        let names = |key| {
            let names = span.attribute(key).and_then(Value::as_list).unwrap_or_default();
            names.iter().filter_map(Value::as_str)
        };
        let internal: HashSet<_> = names("callboard.groupchat.internal_agents").collect();
        let agents = names("ag2.agents").filter(|name| !internal.contains(name));
        let opened_by = span.attribute("callboard.groupchat.opened_by").and_then(Value::as_str);
        Self {
            around,
            agents: agents.map(str::to_owned).collect(),
            heard: opened_by.map(str::to_owned).into_iter().collect(),
            at_its_limit: is_round_limit(span.attribute(TERMINATION)),
            ..Self::default()
        }
    }

    /// Those who never had a word, where the group ended at its round limit and chose at least as many speakers as it has
    /// agents. A group that ends earlier may just not have needed them.
    fn never_chosen(&self, (at, time_unix_ns): At<'_>) -> Option<Finding> {
        let never: Vec<_> = self.agents.iter().filter(|name| !self.heard.contains(*name)).collect();
        if !self.at_its_limit || never.is_empty() || self.selections.len() < self.agents.len() {
            return None;
        }
        let names = never.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        let verb = if never.len() == 1 { "was" } else { "were" };
        let selections = counted(self.selections.len(), "selection");
        let text = format!("{names} {verb} never chosen in {selections}");
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

    /// Where choosing cost more than all the rest, as far as there are prices. There must be one for all of the rest.
    fn costly_selection(&self, (at, time_unix_ns): At<'_>) -> Option<Finding> {
        let text = format!(
            "choosing who speaks cost ${:.6}, what was said ${:.6}",
            self.selecting.sum.usd(),
            self.working.sum.usd()
        );
        let spans = self.selections.clone();
        let is_costly = self.selecting.sum > self.working.sum && !self.working.is_more;
        is_costly.then(|| Finding {
            kind: "costly_selection",
            text,
            spans,
            more: Vec::new(),
            at: at.clone(),
            time_unix_ns,
        })
    }
}
