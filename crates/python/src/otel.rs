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
    let bridge = quietly(py, Bridge::get(py))?;
    let ids = (span.trace_id().to_int(), span.span_id().to_int());
    quietly(py, bridge.attach.bind(py).call1(ids)).map(Bound::unbind)
}

/// Restores what was current for the OpenTelemetry API.
pub(crate) fn detach(py: Python<'_>, before: Option<&Py<PyAny>>) {
    let Some(before) = before else { return };
    quietly(py, Bridge::get(py).and_then(|bridge| bridge.detach.bind(py).call1((before,))));
}

/// What does it, of `callboard/_otel.py`.
struct Bridge {
    attach: Py<PyAny>,
    detach: Py<PyAny>,
}

impl Bridge {
    fn get(py: Python<'_>) -> PyResult<&'static Self> {
        static BRIDGE: PyOnceLock<Bridge> = PyOnceLock::new();
        if let Some(bridge) = BRIDGE.get(py) {
            return Ok(bridge);
        }
        // Not within the lock: a signal handler that records in the midst of the import would wait for itself.
        let module = py.import("callboard._otel")?;
        let function = |name| module.getattr(name).map(Bound::unbind);
        let bridge = Self { attach: function("attach")?, detach: function("detach")? };
        Ok(BRIDGE.get_or_init(py, || bridge))
    }
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
