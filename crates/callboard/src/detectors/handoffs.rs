//! Hand-offs that go round in a circle.

use std::collections::HashSet;

use callboard_core::id::IdMap;
use callboard_core::{EventKind, Record, SpanId, Value};

use super::{Detector, Finding, MOST_KEPT};

/// The longest circle that is looked for, in hand-offs.
const LONGEST: usize = 6;

/// The last hand-offs of each group chat.
#[derive(Default)]
pub(super) struct HandOffCycles {
    groups: IdMap<SpanId, Group>,
}

#[derive(Default)]
struct Group {
    last: Vec<HandOff>,
    told: HashSet<Vec<String>>,
}

struct HandOff {
    from: String,
    to: String,
    /// An agent's work was done, and its turn passed on as it always does: nobody decided it.
    is_routine: bool,
    span: SpanId,
}

impl Detector for HandOffCycles {
    fn see(&mut self, record: &Record, found: &mut Vec<Finding>) {
        let Record::Event(event) = record else { return };
        let name = |key| event.attribute(key).and_then(Value::as_str).map(str::to_owned);
        let (EventKind::SwarmTransition, Some(group)) = (&event.kind, event.span.parent_span_id)
        else {
            return;
        };
        let (Some(from), Some(to)) = (name("ag2.swarm.source"), name("ag2.agent.next_speaker"))
        else {
            return;
        };
        if !self.groups.contains_key(&group) && self.groups.len() >= MOST_KEPT {
            return;
        }
        let is_routine = name("ag2.transition_reason").as_deref() == Some("AFTER_WORK");
        let hand_off = HandOff { from, to, is_routine, span: event.span.span_id };
        let group = self.groups.entry(group).or_default();
        if let Some(circle) = group.add(hand_off) {
            let spans = group.last[group.last.len() - 2 * circle.len()..].iter();
            found.push(Finding {
                kind: "hand_off_cycle",
                text: format!("hand-offs go round: {} → {}", circle.join(" → "), circle[0]),
                spans: spans.map(|hand_off| hand_off.span).collect(),
                more: Vec::new(),
                at: event.span.clone(),
                time_unix_ns: event.time_unix_ns,
            });
        }
    }
}

impl Group {
    /// The agents of a circle that was gone through twice in a row, each of them once; told once. Turns that are merely
    /// taken in a fixed order are none.
    fn add(&mut self, hand_off: HandOff) -> Option<Vec<String>> {
        self.last.push(hand_off);
        if self.last.len() > 2 * LONGEST {
            self.last.remove(0);
        }
        let circle = (2..=LONGEST).find_map(|length| self.circle_of(length))?;
        // From whichever of its agents it is seen, it is the same circle.
        let first = circle.iter().enumerate().min_by_key(|(_, name)| *name)?.0;
        let turned: Vec<_> =
            circle.iter().cycle().skip(first).take(circle.len()).cloned().collect();
        self.told.insert(turned).then_some(circle)
    }

    fn circle_of(&self, length: usize) -> Option<Vec<String>> {
        let start = self.last.len().checked_sub(2 * length)?;
        let (once, again) = self.last[start..].split_at(length);
        let goes_on = self.last[start..].windows(2).all(|pair| pair[0].to == pair[1].from);
        let repeats = once.iter().zip(again).all(|(one, two)| one.from == two.from);
        let is_decided = self.last[start..].iter().any(|hand_off| !hand_off.is_routine);
        let names: HashSet<_> = once.iter().map(|hand_off| &hand_off.from).collect();
        (goes_on && repeats && is_decided && names.len() == length)
            .then(|| once.iter().map(|hand_off| hand_off.from.clone()).collect())
    }
}
