//! Spans as OTLP's protobuf, written straight into a buffer: no tree of objects in between.
//!
//! Limits are OpenTelemetry's; what they leave out is counted on the span. A span that would not fit into any request has
//! its longest values cut until it does.

mod attributes;

use callboard_core::{SpanEnded, SpanHead, SpanId, Status, Value, keys};

pub(crate) use self::attributes::Attributes;
use self::attributes::{AttributeEncoder, Place, write_bool, write_int, write_text};
use crate::assemble::{Gathered, SpanEvent};
use crate::config::{Limits, ResolvedConfig};
use crate::semantics::{self, Added, SpanFacts};
use crate::wire;

/// Encodes spans. It keeps what it needs for the next one: buffers, and what has been sent of histories.
pub(crate) struct Encoder {
    limits: Limits,
    max_span_bytes: usize,
    attributes: AttributeEncoder,
}

/// How a span is written: as it is; and while it does not fit, with less of each value, and at last without its events.
const ATTEMPTS: [Attempt; 5] = [
    Attempt { shares: 1, has_events: true },
    Attempt { shares: 16, has_events: true },
    Attempt { shares: 256, has_events: true },
    Attempt { shares: 4096, has_events: true },
    Attempt { shares: 4096, has_events: false },
];

/// See [`ATTEMPTS`].
struct Attempt {
    /// A value may have this part of the bytes that the largest span may have.
    shares: usize,
    has_events: bool,
}

/// Fields of `Span`.
mod span_field {
    pub(super) const TRACE_ID: u64 = 1;
    pub(super) const SPAN_ID: u64 = 2;
    pub(super) const PARENT_SPAN_ID: u64 = 4;
    pub(super) const NAME: u64 = 5;
    pub(super) const KIND: u64 = 6;
    pub(super) const START: u64 = 7;
    pub(super) const END: u64 = 8;
    pub(super) const ATTRIBUTES: u64 = 9;
    pub(super) const DROPPED_ATTRIBUTES: u64 = 10;
    pub(super) const EVENTS: u64 = 11;
    pub(super) const DROPPED_EVENTS: u64 = 12;
    pub(super) const LINKS: u64 = 13;
    pub(super) const STATUS: u64 = 15;
    pub(super) const FLAGS: u64 = 16;
}

impl Encoder {
    pub(crate) fn new(config: &ResolvedConfig, max_span_bytes: usize) -> Self {
        Self { limits: config.limits, max_span_bytes, attributes: AttributeEncoder::new(config) }
    }

    /// Writes the span into `out`, which is emptied first. False: it would not fit even with its values cut.
    pub(crate) fn span(
        &mut self,
        out: &mut Vec<u8>,
        ended: &SpanEnded,
        gathered: &Gathered,
        session: Option<&Value>,
    ) -> bool {
        let recorded = ended.span.attributes.iter().chain(&gathered.changes);
        let attributes = Attributes::merge(
            recorded.filter(|(key, value)| semantics::is_exported(key, value)),
            self.limits.span_attributes,
        );
        let error_type = error_type(&ended.status, gathered);
        let facts = SpanFacts::new(&ended.span, &attributes, &gathered.usage, session, error_type);
        ATTEMPTS.iter().any(|attempt| {
            out.clear();
            self.fields(out, ended, gathered, &facts, attempt);
            let fits = out.len() <= self.max_span_bytes;
            self.attributes.settle(fits);
            fits
        })
    }

    /// The run is over: nothing more of its histories is sent.
    pub(crate) fn forget(&mut self, run: SpanId) {
        self.attributes.forget(run);
    }

    fn fields(
        &mut self,
        out: &mut Vec<u8>,
        ended: &SpanEnded,
        gathered: &Gathered,
        facts: &SpanFacts<'_>,
        attempt: &Attempt,
    ) {
        /// The trace is sampled, and whether the parent is remote is known.
        const SAMPLED_LOCAL_PARENT: u32 = 0x101;
        const SAMPLED_REMOTE_PARENT: u32 = 0x301;
        let head = ended.span.as_ref();
        let max_value_bytes = self.max_span_bytes / attempt.shares;
        wire::bytes(out, span_field::TRACE_ID, &head.run.trace_id.to_bytes());
        wire::bytes(out, span_field::SPAN_ID, &head.span_id.to_bytes());
        if let Some(parent) = head.parent_span_id {
            wire::bytes(out, span_field::PARENT_SPAN_ID, &parent.to_bytes());
        }
        let is_remote = head.is_root() && head.parent_span_id.is_some();
        let flags = if is_remote { SAMPLED_REMOTE_PARENT } else { SAMPLED_LOCAL_PARENT };
        wire::fixed32(out, span_field::FLAGS, flags);
        name(out, semantics::span_name(facts), max_value_bytes);
        wire::uint(out, span_field::KIND, semantics::span_kind(&head.kind));
        wire::fixed64(out, span_field::START, head.start_unix_ns);
        wire::fixed64(out, span_field::END, ended.end_unix_ns.max(head.start_unix_ns));
        self.span_attributes(out, facts, max_value_bytes);
        let (events, left_out) =
            gathered.events.split_at(if attempt.has_events { gathered.events.len() } else { 0 });
        self.events(out, head, gathered, events, max_value_bytes);
        count(out, span_field::DROPPED_EVENTS, gathered.dropped_events + left_out.len());
        if attempt.shares > 1 {
            write_bool(out, span_field::ATTRIBUTES, semantics::TRUNCATED, true);
        }
        outer_link(out, head);
        status(out, &ended.status, max_value_bytes);
    }

