//! What a model answers, read off AG2's response once: as a message, as plain data, and as a message made of parts, as in the
//! GenAI conventions.

use callboard_core::{Key, Value};
use pyo3::intern;
use pyo3::prelude::*;

use super::super::answer::{DEPTH, ToolCall, map};
use super::super::reading::or_none;
use super::classes::{Event, event_field};
use crate::value::Reader;

/// An answer.
pub(super) struct Answer {
    content: Value,
    calls: Vec<ToolCall>,
}

/// A tool that the model asks for, as AG2 has it.
struct Asked<'py> {
    id: Bound<'py, PyAny>,
    name: Bound<'py, PyAny>,
    arguments: Bound<'py, PyAny>,
}

impl Answer {
    pub(super) fn of(response: &Event<'_, '_>) -> PyResult<Self> {
        let py = response.py();
        let mut reader = Reader::new();
        let mut read = |object: &Bound<'_, PyAny>| reader.value(object, DEPTH);
        let content = read(&or_none(py, content_of(response)?));
        let calls = Asked::all(response)?.into_iter().map(|call| ToolCall {
            id: read(&call.id),
            name: read(&call.name),
            arguments: read(&call.arguments),
        });
        let calls = calls.collect();
        Ok(Self { content, calls })
    }

    /// What is said: a text, or a message where tools are asked for.
    pub(super) fn said(&self) -> Value {
        if self.calls.is_empty() { self.content.clone() } else { self.message() }
    }

    /// As plain data, in the shape that the classic hooks give it.
    pub(super) fn plain(&self, id: Value, model: Value, reason: Value) -> Value {
        let choice = map([("finish_reason", reason), ("message", self.message())]);
        map([("id", id), ("model", model), ("choices", vec![choice].into())])
    }

    /// As messages made of parts. `reason` is why the model stopped.
    pub(super) fn messages(&self, reason: Value) -> Value {
        let mut parts: Vec<Value> = Vec::with_capacity(1 + self.calls.len());
        if !matches!(self.content, Value::Null) {
            parts.push(map([("type", "text".into()), ("content", self.content.clone())]));
        }
        parts.extend(self.calls.iter().map(ToolCall::part));
        let message =
            map([("role", "assistant".into()), ("parts", parts.into()), ("finish_reason", reason)]);
        vec![message].into()
    }

    /// As a message of a history.
    pub(super) fn message(&self) -> Value {
        let mut message = vec![
            (Key::from_static("role"), "assistant".into()),
            (Key::from_static("content"), self.content.clone()),
        ];
        if !self.calls.is_empty() {
            let calls: Vec<Value> = self.calls.iter().map(ToolCall::plain).collect();
            message.push((Key::from_static("tool_calls"), calls.into()));
        }
        Value::Map(message.into())
    }
}

impl<'py> Asked<'py> {
    /// The tools that a response asks for.
    fn all(response: &Event<'_, 'py>) -> PyResult<Vec<Self>> {
        let py = response.py();
        let Some(calls) = response.field(intern!(py, "tool_calls"))? else {
            return Ok(Vec::new());
        };
        let Some(calls) = event_field(&calls, intern!(py, "calls"))? else {
            return Ok(Vec::new());
        };
        let mut all = Vec::new();
        for call in calls.try_iter()? {
            let call = call?;
            let call = Event::of(&call)?;
            all.push(Self {
                id: or_none(py, call.field(intern!(py, "id"))?),
                name: or_none(py, call.field(intern!(py, "name"))?),
                arguments: or_none(py, call.field(intern!(py, "arguments"))?),
            });
        }
        Ok(all)
    }
}

/// What a response says: what its message does. AG2's property reads that in Python.
fn content_of<'py>(response: &Event<'_, 'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let content = intern!(response.py(), "content");
    match response.field(intern!(response.py(), "message"))? {
        Some(message) => event_field(&message, content),
        None => response.field(content),
    }
}
