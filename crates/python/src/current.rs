//! The current span of a Python program: one `contextvars.ContextVar`, so that asyncio tasks and copied contexts carry it.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use crate::span::SpanContext;

/// The variable, with its bound methods kept at hand.
struct Current {
    variable: Py<PyAny>,
    get: Py<PyAny>,
    set: Py<PyAny>,
}

static CURRENT: PyOnceLock<Current> = PyOnceLock::new();

fn current_variable(py: Python<'_>) -> PyResult<&Current> {
    CURRENT.get_or_try_init(py, || {
        let options = PyDict::new(py);
        options.set_item("default", py.None())?;
        let class = py.import("contextvars")?.getattr("ContextVar")?;
        let variable = class.call(("callboard_current_span",), Some(&options))?;
        Ok(Current {
            get: variable.getattr("get")?.unbind(),
            set: variable.getattr("set")?.unbind(),
            variable: variable.unbind(),
        })
    })
}

/// The `contextvars.ContextVar` that holds the current span, or None.
#[pyfunction]
pub(crate) fn current_var(py: Python<'_>) -> PyResult<Py<PyAny>> {
    Ok(current_variable(py)?.variable.clone_ref(py))
}

/// The span current in this context; None where no run is.
#[pyfunction]
pub(crate) fn current_span(py: Python<'_>) -> Option<Bound<'_, SpanContext>> {
    let current = current_variable(py).ok()?.get.bind(py).call0().ok()?;
    let current = current.cast_into::<SpanContext>().ok()?;
    if current.get().is_open() { Some(current) } else { open_before(current) }
}

/// Makes a span, or none, the current one of this context.
pub(crate) fn set_current(py: Python<'_>, span: Option<&Bound<'_, SpanContext>>) -> PyResult<()> {
    let set = current_variable(py)?.set.bind(py);
    match span {
        Some(span) => set.call1((span,)),
        None => set.call1((py.None(),)),
    }
    .map(drop)
}

/// What the variable holds, ended or not.
pub(crate) fn stored(py: Python<'_>) -> Option<Bound<'_, SpanContext>> {
    let current = current_variable(py).ok()?.get.bind(py).call0().ok()?;
    current.cast_into().ok()
}

/// The nearest span, of those that were current before this one, that has not ended.
pub(crate) fn open_before<'py>(span: Bound<'py, SpanContext>) -> Option<Bound<'py, SpanContext>> {
    let py = span.py();
    let mut before = span.get().previous(py)?;
    while !before.get().is_open() {
        before = before.get().previous(py)?;
    }
    Some(before)
}
