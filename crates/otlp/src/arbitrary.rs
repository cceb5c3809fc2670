//! For property tests: values as programs may record them.

use callboard_core::{Attribute, Value};
use proptest::prelude::*;

/// Any value, lists and maps nested a few levels deep.
pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    let plain = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e300..1e300).prop_map(Value::from),
        ".{0,300}".prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| Value::Bytes(bytes.into())),
    ];
    plain.prop_recursive(3, 30, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec(entry(".{0,10}", inner), 0..5).prop_map(Value::from),
        ]
    })
}

/// A map that is a message, or looks like one that went wrong.
pub(crate) fn any_message() -> impl Strategy<Value = Value> {
    const KEYS: &str = "role|name|content|tool_calls|tool_responses|tool_call_id|function_call\
                        |id|function|arguments|text|type|image_url|url|.{0,5}";
    let inner = any_value().prop_recursive(3, 30, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(entry(KEYS, inner), 0..6).prop_map(Value::from),
        ]
    });
    prop::collection::vec(entry(KEYS, inner), 0..6).prop_map(Value::from)
}

fn entry(
    key: &'static str,
    value: impl Strategy<Value = Value>,
) -> impl Strategy<Value = Attribute> {
    (key, value).prop_map(|(key, value)| (key.into(), value))
}
