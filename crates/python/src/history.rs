//! Histories of messages that the program holds as Python lists, as contexts.
//!
//! A program hands its whole history over at every call. Which messages are new shows by comparing the list with the one
//! that came last from the same owner: by identity, which costs almost nothing. What the newest messages and a few older
//! ones in turn consist of is compared too, since programs change message dicts in place.

use std::sync::{Arc, Mutex};

use callboard_core::{Context, Message};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::ag2::has_parts;
use crate::content::{ContentPolicy, recorded};
use crate::guard::{lock, quietly};
use crate::value::{is_plainly, to_value};

/// How many of the newest known messages are compared each time.
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
pub(crate) struct Histories {
    by_owner: Py<PyDict>,
}

/// The history of one owner.
#[pyclass(frozen)]
#[derive(Default)]
struct History {
    /// Taken out while it is compared and added to, as that may run Python code: whoever comes meanwhile, another thread
    /// or that very code, finds nothing known and shares nothing. Nobody waits.
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The messages themselves, kept alive so that identity means something.
    objects: Vec<Py<PyAny>>,
    /// What each of them was when it was read.
    read: Vec<Read>,
    /// The next older message to compare.
    next_older: usize,
}

/// A message as it was when it was read.
struct Read {
    entries: Entries,
    /// The context that ends with it.
    context: Context,
}

/// The names and values of a dict in turn, kept alive, where none of them can change: as long as it has the same, it is the
/// same. Else none.
struct Entries(Option<Box<[Py<PyAny>]>>);

/// How a message becomes what is recorded of it.
#[derive(Clone, Copy)]
pub(crate) struct Recording<'a, 'py> {
    /// What of its texts is recorded; none: all of them.
    pub(crate) policy: Option<&'a ContentPolicy>,
    /// Takes a message whose content is a list of parts, and gives the one that is recorded instead.
    pub(crate) rewrite: Option<&'a Bound<'py, PyAny>>,
}

impl Histories {
    pub(crate) fn new(py: Python<'_>) -> Self {
        Self { by_owner: PyDict::new(py).unbind() }
    }

    /// The list as a context that shares what it can with the last one of the same owner. An owner that cannot be told
    /// from others, as it has no hash, shares nothing.
    pub(crate) fn context(
        &self,
        owner: &Bound<'_, PyAny>,
        messages: &Bound<'_, PyAny>,
        recording: Recording<'_, '_>,
    ) -> Context {
        let py = owner.py();
        let Some(messages) = as_list(messages) else {
            return recording.only(messages);
        };
        let history = quietly(py, self.of_owner(owner));
        let mut known = history.as_ref().map(|history| history.get().take()).unwrap_or_default();
        known.forget_what_differs(&messages, recording);
        for message in messages.iter().skip(known.objects.len()) {
            let context = known.newest().push(recording.message(&message));
            known.read.push(Read { entries: Entries::of(&message), context });
            known.objects.push(message.unbind());
        }
        let context = known.newest();
        if let Some(history) = history {
            history.get().put(known);
        }
        context
    }

    /// Lets go of the program's messages, once the run is over.
    pub(crate) fn clear(&self, py: Python<'_>) {
        self.by_owner.bind(py).clear();
    }

    /// What is kept of an owner; made now where nothing is.
    fn of_owner<'py>(&self, owner: &Bound<'py, PyAny>) -> PyResult<Bound<'py, History>> {
        let py = owner.py();
        let by_owner = self.by_owner.bind(py);
        if let Some(kept) = by_owner.get_item(owner)? {
            return Ok(kept.cast_into::<History>()?);
        }
        let made = Bound::new(py, History::default())?;
        by_owner.set_item(owner, &made)?;
        Ok(made)
    }
}

/// The list itself, or a tuple as one. Nothing else is gone through: that might use it up.
fn as_list<'py>(messages: &Bound<'py, PyAny>) -> Option<Bound<'py, PyList>> {
    let list = messages.cast::<PyList>().ok().cloned();
    list.or_else(|| messages.cast::<PyTuple>().ok().map(|tuple| tuple.to_list()))
}

impl Recording<'_, '_> {
    /// What is neither list nor tuple counts as one message; None as none.
    fn only(self, message: &Bound<'_, PyAny>) -> Context {
        match message.is_none() {
            true => Context::empty(),
            false => Context::empty().push(self.message(message)),
        }
    }

    /// A message as it is recorded.
    fn message(self, message: &Bound<'_, PyAny>) -> Arc<Message> {
        let py = message.py();
        let rewrite = self.rewrite.filter(|_| has_parts(message));
        let value = match rewrite.and_then(|rewrite| quietly(py, rewrite.call1((message,)))) {
            Some(instead) => to_value(&instead),
            None => to_value(message),
        };
        recorded(self.policy, py, value)
    }

