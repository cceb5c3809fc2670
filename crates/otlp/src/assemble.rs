//! Gathers what is said of a span until it ends. A span of which nothing was said but its start and end costs nothing here.

use std::ops::Range;

use callboard_core::id::IdMap;
use callboard_core::value::attributes_size_bytes;
use callboard_core::{
    Attribute, Event, EventKind, SpanChanged, SpanHead, SpanId, TraceId, UnixNanos, Value, keys,
};

use crate::statistics::StatisticsHandle;

/// What was said of a span between its start and its end.
#[derive(Default)]
pub(crate) struct Gathered {
    /// What was set, in order; the last value under a key counts.
    pub(crate) changes: Vec<Attribute>,
    pub(crate) events: Vec<SpanEvent>,
    /// Those of all events, one event's after the other's.
    event_attributes: Vec<Attribute>,
    /// Events beyond the limit.
    pub(crate) dropped_events: usize,
    pub(crate) usage: Usage,
    /// Memory held, as counted against the bound.
    bytes: usize,
    /// Its place in the order in which spans were first heard of.
    number: u64,
}

/// An event, without the span that it is in.
pub(crate) struct SpanEvent {
    pub(crate) kind: EventKind,
    pub(crate) time_unix_ns: UnixNanos,
    attributes: Range<usize>,
}

impl Gathered {
    /// The event's particulars.
    pub(crate) fn attributes_of(&self, event: &SpanEvent) -> &[Attribute] {
        &self.event_attributes[event.attributes.clone()]
    }

    /// As new, but for the room that it has.
    fn emptied(mut self) -> Self {
        self.changes.clear();
        self.events.clear();
        self.event_attributes.clear();
        let Self { changes, events, event_attributes, .. } = self;
        Self { changes, events, event_attributes, ..Self::default() }
    }
}

/// What a model call's COST events say, added up.
#[derive(Default)]
pub(crate) struct Usage {
    /// In US dollars; none where no event has a price.
    pub(crate) cost_usd: Option<f64>,
    pub(crate) input_tokens: Option<i64>,
    pub(crate) output_tokens: Option<i64>,
    pub(crate) cache_read_tokens: Option<i64>,
    pub(crate) cache_write_tokens: Option<i64>,
    pub(crate) reasoning_tokens: Option<i64>,
    pub(crate) provider: Option<Value>,
    pub(crate) model: Option<Value>,
    pub(crate) agent: Option<Value>,
}

impl Usage {
    /// Adds a COST event. One of an answer from a cache spent no tokens.
    fn add(&mut self, event: &Event) {
        let is_cached = event.attribute(keys::COST_CACHED).and_then(Value::as_bool) == Some(true);
        if let Some(cost) = event.attribute(keys::COST).and_then(Value::as_f64) {
            *self.cost_usd.get_or_insert(0.0) += cost;
        }
        for (total, key) in [
            (&mut self.input_tokens, keys::LLM_INPUT_TOKENS),
            (&mut self.output_tokens, keys::LLM_OUTPUT_TOKENS),
            (&mut self.cache_read_tokens, keys::CACHE_READ_TOKENS),
            (&mut self.cache_write_tokens, keys::CACHE_WRITE_TOKENS),
            (&mut self.reasoning_tokens, keys::REASONING_TOKENS),
        ] {
            let tokens = event.attribute(key).and_then(Value::as_i64).filter(|_| !is_cached);
            if let Some(tokens) = tokens {
                *total = Some(total.unwrap_or(0).saturating_add(tokens));
            }
        }
        for (known, key) in [
            (&mut self.provider, keys::LLM_PROVIDER),
            (&mut self.model, keys::LLM_MODEL),
            (&mut self.agent, keys::AGENT_NAME),
        ] {
            if known.is_none() {
                *known = event.attribute(key).cloned();
            }
        }
    }
}

type SpanKey = (TraceId, SpanId);

