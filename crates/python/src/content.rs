//! What of a program's texts is recorded: how much of messages, and with what taken out.
//!
//! It is applied as a value is read, before anything is queued, compared or shared.

use std::collections::HashSet;
use std::sync::Arc;

use callboard_core::{Key, Message, Text, Value};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::exit;
use crate::guard::quietly;
use crate::value::{bounded, cut_to_chars};

/// The history that a model is given. Where messages are not recorded, it still tells whose they are, and how long.
const MODELS_HISTORY: &str = "gen_ai.input.messages";

/// What is told of a message that is not recorded.
const OF_A_MESSAGE: [&str; 3] = ["role", "name", "tool_call_id"];

/// What the names of our own attributes begin with: AG2's draft, OpenTelemetry's conventions, callboard. The names of what is in
/// them are known, and so is what a number in them says; in a program's own attributes nothing is.
const OURS: [&str; 4] = ["ag2.", "callboard.", "exception.", "gen_ai."];

/// From so many on a number is long enough to tell something by its digits.
const LONG_NUMBER: u64 = 1_000_000;

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

/// A message of a history as it is recorded under a policy; under none as it is.
pub(crate) fn recorded(
    policy: Option<&ContentPolicy>,
    py: Python<'_>,
    message: Value,
) -> Arc<Message> {
    match policy {
        Some(policy) => policy.message(py, message),
        None => Message::new(message),
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
        let is_ours = OURS.iter().any(|beginning| key.starts_with(beginning));
        let rules = Rules {
            redact: self.redact.as_ref().filter(|_| !is_id(key)),
            most_chars: self.most_chars.filter(|_| is_content),
            in_message: is_ours && !is_free(key),
            reads_numbers: is_content || !is_ours,
        };
        rules.apply(py, value)
    }

    /// A message of a history as it is recorded.
    fn message(&self, py: Python<'_>, value: Value) -> Arc<Message> {
        let said_bytes = callboard::said_bytes(&value);
        let (value, most_chars) = match self.most_chars {
            Some(0) => (without_words(&value), None),
            most_chars => (value, most_chars),
        };
        let redact = self.redact.as_ref();
        let rules = Rules { redact, most_chars, in_message: true, reads_numbers: true };
        Message::shortened(rules.apply(py, value), said_bytes)
    }

    /// What was said of an error: it may quote a message, a tool's argument, or what code printed.
    pub(crate) fn error(&self, py: Python<'_>, text: Text) -> Text {
        match self.most_chars {
            Some(0) => Text::default(),
            Some(most) => cut_to_chars(&self.text(py, text), most),
            None => self.text(py, text),
        }
    }

    /// Whether a stack is told without the messages of its exceptions.
    pub(crate) fn has_bare_stacks(&self) -> bool {
        self.most_chars.is_some()
    }

    /// Any other text: a run's name, a stack.
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

/// What is done with each text of a value: it is redacted, and then cut.
#[derive(Clone, Copy)]
struct Rules<'a> {
    redact: Option<&'a Py<PyAny>>,
    most_chars: Option<usize>,
    /// Whether the value is a message or a part of one, in which some entries are no content.
    in_message: bool,
    /// Whether a long number is read as its digits; it may be a card's.
    reads_numbers: bool,
}

impl Rules<'_> {
    fn apply(self, py: Python<'_>, value: Value) -> Value {
        match value {
            Value::Text(text) => Value::Text(self.apply_to_text(py, text)),
            Value::Bytes(ref bytes) => {
                let text = Text::from(String::from_utf8_lossy(bytes).into_owned());
                self.applied_or(py, text, value.clone())
            }
            Value::Int(number) if self.reads_numbers && number.abs_diff(0) >= LONG_NUMBER => {
                let digits = Text::from(number.to_string());
                Self { most_chars: None, ..self }.applied_or(py, digits, value)
            }
            Value::List(values) => {
                Value::List(values.iter().map(|value| self.apply(py, value.clone())).collect())
            }
            Value::Map(entries) => {
                let entries = entries.iter().cloned();
                Value::Map(
                    entries.map(|(key, value)| self.apply_to_entry(py, key, value)).collect(),
                )
            }
            other => other,
        }
    }

    /// What a value without words of its own becomes: itself, where nothing is done with the text that it reads as.
    fn applied_or(self, py: Python<'_>, text: Text, value: Value) -> Value {
        let applied = self.apply_to_text(py, text.clone());
        if applied == text { value } else { Value::Text(applied) }
    }

    fn apply_to_text(self, py: Python<'_>, text: Text) -> Text {
        let text = self.redact.map_or_else(|| text.clone(), |redact| redacted(py, &text, redact));
        self.most_chars.map_or_else(|| text.clone(), |most| cut_to_chars(&text, most))
    }

    fn apply_to_entry(self, py: Python<'_>, key: Key, value: Value) -> (Key, Value) {
        let rules = Self {
            redact: self.redact.filter(|_| !(self.in_message && is_id(&key))),
            most_chars: self.most_chars.filter(|_| !(self.in_message && is_form(&key))),
            in_message: self.in_message && !is_free(&key),
            ..self
        };
        let value = rules.apply(py, value);
        match self.redact.filter(|_| !self.in_message) {
            Some(redact) => (Key::from(redacted(py, &key, redact).to_string()), value),
            None => (key, value),
        }
    }
}

/// An id says nothing, and is no card's number though it may look like one.
fn is_id(key: &Key) -> bool {
    &**key == "id" || key.ends_with(".id") || key.ends_with("_id")
}

/// Whether an entry of a message says of what form it is, and from whom, not what it says.
fn is_form(key: &Key) -> bool {
    is_id(key) || matches!(&**key, "finish_reason" | "model" | "name" | "role" | "type")
}

/// Whether what is under the key is of a form that a program or a model chose: everything in it is content.
fn is_free(key: &Key) -> bool {
    ["arguments", "params", "parameters", "response", "result"].iter().any(|free| {
        key.strip_suffix(free).is_some_and(|rest| rest.is_empty() || rest.ends_with(['.', '_']))
    })
}

fn redacted(py: Python<'_>, text: &str, redact: &Py<PyAny>) -> Text {
    let Some(_inside) = exit::enter() else { return NOT_REDACTED.into() };
    let given = quietly(py, redact.bind(py).call1((text,)));
    match given.as_ref().and_then(|given| given.cast::<PyString>().ok()) {
        Some(given) => bounded(given.to_string_lossy().into_owned()),
        None => NOT_REDACTED.into(),
    }
}
