//! Attribute values: OpenTelemetry's AnyValue, plus the context (a history of messages as one value).
//!
//! Cloning is cheap throughout: whatever can be large is shared.

use std::fmt;
use std::sync::Arc;

use smol_str::SmolStr;

use crate::message::Context;

/// A piece of text that is cheap to clone: short text stands in the value itself, longer text is shared, and a constant of
/// the program is only pointed to.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(SmolStr);

/// The name of an attribute.
pub type Key = Text;

/// A named value on a span or an event.
pub type Attribute = (Key, Value);

/// The value of an attribute. Every value equals its copy: numbers with a fraction are compared by their bits, so that
/// NaN is NaN.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// No value.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction, an infinity or NaN.
    Double(f64),
    /// Text.
    Text(Text),
    /// Bytes.
    Bytes(Arc<[u8]>),
    /// Values in order.
    List(Arc<[Value]>),
    /// Named values, in the order in which the program had them.
    Map(Arc<[Attribute]>),
    /// A history of messages, stored once however often it is recorded.
    Messages(Context),
}

impl Text {
    /// A constant of the program.
    pub const fn from_static(text: &'static str) -> Self {
        Self(SmolStr::new_static(text))
    }

    /// A copy of `text`.
    pub fn new(text: &str) -> Self {
        Self(SmolStr::new(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many bytes it holds outside of itself.
    fn heap_bytes(&self) -> usize {
        if self.0.is_heap_allocated() { self.len() } else { 0 }
    }
}

impl std::ops::Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Text {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Self {
        Self::from_static(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(SmolStr::from(text))
    }
}

impl From<Arc<str>> for Text {
    fn from(text: Arc<str>) -> Self {
        Self(SmolStr::from(text))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(two)) => one == two,
            (Self::Int(one), Self::Int(two)) => one == two,
            (Self::Double(one), Self::Double(two)) => one.to_bits() == two.to_bits(),
            (Self::Text(one), Self::Text(two)) => one == two,
            (Self::Bytes(one), Self::Bytes(two)) => one == two,
            (Self::List(one), Self::List(two)) => one == two,
            (Self::Map(one), Self::Map(two)) => one == two,
            (Self::Messages(one), Self::Messages(two)) => one == two,
            _ => false,
        }
    }
}

impl Value {
    /// The text, where it is text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value, where it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The number, where it is a whole one, or a double without a fraction that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Double(number) if number.fract() == 0.0 && number.abs() < 9.0e15 => {
                Some(*number as i64)
            }
            _ => None,
        }
    }

    /// The number, where it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Double(number) => Some(*number),
            _ => None,
        }
    }

    /// The entry of a map under `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Self::Map(entries) => find(entries, key),
            _ => None,
        }
    }

    /// The values in order, where it is a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(values) => Some(values),
            _ => None,
        }
    }

    /// About how many bytes of memory it holds. A context counts its newest message alone, as its older ones were
    /// counted when they were new.
    pub fn size_bytes(&self) -> usize {
        let held = match self {
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Double(_) => 0,
            Self::Text(text) => text.heap_bytes(),
            Self::Bytes(bytes) => bytes.len(),
            Self::List(values) => values.iter().map(Value::size_bytes).sum(),
            Self::Map(entries) => attributes_size_bytes(entries),
            Self::Messages(context) => context.newest().map_or(0, |message| message.size_bytes()),
        };
        held + size_of::<Value>()
    }

    /// The value as JSON text (RFC 8259). Bytes are base64 text; a number that JSON has no word for is text: `"NaN"`.
    pub fn to_json(&self) -> String {
        let mut json = String::new();
        crate::json::write_value(&mut json, self);
        json
    }
}

/// The value under `key`: the last one, where it was given twice.
pub fn find<'a>(attributes: &'a [Attribute], key: &str) -> Option<&'a Value> {
    attributes.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
}

/// About how many bytes of memory these hold.
pub fn attributes_size_bytes(attributes: &[Attribute]) -> usize {
    attributes.iter().map(|(_, value)| size_of::<Key>() + value.size_bytes()).sum()
}

macro_rules! value_from {
    ($($type:ty => $make:expr),* $(,)?) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                $make(value)
            }
        })*
    };
}

value_from! {
    bool => Value::Bool,
    i64 => Value::Int,
    i32 => |number| Value::Int(i64::from(number)),
    u32 => |number| Value::Int(i64::from(number)),
    f64 => Value::Double,
    Text => Value::Text,
    &'static str => |text| Value::Text(Text::from_static(text)),
    String => |text| Value::Text(Text::from(text)),
    Arc<str> => |text| Value::Text(Text::from(text)),
    Context => Value::Messages,
    Vec<Value> => |values: Vec<Value>| Value::List(values.into()),
    Vec<Attribute> => |entries: Vec<Attribute>| Value::Map(entries.into()),
}

impl From<u64> for Value {
    /// A number too large for 64 bits with a sign becomes a double, as OTLP has no wider whole number.
    fn from(number: u64) -> Self {
        i64::try_from(number).map_or(Self::Double(number as f64), Self::Int)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::from(number as u64)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_two_values_under_one_key_counts() {
        let attributes = [("a".into(), 1_i64.into()), ("a".into(), 2_i64.into())];
        assert_eq!(find(&attributes, "a"), Some(&Value::Int(2)));
        assert_eq!(find(&attributes, "b"), None);
    }

    #[test]
    fn every_value_equals_its_copy() {
        for number in [0.5, f64::NAN, f64::INFINITY] {
            let value = Value::from(vec![("k".into(), vec![Value::Double(number)].into())]);
            assert_eq!(value, value.clone());
        }
        assert_ne!(Value::Double(f64::NAN), Value::Double(0.0));
        assert_ne!(Value::Int(1), Value::Double(1.0));
    }

    #[test]
    fn a_number_past_64_bits_with_a_sign_is_a_double() {
        assert_eq!(Value::from(u64::MAX), Value::Double(u64::MAX as f64));
        assert_eq!(Value::from(7_u64).as_i64(), Some(7));
    }
}
