//! Functions that a program tries one after another, most of which decline at once.
//!
//! One that declines is told as a brief child when it returns: it costs no span of its own. Should it do something after
//! all, it gets its span at that moment, with the time at which it began.

use callboard_core::time::{Clock, SystemClock};
use callboard_core::{Attribute, Given, Key, SpanKind};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyFrozenSet, PyTuple, PyType};
use smallvec::SmallVec;

use crate::given::with_attributes;
use crate::guard::quietly;
use crate::kinds;
use crate::span::SpanContext;
use crate::value;
use crate::watch::{Switch, name_of, value_of};

/// A function that is tried: called with an agent, `messages` and more; it returns whether it replied, and what.
///
/// Args:
///     function: what is called; for a coroutine function, `begin` and `finish` go around awaiting it.
///     kind: of its span.
///     within: the class of the scope in which it is watched. That has a `span`, an `agent`, and `about`: a dict of attributes.
///     attributes: what else is told of it where it declines.
///     open: takes the attempt; opens its span.
///     ended: takes the attempt, the result and the exception, where it did not decline at once, and ends its span.
///     at_once: whether its span is opened when it is called.
#[pyclass(module = "callboard", frozen, dict)]
pub(crate) struct Trial {
    function: Py<PyAny>,
    switch: Py<Switch>,
    kind: SpanKind,
    within: Py<PyType>,
    attributes: Vec<Attribute>,
    open: Py<PyAny>,
    ended: Py<PyAny>,
    at_once: bool,
}

/// A function being tried. It is a scope: it has no span until it does something, or for good.
#[pyclass(module = "callboard", frozen)]
pub(crate) struct Attempt {
    trial: Py<Trial>,
    outer: Py<PyAny>,
    messages: Option<Py<PyAny>>,
    started_ns: u64,
    span: PyOnceLock<Py<SpanContext>>,
}

#[pymethods]
impl Trial {
    #[new]
    #[pyo3(signature = (function, switch, kind, *, within, attributes, open, ended, at_once))]
    #[expect(clippy::too_many_arguments, reason = "each is named where it is given")]
    fn new(
        function: Py<PyAny>,
        switch: Py<Switch>,
        kind: &Bound<'_, PyAny>,
        within: Py<PyType>,
        attributes: &Bound<'_, PyAny>,
        open: Py<PyAny>,
        ended: Py<PyAny>,
        at_once: bool,
    ) -> Self {
        let (kind, attributes) = (kinds::span_kind(kind), value::attributes(Some(attributes)));
        Self { function, switch, kind, within, attributes, open, ended, at_once }
    }

    #[pyo3(signature = (*arguments, **named))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        arguments: &Bound<'py, PyTuple>,
        named: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let function = slf.get().function.bind(py);
        let Some(attempt) = Self::begin(slf, arguments, named)? else {
            return function.call(arguments, named);
        };
        let outcome = function.call(arguments, named);
        match &outcome {
            Ok(result) => slf.get().finish(&attempt, Some(result), None),
            Err(error) => slf.get().finish(&attempt, None, Some(&value_of(py, error))),
        }
        outcome
    }

    /// The attempt, which is the scope from now on. None where it is not tried in such a scope as it is watched in.
    #[pyo3(signature = (arguments, named))]
    fn begin<'py>(
        slf: &Bound<'py, Self>,
        arguments: &Bound<'py, PyTuple>,
        named: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Option<Bound<'py, Attempt>>> {
        let (py, trial) = (slf.py(), slf.get());
        let switch = trial.switch.get();
        if switch.current(py).is_none() {
            return Ok(None);
        }
        let within = |scope: &Bound<'_, PyAny>| {
            quietly(py, scope.is_instance(trial.within.bind(py))).unwrap_or(false)
        };
        let Some(outer) = switch.scope(py).filter(within) else { return Ok(None) };
        let messages = match named.map(|named| named.get_item(intern!(py, "messages"))) {
            Some(Ok(Some(messages))) => Some(messages.unbind()),
            _ => arguments.get_item(1).ok().map(Bound::unbind),
        };
        let attempt = Attempt {
            trial: slf.clone().unbind(),
            outer: outer.unbind(),
            messages,
            started_ns: SystemClock.monotonic_ns(),
            span: PyOnceLock::new(),
        };
        let attempt = Bound::new(py, attempt)?;
        switch.enter(attempt.as_any());
        if trial.at_once {
            attempt.get().opened(&attempt);
        }
        Ok(Some(attempt))
    }

    /// Leaves the scope, and tells how it went.
    #[pyo3(signature = (attempt, result, error))]
    fn finish<'py>(
        &self,
        attempt: &Bound<'py, Attempt>,
        result: Option<&Bound<'py, PyAny>>,
        error: Option<&Bound<'py, PyAny>>,
    ) {
        let py = attempt.py();
        let switch = self.switch.get();
        switch.leave(attempt.as_any(), attempt.get().outer.bind(py));
        let span = attempt.get().span.get(py);
        if span.is_none() && result.is_some_and(is_declining) {
            quietly(py, self.tell(attempt.get(), py));
            return;
        }
        if let Err(failure) = self.ended.call1(py, (attempt, result, error)) {
            switch.report(py, &name_of(self.ended.bind(py)), failure);
            if let Some(span) = attempt.get().span.get(py) {
                SpanContext::end(span.bind(py), error);
            }
        }
    }
}

