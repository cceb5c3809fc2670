//! A provider that a user wrote in Python: six methods, called one by one, from a thread of its own.

use std::collections::HashMap;

use callboard_core::{
    Attribute, ProviderError, ProviderResult, Record, Respawn, SpanHead, SpanId, TelemetryProvider,
};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use crate::guard::{attached_on_own_thread, call_on_own_thread};
use crate::kinds;
use crate::span::SpanContext;
use crate::value::{attributes_to_python, class_name, to_python};

/// The methods that are called, besides `flush` and `shutdown` where it has them.
const METHODS: [&str; 5] =
    ["start_trace", "start_span", "set_span_attribute", "end_span", "record_event"];

/// The Python object, and the spans that it has been told of and that have not ended.
pub(crate) struct PythonProvider {
    provider: Py<PyAny>,
    name: String,
    open: HashMap<SpanId, Py<SpanContext>>,
}

impl PythonProvider {
    pub(crate) fn new(provider: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(class) = provider.cast::<PyType>() {
            let name = class.name()?;
            return Err(PyTypeError::new_err(format!(
                "{name} is a class: register a provider made from it, {name}()"
            )));
        }
        let name = class_name(provider);
        let lacks =
            |method: &&&str| !provider.getattr(**method).is_ok_and(|method| method.is_callable());
        let lacking: Vec<_> = METHODS.iter().filter(lacks).copied().collect();
        if !lacking.is_empty() {
            return Err(PyTypeError::new_err(format!(
                "{name} is no TelemetryProvider: it lacks {}; derive it from callboard.TelemetryProvider",
                lacking.join(", ")
            )));
        }
        Ok(Self { provider: provider.clone().unbind(), name, open: HashMap::new() })
    }

    /// Makes the call that the record stands for.
    fn tell(&mut self, py: Python<'_>, record: &Record) -> PyResult<()> {
        match record {
            Record::SpanStarted(span) => self.start(py, span),
            Record::SpanChanged(changed) => self.change(py, &changed.span, &changed.attributes),
            Record::Event(event) => {
                let context = self.context(py, &event.span)?;
                let kind = kinds::event_kind_to_python(py, &event.kind)?;
                let attributes = attributes_to_python(py, &event.attributes)?;
                self.call(py, "record_event", (context, kind, attributes), None)
            }
            Record::SpanEnded(ended) => {
                let context = self.context(py, &ended.span)?;
                self.open.remove(&ended.span.span_id);
                context.get().describe_end(ended.end_unix_ns, &ended.status);
                self.call(py, "end_span", (context,), None)
            }
            _ => Ok(()),
        }
    }

    fn start(&mut self, py: Python<'_>, span: &SpanHead) -> PyResult<()> {
        let context = SpanContext::describe(py, span)?;
        self.open.insert(span.span_id, context);
        let named = PyDict::new(py);
        named.set_item("core_span_id", span.span_id.to_string())?;
        named.set_item("attributes", attributes_to_python(py, &span.attributes)?)?;
        let method = if span.is_root() {
            named.set_item("name", span.run.name.as_str())?;
            "start_trace"
        } else {
            let parent = span.parent_span_id.and_then(|id| self.open.get(&id));
            named.set_item("kind", kinds::span_kind_to_python(py, &span.kind)?)?;
            named.set_item("parent_context", parent)?;
            "start_span"
        };
        self.call(py, method, (), Some(&named))
    }

    fn change(
        &mut self,
        py: Python<'_>,
        span: &SpanHead,
        attributes: &[Attribute],
    ) -> PyResult<()> {
        let context = self.context(py, span)?;
        for (key, value) in attributes {
            context.get().append(key.clone(), value.clone().into());
            let arguments = (context.clone_ref(py), key.as_str(), to_python(py, value)?);
            self.call(py, "set_span_attribute", arguments, None)?;
        }
        Ok(())
    }

    /// The span as the provider knows it; one whose start it was not told of is described anew.
    fn context(&mut self, py: Python<'_>, span: &SpanHead) -> PyResult<Py<SpanContext>> {
        match self.open.get(&span.span_id) {
            Some(context) => Ok(context.clone_ref(py)),
            None => SpanContext::describe(py, span),
        }
    }

    fn call<'py>(
        &self,
        py: Python<'py>,
        method: &str,
        arguments: impl IntoPyObject<
            'py,
            Target = PyTuple,
            Output = Bound<'py, PyTuple>,
            Error: Into<PyErr>,
        >,
        named: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<()> {
        let method = self.provider.bind(py).getattr(method)?;
        let arguments = arguments.into_pyobject(py).map_err(Into::into)?;
        call_on_own_thread(&method, &arguments, named).map(drop)
    }

    /// Calls one of the methods that a provider need not have.
    fn call_optional(&self, method: &str) -> ProviderResult {
        let called = attached_on_own_thread(|py| {
            let provider = self.provider.bind(py);
            match provider.getattr_opt(method) {
                Ok(Some(method)) if method.is_callable() => {
                    call_on_own_thread(&method, &PyTuple::empty(py), None).map(drop)
                }
                _ => Ok(()),
            }
            .map_err(|error| described(py, method, &error))
        });
        called.unwrap_or(Ok(()))
    }
}

impl TelemetryProvider for PythonProvider {
    fn name(&self) -> &str {
        &self.name
    }

    fn on_records(&mut self, batch: &[Record]) -> ProviderResult {
        let told = attached_on_own_thread(|py| {
            let mut outcome = Ok(());
            for record in batch {
                if let Err(error) = self.tell(py, record) {
                    outcome = outcome.and(Err(described(py, method_for(record), &error)));
                }
            }
            outcome
        });
        told.unwrap_or_else(|| Err(ProviderError::new("the interpreter has shut down")))
    }

    fn flush(&mut self) -> ProviderResult {
        self.call_optional("flush")
    }

    fn shutdown(&mut self) -> ProviderResult {
        self.call_optional("shutdown")
    }

    fn respawn(&self) -> Option<Respawn> {
        let name = self.name.clone();
        let provider = Python::try_attach(|py| self.provider.clone_ref(py))?;
        Some(std::sync::Arc::new(move || {
            let provider = Python::attach(|py| provider.clone_ref(py));
            Box::new(PythonProvider { provider, name: name.clone(), open: HashMap::new() })
        }))
    }
}

/// The method that is told of such a record.
fn method_for(record: &Record) -> &'static str {
    match record {
        Record::SpanStarted(span) if span.is_root() => "start_trace",
        Record::SpanStarted(_) => "start_span",
        Record::SpanChanged(_) => "set_span_attribute",
        Record::Event(_) => "record_event",
        _ => "end_span",
    }
}

fn described(py: Python<'_>, method: &str, error: &PyErr) -> ProviderError {
    let value = error.value(py).as_any();
    ProviderError::new(format!(
        "{method} raised {}: {}",
        class_name(value),
        crate::value::text_of(value)
    ))
}
