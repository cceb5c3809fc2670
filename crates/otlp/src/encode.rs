//! Spans as OTLP's protobuf, written straight into a buffer: no tree of objects in between.
//!
//! Values are the AG2 telemetry draft's: text, numbers and truth values as they are, None as empty text, anything else as
//! JSON text. Limits are OpenTelemetry's; what they leave out is counted on the span. A span that would not fit into any
//! request has its longest values cut until it does.

use callboard_core::json::{base64, write_text, write_value};
use callboard_core::{SpanEnded, SpanHead, SpanId, Status, Value, keys};

use crate::assemble::{Gathered, SpanEvent};
use crate::config::{Limits, ResolvedConfig};
use crate::history::{Form, Histories, Owner};
use crate::semantics::{self, Added, SpanFacts};
use crate::wire;

/// Attributes in order, each key once: the last value counts.
pub(crate) struct Attributes<'a> {
    list: Vec<(&'a str, &'a Value)>,
    /// How many there was no room for.
    dropped: usize,
}

impl<'a> Attributes<'a> {
    fn merge(
        attributes: impl Iterator<Item = &'a (callboard_core::Key, Value)>,
        most: usize,
    ) -> Self {
        let mut merged = Self { list: Vec::with_capacity(16), dropped: 0 };
        for (key, value) in attributes {
            let key = key.as_str();
            match merged.list.iter().position(|(known, _)| *known == key) {
                Some(at) => merged.list[at].1 = value,
                None if merged.list.len() < most => merged.list.push((key, value)),
                None => merged.dropped += 1,
            }
        }
        merged
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        self.list.iter().find(|(known, _)| *known == key).map(|(_, value)| *value)
    }
}

/// How much of each value is written.
#[derive(Clone, Copy)]
struct Bounds {
    chars: usize,
    bytes: usize,
}