impl Trial {
    /// Tells the scope's span of an attempt that declined.
    fn tell(&self, attempt: &Attempt, py: Python<'_>) -> PyResult<()> {
        let outer = attempt.outer.bind(py);
        let span = outer.getattr(intern!(py, "span"))?;
        let about = outer.getattr(intern!(py, "about"))?;
        let Ok(context) = span.cast::<SpanContext>() else { return Ok(()) };
        let Some(span) = context.get().span() else { return Ok(()) };
        let (started_ns, ended_ns) = (attempt.started_ns, SystemClock.monotonic_ns());
        with_attributes(Some(&about), context.get().policy(), |given| {
            let own =
                self.attributes.iter().map(|(key, value)| (key.clone(), value.clone().into()));
            let mut all: SmallVec<[(Key, Given<'_>); 12]> =
                given.iter().cloned().chain(own).collect();
            span.add_past_child(self.kind.clone(), all.as_mut_slice(), started_ns, ended_ns);
        });
        Ok(())
    }
}

/// Whether a function returned that it did not reply: `(False, None)`.
fn is_declining(result: &Bound<'_, PyAny>) -> bool {
    let Ok(pair) = result.cast::<PyTuple>() else { return false };
    let (Ok(final_), Ok(message)) = (pair.get_borrowed_item(0), pair.get_borrowed_item(1)) else {
        return false;
    };
    message.is_none() && final_.cast::<PyBool>().is_ok_and(|truth| !truth.is_true())
}

#[pymethods]
impl Attempt {
    /// What AG2 calls the agents that it makes for its own use meanwhile: none.
    #[classattr]
    fn internal_names(py: Python<'_>) -> PyResult<Py<PyFrozenSet>> {
        PyFrozenSet::empty(py).map(Bound::unbind)
    }

    /// The span, if it is open.
    #[getter]
    fn span(&self, py: Python<'_>) -> Option<Py<SpanContext>> {
        self.span.get(py).map(|span| span.clone_ref(py))
    }

    /// The agent that acts in the scope around it.
    #[getter]
    fn agent<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.outer.bind(py).getattr(intern!(py, "agent"))
    }

    /// The scope around it.
    #[getter]
    fn outer(&self, py: Python<'_>) -> Py<PyAny> {
        self.outer.clone_ref(py)
    }

    /// The function that is tried.
    #[getter]
    fn trial(&self, py: Python<'_>) -> Py<Trial> {
        self.trial.clone_ref(py)
    }

    /// The messages that it was given.
    #[getter]
    fn messages(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.messages.as_ref().map(|messages| messages.clone_ref(py))
    }

    /// When it began: a reading of `clock_ns()`.
    #[getter]
    fn started_ns(&self) -> u64 {
        self.started_ns
    }

    /// Opens the span if it is not open.
    #[pyo3(name = "opened")]
    fn open(slf: &Bound<'_, Self>) -> Option<Py<SpanContext>> {
        slf.get().opened(slf)
    }
}

impl Attempt {
    /// Where something is recorded while `span` is current: in the attempt's own span, if it is what happens there.
    pub(crate) fn opened_under<'py>(
        &self,
        this: &Bound<'py, Self>,
        span: Bound<'py, SpanContext>,
    ) -> Bound<'py, SpanContext> {
        let py = this.py();
        let around = quietly(py, self.outer.bind(py).getattr(intern!(py, "span")));
        if self.span.get(py).is_none() && around.is_some_and(|around| around.is(&span)) {
            return self.opened(this).map_or(span, |opened| opened.into_bound(py));
        }
        span
    }

    fn opened(&self, this: &Bound<'_, Self>) -> Option<Py<SpanContext>> {
        let py = this.py();
        if self.span.get(py).is_none() {
            let trial = self.trial.get();
            match trial.open.call1(py, (this,)) {
                Ok(span) => {
                    let span = span.cast_bound::<SpanContext>(py).ok()?.clone().unbind();
                    // Opening it ran the program's code, which may have opened it meanwhile.
                    let _ = self.span.set(py, span);
                }
                Err(error) => {
                    trial.switch.get().report(py, &name_of(trial.open.bind(py)), error);
                }
            }
        }
        self.span.get(py).map(|span| span.clone_ref(py))
    }
}
