//! What the tests record, in few words.

use callboard::testing::{CountingIds, SteppingClock};
use callboard::{
    Attribute, EventKind, InstrumentationManager, Key, ManagerConfig, Prices, Span, Text, Value,
    keys,
};
use std::sync::Arc;

/// A manager that prices model calls, with counted ids and a clock that moves on by a millisecond at each reading.
pub(crate) fn manager(prices: Prices) -> InstrumentationManager {
    InstrumentationManager::new(ManagerConfig {
        ids: Arc::new(CountingIds::default()),
        clock: SteppingClock::new(1_000_000),
        ..callboard::manager_config(prices)
    })
}

/// Records that one agent says something to another, aloud.
pub(crate) fn say(span: &Span, from: &str, to: &str, message: impl Into<Value>) {
    say_so(span, from, to, message, false);
}

/// The same, aloud or not.
pub(crate) fn say_so(span: &Span, from: &str, to: &str, message: impl Into<Value>, silent: bool) {
    let attributes = vec![
        (keys::AGENT_SENDER.into(), text(from)),
        (keys::AGENT_RECIPIENT.into(), text(to)),
        (keys::MESSAGE.into(), message.into()),
        (keys::SILENT.into(), silent.into()),
    ];
    span.record_event(EventKind::AgentSendMsg, attributes);
}

/// The attributes of a model call's COST event, without a price.
pub(crate) fn model_call(provider: &str, model: &str, input: i64, output: i64) -> Vec<Attribute> {
    vec![
        (keys::COST_TYPE.into(), "LLM".into()),
        (keys::LLM_PROVIDER.into(), text(provider)),
        (keys::LLM_MODEL.into(), text(model)),
        (keys::LLM_INPUT_TOKENS.into(), input.into()),
        (keys::LLM_OUTPUT_TOKENS.into(), output.into()),
    ]
}

/// The same attributes, and one more.
pub(crate) fn with(
    mut attributes: Vec<Attribute>,
    key: &'static str,
    value: impl Into<Value>,
) -> Vec<Attribute> {
    attributes.push((key.into(), value.into()));
    attributes
}

pub(crate) fn map(entries: &[(&'static str, Value)]) -> Value {
    let entry = |(key, value): &(&'static str, Value)| (Key::from(*key), value.clone());
    entries.iter().map(entry).collect::<Vec<_>>().into()
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(Text::from(text.to_owned()))
}