/// Encodes spans. It keeps what it needs for the next one: buffers, and what has been sent of histories.
pub(crate) struct Encoder {
    limits: Limits,
    max_span_bytes: usize,
    histories: Histories,
    json: String,
    /// JSON has no word for NaN and the infinities, and not every receiver takes theirs.
    only_finite: bool,
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

/// A scratch buffer larger than this is let go of after use.
const MOST_SCRATCH_BYTES: usize = 1 << 20;

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
        Self {
            limits: config.limits,
            max_span_bytes,
            histories: Histories::new(config.history, config.history_max_bytes),
            json: String::new(),
            only_finite: config.protocol == crate::Protocol::HttpJson,
        }
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
            recorded.filter(|(key, _)| !semantics::is_reserved(key)),
            self.limits.span_attributes,
        );
        let facts = SpanFacts {
            head: &ended.span,
            attributes: &attributes,
            usage: &gathered.usage,
            session,
            error_type: error_type(&ended.status, &gathered.events),
        };
        let fits = ATTEMPTS.iter().any(|attempt| {
            out.clear();
            self.fields(out, ended, gathered, &facts, attempt);
            let fits = out.len() <= self.max_span_bytes;
            self.histories.settle(fits);
            fits
        });
        if self.json.capacity() > MOST_SCRATCH_BYTES {
            self.json = String::new();
        }
        fits
    }

    /// The run is over: nothing more of its histories is sent.
    pub(crate) fn forget(&mut self, run: SpanId) {
        self.histories.forget(run);
    }

    fn fields(
        &mut self,
        out: &mut Vec<u8>,
        ended: &SpanEnded,
        gathered: &Gathered,
        facts: &SpanFacts<'_>,
        attempt: &Attempt,
    ) {
        /// The trace is sampled, and whether the parent is remote is known: it is not.
        const SAMPLED_LOCAL_PARENT: u32 = 0x101;
        let head = ended.span.as_ref();
        let max_value_bytes = self.max_span_bytes / attempt.shares;
        wire::bytes(out, span_field::TRACE_ID, &head.run.trace_id.to_bytes());
        wire::bytes(out, span_field::SPAN_ID, &head.span_id.to_bytes());
        if let Some(parent) = head.parent_span_id {
            wire::bytes(out, span_field::PARENT_SPAN_ID, &parent.to_bytes());
        }
        wire::fixed32(out, span_field::FLAGS, SAMPLED_LOCAL_PARENT);
        let name = semantics::span_name(facts);
        wire::bytes(out, span_field::NAME, wire::cut_to_bytes(&name, max_value_bytes).as_bytes());
        wire::uint(out, span_field::KIND, semantics::span_kind(&head.kind));
        wire::fixed64(out, span_field::START, head.start_unix_ns);
        wire::fixed64(out, span_field::END, ended.end_unix_ns.max(head.start_unix_ns));
        self.span_attributes(out, facts, max_value_bytes);
        let (events, left_out) =
            gathered.events.split_at(if attempt.has_events { gathered.events.len() } else { 0 });
        self.events(out, head, events, max_value_bytes);
        count(out, span_field::DROPPED_EVENTS, gathered.dropped_events + left_out.len());
        if attempt.shares > 1 {
            write_attribute(out, span_field::ATTRIBUTES, semantics::TRUNCATED, |out| {
                bool_value(out, true);
            });
        }
        outer_link(out, head);
        status(out, &ended.status, max_value_bytes);
    }

    fn span_attributes(&mut self, out: &mut Vec<u8>, facts: &SpanFacts<'_>, max_bytes: usize) {
        let bounds = Bounds { chars: self.limits.span_value_length, bytes: max_bytes };
        let owner = facts.head.run.root_span_id;
        self.attributes(out, span_field::ATTRIBUTES, facts.attributes, owner, bounds);
        semantics::describe(facts, &mut |key, value| match value {
            Added::Text(text) => write_text_attribute(out, span_field::ATTRIBUTES, key, text),
            Added::Int(number) => {
                write_attribute(out, span_field::ATTRIBUTES, key, |out| int_value(out, number));
            }
            Added::Double(number) => {
                self.attribute(out, span_field::ATTRIBUTES, key, &number.into(), owner, bounds);
            }
            Added::Recorded(value) => {
                self.attribute(out, span_field::ATTRIBUTES, key, value, owner, bounds);
            }
        });
        count(out, span_field::DROPPED_ATTRIBUTES, facts.attributes.dropped);
    }

    fn events(
        &mut self,
        out: &mut Vec<u8>,
        head: &SpanHead,
        events: &[SpanEvent],
        max_bytes: usize,
    ) {
        // Fields of `Span.Event`.
        const TIME: u64 = 1;
        const NAME: u64 = 2;
        const ATTRIBUTES: u64 = 3;
        const DROPPED_ATTRIBUTES: u64 = 4;
        let bounds = Bounds { chars: self.limits.event_value_length, bytes: max_bytes };
        for event in events {
            let attributes =
                Attributes::merge(event.attributes.iter(), self.limits.event_attributes);
            wire::message(out, span_field::EVENTS, |out| {
                wire::fixed64(out, TIME, event.time_unix_ns);
                wire::bytes(out, NAME, event.kind.as_str().as_bytes());
                self.attributes(out, ATTRIBUTES, &attributes, head.run.root_span_id, bounds);
                count(out, DROPPED_ATTRIBUTES, attributes.dropped);
            });
        }
    }

    /// Writes the attributes, and how many messages their histories leave out.
    fn attributes(
        &mut self,
        out: &mut Vec<u8>,
        field: u64,
        attributes: &Attributes<'_>,
        run: SpanId,
        bounds: Bounds,
    ) {
        let mut omitted = 0;
        for (key, value) in &attributes.list {
            omitted += self.attribute(out, field, key, value, run, bounds);
        }
        if omitted > 0 {
            let key = semantics::HISTORY_OMITTED;
            write_attribute(out, field, key, |out| int_value(out, omitted as i64));
        }
    }

    /// Writes an attribute; says how many messages its history leaves out.
    fn attribute(
        &mut self,
        out: &mut Vec<u8>,
        field: u64,
        key: &str,
        value: &Value,
        run: SpanId,
        bounds: Bounds,
    ) -> usize {
        let Bounds { chars, bytes } = bounds;
        let cut = |text| wire::cut_to_bytes(wire::cut_to_chars(text, chars), bytes);
        match value {
            Value::Null => write_text_attribute(out, field, key, ""),
            Value::Text(text) => write_text_attribute(out, field, key, cut(text)),
            Value::Bool(truth) => {
                write_attribute(out, field, key, |out| bool_value(out, *truth));
            }
            Value::Int(number) => write_attribute(out, field, key, |out| int_value(out, *number)),
            Value::Double(number) if number.is_finite() || !self.only_finite => {
                write_attribute(out, field, key, |out| double_value(out, *number));
            }
            Value::Double(_) => {
                write_text_attribute(out, field, key, value.to_json().trim_matches('"'));
            }
            Value::Bytes(bytes) => write_text_attribute(out, field, key, cut(&base64(bytes))),
            Value::List(values) if semantics::is_array(key) && are_texts(values) => {
                let texts = values.iter().filter_map(Value::as_str).map(cut);
                write_attribute(out, field, key, |out| array_value(out, texts));
            }
            Value::List(_) | Value::Map(_) | Value::Messages(_) => {
                let mut json = std::mem::take(&mut self.json);
                json.clear();
                let most = chars.min(bytes);
                let omitted = self.write_json(&mut json, value, (run, key), most);
                write_text_attribute(out, field, key, cut(&json));
                self.json = json;
                return omitted;
            }
        }
        0
    }

    /// Appends the value as JSON, histories as the configuration has them; says how many messages these leave out.
    fn write_json(
        &mut self,
        json: &mut String,
        value: &Value,
        owner: Owner<'_>,
        max_bytes: usize,
    ) -> usize {
        match value {
            Value::Messages(context) => {
                let parts = semantics::holds_parts(owner.1);
                let form = if parts { Form::Parts } else { Form::AsRecorded };
                self.histories.write(json, context, owner, form, max_bytes)
            }
            Value::List(values) => {
                let mut omitted = 0;
                json.push('[');
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        json.push(',');
                    }
                    omitted += self.write_json(json, value, owner, max_bytes);
                }
                json.push(']');
                omitted
            }
            Value::Map(entries) => {
                let mut omitted = 0;
                json.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    if index > 0 {
                        json.push(',');
                    }
                    write_text(json, key);
                    json.push(':');
                    omitted += self.write_json(json, value, owner, max_bytes);
                }
                json.push('}');
                omitted
            }
            plain => {
                write_value(json, plain);
                0
            }
        }
    }
}