/// Of how many spans that ended the room is kept for others, and of how many attributes it is at the most.
const MOST_EMPTIED: usize = 16;
const MOST_ROOM: usize = 256;

/// The spans that have not ended and of which something was said, within a bound of bytes.
pub(crate) struct Assembler {
    open: IdMap<SpanKey, Gathered>,
    /// Of spans that have ended, with room for the next.
    emptied: Vec<Gathered>,
    bytes: usize,
    max_bytes: usize,
    max_events: usize,
    next_number: u64,
    statistics: StatisticsHandle,
}

impl Assembler {
    pub(crate) fn new(max_bytes: usize, max_events: usize, statistics: StatisticsHandle) -> Self {
        let (open, emptied) = (IdMap::default(), Vec::new());
        Self { open, emptied, bytes: 0, max_bytes, max_events, next_number: 0, statistics }
    }

    pub(crate) fn change(&mut self, changed: &SpanChanged) {
        let bytes = attributes_size_bytes(&changed.attributes);
        let gathered = self.gathered(&changed.span, bytes);
        gathered.changes.extend_from_slice(&changed.attributes);
        self.shed();
    }

    pub(crate) fn event(&mut self, event: &Event) {
        let max_events = self.max_events;
        let bytes = size_of::<SpanEvent>() + attributes_size_bytes(&event.attributes);
        let gathered = self.gathered(&event.span, bytes);
        if event.kind == EventKind::Cost {
            gathered.usage.add(event);
        }
        if gathered.events.len() >= max_events {
            gathered.dropped_events += 1;
            gathered.bytes -= bytes;
            self.bytes -= bytes;
            return;
        }
        let first = gathered.event_attributes.len();
        gathered.event_attributes.extend_from_slice(&event.attributes);
        gathered.events.push(SpanEvent {
            kind: event.kind.clone(),
            time_unix_ns: event.time_unix_ns,
            attributes: first..gathered.event_attributes.len(),
        });
        self.shed();
    }

    /// What was gathered of a span that ended.
    pub(crate) fn end(&mut self, span: &SpanHead) -> Gathered {
        let gathered = self.open.remove(&key(span)).unwrap_or_default();
        self.bytes -= gathered.bytes;
        gathered
    }

    /// Takes back what [`end`](Self::end) gave, for the next span.
    pub(crate) fn reuse(&mut self, gathered: Gathered) {
        let room = gathered.changes.capacity() + gathered.event_attributes.capacity();
        if self.emptied.len() < MOST_EMPTIED && (1..=MOST_ROOM).contains(&room) {
            self.emptied.push(gathered.emptied());
        }
    }

    /// What is gathered of the span, with `bytes` more counted for it.
    fn gathered(&mut self, span: &SpanHead, bytes: usize) -> &mut Gathered {
        let gathered = self.open.entry(key(span)).or_insert_with(|| {
            self.next_number += 1;
            let bytes = size_of::<(SpanKey, Gathered)>();
            self.bytes += bytes;
            let emptied = self.emptied.pop().unwrap_or_default();
            Gathered { number: self.next_number, bytes, ..emptied }
        });
        gathered.bytes += bytes;
        self.bytes += bytes;
        gathered
    }

    /// Where the bound is passed, lets go of what was gathered first, down to three quarters of the bound. The spans
    /// themselves are still exported when they end.
    fn shed(&mut self) {
        if self.bytes <= self.max_bytes {
            return;
        }
        let mut order: Vec<_> = self.open.iter().map(|(key, part)| (part.number, *key)).collect();
        order.sort_unstable();
        for (_, key) in order {
            if self.bytes <= self.max_bytes / 4 * 3 {
                break;
            }
            let Some(gathered) = self.open.remove(&key) else { continue };
            self.bytes -= gathered.bytes;
            let parts = gathered.changes.len() + gathered.events.len();
            self.statistics.add_parts_dropped(parts as u64);
        }
    }
}

fn key(span: &SpanHead) -> SpanKey {
    (span.run.trace_id, span.span_id)
}
