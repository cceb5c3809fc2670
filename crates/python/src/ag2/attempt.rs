//! The functions that an agent tries in turn when it replies, most of which decline at once: REPLY_FUNCTION.
//!
//! One that declines is told as a brief child of the REPLY when it returns: it costs no span of its own. Should it do
//! something after all, it gets its span at that moment, with the time at which it began.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use callboard_core::time::{Clock, SystemClock};
use callboard_core::{Attribute, Key, SpanKind};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyTuple};

use super::reply::Reply;
use super::scope::Scope;
use super::{Hooks, keys};
use crate::exit;
use crate::given::AttributeList;
use crate::guard::{lock, quietly};
use crate::span::SpanContext;
use crate::value::to_value;
use crate::watch::Switch;

/// What a fault in here is reported as.
const WHAT: &str = "a reply function";

/// A reply function that is tried: called with an agent, `messages` and more, it returns whether it replied, and what. `begin`
/// and `finish` go around each call, or around awaiting it.
///
/// Args:
///     name, module: what the function is called, and where it is from.
///     at_once: whether its span is opened when it is called.
#[pyclass(module = "callboard", frozen)]
pub(crate) struct Trial {
    switch: Py<Switch>,
    hooks: Py<Hooks>,
    named: [Attribute; 2],
    at_once: bool,
}

/// A reply function being tried. It has no span until it does something, or for good. Where it has one at once it is a
/// scope; else the [`Reply`] stays the scope, and knows it: a scope of its own would take longer than its function.
#[pyclass(module = "callboard", frozen, extends = Scope)]
pub(crate) struct Attempt {
    trial: Py<Trial>,
    reply: Py<Reply>,
    messages: Option<Py<PyAny>>,
    /// When the function was called: a reading of the clock.
    #[pyo3(get)]
    started_ns: u64,
    span: PyOnceLock<Py<SpanContext>>,
    /// What ends with the attempt, beside its span.
    ending: Mutex<Option<Py<PyAny>>>,
    is_finished: AtomicBool,
}

#[pymethods]
impl Trial {
    #[new]
    #[pyo3(signature = (switch, hooks, *, name, module, at_once))]
    fn new(
        switch: Py<Switch>,
        hooks: Py<Hooks>,
        name: &Bound<'_, PyAny>,
        module: &Bound<'_, PyAny>,
        at_once: bool,
    ) -> Self {
        let of = |key, value| (Key::from_static(key), to_value(value));
        let named = [of(keys::REPLY_FUNCTION, name), of(keys::REPLY_MODULE, module)];
        Self { switch, hooks, named, at_once }
    }

    /// The attempt, which is what is going on from now on. None where no agent is replying.
    #[pyo3(signature = (arguments, named))]
    fn begin<'py>(
        slf: &Bound<'py, Self>,
        arguments: &Bound<'py, PyTuple>,
        named: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Option<Bound<'py, Attempt>>> {
        let Some(_inside) = exit::enter() else { return Ok(None) };
        let (py, trial) = (slf.py(), slf.get());
        let switch = trial.switch.get();
        if switch.current(py).is_none() {
            return Ok(None);
        }
        let scope = switch.scope(py).and_then(|scope| scope.cast_into::<Reply>().ok());
        let Some(reply) = scope else { return Ok(None) };
        let messages = match named.map(|named| named.get_item(intern!(py, "messages"))) {
            Some(Ok(Some(messages))) => Some(messages.unbind()),
            _ => arguments.get_item(1).ok().map(Bound::unbind),
        };
        let attempt = Attempt {
            trial: slf.clone().unbind(),
            reply: reply.unbind(),
            messages,
            started_ns: SystemClock.monotonic_ns(),
            span: PyOnceLock::new(),
            ending: Mutex::default(),
            is_finished: AtomicBool::new(false),
        };
        let attempt = Bound::new(py, (attempt, Scope))?;
        if trial.at_once {
            switch.enter(attempt.as_any());
            attempt.get().opened(&attempt);
        } else {
            attempt.get().reply.get().set_trying(Some(&attempt));
        }
        Ok(Some(attempt))
    }

    /// Leaves the attempt, and records how it went. A second call does nothing.
    #[pyo3(signature = (attempt, result, error))]
    fn finish<'py>(
        &self,
        attempt: &Bound<'py, Attempt>,
        result: Option<&Bound<'py, PyAny>>,
        error: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let Some(_inside) = exit::enter() else { return Ok(()) };
        if attempt.get().is_finished.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let (py, switch) = (attempt.py(), self.switch.get());
        let reply = attempt.get().reply.bind(py);
        let ended = attempt.get().end_what_is_within(py, error);
        if self.at_once {
            switch.leave(attempt.as_any(), reply.as_any());
        } else {
            reply.get().set_trying(None);
        }
        if error.is_some() {
            attempt.get().opened(attempt);
        }
        let told = self.tell(py, attempt.get(), result);
        if let Some(span) = attempt.get().span.get(py) {
            SpanContext::end(span.bind(py), error);
        }
        ended.or_else(|failure| switch.report(py, WHAT, failure))?;
        told.or_else(|failure| switch.report(py, WHAT, failure))
    }
}

