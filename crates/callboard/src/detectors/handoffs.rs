//! Hand-offs that go round in a circle.

use std::collections::{HashMap, HashSet};

use callboard_core::{Event, EventKind, Record, SpanId, Value};

use super::places::{Places, is_chat};
use super::{Detector, Finding, MOST_KEPT};

/// The longest circle that is looked for, in hand-offs.
const LONGEST: usize = 6;

/// The last hand-offs of each chat, by its span; None where there is no chat.
#[derive(Default)]
pub(super) struct HandOffCycles {
    chats: Places<SpanId>,
    groups: HashMap<Option<SpanId>, Group>,
}

#[derive(Default)]
struct Group {
    last: Vec<HandOff>,
    told: HashSet<Vec<String>>,
}

struct HandOff {
    from: String,
    to: String,
    /// Whether it is after work: the turn goes on as it always does, and nobody decided it.
    is_routine: bool,
    /// The span that the hand-off is recorded in: of a condition, or a round, or a chat.
    span: SpanId,
}

impl Detector for HandOffCycles {
    fn see(&mut self, record: &Record, found: &mut Vec<Finding>) {
        match record {
            Record::SpanStarted(span) => {
                self.chats
                    .start(span, |around| if is_chat(span) { Some(span.span_id) } else { around });
            }
            Record::Event(event) if event.kind == EventKind::SwarmTransition => {
                found.extend(self.hand_off(event));
            }
            Record::SpanEnded(ended) => {
                self.chats.end(&ended.span);
                if is_chat(&ended.span) {
                    self.groups.remove(&Some(ended.span.span_id));
                }
            }
            _ => {}
        }
    }
}

impl HandOffCycles {
    /// Takes up a hand-off: an event in a span of its own, or in the round or the chat in which it happens.
    fn hand_off(&mut self, event: &Event) -> Option<Finding> {
        let name = |key| event.attribute(key).and_then(Value::as_str).map(str::to_owned);
        let (from, to) = (name("ag2.swarm.source")?, name("ag2.agent.next_speaker")?);
        let chat = self.chats.of(&event.span);
        if !self.groups.contains_key(&chat) && self.groups.len() >= MOST_KEPT {
            return None;
        }
        let is_routine = name("ag2.transition_reason").as_deref() == Some("AFTER_WORK");
        let hand_off = HandOff { from, to, is_routine, span: event.span.span_id };
        let group = self.groups.entry(chat).or_default();
        let circle = group.add(hand_off)?;
        let spans = group.last[group.last.len() - 2 * circle.len()..].iter();
        let mut spans: Vec<_> = spans.map(|hand_off| hand_off.span).collect();
        // A chat without rounds has all of them in its own span.
        spans.dedup();
        Some(Finding {
            kind: "hand_off_cycle",
            text: format!("hand-offs go round: {} → {}", circle.join(" → "), circle[0]),
            spans,
            more: Vec::new(),
            at: event.span.clone(),
            time_unix_ns: event.time_unix_ns,
        })
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