    fn span_attributes(&mut self, out: &mut Vec<u8>, facts: &SpanFacts<'_>, max_bytes: usize) {
        let place = Place {
            field: span_field::ATTRIBUTES,
            run: facts.head.run.root_span_id,
            max_chars: self.limits.span_value_length,
            max_bytes,
        };
        self.attributes.write_all(out, place, facts.attributes);
        semantics::describe(facts, &mut |key, value| match value {
            Added::Text(text) => write_text(out, place.field, key, text),
            Added::Int(number) => write_int(out, place.field, key, number),
            Added::Double(number) => {
                self.attributes.write(out, place, key, &number.into());
            }
            Added::Recorded(value) => {
                self.attributes.write(out, place, key, value);
            }
        });
        count(out, span_field::DROPPED_ATTRIBUTES, facts.attributes.dropped);
    }

    fn events(
        &mut self,
        out: &mut Vec<u8>,
        head: &SpanHead,
        gathered: &Gathered,
        events: &[SpanEvent],
        max_bytes: usize,
    ) {
        // Fields of `Span.Event`.
        const TIME: u64 = 1;
        const NAME: u64 = 2;
        const ATTRIBUTES: u64 = 3;
        const DROPPED_ATTRIBUTES: u64 = 4;
        let place = Place {
            field: ATTRIBUTES,
            run: head.run.root_span_id,
            max_chars: self.limits.event_value_length,
            max_bytes,
        };
        for event in events {
            let recorded = gathered.attributes_of(event).iter();
            let attributes = Attributes::merge(recorded, self.limits.event_attributes);
            wire::message(out, span_field::EVENTS, |out| {
                wire::fixed64(out, TIME, event.time_unix_ns);
                wire::bytes(out, NAME, event.kind.as_str().as_bytes());
                self.attributes.write_all(out, place, &attributes);
                count(out, DROPPED_ATTRIBUTES, attributes.dropped);
            });
        }
    }
}

/// Writes the span's name: its parts with a blank between them.
fn name(out: &mut Vec<u8>, (first, second): (&str, Option<&str>), max_bytes: usize) {
    let first = wire::cut_to_bytes(first, max_bytes);
    wire::message(out, span_field::NAME, |out| {
        out.extend_from_slice(first.as_bytes());
        if let Some(second) = second.filter(|_| first.len() < max_bytes) {
            let second = wire::cut_to_bytes(second, max_bytes - first.len() - 1);
            out.push(b' ');
            out.extend_from_slice(second.as_bytes());
        }
    });
}

/// The class of the last exception of a span that failed.
fn error_type<'a>(status: &Status, gathered: &'a Gathered) -> Option<&'a Value> {
    let Status::Error { .. } = status else { return None };
    let latest_first = gathered.events.iter().rev();
    latest_first
        .flat_map(|event| gathered.attributes_of(event))
        .find_map(|(key, value)| (key == keys::EXCEPTION_TYPE).then_some(value))
}

/// A run within another run is linked to where it began there.
fn outer_link(out: &mut Vec<u8>, head: &SpanHead) {
    const TRACE_ID: u64 = 1;
    const SPAN_ID: u64 = 2;
    fn id<T: std::str::FromStr>(head: &SpanHead, key: &str) -> Option<T> {
        head.attribute(key)?.as_str()?.parse().ok()
    }
    let trace_id = id::<callboard_core::TraceId>(head, keys::OUTER_TRACE_ID);
    if let (Some(trace_id), Some(span_id)) = (trace_id, id::<SpanId>(head, keys::OUTER_SPAN_ID)) {
        wire::message(out, span_field::LINKS, |out| {
            wire::bytes(out, TRACE_ID, &trace_id.to_bytes());
            wire::bytes(out, SPAN_ID, &span_id.to_bytes());
        });
    }
}

fn status(out: &mut Vec<u8>, status: &Status, max_bytes: usize) {
    const MESSAGE: u64 = 2;
    const CODE: u64 = 3;
    match status {
        Status::Unset => {}
        Status::Ok => wire::message(out, span_field::STATUS, |out| wire::uint(out, CODE, 1)),
        Status::Error { message } => wire::message(out, span_field::STATUS, |out| {
            wire::bytes(out, MESSAGE, wire::cut_to_bytes(message, max_bytes).as_bytes());
            wire::uint(out, CODE, 2);
        }),
    }
}

fn count(out: &mut Vec<u8>, field: u64, number: usize) {
    if number > 0 {
        wire::uint(out, field, number.min(u32::MAX as usize) as u64);
    }
}
