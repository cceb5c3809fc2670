//! Classes of AG2's events, each read once.
//!
//! AG2 reads an event's field by a descriptor that is written in Python; here it is read from where that finds it.

use std::sync::{Arc, LazyLock};

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyType};

use super::super::kept::Kept;
use super::super::reading::field;

/// A class of events, or of what events consist of.
struct EventClass {
    form: Form,
    /// The names of the attributes that are AG2's descriptor.
    fields: Vec<Py<PyString>>,
}

/// What an event is to a model that is given it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Request,
    Response,
    Message,
    ToolResults,
    Summary,
    /// Nothing that a model reads.
    Other,
}

static CLASSES: LazyLock<Kept<EventClass>> = LazyLock::new(Kept::default);

impl EventClass {
    /// An event's class.
    fn of(event: &Bound<'_, PyAny>) -> PyResult<Arc<Self>> {
        let class = event.get_type();
        CLASSES
            .of(class.as_any(), || Ok(Self { form: Form::of(&class)?, fields: fields_of(&class)? }))
    }
}

impl Form {
    /// By the first of a class and its bases whose name is known.
    fn of(class: &Bound<'_, PyType>) -> PyResult<Self> {
        for class in class.mro() {
            let name = class.getattr(intern!(class.py(), "__name__"))?.cast_into::<PyString>()?;
            return Ok(match name.to_str()? {
                "ModelRequest" => Self::Request,
                "ModelResponse" => Self::Response,
                "ModelMessage" => Self::Message,
                "ToolResultsEvent" => Self::ToolResults,
                "CompactionSummary" => Self::Summary,
                _ => continue,
            });
        }
        Ok(Self::Other)
    }
}

/// An event, or what one consists of, to be read.
pub(super) struct Event<'a, 'py> {
    object: &'a Bound<'py, PyAny>,
    class: Arc<EventClass>,
}

impl<'a, 'py> Event<'a, 'py> {
    pub(super) fn of(object: &'a Bound<'py, PyAny>) -> PyResult<Self> {
        Ok(Self { object, class: EventClass::of(object)? })
    }

    pub(super) fn py(&self) -> Python<'py> {
        self.object.py()
    }

    /// What it is to a model.
    pub(super) fn form(&self) -> Form {
        self.class.form
    }

    /// As [`field`].
    pub(super) fn field(&self, name: &Bound<'py, PyString>) -> PyResult<Option<Bound<'py, PyAny>>> {
        if !self.class.fields.iter().any(|known| known.is(name)) {
            return field(self.object, name);
        }
        // SAFETY: it borrows the object, and gives an owned reference or raises.
        let entries = unsafe {
            let object = self.object.as_ptr();
            let entries = ffi::PyObject_GenericGetDict(object, std::ptr::null_mut());
            Bound::from_owned_ptr_or_err(self.py(), entries)?
        };
        let value = entries.cast::<PyDict>()?.get_item(name)?;
        Ok(value.filter(|value| !value.is_none()))
    }
}

/// As [`field`], of an event, or of what one consists of.
pub(super) fn event_field<'py>(
    event: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    Event::of(event)?.field(name)
}

/// The names under which a class has AG2's descriptor, each the one by which that looks; none where it reads attributes in
/// a way of its own.
fn fields_of(class: &Bound<'_, PyType>) -> PyResult<Vec<Py<PyString>>> {
    let py = class.py();
    let Some(descriptor) = descriptor(py) else { return Ok(Vec::new()) };
    let reads = intern!(py, "__getattribute__");
    if !class.getattr(reads)?.is(&py.get_type::<PyAny>().getattr(reads)?) {
        return Ok(Vec::new());
    }
    let attributes = PyDict::new(py);
    for class in class.mro().iter().rev() {
        attributes.call_method1("update", (class.getattr("__dict__")?,))?;
    }
    let mut fields = Vec::new();
    for (name, attribute) in attributes {
        if attribute.get_type().is(descriptor) && attribute.getattr("name")?.eq(&name)? {
            fields.push(name.cast_into::<PyString>()?.unbind());
        }
    }
    Ok(fields)
}

/// The descriptor's class; none where this AG2 has another.
fn descriptor(py: Python<'_>) -> Option<&Py<PyAny>> {
    static DESCRIPTOR: PyOnceLock<Option<Py<PyAny>>> = PyOnceLock::new();
    if let Some(known) = DESCRIPTOR.get(py) {
        return known.as_ref();
    }
    // Not within the lock: what is imported may run code that comes here.
    let found = py.import("ag2.events.base").and_then(|module| module.getattr("FieldInfo"));
    DESCRIPTOR.get_or_init(py, || found.ok().map(Bound::unbind)).as_ref()
}
