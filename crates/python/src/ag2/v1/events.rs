//! What AG2's events are as messages, in the shape that models' services take.

use callboard_core::Value;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use super::super::answer::map;
use super::super::reading::or_none;
use super::answer::Answer;
use super::classes::{EventClass, Form, event_field};
use crate::value::{Reader, to_value};

/// How deep the content of a message lies in it.
const DEPTH: usize = 1;

/// Makes messages of events.
pub(super) struct Messages {
    /// Takes what a message consists of, and gives what is recorded of it.
    pub(super) of_parts: Py<PyAny>,
}

impl Messages {
    /// Adds what an event is as messages: none, where it is not part of what a model reads.
    pub(super) fn add(&self, event: &Bound<'_, PyAny>, messages: &mut Vec<Value>) -> PyResult<()> {
        let py = event.py();
        match EventClass::of(event)?.form {
            Form::Request => {
                let parts = or_none(py, event_field(event, intern!(py, "parts"))?);
                messages.push(message("user", self.content(&parts)?));
            }
            Form::Response => messages.push(Answer::of(event)?.message()),
            Form::Message => {
                let content = event_field(event, intern!(py, "content"))?;
                messages.push(message("assistant", read(content)));
            }
            Form::ToolResults => self.add_results(event, messages)?,
            Form::Summary => {
                let summary = event_field(event, intern!(py, "summary"))?;
                messages.push(message("user", read(summary)));
            }
            Form::Other => (),
        }
        Ok(())
    }

    fn add_results(&self, event: &Bound<'_, PyAny>, messages: &mut Vec<Value>) -> PyResult<()> {
        let py = event.py();
        for result in event.getattr(intern!(py, "results"))?.try_iter()? {
            let result = result?;
            let call = event_field(&result, intern!(py, "parent_id"))?;
            let parts = match event_field(&result, intern!(py, "result"))? {
                Some(given) => event_field(&given, intern!(py, "parts"))?,
                None => None,
            };
            messages.push(map([
                ("role", "tool".into()),
                ("tool_call_id", read(call)),
                ("content", self.content(&or_none(py, parts))?),
            ]));
        }
        Ok(())
    }

    /// What a message consists of, as it is recorded: text, where it is only that.
    fn content(&self, parts: &Bound<'_, PyAny>) -> PyResult<Value> {
        let content = match only_text(parts)? {
            Some(text) => text,
            None => self.of_parts.bind(parts.py()).call1((parts,))?,
        };
        Ok(read(Some(content)))
    }
}

/// The message that tells a model what it is.
pub(super) fn system_message(text: &Bound<'_, PyAny>) -> Value {
    message("system", to_value(text))
}

fn message(role: &'static str, content: Value) -> Value {
    map([("role", role.into()), ("content", content)])
}

fn read(content: Option<Bound<'_, PyAny>>) -> Value {
    content.map_or(Value::Null, |content| Reader::new().value(&content, DEPTH))
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
