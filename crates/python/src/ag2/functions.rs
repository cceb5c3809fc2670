//! The list of an agent's reply functions, as AG2 reads it while the agent replies.
//!
//! AG2 compares the functions in it by identity, and so may programs. So the list is left alone: AG2's own readers see
//! watched functions in the place of the real ones while they reply, and everybody else sees the list as it is.

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator, PyList, PyType};

use super::reply::Reply;
use crate::guard::quietly;
use crate::watch::Switch;

/// What AG2's own readers find in the place of an agent's `_reply_func_list`: a descriptor.
///
/// Args:
///     switch: whose scope tells who is replying.
///     own: of each function of AG2's own: itself, what stands in its place, and whether it is a coroutine function.
///     tried: makes what stands in the place of any other function.
///     matching: AG2's class `Agent`, which as a trigger has a function tried whichever agent it is that asks, and AG2's
///         method that matches triggers; None where those are not what they were.
#[pyclass(module = "callboard", frozen)]
pub(crate) struct ReplyFunctions {
    switch: Py<Switch>,
    own: Vec<(Py<PyAny>, Py<PyAny>, bool)>,
    tried: Py<PyAny>,
    matching: Option<(Py<PyType>, Py<PyAny>)>,
}

/// The registered functions, watched, without those excluded; as lazy as the list that it reads.
#[pyclass(module = "callboard", frozen)]
struct View {
    entries: Py<PyIterator>,
    reply: Py<Reply>,
    /// The sender's class, where a function for any agent is for this one.
    sender: Option<Py<PyType>>,
    functions: Py<ReplyFunctions>,
}

#[pymethods]
impl ReplyFunctions {
    #[new]
    fn new(
        switch: Py<Switch>,
        own: Vec<(Py<PyAny>, Py<PyAny>, bool)>,
        tried: Py<PyAny>,
        matching: Option<(Py<PyType>, Py<PyAny>)>,
    ) -> Self {
        Self { switch, own, tried, matching }
    }

    fn __get__<'py>(
        slf: &Bound<'py, Self>,
        agent: Option<&Bound<'py, PyAny>>,
        _class: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, functions) = (slf.py(), slf.get());
        let Some(agent) = agent else { return Ok(slf.clone().into_any()) };
        let registered = agent.getattr(intern!(py, "_reply_func_list"))?;
        let scope = functions.switch.get().scope(py).and_then(|scope| scope.cast_into().ok());
        match scope.filter(|reply: &Bound<'_, Reply>| reply.get().is_by(agent)) {
            Some(reply) => {
                let entries = registered.try_iter()?.unbind();
                let sender = functions.known_agent(agent, reply.get()).map(Bound::unbind);
                let (reply, functions) = (reply.unbind(), slf.clone().unbind());
                Ok(Bound::new(py, View { entries, reply, sender, functions })?.into_any())
            }
            None => Ok(registered),
        }
    }
}

impl ReplyFunctions {
    /// The class of a reply's sender, where it derives from AG2's `Agent` and AG2's own method matches the triggers.
    fn known_agent<'py>(
        &self,
        agent: &Bound<'py, PyAny>,
        reply: &Reply,
    ) -> Option<Bound<'py, PyType>> {
        let py = agent.py();
        let (any_agent, own_method) = self.matching.as_ref()?;
        let class = reply.sender(py).get_type();
        if !derives_from(&class, any_agent.bind(py)) {
            return None;
        }
        let method = quietly(py, agent.getattr_opt(intern!(py, "_match_trigger"))).flatten()?;
        let function = quietly(py, method.getattr_opt(intern!(py, "__func__"))).flatten()?;
        function.is(own_method).then_some(class)
    }

    /// Whether a trigger asks first whether the sender is any agent.
    fn is_for_any_agent(&self, trigger: &Bound<'_, PyAny>) -> bool {
        let first = match trigger.cast_exact::<PyList>() {
            Ok(several) => several.get_item(0).ok(),
            Err(_) => Some(trigger.clone()),
        };
        let any_agent = self.matching.as_ref().map(|(any_agent, _)| any_agent);
        first.zip(any_agent).is_some_and(|(first, any_agent)| first.is(any_agent))
    }

    /// What stands in the place of a function: the same for the whole reply, as AG2 reads the list several times and
    /// compares what it finds. None where AG2 would pass the function by, as no coroutine function replies here.
    fn in_the_place_of<'py>(
        &self,
        function: &Bound<'py, PyAny>,
        reply: &Reply,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = function.py();
        let own = self.own.iter().find(|(own, ..)| own.is(function));
        if let Some((_, tried, is_coroutine)) = own {
            let is_tried = reply.is_async || !is_coroutine;
            return Ok(is_tried.then(|| tried.bind(py).clone()));
        }
        let watched = reply.watched.bind(py);
        let id = function.as_ptr() as usize;
        if let Some(tried) = watched.get_item(id)? {
            return Ok(Some(tried));
        }
        let tried = self.tried.bind(py).call1((function,))?;
        watched.set_item(id, &tried)?;
        Ok(Some(tried))
    }
}

/// Whether a class derives from another, whatever that one says of its instances.
fn derives_from(class: &Bound<'_, PyType>, base: &Bound<'_, PyType>) -> bool {
    // SAFETY: both are types, and alive.
    unsafe { ffi::PyType_IsSubtype(class.as_type_ptr(), base.as_type_ptr()) != 0 }
}

#[pymethods]
impl View {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut entries = self.entries.bind(py).clone();
        while let Some(entry) = entries.next().transpose()? {
            match self.watched(&entry) {
                Ok(None) => {}
                Ok(Some(entry)) => return Ok(Some(entry)),
                Err(error) => {
                    self.functions.get().switch.get().report(py, "a reply function", error);
                    return Ok(Some(entry));
                }
            }
        }
        Ok(None)
    }
}

impl View {
    /// The entry with a watched function; none where the function is passed by.
    fn watched<'py>(&self, entry: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (py, reply) = (entry.py(), self.reply.get());
        let function = entry.get_item(intern!(py, "reply_func"))?;
        if reply.excludes(&function)? {
            return Ok(None);
        }
        let functions = self.functions.get();
        let Some(tried) = functions.in_the_place_of(&function, reply)? else {
            return Ok(None);
        };
        let entry = entry.cast::<PyDict>()?.copy()?;
        entry.set_item(intern!(py, "reply_func"), tried)?;
        let trigger = entry.get_item(intern!(py, "trigger"))?;
        if let Some((trigger, sender)) = trigger.zip(self.sender.as_ref())
            && functions.is_for_any_agent(&trigger)
        {
            entry.set_item(intern!(py, "trigger"), sender)?;
        }
        Ok(Some(entry.into_any()))
    }
}
