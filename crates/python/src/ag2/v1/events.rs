//! What a stream's events are as messages, in the shape that models' services take.
//!
//! A stream only grows, as a rule. What was made of its events is kept as long as the stream is, so that each model call of a
//! long conversation converts the new events only, and the messages are the same objects as before: that is how a history is
//! known to share what it can with the one before.

use std::sync::Mutex;

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use super::super::kept::Kept;
use super::super::reading::or_none;
use super::answer::message_of;
use super::classes::{EventClass, Form, event_field};
use crate::guard::lock;
use crate::identity::count_same;

/// The streams that were read.
pub(super) struct Streams {
    /// Takes what a message consists of, and gives what is recorded of it.
    of_parts: Py<PyAny>,
    /// Taken out while it is brought up to date and recorded, as that may run Python code: whoever comes meanwhile finds
    /// nothing known. Nobody waits.
    by_stream: Kept<Mutex<Rendered>>,
}

/// The messages of a prompt and a list of events.
#[derive(Default)]
struct Rendered {
    prompt: Option<Py<PyTuple>>,
    /// Each event, and how many messages there are up to it.
    events: Vec<(Py<PyAny>, usize)>,
    messages: Option<Py<PyList>>,
}

impl Streams {
    pub(super) fn new(of_parts: Py<PyAny>) -> Self {
        Self { of_parts, by_stream: Kept::default() }
    }

    /// Converts the events that a model is given of a stream, under a prompt; `record` is given the messages.
    pub(super) fn with_messages<R>(
        &self,
        stream: &Bound<'_, PyAny>,
        prompt: &Bound<'_, PyTuple>,
        events: &Bound<'_, PyAny>,
        record: impl FnOnce(&Bound<'_, PyList>) -> R,
    ) -> PyResult<R> {
        let slot = self.by_stream.of(stream, || Ok(Mutex::default()))?;
        let mut rendered = std::mem::take(&mut *lock(&slot));
        let messages = rendered.update(self, prompt, events)?;
        let recorded = record(&messages);
        let replaced = std::mem::replace(&mut *lock(&slot), rendered);
        // Without the lock: an object that is let go of may run Python code.
        drop(replaced);
        Ok(recorded)
    }

    /// Converts one event: into none, where it is not part of what a model reads.
    pub(super) fn messages_of<'py>(
        &self,
        event: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyList>> {
        let messages = PyList::empty(event.py());
        self.convert(event, &messages)?;
        Ok(messages)
    }

    /// Adds what one event is as messages.
    fn convert(&self, event: &Bound<'_, PyAny>, messages: &Bound<'_, PyList>) -> PyResult<()> {
        let py = event.py();
        match EventClass::of(event)?.form {
            Form::Request => {
                let parts = or_none(py, event_field(event, intern!(py, "parts"))?);
                messages.append(message(intern!(py, "user"), self.content(&parts)?)?)?;
            }
            Form::Response => messages.append(message_of(event)?)?,
            Form::Message => {
                let content = or_none(py, event_field(event, intern!(py, "content"))?);
                messages.append(message(intern!(py, "assistant"), content)?)?;
            }
            Form::ToolResults => self.convert_results(event, messages)?,
            Form::Summary => {
                let summary = or_none(py, event_field(event, intern!(py, "summary"))?);
                messages.append(message(intern!(py, "user"), summary)?)?;
            }
            Form::Other => (),
        }
        Ok(())
    }

    fn convert_results(
        &self,
        event: &Bound<'_, PyAny>,
        messages: &Bound<'_, PyList>,
    ) -> PyResult<()> {
        let py = event.py();
        for result in event.getattr(intern!(py, "results"))?.try_iter()? {
            let result = result?;
            let answer = PyDict::new(py);
            answer.set_item(intern!(py, "role"), intern!(py, "tool"))?;
            let call = or_none(py, event_field(&result, intern!(py, "parent_id"))?);
            answer.set_item(intern!(py, "tool_call_id"), call)?;
            let parts = match event_field(&result, intern!(py, "result"))? {
                Some(given) => event_field(&given, intern!(py, "parts"))?,
                None => None,
            };
            let parts = or_none(py, parts);
            answer.set_item(intern!(py, "content"), self.content(&parts)?)?;
            messages.append(answer)?;
        }
        Ok(())
    }

    /// What a message consists of, as it is recorded: text, where it is only that.
    fn content<'py>(&self, parts: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match only_text(parts)? {
            Some(text) => Ok(text),
            None => self.of_parts.bind(parts.py()).call1((parts,)),
        }
    }
}

