//! The OpenTelemetry API's own context: spans that the program or its libraries make with it become children of callboard's.
//!
//! Only where that package is loaded already; callboard never loads it, and never replaces its tracer provider.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use callboard_core::Span;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use crate::guard::quietly;

static LOADED: AtomicBool = AtomicBool::new(false);

/// Makes the span current for the OpenTelemetry API too; gives what was current before, for [`detach`].
pub(crate) fn attach(py: Python<'_>, span: &Span) -> Option<Py<PyAny>> {
    if !is_loaded(py) {
        return None;
    }
    let bridge = quietly(py, py.import(intern!(py, "callboard._otel")))?;
    let ids = (span.trace_id().to_int(), span.span_id().to_int());
    quietly(py, bridge.call_method1(intern!(py, "attach"), ids)).map(Bound::unbind)
}

/// Restores what was current for the OpenTelemetry API.
pub(crate) fn detach(py: Python<'_>, before: Option<&Py<PyAny>>) {
    let Some(before) = before else { return };
    let bridge = py.import(intern!(py, "callboard._otel"));
    quietly(py, bridge.and_then(|bridge| bridge.call_method1(intern!(py, "detach"), (before,))));
}

fn is_loaded(py: Python<'_>) -> bool {
    static MODULES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    /// How many modules there were when it was looked for last: while they stay as many, none was loaded.
    static LOOKED_AMONG: AtomicUsize = AtomicUsize::new(0);
    if LOADED.load(Ordering::Relaxed) {
        return true;
    }
    let modules = MODULES.get_or_try_init(py, || {
        py.import("sys")?
            .getattr("modules")?
            .cast_into::<PyDict>()
            .map(Bound::unbind)
            .map_err(PyErr::from)
    });
    let Ok(modules) = modules else { return false };
    let modules = modules.bind(py);
    if LOOKED_AMONG.load(Ordering::Relaxed) == modules.len() {
        return false;
    }
    LOOKED_AMONG.store(modules.len(), Ordering::Relaxed);
    let loaded = modules.contains(intern!(py, "opentelemetry.trace")).unwrap_or(false);
    LOADED.store(loaded, Ordering::Relaxed);
    loaded
}
