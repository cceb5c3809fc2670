//! What of a program's texts is recorded: how much of messages, and with what taken out.
//!
//! It is applied as a value is read, before anything is queued, compared or shared.

use std::collections::HashSet;
use std::sync::Arc;

use callboard_core::{Key, Message, Text, Value};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::guard::quietly;
use crate::value::{bounded, cut_to_chars};

/// The history that a model is given. Where messages are not recorded, it still tells whose they are, and how long.
const MODELS_HISTORY: &str = "gen_ai.input.messages";

/// What is told of a message that is not recorded.
const OF_A_MESSAGE: [&str; 3] = ["role", "name", "tool_call_id"];

/// What stands for a text that could not be redacted: it may hold what must not be told.
const NOT_REDACTED: &str = "[redaction failed]";

/// A run's rules. `callboard.content` makes them.
///
/// Args:
///     most_chars: of each text in a message, so many characters are recorded; 0: messages are not; None: whole.
///     redact: takes a text and gives what is recorded instead.
///     content_keys: the attributes that hold messages.
#[pyclass(module = "callboard", frozen)]
pub(crate) struct ContentPolicy {
    most_chars: Option<usize>,
    redact: Option<Py<PyAny>>,
    content_keys: HashSet<String>,
}

#[pymethods]
impl ContentPolicy {
    #[new]
    fn new(
        most_chars: Option<usize>,
        redact: Option<Py<PyAny>>,
        content_keys: HashSet<String>,
    ) -> Self {
        Self { most_chars, redact, content_keys }
    }
}

impl ContentPolicy {
    /// The value of an attribute as it is recorded.
    pub(crate) fn attribute(&self, py: Python<'_>, key: &Key, value: Value) -> Value {
        if matches!(value, Value::Messages(_)) {
            // Its messages have been through `message`.
            let is_told = self.most_chars != Some(0) || key == MODELS_HISTORY;
            return if is_told { value } else { Value::Null };
        }
        let is_content = self.content_keys.contains(key.as_str());
        if is_content && self.most_chars == Some(0) {
            return Value::Null;
        }
        // An id says nothing, and is no card's number though it may look like one.
        let is_id = key.ends_with(".id") || key.ends_with("_id");
        let redact = self.redact.as_ref().filter(|_| !is_id);
        rewritten(py, value, redact, self.most_chars.filter(|_| is_content))
    }

    /// A message of a history as it is recorded.
    pub(crate) fn message(&self, py: Python<'_>, value: Value) -> Arc<Message> {
        let said_bytes = callboard::said_bytes(&value);
        let (value, most_chars) = match self.most_chars {
            Some(0) => (without_words(&value), None),
            most_chars => (value, most_chars),
        };
        let body = rewritten(py, value, self.redact.as_ref(), most_chars);
        Message::shortened(body, said_bytes)
    }

    /// Any other text, of an error for example.
    pub(crate) fn text(&self, py: Python<'_>, text: Text) -> Text {
        match &self.redact {
            Some(redact) => redacted(py, &text, redact),
            None => text,
        }
    }
}

/// What is told of a message that is not recorded.
fn without_words(message: &Value) -> Value {
    let Value::Map(entries) = message else { return Value::Null };
    let is_told = |(key, value): &&(Key, Value)| {
        OF_A_MESSAGE.contains(&key.as_str()) && value.as_str().is_some()
    };
    Value::Map(entries.iter().filter(is_told).cloned().collect())
}

/// The value with each of its texts redacted, and then cut.
fn rewritten(
    py: Python<'_>,
    value: Value,
    redact: Option<&Py<PyAny>>,
    most_chars: Option<usize>,
) -> Value {
    match value {
        Value::Text(text) => {
            let text = redact.map_or_else(|| text.clone(), |redact| redacted(py, &text, redact));
            Value::Text(most_chars.map_or_else(|| text.clone(), |most| cut_to_chars(&text, most)))
        }
        Value::List(values) => {
            let values = values.iter().cloned();
            Value::List(values.map(|value| rewritten(py, value, redact, most_chars)).collect())
        }
        Value::Map(entries) => {
            let entries = entries.iter().cloned();
            let rewrite = |(key, value)| (key, rewritten(py, value, redact, most_chars));
            Value::Map(entries.map(rewrite).collect())
        }
        other => other,
    }
}

fn redacted(py: Python<'_>, text: &str, redact: &Py<PyAny>) -> Text {
    let given = quietly(py, redact.bind(py).call1((text,)));
    match given.as_ref().and_then(|given| given.cast::<PyString>().ok()) {
        Some(given) => bounded(given.to_string_lossy().into_owned()),
        None => NOT_REDACTED.into(),
    }
}