    /// Whether the message is recorded as `known`.
    fn is_known(self, message: &Bound<'_, PyAny>, known: &Message) -> bool {
        let is_as_it_is = self.policy.is_none() && !has_parts(message);
        (is_as_it_is && is_plainly(known.body(), message.as_borrowed()))
            || *self.message(message) == *known
    }
}

impl History {
    fn take(&self) -> Known {
        std::mem::take(&mut lock(&self.known))
    }

    fn put(&self, known: Known) {
        let mut slot = lock(&self.known);
        let replaced = std::mem::replace(&mut *slot, known);
        drop(slot);
        // Without the lock: an object that is let go of may run Python code.
        drop(replaced);
    }
}

impl Entries {
    fn of(message: &Bound<'_, PyAny>) -> Self {
        Self(message.cast_exact::<PyDict>().ok().and_then(|entries| {
            let mut read = Vec::with_capacity(2 * entries.len());
            for (name, value) in entries {
                if !is_unchanging(&name) || !is_unchanging(&value) {
                    return None;
                }
                read.extend([name.unbind(), value.unbind()]);
            }
            Some(read.into())
        }))
    }

    /// Whether the message consists of these very objects. It runs no Python code, and says no where that would be needed.
    fn are_all_of(&self, message: &Bound<'_, PyAny>) -> bool {
        let (Some(known), Ok(entries)) = (&self.0, message.cast_exact::<PyDict>()) else {
            return false;
        };
        if known.len() != 2 * entries.len() {
            return false;
        }
        let (mut place, mut name, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
        known.chunks_exact(2).all(|known| {
            // SAFETY: the pointers are to variables of this function. What they are set to is borrowed and only compared.
            let is_any = unsafe {
                ffi::PyDict_Next(entries.as_ptr(), &raw mut place, &raw mut name, &raw mut value)
            };
            is_any != 0 && known[0].as_ptr() == name && known[1].as_ptr() == value
        })
    }
}

/// Whether an object stays what it is, and so does all that it consists of.
fn is_unchanging(object: &Bound<'_, PyAny>) -> bool {
    object.is_exact_instance_of::<PyString>()
        || object.is_none()
        || object.is_exact_instance_of::<PyBool>()
        || object.is_exact_instance_of::<PyInt>()
        || object.is_exact_instance_of::<PyFloat>()
}

impl Known {
    fn newest(&self) -> Context {
        self.read.last().map_or_else(Context::empty, |newest| newest.context.clone())
    }

    /// Keeps the beginning that the list shares with what is known.
    fn forget_what_differs(&mut self, messages: &Bound<'_, PyList>, recording: Recording<'_, '_>) {
        let is_same = |(message, known): &(Bound<'_, PyAny>, &Py<PyAny>)| message.is(*known);
        let identical = messages.iter().zip(&self.objects).take_while(is_same).count();
        let identical = self.changed_in_place(messages, identical, recording).unwrap_or(identical);
        let equal = (identical..self.objects.len().min(messages.len()))
            .take_while(|&index| self.is_equal(messages, index, recording))
            .count();
        self.objects.truncate(identical + equal);
        self.read.truncate(identical + equal);
        for index in identical..self.objects.len() {
            if let Ok(message) = messages.get_item(index) {
                self.read[index].entries = Entries::of(&message);
                self.objects[index] = message.unbind();
            }
        }
    }

    /// The first of the compared messages whose object is the same but whose content is not.
    fn changed_in_place(
        &mut self,
        messages: &Bound<'_, PyList>,
        identical: usize,
        recording: Recording<'_, '_>,
    ) -> Option<usize> {
        let newest = identical.saturating_sub(NEWEST_COMPARED);
        let older = (0..OLDER_COMPARED.min(newest)).map(|step| (self.next_older + step) % newest);
        let changed = older
            .chain(newest..identical)
            .filter(|&index| !self.is_equal(messages, index, recording))
            .min();
        self.next_older = (self.next_older + OLDER_COMPARED) % newest.max(1);
        changed
    }

    /// Whether the message is the known one: consists of the same objects, or of such as have the same value.
    fn is_equal(
        &self,
        messages: &Bound<'_, PyList>,
        index: usize,
        recording: Recording<'_, '_>,
    ) -> bool {
        let (Some(known), Ok(message)) = (self.read.get(index), messages.get_item(index)) else {
            return false;
        };
        known.entries.are_all_of(&message)
            || known.context.newest().is_some_and(|it| recording.is_known(&message, it))
    }
}
