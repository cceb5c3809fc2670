//! Kinds between Python's enums and Rust's.

use callboard_core::{EventKind, Key, SpanKind};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString};

use crate::guard::quietly;
use crate::known::Known;
use crate::value::key;

/// The members of the package's enums, by their values. Looking one up runs no Python code, which the threads that
/// tell providers of it must not.
static MEMBERS: PyOnceLock<(Py<PyDict>, Py<PyDict>)> = PyOnceLock::new();

static SPAN_KINDS: Known<SpanKind, 64> = Known::new();
static EVENT_KINDS: Known<EventKind, 64> = Known::new();

/// Tells the native half the package's enum classes, once, at import.
#[pyfunction]
pub(crate) fn set_kind_classes(
    py: Python<'_>,
    span_kind: &Bound<'_, PyAny>,
    event_kind: &Bound<'_, PyAny>,
) -> PyResult<()> {
    // A second import finds the same classes set already.
    let _ = MEMBERS.set(py, (by_value(span_kind)?, by_value(event_kind)?));
    Ok(())
}

fn by_value(class: &Bound<'_, PyAny>) -> PyResult<Py<PyDict>> {
    let members = PyDict::new(class.py());
    for member in class.try_iter()? {
        let member = member?;
        members.set_item(value_of(&member).as_str(), member)?;
    }
    Ok(members.unbind())
}

/// The kind that a member of the enum, or text, names. Anything else is a kind of its own, by its text.
pub(crate) fn span_kind(kind: &Bound<'_, PyAny>) -> SpanKind {
    look_up(kind, &SPAN_KINDS, SpanKind::from_value)
}

/// As [`span_kind`], for events.
pub(crate) fn event_kind(kind: &Bound<'_, PyAny>) -> EventKind {
    look_up(kind, &EVENT_KINDS, EventKind::from_value)
}

/// The member of the enum, or text for a kind of the program's own.
pub(crate) fn span_kind_to_python<'py>(
    py: Python<'py>,
    kind: &SpanKind,
) -> PyResult<Bound<'py, PyAny>> {
    member(py, kind.as_str(), MEMBERS.get(py).map(|members| &members.0))
}

/// As [`span_kind_to_python`], for events.
pub(crate) fn event_kind_to_python<'py>(
    py: Python<'py>,
    kind: &EventKind,
) -> PyResult<Bound<'py, PyAny>> {
    member(py, kind.as_str(), MEMBERS.get(py).map(|members| &members.1))
}

fn look_up<K: Clone>(kind: &Bound<'_, PyAny>, known: &Known<K, 64>, parse: fn(&str) -> K) -> K {
    // A member of an enum, which lives as long as the program. What is no text may be another kind next time.
    if kind.is_instance_of::<PyString>() && !kind.is_exact_instance_of::<PyString>() {
        known.get_or(kind, || parse(&value_of(kind)))
    } else {
        parse(&value_of(kind))
    }
}

/// The text itself, as which a member of the package's enums counts; another enum's member's value; else its text.
fn value_of(kind: &Bound<'_, PyAny>) -> Key {
    if kind.is_instance_of::<PyString>() {
        return key(kind);
    }
    quietly(kind.py(), kind.getattr("value")).map_or_else(|| key(kind), |value| key(&value))
}

fn member<'py>(
    py: Python<'py>,
    value: &str,
    members: Option<&Py<PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let value = PyString::new(py, value);
    let member = members.map(|members| members.bind(py).get_item(&value)).transpose()?.flatten();
    Ok(member.unwrap_or_else(|| value.into_any()))
}
