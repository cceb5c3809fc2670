//! The histories that models are given: a prompt and a stream's events, as contexts.
//!
//! A stream only grows, as a rule. What was made of its events is kept as long as the stream is, so that each model call of a
//! long conversation converts the new events only, and its context goes on from the one before.

use std::sync::{Arc, Mutex, Weak};

use callboard_core::{Context, Message, Value};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::super::kept::Kept;
use super::events::{Messages, Said, system_message};
use crate::content::recorded;
use crate::guard::{lock, quietly};
use crate::history::Newest;
use crate::span::RunOwner;

/// The streams that were read.
pub(super) struct Streams {
    messages: Messages,
    /// Taken out while it is brought up to date, as that may run Python code: whoever comes meanwhile finds nothing known,
    /// and shares nothing. Nobody waits.
    by_stream: Kept<Mutex<Known>>,
}

/// What a run knows of a stream.
#[derive(Default)]
struct Known {
    /// The run, by whose rules the messages are recorded.
    run: Weak<RunOwner>,
    prompt: Option<Py<PyTuple>>,
    /// The context of the prompt alone.
    prompted: Context,
    /// The events, kept alive so that identity means something.
    events: Vec<Py<PyAny>>,
    /// The contexts that end with them.
    contexts: Vec<Context>,
    /// Where the run has the newest context of whoever asks.
    newest: Newest,
}

/// What a model is asked to read.
pub(super) struct Asked<'a, 'py> {
    pub(super) run: &'a Arc<RunOwner>,
    pub(super) stream: &'a Bound<'py, PyAny>,
    pub(super) prompt: &'a Bound<'py, PyTuple>,
    pub(super) events: &'a Bound<'py, PyAny>,
}

impl Streams {
    pub(super) fn new(of_parts: Py<PyAny>) -> Self {
        Self { messages: Messages { of_parts }, by_stream: Kept::default() }
    }

    /// What is asked, as a context: it shares what it can with the one before of the same stream, and where there is none,
    /// with the newest of the same owner. `owner` says who asks; one that has no hash shares nothing.
    pub(super) fn context<'py>(
        &self,
        asked: &Asked<'_, 'py>,
        owner: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Context> {
        let slot = self.by_stream.of(asked.stream, || Ok(Mutex::default()))?;
        let mut known = std::mem::take(&mut *lock(&slot));
        let events = Events::of(asked.events)?;
        let mut alike = if known.is_of(asked)? {
            known.forget_what_differs(&events)
        } else {
            let owner = owner()?;
            let newest = quietly(owner.py(), asked.run.newest(&owner)).unwrap_or_default();
            let mut alike = Alike::to(&newest.context());
            known = Known::of(asked, newest, &mut alike)?;
            alike
        };
        known.read(&events, &self.messages, asked, &mut alike)?;
        let context = known.context();
        known.newest.set(context.clone());
        let replaced = std::mem::replace(&mut *lock(&slot), known);
        // Without the lock: an object that is let go of may run Python code.
        drop(replaced);
        Ok(context)
    }

    /// One event as messages, as one value.
    pub(super) fn messages_of(&self, event: &Bound<'_, PyAny>) -> PyResult<Value> {
        let mut said = Said::together();
        self.messages.add(event, &mut said)?;
        Ok(said.messages.into())
    }
}

impl Known {
    /// A stream of which only the prompt has been read.
    fn of(asked: &Asked<'_, '_>, newest: Newest, alike: &mut Alike) -> PyResult<Self> {
        let (py, prompt) = (asked.prompt.py(), asked.prompt);
        let mut prompted = Context::empty();
        if !prompt.is_empty() {
            let text = intern!(py, "\n").call_method1(intern!(py, "join"), (prompt,))?;
            prompted = alike.push(&prompted, asked.recorded(py, system_message(&text)));
        }
        let (run, prompt) = (Arc::downgrade(asked.run), Some(prompt.clone().unbind()));
        Ok(Self { run, prompt, prompted, newest, ..Self::default() })
    }

    /// Whether it is what this run knows, under this prompt.
    fn is_of(&self, asked: &Asked<'_, '_>) -> PyResult<bool> {
        let Some(prompt) = &self.prompt else { return Ok(false) };
        let is_run = std::ptr::eq(self.run.as_ptr(), Arc::as_ptr(asked.run));
        Ok(is_run && prompt.bind(asked.prompt.py()).eq(asked.prompt)?)
    }

    /// Keeps the beginning that the events share with what is known; gives what was known, where that is more.
    fn forget_what_differs(&mut self, events: &Events<'_>) -> Alike {
        let same = events.count_same(self.events.iter().map(Py::as_ptr));
        if same == self.events.len() {
            return Alike::default();
        }
        let alike = Alike::to(&self.context());
        self.events.truncate(same);
        self.contexts.truncate(same);
        alike
    }

    /// Reads the events that are not known.
    fn read(
        &mut self,
        events: &Events<'_>,
        messages: &Messages,
        asked: &Asked<'_, '_>,
        alike: &mut Alike,
    ) -> PyResult<()> {
        let mut said = Said::apart();
        for index in self.events.len()..events.len() {
            let event = events.get(index)?;
            messages.add(&event, &mut said)?;
            let push = |context: Context, message| {
                alike.push(&context, asked.recorded(event.py(), message))
            };
            let context = said.messages.drain(..).fold(self.context(), push);
            self.contexts.push(context);
            self.events.push(event.unbind());
        }
        Ok(())
    }

    /// What was read, as a context.
    fn context(&self) -> Context {
        self.contexts.last().unwrap_or(&self.prompted).clone()
    }
}

impl Asked<'_, '_> {
    /// A message by the run's rules.
    fn recorded(&self, py: Python<'_>, message: Value) -> Arc<Message> {
        recorded(self.run.policy(), py, message)
    }
}

/// The contexts that one begins with, the shortest first: what the next ones may share with it. None, once they do not.
#[derive(Default)]
struct Alike(Vec<Context>);

impl Alike {
    fn to(context: &Context) -> Self {
        let longer = |context: &Context| context.earlier().cloned();
        let mut contexts: Vec<Context> =
            std::iter::successors(Some(context.clone()), longer).collect();
        contexts.reverse();
        Self(contexts)
    }

    /// A context and one more message.
    fn push(&mut self, context: &Context, message: Arc<Message>) -> Context {
        match self.0.get(context.len() + 1) {
            Some(alike) if alike.newest() == Some(&message) => alike.clone(),
            _ => {
                self.0.clear();
                context.push(message)
            }
        }
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
            Self::List(events) => {
                let same = |(event, known): &(Bound<'_, PyAny>, _)| event.as_ptr() == *known;
                events.iter().zip(known).take_while(same).count()
            }
            Self::Tuple(events) => {
                let same = |(event, known): &(Borrowed<'_, '_, PyAny>, _)| event.as_ptr() == *known;
                events.iter_borrowed().zip(known).take_while(same).count()
            }
        }
    }
}
