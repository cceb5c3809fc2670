//! A program's function, watched: how a hook of the Python package gets around a call, at the cost of a call.
//!
//! A hook is a *body*: a generator function that is called with the arguments of the function, records what begins,
//! yields the span it opened (or None), is resumed with the outcome, and records that. What a body raises is reported and
//! stays inside; what the function raises passes through unchanged. A body that is called often is written in Rust: a
//! [`Hook`].
//!
//! ```text
//! program -> Python wrapper -> Watch.begin:  body up to its yield
//!                           -> the function
//!                           -> Watch.finish: rest of the body, the span's end
//! ```
//!
//! The wrapper is plain Python (`callboard/ag2/patching.py`), so no native frame is on the stack while the function runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use smallvec::SmallVec;

use crate::ag2::NativeHook;
use crate::current::{current_span, look_at_current_span};
use crate::exit;
use crate::guard::{belongs_to_program, quietly, quietly_on_drop};
use crate::span::SpanContext;
use crate::variable::Variable;

/// What the watched functions of one installation share.
///
/// Args:
///     scope: the context variable that holds what the program is doing; it has a default.
///     report: takes a name and an exception: says that something could not be recorded, and why.
#[pyclass(module = "callboard", frozen)]
pub(crate) struct Switch {
    live: AtomicBool,
    scope: Variable,
    report: Py<PyAny>,
}

#[pymethods]
impl Switch {
    #[new]
    fn new(scope: &Bound<'_, PyAny>, report: Py<PyAny>) -> PyResult<Self> {
        Ok(Self { live: AtomicBool::new(true), scope: Variable::of(scope)?, report })
    }

    /// Whether calls are watched.
    #[getter]
    fn live(&self) -> bool {
        self.live.load(Ordering::Relaxed)
    }

    /// Whether a call made now is watched: it is within a run, and nothing was turned off.
    fn watches(&self, py: Python<'_>) -> bool {
        self.look_at_current(py).is_some()
    }

    /// Has every function called straight from now on.
    fn turn_off(&self) {
        self.live.store(false, Ordering::Relaxed);
    }
}

impl Switch {
    /// The current span; none where nothing is to be watched.
    pub(crate) fn current<'py>(&self, py: Python<'py>) -> Option<Bound<'py, SpanContext>> {
        self.live().then(|| current_span(py)).flatten()
    }

    /// As [`current`](Self::current), for a call that nobody misses in a run: it is not warned of.
    fn look_at_current<'py>(&self, py: Python<'py>) -> Option<Bound<'py, SpanContext>> {
        self.live().then(|| look_at_current_span(py)).flatten()
    }

    /// What the program is doing.
    pub(crate) fn scope<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        quietly(py, self.scope.get(py))
    }

    /// Says what the program is doing from now on.
    pub(crate) fn enter(&self, scope: &Bound<'_, PyAny>) {
        quietly(scope.py(), self.scope.set(scope.py(), scope));
    }

    /// Restores the scope from before `left`, where `left` or a scope within it is current: a signal handler's exception may
    /// have kept an inner one from being left.
    pub(crate) fn leave(&self, left: &Bound<'_, PyAny>, before: &Bound<'_, PyAny>) {
        if !left.is(before) && self.is_within(left) {
            self.enter(before);
        }
    }

    fn is_within(&self, scope: &Bound<'_, PyAny>) -> bool {
        let py = scope.py();
        let mut inner = self.scope(py);
        while let Some(candidate) = inner.filter(|candidate| !candidate.is_none()) {
            if candidate.is(scope) {
                return true;
            }
            inner = quietly(py, candidate.getattr(intern!(py, "outer")));
        }
        false
    }

    /// Reports what a hook raised. An exception that belongs to the program is returned.
    pub(crate) fn report(&self, py: Python<'_>, hook: &str, error: PyErr) -> PyResult<()> {
        if belongs_to_program(py, &error)? {
            return Err(error);
        }
        quietly(py, self.report.call1(py, (hook, error.into_value(py))));
        Ok(())
    }
}

/// A body that is written in Rust.
pub(crate) trait Hook: Send + Sync {
    /// What it records, in words.
    fn what(&self) -> &'static str;

    /// Records what begins, and makes its scope current. None: there is nothing to watch for.
    fn begin<'py>(&self, call: &Call<'_, 'py>) -> PyResult<Option<Begun<'py>>>;

    /// Records how it went.
    fn finish(
        &self,
        switch: &Switch,
        begun: &Bound<'_, PyAny>,
        outcome: Outcome<'_, '_>,
    ) -> PyResult<()>;
}

/// A call that is about to be made.
pub(crate) struct Call<'a, 'py> {
    pub(crate) switch: &'a Switch,
    /// What goes before the arguments: of a method, its name.
    pub(crate) about: &'a Bound<'py, PyTuple>,
    arguments: &'a Bound<'py, PyTuple>,
    pub(crate) named: Option<&'a Bound<'py, PyDict>>,
}

