//! What AG2's events are as messages, in the shape that models' services take.

use callboard_core::Value;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use super::super::answer::map;
use super::super::reading::or_none;
use super::answer::Answer;
use super::classes::{Event, Form, event_field};
use crate::value::{Reader, to_value};

/// Makes messages of events.
pub(super) struct Messages {
    /// Takes what a message consists of, and gives what is recorded of it.
    pub(super) of_parts: Py<PyAny>,
}

/// What events are as messages.
pub(super) struct Said {
    pub(super) messages: Vec<Value>,
    reader: Reader,
    /// Whether each message is a value of its own, with the bounds of one; else all are one value together.
    are_apart: bool,
}

impl Said {
    pub(super) fn apart() -> Self {
        Self { messages: Vec::new(), reader: Reader::new(), are_apart: true }
    }

    pub(super) fn together() -> Self {
        Self { are_apart: false, ..Self::apart() }
    }

    fn read(&mut self, content: Option<Bound<'_, PyAny>>) -> Value {
        let depth = if self.are_apart { 1 } else { 2 };
        content.map_or(Value::Null, |content| self.reader.value(&content, depth))
    }

    fn push(&mut self, message: Value) {
        self.messages.push(message);
        if self.are_apart {
            self.reader = Reader::new();
        }
    }
}

impl Messages {
    /// Adds what an event is as messages: none, where it is not part of what a model reads.
    pub(super) fn add(&self, event: &Bound<'_, PyAny>, said: &mut Said) -> PyResult<()> {
        let py = event.py();
        let read = Event::of(event)?;
        match read.form() {
            Form::Request => {
                let parts = or_none(py, read.field(intern!(py, "parts"))?);
                let content = self.content(&parts, said)?;
                said.push(message("user", content));
            }
            Form::Response => said.push(Answer::of(&read)?.message()),
            Form::Message => {
                let content = read.field(intern!(py, "content"))?;
                let content = said.read(content);
                said.push(message("assistant", content));
            }
            Form::ToolResults => self.add_results(event, said)?,
            Form::Summary => {
                let summary = read.field(intern!(py, "summary"))?;
                let summary = said.read(summary);
                said.push(message("user", summary));
            }
            Form::Other => (),
        }
        Ok(())
    }

    fn add_results(&self, event: &Bound<'_, PyAny>, said: &mut Said) -> PyResult<()> {
        let py = event.py();
        for result in event.getattr(intern!(py, "results"))?.try_iter()? {
            let result = result?;
            let result = Event::of(&result)?;
            let call = result.field(intern!(py, "parent_id"))?;
            let parts = match result.field(intern!(py, "result"))? {
                Some(given) => event_field(&given, intern!(py, "parts"))?,
                None => None,
            };
            let call = said.read(call);
            let content = self.content(&or_none(py, parts), said)?;
            said.push(map([("role", "tool".into()), ("tool_call_id", call), ("content", content)]));
        }
        Ok(())
    }

    /// What a message consists of, as it is recorded: text, where it is only that.
    fn content(&self, parts: &Bound<'_, PyAny>, said: &mut Said) -> PyResult<Value> {
        let content = match only_text(parts)? {
            Some(text) => text,
            None => self.of_parts.bind(parts.py()).call1((parts,))?,
        };
        Ok(said.read(Some(content)))
    }
}

/// The message that tells a model what it is.
pub(super) fn system_message(text: &Bound<'_, PyAny>) -> Value {
    message("system", to_value(text))
}

fn message(role: &'static str, content: Value) -> Value {
    map([("role", role.into()), ("content", content)])
}

/// The text of a list of parts that are texts.
fn only_text<'py>(parts: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = parts.py();
    let Ok(list) = parts.cast::<PyList>() else { return Ok(None) };
    let mut texts = Vec::with_capacity(list.len());
    for part in list {
        match event_field(&part, intern!(py, "content"))? {
            Some(text) if text.is_instance_of::<PyString>() => texts.push(text),
            _ => return Ok(None),
        }
    }
    if texts.len() == 1 {
        return Ok(texts.pop());
    }
    intern!(py, "\n").call_method1(intern!(py, "join"), (texts,)).map(Some)
}
