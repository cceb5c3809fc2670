//! The OpenTelemetry API's own context: spans that the program or its libraries make with it become children of callboard's.
//!
//! Only where that package is loaded already; callboard never loads it, and never replaces its tracer provider.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use callboard_core::Span;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict};

use crate::guard::quietly;
use crate::variable::Variable;

static LOADED: AtomicBool = AtomicBool::new(false);

/// Makes the span current for the OpenTelemetry API too; gives what was current before, for [`detach`].
///
/// It does not give OpenTelemetry's token: that refers to the context that holds the span, and a span that kept it would
/// keep itself alive.
pub(crate) fn attach(py: Python<'_>, span: &Span) -> Option<Py<PyAny>> {
    if !is_loaded(py) {
        return None;
    }
    quietly(py, Bridge::get(py).and_then(|bridge| bridge.attach(py, span)))
}

/// Restores what was current for the OpenTelemetry API.
pub(crate) fn detach(py: Python<'_>, before: Option<&Py<PyAny>>) {
    let Some(before) = before else { return };
    quietly(py, Bridge::get(py).and_then(|bridge| bridge.current.set(py, before.bind(py))));
}

/// The ways to OpenTelemetry's current context, of `callboard/_otel.py`.
struct Bridge {
    /// Makes the context in which a span is current.
    within: Py<PyAny>,
    current: Variable,
}

impl Bridge {
    fn get(py: Python<'_>) -> PyResult<&'static Self> {
        static BRIDGE: PyOnceLock<Bridge> = PyOnceLock::new();
        if let Some(bridge) = BRIDGE.get(py) {
            return Ok(bridge);
        }
        // Not within the lock: a signal handler that records in the midst of the import would wait for itself.
        let module = py.import("callboard._otel")?;
        let bridge = Self {
            within: module.getattr("within")?.unbind(),
            current: Variable::of(&module.call_method0("current")?)?,
        };
        Ok(BRIDGE.get_or_init(py, || bridge))
    }

    fn attach(&self, py: Python<'_>, span: &Span) -> PyResult<Py<PyAny>> {
        let before = self.current.get(py)?;
        let mut ids = [0; 24];
        ids[..16].copy_from_slice(&span.trace_id().to_bytes());
        ids[16..].copy_from_slice(&span.span_id().to_bytes());
        let within = self.within.bind(py).call1((PyBytes::new(py, &ids), &before))?;
        self.current.set(py, &within)?;
        Ok(before.unbind())
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