impl<'py> Call<'_, 'py> {
    pub(crate) fn py(&self) -> Python<'py> {
        self.arguments.py()
    }

    /// Makes a scope current until the call returns; `span` ends with it.
    pub(crate) fn within(
        &self,
        scope: Bound<'py, PyAny>,
        span: Bound<'py, SpanContext>,
    ) -> Begun<'py> {
        self.switch.enter(&scope);
        Begun { state: scope, span: Some(span) }
    }

    /// An argument that has no name; the first is the object whose method is called.
    pub(crate) fn positional(&self, index: usize) -> PyResult<Bound<'py, PyAny>> {
        self.arguments.get_item(index)
    }

    /// An argument by its place or its name, where it is given.
    pub(crate) fn argument(
        &self,
        index: usize,
        name: &Bound<'py, PyString>,
    ) -> Option<Bound<'py, PyAny>> {
        if index < self.arguments.len() {
            return quietly(self.py(), self.arguments.get_item(index));
        }
        self.keyword(name)
    }

    /// An argument by its name, where it is given.
    pub(crate) fn keyword(&self, name: &Bound<'py, PyString>) -> Option<Bound<'py, PyAny>> {
        quietly(self.py(), self.named?.get_item(name)).flatten()
    }
}

/// What a hook began.
pub(crate) struct Begun<'py> {
    /// What the hook needs to know when the call returns.
    pub(crate) state: Bound<'py, PyAny>,
    /// What is to end with the call.
    pub(crate) span: Option<Bound<'py, SpanContext>>,
}

/// How a call went.
#[derive(Clone, Copy)]
pub(crate) enum Outcome<'a, 'py> {
    Returned(&'a Bound<'py, PyAny>),
    Raised(&'a Bound<'py, PyAny>),
}

/// What `body` does around each call of a function while `switch` is live.
///
/// Args:
///     body: the hook.
///     about: goes before the call's arguments to the body.
#[pyclass(module = "callboard", frozen)]
pub(crate) struct Watch {
    body: Body,
    about: Py<PyTuple>,
    switch: Py<Switch>,
    /// Whether the function makes an agent: a session that is run in turn with others may do so before its run begins.
    makes_agent: bool,
}

enum Body {
    Python(Py<PyAny>),
    Native(Arc<dyn Hook>),
}

/// A body at its yield. One that is dropped before it is finished leaves its scope and ends its span.
#[pyclass(module = "callboard", frozen)]
pub(crate) struct Waiting {
    /// A generator, or what a hook in Rust needs to know.
    state: Py<PyAny>,
    /// What it yielded: what is to end with the call, or None.
    span: Py<PyAny>,
    /// The scope that it set, and the one before.
    inner: Py<PyAny>,
    outer: Py<PyAny>,
    switch: Py<Switch>,
    is_finished: AtomicBool,
}

#[pymethods]
impl Watch {
    #[new]
    fn new(body: &Bound<'_, PyAny>, about: Py<PyTuple>, switch: Py<Switch>) -> Self {
        let makes_agent = is_constructor(about.bind(body.py()));
        let body = match body.cast::<NativeHook>() {
            Ok(hook) => Body::Native(hook.get().0.clone()),
            Err(_) => Body::Python(body.clone().unbind()),
        };
        Self { body, about, switch, makes_agent }
    }

