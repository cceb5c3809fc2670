//! A span made current elsewhere than where it began: in another thread, a callback, a generator.

use std::sync::Mutex;

use pyo3::intern;
use pyo3::prelude::*;

use crate::current::{generators, set_current, stored};
use crate::guard::{lock, quietly};
use crate::otel;
use crate::span::SpanContext;

/// See `SpanContext.activate`.
#[pyclass(module = "callboard", frozen)]
pub(crate) struct Activation {
    span: Py<SpanContext>,
    /// For each time that it was entered and not yet left, what was current before.
    entered: Mutex<Vec<Before>>,
}

struct Before {
    span: Option<Py<SpanContext>>,
    otel: Option<otel::Attached>,
    /// What `callboard/_generators.py` noted of it.
    activated: Option<Py<PyAny>>,
}

impl Activation {
    pub(crate) fn new(span: Bound<'_, SpanContext>) -> Self {
        Self { span: span.unbind(), entered: Mutex::default() }
    }
}

#[pymethods]
impl Activation {
    fn __enter__<'py>(&self, py: Python<'py>) -> Bound<'py, SpanContext> {
        let span = self.span.bind(py).clone();
        let held = stored(py);
        let activated = generators(py)
            .and_then(|module| module.call_method1(intern!(py, "activate"), (&span, held.clone())));
        let before = Before {
            span: held.map(Bound::unbind),
            otel: span.get().span().and_then(|span| otel::attach(py, span)),
            activated: quietly(py, activated).map(Bound::unbind),
        };
        lock(&self.entered).push(before);
        set_current(py, Some(&span));
        span
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, py: Python<'_>, _error: &Bound<'_, PyAny>) {
        let entered = lock(&self.entered).pop();
        if let Some(before) = entered {
            if let Some(attached) = &before.otel {
                attached.detach(py);
            }
            let (is_last, span) = match before.activated {
                Some(activated) => {
                    let deactivated = generators(py).and_then(|module| {
                        let name = intern!(py, "deactivate");
                        module.call_method1(name, (activated,))?.extract()
                    });
                    quietly(py, deactivated).unwrap_or((true, before.span))
                }
                None => (true, before.span),
            };
            if is_last {
                set_current(py, span.as_ref().map(|span| span.bind(py)));
            }
        }
    }
}
