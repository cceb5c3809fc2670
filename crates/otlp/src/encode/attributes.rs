//! Attributes and their values as OTLP's `KeyValue` and `AnyValue`.
//!
//! The values are the AG2 telemetry draft's: text, numbers and truth values as they are, None as empty text, anything else
//! as JSON text; lists of texts as such where the GenAI conventions ask for them.

use callboard_core::json::{self, base64};
use callboard_core::{SpanId, Value};

use crate::config::{Protocol, ResolvedConfig};
use crate::history::{Form, Histories, Owner};
use crate::{semantics, wire};

/// Attributes in order, each key once: the last value counts.
pub(crate) struct Attributes<'a> {
    list: Vec<(&'a str, &'a Value)>,
    /// Whether there is a key outside of the AG2 draft's names.
    has_other_names: bool,
    /// How many there was no room for.
    pub(super) dropped: usize,
}

const AG2_NAMES: &str = "ag2.";

impl<'a> Attributes<'a> {
    pub(super) fn merge(
        attributes: impl Iterator<Item = &'a (callboard_core::Key, Value)>,
        most: usize,
    ) -> Self {
        let list = Vec::with_capacity(16);
        let mut merged = Self { list, has_other_names: false, dropped: 0 };
        for (key, value) in attributes {
            let key = key.as_str();
            merged.has_other_names |= !key.starts_with(AG2_NAMES);
            match merged.list.iter().position(|(known, _)| *known == key) {
                Some(at) => merged.list[at].1 = value,
                None if merged.list.len() < most => merged.list.push((key, value)),
                None => merged.dropped += 1,
            }
        }
        merged
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        if !self.has_other_names && !key.starts_with(AG2_NAMES) {
            return None;
        }
        self.list.iter().find(|(known, _)| *known == key).map(|(_, value)| *value)
    }
}

/// Where attributes go, and how much of each value.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// The number of the field, in the message that they are written into.
    pub(super) field: u64,
    /// The run that they are of.
    pub(super) run: SpanId,
    /// The most characters of a text.
    pub(super) max_chars: usize,
    /// The most bytes of a text.
    pub(super) max_bytes: usize,
}

/// Encodes attributes. It keeps what it needs for the next ones: a buffer, and what has been sent of histories.
pub(super) struct AttributeEncoder {
    histories: Histories,
    json: String,
    /// JSON has no word for NaN and the infinities, and not every receiver takes theirs.
    only_finite: bool,
}

/// A scratch buffer larger than this is let go of after use.
const MOST_SCRATCH_BYTES: usize = 1 << 20;

impl AttributeEncoder {
    pub(super) fn new(config: &ResolvedConfig) -> Self {
        Self {
            histories: Histories::new(config.history, config.history_max_bytes),
            json: String::new(),
            only_finite: config.protocol == Protocol::HttpJson,
        }
    }

    /// What was encoded since the last call will be sent, or it will not.
    pub(super) fn settle(&mut self, is_sent: bool) {
        self.histories.settle(is_sent);
        if self.json.capacity() > MOST_SCRATCH_BYTES {
            self.json = String::new();
        }
    }

    /// The run is over: nothing more of its histories is sent.
    pub(super) fn forget(&mut self, run: SpanId) {
        self.histories.forget(run);
    }

    /// Writes the attributes, and how many messages their histories leave out.
    pub(super) fn write_all(
        &mut self,
        out: &mut Vec<u8>,
        place: Place,
        attributes: &Attributes<'_>,
    ) {
        let mut omitted = 0;
        for (key, value) in &attributes.list {
            omitted += self.write(out, place, key, value);
        }
        if omitted > 0 {
            write_int(out, place.field, semantics::HISTORY_OMITTED, omitted as i64);
        }
    }