impl Trial {
    /// Tells whether the function replied, and what: its span, or else that of the reply.
    fn tell(
        &self,
        py: Python<'_>,
        attempt: &Attempt,
        result: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let Some(result) = result else { return Ok(()) };
        let reply = attempt.reply.get();
        let (is_final, message) = replied(result)?;
        let message = message.map(|message| self.hooks.get().by_reference(&message)).transpose()?;
        let context = reply.context(py).get();
        let mut attributes = AttributeList::new(context.policy());
        if attempt.span.get(py).is_none() {
            attributes.extend(&reply.about);
            self.put_name(py, &mut attributes);
        }
        if let Some(is_final) = is_final {
            attributes.put_given(py, keys::FINAL, is_final);
        }
        if let Some(message) = &message {
            attributes.put(keys::REPLY, message);
        }
        match attempt.span.get(py) {
            Some(span) => span.get().set_list(&mut attributes),
            None => context.add_brief(
                SpanKind::ReplyFunction,
                &mut attributes,
                attempt.started_ns,
                SystemClock.monotonic_ns(),
            ),
        }
        Ok(())
    }

    fn put_name(&self, py: Python<'_>, attributes: &mut AttributeList<'_>) {
        for (key, value) in &self.named {
            attributes.put_given(py, key.clone(), value.clone());
        }
    }
}

/// Whether the function's reply is the last word, where it says so, and the reply, if there is one. AG2 takes a pair of
/// any kind; what may be gone through only once is left alone.
fn replied<'py>(result: &Bound<'py, PyAny>) -> PyResult<(Option<bool>, Option<Bound<'py, PyAny>>)> {
    let is_pair = result.is_instance_of::<PyTuple>() || result.is_instance_of::<PyList>();
    if !is_pair || result.len()? != 2 {
        return Ok((None, None));
    }
    let (is_final, message) = (result.get_item(0)?.is_truthy()?, result.get_item(1)?);
    Ok((Some(is_final), (is_final || !message.is_none()).then_some(message)))
}

#[pymethods]
impl Attempt {
    /// The span, if it is open.
    #[getter]
    fn span(&self, py: Python<'_>) -> Option<Py<SpanContext>> {
        self.span.get(py).map(|span| span.clone_ref(py))
    }

    /// The agent that replies.
    #[getter]
    fn agent<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.reply.bind(py).getattr(intern!(py, "agent"))
    }

    /// The scope around it: the reply.
    #[getter]
    fn outer(&self, py: Python<'_>) -> Py<Reply> {
        self.reply.clone_ref(py)
    }

    /// Has something end with the attempt: its `end` is called with the error that the function raised, or None.
    fn end_with(&self, ending: Py<PyAny>) {
        let before = lock(&self.ending).replace(ending);
        // Without the lock: what is dropped may run Python code.
        drop(before);
    }

    /// Where something is recorded while a span is current: in that one, or in the attempt's own.
    #[pyo3(name = "opened")]
    fn open<'py>(slf: &Bound<'py, Self>, span: Bound<'py, SpanContext>) -> Bound<'py, SpanContext> {
        slf.get().opened_under(slf, span)
    }
}

impl Attempt {
    fn end_what_is_within(&self, py: Python<'_>, error: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let ending = lock(&self.ending).take();
        let Some(ending) = ending else { return Ok(()) };
        ending.bind(py).call_method1(intern!(py, "end"), (error,)).map(drop)
    }

    /// Where something is recorded while `span` is current: in the attempt's own span, if it is what happens there.
    ///
    /// In a task that the function has created, the reply's span is still current when another task has opened the
    /// attempt's already: that one is what the function does, too.
    pub(super) fn opened_under<'py>(
        &self,
        this: &Bound<'py, Self>,
        span: Bound<'py, SpanContext>,
    ) -> Bound<'py, SpanContext> {
        let py = this.py();
        if self.reply.get().context(py).is(&span) {
            return self.opened(this).map_or(span, |opened| opened.into_bound(py));
        }
        span
    }

    /// What the function is tried for.
    pub(super) fn reply<'py>(&self, py: Python<'py>) -> &Bound<'py, Reply> {
        self.reply.bind(py)
    }

    fn opened(&self, this: &Bound<'_, Self>) -> Option<Py<SpanContext>> {
        let py = this.py();
        if self.span.get(py).is_none() {
            match self.open_span(py) {
                // Opening it may have run the program's code, which may have opened it meanwhile.
                Ok(span) => drop(self.span.set(py, span)),
                Err(error) => {
                    quietly(py, self.trial.get().switch.get().report(py, WHAT, error));
                }
            }
        }
        self.span.get(py).map(|span| span.clone_ref(py))
    }

    /// The span, which began when the function was called.
    fn open_span(&self, py: Python<'_>) -> PyResult<Py<SpanContext>> {
        let (reply, trial) = (self.reply.get(), self.trial.get());
        let context = reply.context(py).get();
        let none = py.None();
        let messages = self.messages.as_ref().unwrap_or(&none).bind(py).clone();
        let mut attributes = AttributeList::new(context.policy());
        attributes.extend(&reply.about);
        trial.put_name(py, &mut attributes);
        reply.put_history(&mut attributes, keys::MESSAGES, &messages)?;
        let started = Some(self.started_ns);
        context.open_child(py, SpanKind::ReplyFunction, &mut attributes, started).map(Bound::unbind)
    }
}
