//! Values as JSON text: one writer for every provider that shows structured values as text.

use crate::message::{Context, Message};
use crate::value::{Attribute, Value};

/// Appends `value` as JSON text.
pub fn write_value(json: &mut String, value: &Value) {
    match value {
        Value::Null => json.push_str("null"),
        Value::Bool(truth) => json.push_str(if *truth { "true" } else { "false" }),
        Value::Int(number) => json.push_str(&number.to_string()),
        Value::Double(number) => write_double(json, *number),
        Value::Text(text) => write_text(json, text),
        Value::Bytes(bytes) => write_text(json, &base64(bytes)),
        Value::List(values) => write_list(json, values.iter(), write_value),
        Value::Map(entries) => write_map(json, entries),
        Value::Messages(context) => write_context(json, context),
    }
}

/// Appends the messages of `context`, oldest first, as a JSON list.
pub fn write_context(json: &mut String, context: &Context) {
    write_list(json, context.messages().into_iter(), write_message);
}

/// Appends a list of `items`, each written by `write`.
pub fn write_list<T>(
    json: &mut String,
    items: impl Iterator<Item = T>,
    write: impl Fn(&mut String, T),
) {
    json.push('[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            json.push(',');
        }
        write(json, item);
    }
    json.push(']');
}

/// Appends `text` as a JSON string, escaped.
pub fn write_text(json: &mut String, text: &str) {
    match serde_json::to_string(text) {
        Ok(quoted) => json.push_str(&quoted),
        Err(_) => json.push_str("\"\""),
    }
}

fn write_message(json: &mut String, message: &Message) {
    json.push_str(message.json());
}

fn write_map(json: &mut String, entries: &[Attribute]) {
    json.push('{');
    for (index, (key, value)) in entries.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        write_text(json, key);
        json.push(':');
        write_value(json, value);
    }
    json.push('}');
}

fn write_double(json: &mut String, number: f64) {
    match serde_json::Number::from_f64(number) {
        Some(finite) => json.push_str(&finite.to_string()),
        None if number.is_nan() => json.push_str("\"NaN\""),
        None => json.push_str(if number > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" }),
    }
}

/// Standard base64 with padding (RFC 4648, section 4).
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = ALPHABET[(group >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: Value, expected: &str) {
        assert_eq!(value.to_json(), expected);
    }

    #[test]
    fn every_kind_of_value() {
        check(Value::Null, "null");
        check(true.into(), "true");
        check((-3_i64).into(), "-3");
        check(0.5.into(), "0.5");
        check(f64::NAN.into(), "\"NaN\"");
        check(f64::NEG_INFINITY.into(), "\"-Infinity\"");
        check("a\"\n\u{1}".into(), "\"a\\\"\\n\\u0001\"");
        check(Value::Bytes(b"hi".as_slice().into()), "\"aGk=\"");
        check(vec![Value::Int(1), Value::Null].into(), "[1,null]");
        check(vec![("k".into(), Value::Int(1))].into(), "{\"k\":1}");
    }

    #[test]
    fn base64_of_every_length() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_context_is_a_list_of_its_messages() {
        let one = Context::empty().push(Message::new(vec![("content".into(), "a".into())].into()));
        let two = one.push(Message::new(vec![("content".into(), "b".into())].into()));
        check(two.into(), "[{\"content\":\"a\"},{\"content\":\"b\"}]");
        check(Context::empty().into(), "[]");
    }
}
