//! Histories of messages that the program holds as Python lists, as contexts.
//!
//! A program hands its whole history over at every call. Which messages are new shows by comparing the list with the one
//! that came last from the same owner: by identity, which costs almost nothing, and the newest messages and a few older
//! ones in turn by value too, since programs change message dicts in place.

use std::sync::Mutex;

use callboard_core::{Context, Message, Value};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::value::to_value;

/// How many of the newest known messages are compared by value each time.
const NEWEST_COMPARED: usize = 2;
/// How many older ones are, in turn.
const OLDER_COMPARED: usize = 2;

/// A history of messages as one attribute value; made by `SpanContext.messages`. It holds no reference to the program's objects.
#[pyclass(module = "callboard", frozen)]
pub(crate) struct Messages {
    pub(crate) context: Context,
}

#[pymethods]
impl Messages {
    fn __len__(&self) -> usize {
        self.context.len()
    }

    fn __repr__(&self) -> String {
        format!("<{} messages>", self.context.len())
    }
}

/// The histories of a run, by owner.
#[derive(Default)]
pub(crate) struct Histories {
    by_owner: Mutex<Option<Py<PyDict>>>,
}

/// The history of one owner: for each message the program's object, kept alive so that identity means something, and the
/// context that ends with it.
#[pyclass(frozen)]
struct History {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    messages: Vec<(Py<PyAny>, Context)>,
    /// The next older message to compare by value.
    next_older: usize,
}

impl Histories {
    /// The list as a context that shares what it can with the last one of the same owner.
    pub(crate) fn context(
        &self,
        owner: &Bound<'_, PyAny>,
        messages: &Bound<'_, PyAny>,
    ) -> PyResult<Context> {
        let py = owner.py();
        let Ok(messages) = messages.cast::<PyList>() else {
            return Ok(contexts_of(messages));
        };
        let history = self.history(py, owner)?;
        let mut known = history.get().known.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        known.forget_what_differs(messages);
        for message in messages.iter().skip(known.messages.len()) {
            let context = known.newest().push(Message::new(to_value(&message)));
            known.messages.push((message.unbind(), context));
        }
        Ok(known.newest())
    }

    fn history<'py>(&self, py: Python<'py>, owner: &Bound<'py, PyAny>) -> PyResult<Bound<'py, History>> {
        let by_owner = {
            let mut slot = self.by_owner.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            slot.get_or_insert_with(|| PyDict::new(py).unbind()).clone_ref(py)
        };
        let by_owner = by_owner.bind(py);
        if let Some(history) = by_owner.get_item(owner)? {
            return Ok(history.cast_into::<History>()?);
        }
        let history = Bound::new(py, History { known: Mutex::default() })?;
        by_owner.set_item(owner, &history)?;
        Ok(history)
    }
}

/// What is no list is taken message by message, and remembered for nobody.
fn contexts_of(messages: &Bound<'_, PyAny>) -> Context {
    let Ok(messages) = messages.try_iter() else { return Context::empty() };
    messages
        .map_while(Result::ok)
        .fold(Context::empty(), |context, message| context.push(Message::new(to_value(&message))))
}

impl Known {
    fn newest(&self) -> Context {
        self.messages.last().map_or_else(Context::empty, |(_, context)| context.clone())
    }

    /// Keeps the beginning that the list shares with what is known.
    fn forget_what_differs(&mut self, messages: &Bound<'_, PyList>) {
        let identical = self.count_identical(messages);
        let identical = self.changed_in_place(messages, identical).unwrap_or(identical);
        let equal = (identical..self.messages.len().min(messages.len()))
            .take_while(|&index| self.is_equal(messages, index))
            .count();
        self.messages.truncate(identical + equal);
        for (index, (object, _)) in self.messages.iter_mut().enumerate().skip(identical) {
            if let Ok(message) = messages.get_item(index) {
                *object = message.unbind();
            }
        }
    }

    /// How many messages at the beginning are the known objects themselves.
    fn count_identical(&self, messages: &Bound<'_, PyList>) -> usize {
        let length = messages.len();
        let at = |index: usize| {
            // SAFETY: the list is alive and the index within it, as nothing here runs Python code. The reference is
            // borrowed and only compared: counting it up and down would double the time of a long history.
            unsafe { ffi::PyList_GetItem(messages.as_ptr(), index as ffi::Py_ssize_t) }
        };
        let known = self.messages.iter().take(length).enumerate();
        known.take_while(|(index, (object, _))| at(*index) == object.as_ptr()).count()
    }

    /// The first of the compared messages whose object is the same but whose content is not.
    fn changed_in_place(&mut self, messages: &Bound<'_, PyList>, identical: usize) -> Option<usize> {
        let newest = identical.saturating_sub(NEWEST_COMPARED);
        let older = (0..OLDER_COMPARED.min(newest)).map(|step| (self.next_older + step) % newest);
        let changed = older
            .chain(newest..identical)
            .filter(|&index| !self.is_equal(messages, index))
            .min();
        self.next_older = (self.next_older + OLDER_COMPARED) % newest.max(1);
        changed
    }

    /// Whether the message is the known one by value.
    fn is_equal(&self, messages: &Bound<'_, PyList>, index: usize) -> bool {
        let (Some((_, context)), Ok(message)) = (self.messages.get(index), messages.get_item(index)) else {
            return false;
        };
        let same: Value = to_value(&message);
        context.newest().is_some_and(|known| *known.body() == same)
    }
}