    /// Runs the body up to its yield. None where it sees nothing to watch for, or failed.
    ///
    /// Raises:
    ///     BudgetExceeded: a budget does not allow the call.
    ///     BaseException: one that belongs to the program, such as a signal handler's.
    #[pyo3(signature = (arguments, named))]
    fn begin(
        &self,
        py: Python<'_>,
        arguments: &Bound<'_, PyTuple>,
        named: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Option<Waiting>> {
        let Some(_inside) = exit::enter() else { return Ok(None) };
        let switch = self.switch.get();
        let before = if self.makes_agent { switch.look_at_current(py) } else { switch.current(py) };
        let Some(before) = before else { return Ok(None) };
        let Some(outer) = switch.scope(py) else { return Ok(None) };
        match self.start(py, arguments, named) {
            Ok(None) => Ok(None),
            Ok(Some((state, span))) => {
                let inner = switch.scope(py).unwrap_or_else(|| outer.clone()).unbind();
                Ok(Some(Waiting {
                    state: state.unbind(),
                    span: span.unbind(),
                    inner,
                    outer: outer.unbind(),
                    switch: self.switch.clone_ref(py),
                    is_finished: AtomicBool::new(false),
                }))
            }
            Err(error) => {
                switch.enter(&outer);
                if let Some(left_open) = current_span(py).filter(|span| !span.is(&before)) {
                    SpanContext::end(&left_open, None);
                }
                match is_budget_exceeded(py, &error) {
                    true => Err(error),
                    false => self.report(py, error).map(|()| None),
                }
            }
        }
    }

    /// Lets the body record the outcome; then leaves its scope and ends its span, whatever the body did. A second call does
    /// nothing.
    ///
    /// Raises:
    ///     BaseException: one that belongs to the program, such as a signal handler's.
    #[pyo3(signature = (waiting, result, error))]
    fn finish(
        &self,
        py: Python<'_>,
        waiting: &Waiting,
        result: Option<&Bound<'_, PyAny>>,
        error: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let Some(_inside) = exit::enter() else { return Ok(()) };
        if waiting.is_finished.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let resumed = self.resume(waiting.state.bind(py), result, error);
        let closed = waiting.close(py, error);
        resumed.or_else(|failure| self.report(py, failure))?;
        closed.or_else(|failure| self.report(py, failure))
    }
}

impl Waiting {
    /// Leaves the scope and ends the span.
    fn close(&self, py: Python<'_>, error: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        self.switch.get().leave(self.inner.bind(py), self.outer.bind(py));
        let span = self.span.bind(py);
        if let Ok(span) = span.cast::<SpanContext>() {
            SpanContext::end(span, error);
        } else if !span.is_none() {
            span.call_method1(intern!(py, "end"), (error,))?;
        }
        Ok(())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if *self.is_finished.get_mut() {
            return;
        }
        // An exception of a signal handler between the beginning and the call, which is on its way meanwhile.
        let Some(_inside) = exit::enter() else { return };
        Python::attach(|py| quietly_on_drop(py, || self.close(py, None)));
    }
}

impl Watch {
    /// Reports what the body raised. An exception that belongs to the program is returned.
    fn report(&self, py: Python<'_>, error: PyErr) -> PyResult<()> {
        let switch = self.switch.get();
        match &self.body {
            Body::Python(body) => switch.report(py, &name_of(body.bind(py)), error),
            Body::Native(hook) => switch.report(py, hook.what(), error),
        }
    }

    /// The body at its yield and what it yielded; none where it returned.
    fn start<'py>(
        &self,
        py: Python<'py>,
        arguments: &Bound<'py, PyTuple>,
        named: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
        let about = self.about.bind(py);
        match &self.body {
            Body::Python(body) => {
                let all: SmallVec<[_; 8]> = about.iter().chain(arguments.iter()).collect();
                let steps = body.bind(py).call(PyTuple::new(py, all)?, named)?;
                let yielded = resume(&steps, &py.None().into_bound(py))?;
                Ok(yielded.map(|span| (steps, span)))
            }
            Body::Native(hook) => {
                let begun =
                    hook.begin(&Call { switch: self.switch.get(), about, arguments, named })?;
                let no_span = || py.None().into_bound(py);
                Ok(begun.map(|it| (it.state, it.span.map_or_else(no_span, Bound::into_any))))
            }
        }
    }

    /// Gives the body the outcome.
    fn resume<'py>(
        &self,
        state: &Bound<'py, PyAny>,
        result: Option<&Bound<'py, PyAny>>,
        error: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let py = state.py();
        match &self.body {
            Body::Python(_) => {
                let outcome = PyTuple::new(py, [result, error])?;
                resume(state, outcome.as_any()).map(drop)
            }
            Body::Native(hook) => {
                let none = py.None().into_bound(py);
                let returned = || Outcome::Returned(result.unwrap_or(&none));
                hook.finish(self.switch.get(), state, error.map_or_else(returned, Outcome::Raised))
            }
        }
    }
}

/// Whether a watched function is a class's `__init__`: its name goes before the arguments to the body.
fn is_constructor(about: &Bound<'_, PyTuple>) -> bool {
    about.get_item(0).is_ok_and(|name| name.eq(intern!(about.py(), "__init__")).unwrap_or(false))
}

/// What a Python function is called, for a report.
pub(crate) fn name_of(function: &Bound<'_, PyAny>) -> String {
    let name = function.getattr(intern!(function.py(), "__name__"));
    quietly(function.py(), name).map_or_else(String::new, |name| name.to_string())
}

/// Resumes a generator: what it yields; none where it ran to its end.
fn resume<'py>(
    steps: &Bound<'py, PyAny>,
    sent: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = steps.py();
    let mut given = std::ptr::null_mut();
    // SAFETY: it borrows the generator and what is sent, and gives an owned reference unless it says that it raised.
    unsafe {
        match ffi::PyIter_Send(steps.as_ptr(), sent.as_ptr(), &raw mut given) {
            ffi::PySendResult::PYGEN_NEXT => Ok(Some(Bound::from_owned_ptr(py, given))),
            ffi::PySendResult::PYGEN_RETURN => {
                drop(Bound::from_owned_ptr(py, given));
                Ok(None)
            }
            ffi::PySendResult::PYGEN_ERROR => Err(PyErr::fetch(py)),
        }
    }
}

/// Whether this is the one thing that the user asked to be stopped by.
pub(crate) fn is_budget_exceeded(py: Python<'_>, error: &PyErr) -> bool {
    let class = py.import("callboard").and_then(|package| package.getattr("BudgetExceeded"));
    quietly(py, class).is_some_and(|class| error.is_instance(py, &class))
}
