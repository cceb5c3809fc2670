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
    quietly(py, Bridge::get(py).and_then(|bridge| bridge.set(before.bind(py))));
}

/// The ways to OpenTelemetry's current context.
struct Bridge {
    /// Makes the context in which a span is current; of `callboard/_otel.py`.
    within: Py<PyAny>,
    /// What has it; without that, the functions of OpenTelemetry's do, in several times the time.
    variable: Option<Variable>,
    get: Py<PyAny>,
    set: Py<PyAny>,
}

impl Bridge {
    fn get(py: Python<'_>) -> PyResult<&'static Self> {
        static BRIDGE: PyOnceLock<Bridge> = PyOnceLock::new();
        if let Some(bridge) = BRIDGE.get(py) {
            return Ok(bridge);
        }
        // Not within the lock: a signal handler that records in the midst of the import would wait for itself.
        let module = py.import("callboard._otel")?;
        let context = module.getattr("context")?;
        let variable: Option<Bound<'_, PyAny>> = module.call_method0("variable")?.extract()?;
        let bridge = Self {
            within: module.getattr("within")?.unbind(),
            variable: variable.as_ref().map(Variable::of).transpose()?,
            get: context.getattr("get_current")?.unbind(),
            set: context.getattr("attach")?.unbind(),
        };
        Ok(BRIDGE.get_or_init(py, || bridge))
    }

    fn attach(&self, py: Python<'_>, span: &Span) -> PyResult<Py<PyAny>> {
        let before = match &self.variable {
            Some(variable) => variable.get(py)?,
            None => self.get.bind(py).call0()?,
        };
        let (trace_id, span_id) = (span.trace_id().to_int(), span.span_id().to_int());
        let within = self.within.bind(py).call1((trace_id, span_id, &before))?;
        self.set(&within)?;
        Ok(before.unbind())
    }

    fn set(&self, context: &Bound<'_, PyAny>) -> PyResult<()> {
        match &self.variable {
            Some(variable) => variable.set(context.py(), context),
            None => self.set.bind(context.py()).call1((context,)).map(drop),
        }
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
