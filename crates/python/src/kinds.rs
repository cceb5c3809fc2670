//! Kinds between Python's enums and Rust's.

use callboard_core::{EventKind, SpanKind};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;

use crate::known::Known;
use crate::value::text_of;

/// The enum classes `SpanKind` and `EventKind` of the package.
static CLASSES: PyOnceLock<(Py<PyAny>, Py<PyAny>)> = PyOnceLock::new();

static SPAN_KINDS: Known<SpanKind> = Known::new();
static EVENT_KINDS: Known<EventKind> = Known::new();

/// Tells the native half the package's enum classes, once, at import.
#[pyfunction]
pub(crate) fn set_kind_classes(py: Python<'_>, span_kind: Py<PyAny>, event_kind: Py<PyAny>) {
    // A second import finds the same classes set already.
    let _ = CLASSES.set(py, (span_kind, event_kind));
}

/// The kind that a member of the enum, or text, names. Anything else is a kind of its own, by its text.
pub(crate) fn span_kind(kind: &Bound<'_, PyAny>) -> SpanKind {
    look_up(kind, &SPAN_KINDS, SpanKind::from_value)
}

/// As [`span_kind`], for events.
pub(crate) fn event_kind(kind: &Bound<'_, PyAny>) -> EventKind {
    look_up(kind, &EVENT_KINDS, EventKind::from_value)
}

pub(crate) fn span_kind_to_python(py: Python<'_>, kind: &SpanKind) -> PyResult<Py<PyAny>> {
    member(py, kind.as_str(), CLASSES.get(py).map(|classes| &classes.0))
}

pub(crate) fn event_kind_to_python(py: Python<'_>, kind: &EventKind) -> PyResult<Py<PyAny>> {
    member(py, kind.as_str(), CLASSES.get(py).map(|classes| &classes.1))
}

fn look_up<K: Clone>(kind: &Bound<'_, PyAny>, known: &Known<K>, parse: fn(&str) -> K) -> K {
    known.get(kind).unwrap_or_else(|| {
        let parsed = parse(&value_of(kind));
        if !kind.is_exact_instance_of::<PyString>() {
            known.keep(kind, &parsed);
        }
        parsed
    })
}

/// An enum member's value as text; the text of anything else.
fn value_of(kind: &Bound<'_, PyAny>) -> String {
    kind.getattr("value").map_or_else(|_| text_of(kind), |value| text_of(&value))
}

fn member(py: Python<'_>, value: &str, class: Option<&Py<PyAny>>) -> PyResult<Py<PyAny>> {
    let known = class.and_then(|class| class.call1(py, (value,)).ok());
    Ok(known.unwrap_or_else(|| PyString::new(py, value).into_any().unbind()))
}