/// The class of the last exception of a span that failed.
fn error_type<'a>(status: &Status, events: &'a [SpanEvent]) -> Option<&'a Value> {
    let Status::Error { .. } = status else { return None };
    let exceptions = events.iter().rev();
    exceptions
        .flat_map(|event| &event.attributes)
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

// Fields of `KeyValue`, then of `AnyValue`.
const KEY: u64 = 1;
const VALUE: u64 = 2;
const STRING_VALUE: u64 = 1;
const BOOL_VALUE: u64 = 2;
const INT_VALUE: u64 = 3;
const DOUBLE_VALUE: u64 = 4;
const ARRAY_VALUE: u64 = 5;

/// Writes an attribute that is a text: the most common one, with all lengths known beforehand.
fn write_text_attribute(out: &mut Vec<u8>, field: u64, key: &str, text: &str) {
    let value_len = wire::bytes_len(text.len());
    wire::header(out, field, wire::bytes_len(key.len()) + wire::bytes_len(value_len));
    wire::bytes(out, KEY, key.as_bytes());
    wire::header(out, VALUE, value_len);
    wire::bytes(out, STRING_VALUE, text.as_bytes());
}

fn write_attribute(out: &mut Vec<u8>, field: u64, key: &str, write: impl FnOnce(&mut Vec<u8>)) {
    wire::message(out, field, |out| {
        wire::bytes(out, KEY, key.as_bytes());
        wire::message(out, VALUE, write);
    });
}

fn bool_value(out: &mut Vec<u8>, truth: bool) {
    wire::uint(out, BOOL_VALUE, u64::from(truth));
}

fn int_value(out: &mut Vec<u8>, number: i64) {
    wire::uint(out, INT_VALUE, number as u64);
}

fn double_value(out: &mut Vec<u8>, number: f64) {
    wire::fixed64(out, DOUBLE_VALUE, number.to_bits());
}

/// A list of texts.
fn array_value<'a>(out: &mut Vec<u8>, texts: impl Iterator<Item = &'a str>) {
    const VALUES: u64 = 1;
    wire::message(out, ARRAY_VALUE, |out| {
        for text in texts {
            wire::message(out, VALUES, |out| wire::bytes(out, STRING_VALUE, text.as_bytes()));
        }
    });
}

fn are_texts(values: &[Value]) -> bool {
    values.iter().all(|value| value.as_str().is_some())
}