/// The text of a list of parts that are texts.
fn only_text<'py>(parts: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = parts.py();
    let Ok(list) = parts.cast::<PyList>() else { return Ok(None) };
    let texts = PyList::empty(py);
    for part in list {
        match event_field(&part, intern!(py, "content"))? {
            Some(text) if text.is_instance_of::<PyString>() => texts.append(text)?,
            _ => return Ok(None),
        }
    }
    intern!(py, "\n").call_method1(intern!(py, "join"), (texts,)).map(Some)
}

fn message<'py>(
    role: &Bound<'py, PyString>,
    content: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyDict>> {
    let py = role.py();
    let message = PyDict::new(py);
    message.set_item(intern!(py, "role"), role)?;
    message.set_item(intern!(py, "content"), content)?;
    Ok(message)
}

impl Rendered {
    /// Brings the messages up to a prompt and events, converting only what is new.
    fn update<'py>(
        &mut self,
        streams: &Streams,
        prompt: &Bound<'py, PyTuple>,
        events: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyList>> {
        let py = events.py();
        let has_prompt = !prompt.is_empty();
        let messages = match (&self.messages, &self.prompt) {
            (Some(messages), Some(known)) if known.bind(py).eq(prompt)? => {
                messages.bind(py).clone()
            }
            _ => {
                self.events.clear();
                self.prompt = Some(prompt.clone().unbind());
                let messages = PyList::empty(py);
                if has_prompt {
                    let text = intern!(py, "\n").call_method1(intern!(py, "join"), (prompt,))?;
                    messages.append(message(intern!(py, "system"), text)?)?;
                }
                self.messages.insert(messages.unbind()).bind(py).clone()
            }
        };
        let events = Events::of(events)?;
        let known = events.count_same(self.events.iter().map(|(event, _)| event.as_ptr()));
        self.events.truncate(known);
        let end = self.events.last().map_or(usize::from(has_prompt), |(_, end)| *end);
        if messages.len() > end {
            messages.del_slice(end, messages.len())?;
        }
        for index in self.events.len()..events.len() {
            let event = events.get(index)?;
            streams.convert(&event, &messages)?;
            self.events.push((event.unbind(), messages.len()));
        }
        Ok(messages)
    }
}

/// The events that a model is given.
enum Events<'py> {
    List(Bound<'py, PyList>),
    Tuple(Bound<'py, PyTuple>),
}

impl<'py> Events<'py> {
    fn of(events: &Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(list) = events.cast::<PyList>() {
            return Ok(Self::List(list.clone()));
        }
        if let Ok(tuple) = events.cast::<PyTuple>() {
            return Ok(Self::Tuple(tuple.clone()));
        }
        let py = events.py();
        Ok(Self::List(py.get_type::<PyList>().call1((events,))?.cast_into()?))
    }

    fn len(&self) -> usize {
        match self {
            Self::List(events) => events.len(),
            Self::Tuple(events) => events.len(),
        }
    }

    fn get(&self, index: usize) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::List(events) => events.get_item(index),
            Self::Tuple(events) => events.get_item(index),
        }
    }

    /// How many at the beginning are these very ones.
    fn count_same(&self, known: impl Iterator<Item = *mut ffi::PyObject>) -> usize {
        match self {
            Self::List(events) => count_same(events, known),
            Self::Tuple(events) => {
                let same = |(event, known): &(Borrowed<'_, '_, PyAny>, _)| event.as_ptr() == *known;
                events.iter_borrowed().zip(known).take_while(same).count()
            }
        }
    }
}