    /// Writes an attribute; says how many messages its history leaves out.
    pub(super) fn write(
        &mut self,
        out: &mut Vec<u8>,
        place: Place,
        key: &str,
        value: &Value,
    ) -> usize {
        let Place { field, run, max_chars, max_bytes } = place;
        let cut = |text| wire::cut_to_bytes(wire::cut_to_chars(text, max_chars), max_bytes);
        match value {
            Value::Null => write_text(out, field, key, ""),
            Value::Text(text) => write_text(out, field, key, cut(text)),
            Value::Bool(truth) => write_bool(out, field, key, *truth),
            Value::Int(number) => write_int(out, field, key, *number),
            Value::Double(number) if number.is_finite() || !self.only_finite => {
                write_double(out, field, key, *number);
            }
            Value::Double(_) => write_text(out, field, key, value.to_json().trim_matches('"')),
            Value::Bytes(bytes) => write_text(out, field, key, cut(&base64(bytes))),
            Value::List(values) if semantics::is_array(key) && are_texts(values) => {
                let texts = values.iter().map(|value| cut(value.as_str().unwrap_or_default()));
                write_texts(out, field, key, texts);
            }
            Value::List(_) | Value::Map(_) | Value::Messages(_) => {
                let mut json = std::mem::take(&mut self.json);
                json.clear();
                let most = max_chars.min(max_bytes);
                let omitted = self.write_json(&mut json, value, (run, key), most);
                write_text(out, field, key, cut(&json));
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
                    json::write_text(json, key);
                    json.push(':');
                    omitted += self.write_json(json, value, owner, max_bytes);
                }
                json.push('}');
                omitted
            }
            plain => {
                json::write_value(json, plain);
                0
            }
        }
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

/// Writes what stands before an attribute's value, which is `value_len` bytes long.
fn begin(out: &mut Vec<u8>, field: u64, key: &str, value_len: usize) {
    let length = wire::bytes_len(key.len()) + wire::bytes_len(value_len);
    if length < 0x80 {
        // As nearly always: each length within takes one byte.
        out.reserve(2 + length);
        out.extend_from_slice(&[wire::tag(field), length as u8, wire::tag(KEY), key.len() as u8]);
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(&[wire::tag(VALUE), value_len as u8]);
    } else {
        wire::header(out, field, length);
        wire::bytes(out, KEY, key.as_bytes());
        wire::header(out, VALUE, value_len);
    }
}

pub(super) fn write_text(out: &mut Vec<u8>, field: u64, key: &str, text: &str) {
    begin(out, field, key, wire::bytes_len(text.len()));
    wire::bytes(out, STRING_VALUE, text.as_bytes());
}

pub(super) fn write_bool(out: &mut Vec<u8>, field: u64, key: &str, truth: bool) {
    begin(out, field, key, 2);
    wire::uint(out, BOOL_VALUE, u64::from(truth));
}

pub(super) fn write_int(out: &mut Vec<u8>, field: u64, key: &str, number: i64) {
    begin(out, field, key, 1 + wire::varint_len(number as u64));
    wire::uint(out, INT_VALUE, number as u64);
}

fn write_double(out: &mut Vec<u8>, field: u64, key: &str, number: f64) {
    begin(out, field, key, 9);
    wire::fixed64(out, DOUBLE_VALUE, number.to_bits());
}

/// Writes a list of texts.
fn write_texts<'a>(
    out: &mut Vec<u8>,
    field: u64,
    key: &str,
    texts: impl Iterator<Item = &'a str> + Clone,
) {
    const VALUES: u64 = 1;
    let each = |text: &str| wire::bytes_len(wire::bytes_len(text.len()));
    let length = texts.clone().map(each).sum();
    begin(out, field, key, wire::bytes_len(length));
    wire::header(out, ARRAY_VALUE, length);
    for text in texts {
        wire::header(out, VALUES, wire::bytes_len(text.len()));
        wire::bytes(out, STRING_VALUE, text.as_bytes());
    }
}

/// Whether all are texts, or none at all: an answer without a finish reason still has its place in the list.
fn are_texts(values: &[Value]) -> bool {
    values.iter().all(|value| matches!(value, Value::Text(_) | Value::Null))
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
    use opentelemetry_proto::tonic::trace::v1::Span;
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::ExporterConfig;
    use crate::arbitrary::any_value;

    const PLACE: Place = Place {
        field: 9, // `Span.attributes`
        run: SpanId::from_int(1),
        max_chars: usize::MAX,
        max_bytes: usize::MAX,
    };

    fn decoded(key: &str, value: &Value, place: Place) -> AnyValue {
        let config = ExporterConfig::default().resolve(&|_| None).unwrap();
        let mut out = Vec::new();
        AttributeEncoder::new(&config).write(&mut out, place, key, value);
        let mut attributes = Span::decode(out.as_slice()).unwrap().attributes;
        assert_eq!(attributes.len(), 1);
        let attribute = attributes.remove(0);
        assert_eq!(attribute.key, key);
        attribute.value.unwrap().value.unwrap()
    }

    fn expected(value: &Value) -> AnyValue {
        match value {
            Value::Null => AnyValue::StringValue(String::new()),
            Value::Bool(truth) => AnyValue::BoolValue(*truth),
            Value::Int(number) => AnyValue::IntValue(*number),
            Value::Double(number) => AnyValue::DoubleValue(*number),
            Value::Text(text) => AnyValue::StringValue(text.to_string()),
            Value::Bytes(bytes) => AnyValue::StringValue(base64(bytes)),
            other => AnyValue::StringValue(other.to_json()),
        }
    }

    proptest! {
        #[test]
        fn any_value_is_read_back_as_the_draft_has_it(key in ".{1,200}", value in any_value()) {
            prop_assert_eq!(decoded(&key, &value, PLACE), expected(&value));
        }

        #[test]
        fn no_text_is_longer_than_its_limits(value in any_value(), max_chars in 0_usize..50, max_bytes in 0_usize..50) {
            let place = Place { max_chars, max_bytes, ..PLACE };
            if let AnyValue::StringValue(text) = decoded("key", &value, place) {
                prop_assert!(text.len() <= max_bytes && text.chars().count() <= max_chars);
            }
        }
    }

    #[test]
    fn a_text_of_any_length_is_read_back() {
        for length in (90..140).chain(16_370..16_390) {
            let text = "x".repeat(length);
            assert_eq!(
                decoded("key", &text.clone().into(), PLACE),
                AnyValue::StringValue(text.clone())
            );
            assert_eq!(
                decoded(&text, &"value".into(), PLACE),
                AnyValue::StringValue("value".into())
            );
        }
    }

    #[test]
    fn numbers_that_are_none_travel_in_protobuf() {
        let AnyValue::DoubleValue(number) = decoded("key", &f64::NAN.into(), PLACE) else {
            panic!("a double stays one");
        };
        assert!(number.is_nan());
    }

    #[test]
    fn a_list_of_texts_where_the_conventions_have_one() {
        let list = Value::from(vec![Value::from("stop"), Value::Null]);
        let decoded = decoded("gen_ai.response.finish_reasons", &list, PLACE);
        let AnyValue::ArrayValue(array) = decoded else { panic!("{decoded:?} is no array") };
        let texts = array.values.into_iter().map(|value| value.value.unwrap());
        let expected = ["stop", ""].map(|text| AnyValue::StringValue(text.into()));
        assert_eq!(texts.collect::<Vec<_>>(), expected);
    }
}
