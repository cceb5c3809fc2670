//! What a model answers, read off AG2's response: as plain data, and as messages made of parts, as in the GenAI conventions.

use std::mem::take;

use callboard_core::{Attribute, Key, Value};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::reading::{field, field_of, truthy};
use crate::value::{Reader, to_value};

/// How deep the content of a message lies in what is recorded of an answer.
pub(super) const DEPTH: usize = 4;

/// An answer.
pub(super) struct Answer {
    /// As plain data; where it has no choices, as it is.
    pub(super) said: Value,
    /// A message a choice.
    pub(super) messages: Vec<Value>,
    /// Why the model stopped, a reason a choice.
    pub(super) reasons: Vec<Value>,
}

/// A tool that the model asks for.
pub(super) struct ToolCall {
    pub(super) id: Value,
    pub(super) name: Value,
    pub(super) arguments: Value,
}

/// A message as it is recorded.
struct Message {
    plain: Vec<Attribute>,
    parts: Vec<Value>,
}

impl Answer {
    pub(super) fn of(response: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = response.py();
        let Some(choices) = field(response, intern!(py, "choices"))? else {
            let said = to_value(response);
            return Ok(Self { said, messages: Vec::new(), reasons: Vec::new() });
        };
        let mut reader = Reader::new();
        let id = read(&mut reader, field(response, intern!(py, "id"))?);
        let model = read(&mut reader, field(response, intern!(py, "model"))?);
        let (mut plain, mut messages, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
        for choice in choices.try_iter()? {
            let choice = choice?;
            let reason = read(&mut reader, field(&choice, intern!(py, "finish_reason"))?);
            let message = Message::of(&choice, &mut reader)?;
            plain.push(map([
                ("finish_reason", reason.clone()),
                ("message", Value::Map(message.plain.into())),
            ]));
            messages.push(map([
                ("role", "assistant".into()),
                ("parts", message.parts.into()),
                ("finish_reason", reason.clone()),
            ]));
            reasons.push(reason);
        }
        let said = map([("id", id), ("model", model), ("choices", plain.into())]);
        Ok(Self { said, messages, reasons })
    }
}

impl Message {
    fn of(choice: &Bound<'_, PyAny>, reader: &mut Reader) -> PyResult<Self> {
        let py = choice.py();
        let message = field(choice, intern!(py, "message"))?;
        // Asked only where it is needed: a field that is not there takes long to be missed.
        let content = match &message {
            None => field(choice, intern!(py, "text"))?,
            Some(message) => field(message, intern!(py, "content"))?,
        };
        let content = content.map(|content| reader.value(&content, DEPTH));
        let mut plain = vec![
            (Key::from_static("role"), "assistant".into()),
            (Key::from_static("content"), content.clone().unwrap_or_default()),
        ];
        let mut parts = Vec::new();
        if let Some(content) = content {
            parts.push(map([("type", "text".into()), ("content", content)]));
        }
        if let Some(calls) = truthy(field_of(message.as_ref(), intern!(py, "tool_calls"))?)? {
            let mut told: Vec<Value> = Vec::new();
            for call in calls.try_iter()? {
                told.push(tool_call(&call?, reader, &mut parts)?);
            }
            plain.push((Key::from_static("tool_calls"), told.into()));
        }
        if let Some(call) = field_of(message.as_ref(), intern!(py, "function_call"))? {
            let [name, arguments] = function(&call, reader)?;
            let called = map([("name", name.clone()), ("arguments", arguments.clone())]);
            plain.push((Key::from_static("function_call"), called));
            let kind = Value::from("tool_call");
            parts.push(map([("type", kind), ("name", name), ("arguments", arguments)]));
        }
        Ok(Self { plain, parts })
    }
}

/// A tool's call as plain data; `parts` gets it as a part.
fn tool_call(
    call: &Bound<'_, PyAny>,
    reader: &mut Reader,
    parts: &mut Vec<Value>,
) -> PyResult<Value> {
    let py = call.py();
    let [name, arguments] = function(&call.getattr(intern!(py, "function"))?, reader)?;
    let id = reader.value(&call.getattr(intern!(py, "id"))?, DEPTH);
    let call = ToolCall { id, name, arguments };
    parts.push(call.part());
    Ok(call.plain())
}

impl ToolCall {
    /// As plain data.
    pub(super) fn plain(&self) -> Value {
        let function = map([("name", self.name.clone()), ("arguments", self.arguments.clone())]);
        map([("id", self.id.clone()), ("type", "function".into()), ("function", function)])
    }

    /// As a part of a message.
    pub(super) fn part(&self) -> Value {
        map([
            ("type", "tool_call".into()),
            ("id", self.id.clone()),
            ("name", self.name.clone()),
            ("arguments", self.arguments.clone()),
        ])
    }
}

/// What is called, and with what.
fn function(call: &Bound<'_, PyAny>, reader: &mut Reader) -> PyResult<[Value; 2]> {
    let mut said = |name: &Bound<'_, PyString>| -> PyResult<Value> {
        Ok(reader.value(&call.getattr(name)?, DEPTH))
    };
    Ok([said(intern!(call.py(), "name"))?, said(intern!(call.py(), "arguments"))?])
}

fn read(reader: &mut Reader, object: Option<Bound<'_, PyAny>>) -> Value {
    object.map_or(Value::Null, |object| reader.value(&object, DEPTH))
}

/// Named values.
pub(super) fn map<const N: usize>(mut entries: [(&'static str, Value); N]) -> Value {
    map_of(&mut entries)
}

/// As [`map`], out of line for all lengths; nothing stays in the values' place.
#[inline(never)]
fn map_of(entries: &mut [(&'static str, Value)]) -> Value {
    let named = entries.iter_mut().map(|(key, value)| (Key::from_static(key), take(value)));
    Value::Map(named.collect())
}
