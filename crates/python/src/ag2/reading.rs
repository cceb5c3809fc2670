//! Objects of AG2's and of the services' libraries, read as Python code would read them.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::value::class_name;

/// An object's attribute; none where it is None or not there.
pub(super) fn field<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    if object.is_none() {
        return Ok(None);
    }
    Ok(object.getattr_opt(name)?.filter(|value| !value.is_none()))
}

/// As [`field`], of an object that may not be there itself.
pub(super) fn field_of<'py>(
    object: Option<&Bound<'py, PyAny>>,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    object.map_or(Ok(None), |object| field(object, name))
}

/// As [`field`], of one that AG2 adds to an answer: a model of pydantic's keeps it apart, and looks there last.
pub(super) fn added_field<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let added = object.getattr_opt(intern!(object.py(), "__pydantic_extra__"))?;
    let added = added.as_ref().and_then(|added| added.cast::<PyDict>().ok());
    match added.map_or(Ok(None), |added| added.get_item(name))? {
        Some(value) => Ok(Some(value).filter(|value| !value.is_none())),
        None => field(object, name),
    }
}

/// What a dict, or something like one, has under a name; it may be None.
pub(super) fn entry<'py>(
    entries: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    if let Ok(entries) = entries.cast_exact::<PyDict>() {
        return entries.get_item(name);
    }
    let value = entries.call_method1(intern!(entries.py(), "get"), (name,))?;
    Ok((!value.is_none()).then_some(value))
}

/// The object, where it counts as true.
pub(super) fn truthy<'py>(
    object: Option<Bound<'py, PyAny>>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match object {
        Some(object) if object.is_truthy()? => Ok(Some(object)),
        _ => Ok(None),
    }
}

/// The object, or Python's None.
pub(super) fn or_none<'py>(
    py: Python<'py>,
    object: Option<Bound<'py, PyAny>>,
) -> Bound<'py, PyAny> {
    object.unwrap_or_else(|| py.None().into_bound(py))
}

/// An exception's class and what it says.
pub(super) fn in_words(error: &Bound<'_, PyAny>) -> PyResult<String> {
    Ok(format!("{}: {}", class_name(error), error.str()?.to_string_lossy()))
}
