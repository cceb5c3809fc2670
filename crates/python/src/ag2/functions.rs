//! The list of an agent's reply functions, as AG2 reads it while the agent replies.
//!
//! AG2 compares the functions in it by identity, and so may programs. So the list is left alone: AG2's own readers see
//! watched functions in the place of the real ones while they reply, and everybody else sees the list as it is.

use pyo3::exceptions::PyAttributeError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator};

use super::reply::Reply;
use crate::watch::Switch;

/// The attribute `_reply_func_list` of agents: a descriptor.
///
/// Args:
///     switch: whose scope tells who is replying.
///     readers: the code objects of AG2's functions that read it.
///     own: of each function of AG2's own: itself, what stands in its place, and whether it is a coroutine function.
///     tried: makes what stands in the place of any other function.
#[pyclass(module = "callboard", frozen)]
pub(crate) struct ReplyFunctions {
    switch: Py<Switch>,
    readers: Vec<Py<PyAny>>,
    own: Vec<(Py<PyAny>, Py<PyAny>, bool)>,
    tried: Py<PyAny>,
}

/// The registered functions, watched, without those excluded; as lazy as the list that it reads.
#[pyclass(module = "callboard", frozen)]
struct View {
    entries: Py<PyIterator>,
    reply: Py<Reply>,
    functions: Py<ReplyFunctions>,
}

#[pymethods]
impl ReplyFunctions {
    #[new]
    fn new(
        switch: Py<Switch>,
        readers: Vec<Py<PyAny>>,
        own: Vec<(Py<PyAny>, Py<PyAny>, bool)>,
        tried: Py<PyAny>,
    ) -> Self {
        Self { switch, readers, own, tried }
    }

    fn __get__<'py>(
        slf: &Bound<'py, Self>,
        agent: Option<&Bound<'py, PyAny>>,
        _class: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, functions) = (slf.py(), slf.get());
        let Some(agent) = agent else { return Ok(slf.clone().into_any()) };
        let registered = attributes_of(agent)?.get_item(intern!(py, "_reply_func_list"))?;
        let Some(registered) = registered else { return Err(missing(agent)?) };
        let scope = functions.switch.get().scope(py).and_then(|scope| scope.cast_into().ok());
        let reply: Option<Bound<'_, Reply>> =
            scope.filter(|reply: &Bound<'_, Reply>| reply.get().is_by(agent));
        match reply.filter(|_| functions.is_read_by_ag2(py)) {
            Some(reply) => {
                let entries = registered.try_iter()?.unbind();
                let (reply, functions) = (reply.unbind(), slf.clone().unbind());
                Ok(Bound::new(py, View { entries, reply, functions })?.into_any())
            }
            None => Ok(registered),
        }
    }

    fn __set__(&self, agent: &Bound<'_, PyAny>, registered: &Bound<'_, PyAny>) -> PyResult<()> {
        attributes_of(agent)?.set_item(intern!(agent.py(), "_reply_func_list"), registered)
    }

    fn __delete__(&self, agent: &Bound<'_, PyAny>) -> PyResult<()> {
        attributes_of(agent)?.del_item(intern!(agent.py(), "_reply_func_list"))
    }
}

impl ReplyFunctions {
    /// Whether it is one of AG2's readers that is at work.
    fn is_read_by_ag2(&self, py: Python<'_>) -> bool {
        // SAFETY: the frame is borrowed from the interpreter, which is at work in it; its code is an owned reference.
        let code = unsafe {
            let frame = ffi::PyEval_GetFrame();
            if frame.is_null() {
                return false;
            }
            Bound::from_owned_ptr(py, ffi::PyFrame_GetCode(frame).cast())
        };
        self.readers.iter().any(|reader| reader.is(&code))
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

fn attributes_of<'py>(agent: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    Ok(agent.getattr(intern!(agent.py(), "__dict__"))?.cast_into()?)
}

fn missing(agent: &Bound<'_, PyAny>) -> PyResult<PyErr> {
    let class = agent.get_type().name()?;
    let message = format!("'{class}' object has no attribute '_reply_func_list'");
    Ok(PyAttributeError::new_err(message))
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
        let key = intern!(py, "reply_func");
        let function = entry.get_item(key)?;
        if reply.excludes(&function)? {
            return Ok(None);
        }
        let Some(tried) = self.functions.get().in_the_place_of(&function, reply)? else {
            return Ok(None);
        };
        let entry = entry.cast::<PyDict>()?.copy()?;
        entry.set_item(key, tried)?;
        Ok(Some(entry.into_any()))
    }
}
