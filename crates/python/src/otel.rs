//! The OpenTelemetry API's own context: spans that the program or its libraries make with it become children of callboard's.
//!
//! Only where that package is loaded already; callboard never loads it, and never replaces its tracer provider. As a span
//! begins it is only noted what OpenTelemetry's context was then. Whoever asks for that context gets it with the span in
//! it, as long as the span is current and nothing else was attached since.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use callboard_core::Span;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict};

use crate::current::{current_span, open_before};
use crate::guard::quietly;
use crate::variable::Variable;

static LOADED: AtomicBool = AtomicBool::new(false);

/// Where a span that is current is in OpenTelemetry's context.
pub(crate) enum Place {
    /// Within the first context; the second has the span in it too, and is made once somebody asks.
    Within(Py<PyAny>, PyOnceLock<Py<PyAny>>),
    /// Where OpenTelemetry keeps its context in some other way: attached, with what was current before.
    Attached(Py<PyAny>),
}

impl Place {
    /// The place of a span that is about to be current.
    pub(crate) fn take(py: Python<'_>, span: &Span) -> Option<Self> {
        let bridge = Bridge::find(py)?;
        let place = if bridge.is_asked {
            bridge.current.get(py).map(|around| Self::Within(around.unbind(), PyOnceLock::new()))
        } else {
            bridge.attach(py, span).map(Self::Attached)
        };
        quietly(py, place)
    }

    /// Restores what was current before, where the span was attached.
    pub(crate) fn leave(&self, py: Python<'_>) {
        if let Self::Attached(before) = self {
            detach(py, before);
        }
    }

    /// This context with the span in it; none where the span is not right within it.
    pub(crate) fn context<'py>(
        &self,
        around: &Bound<'py, PyAny>,
        span: &Span,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = around.py();
        match self {
            Self::Within(its, made) if its.is(around) => {
                if let Some(context) = made.get(py) {
                    return Ok(Some(context.bind(py).clone()));
                }
                let context = Bridge::get(py)?.within(around, span)?.unbind();
                Ok(Some(made.get_or_init(py, || context).bind(py).clone()))
            }
            _ => Ok(None),
        }
    }
}

/// Makes the span current for the OpenTelemetry API; gives what was current before, for [`detach`].
///
/// It does not give OpenTelemetry's token: that refers to the context that holds the span, and a span that kept it would
/// keep itself alive.
pub(crate) fn attach(py: Python<'_>, span: &Span) -> Option<Py<PyAny>> {
    quietly(py, Bridge::find(py)?.attach(py, span))
}

/// Restores what was current for the OpenTelemetry API.
pub(crate) fn detach(py: Python<'_>, before: &Py<PyAny>) {
    quietly(py, Bridge::get(py).and_then(|bridge| bridge.current.set(py, before.bind(py))));
}

/// OpenTelemetry's context as it is to be seen, where this is what was attached last: with the innermost of the open spans
/// in it that began right within it, if any did.
#[pyfunction]
pub(crate) fn with_current_span(context: Bound<'_, PyAny>) -> Bound<'_, PyAny> {
    let py = context.py();
    let mut candidate = current_span(py);
    while let Some(handle) = candidate {
        if let Some(found) = quietly(py, handle.get().otel_context(&context)).flatten() {
            return found;
        }
        candidate = open_before(handle);
    }
    context
}

/// The ways to OpenTelemetry's current context, of `callboard/_otel.py`.
struct Bridge {
    /// Makes the context in which a span is current.
    within: Py<PyAny>,
    current: Variable,
    /// Whether OpenTelemetry asks [`with_current_span`].
    is_asked: bool,
}

impl Bridge {
    /// None where OpenTelemetry is not loaded.
    fn find(py: Python<'_>) -> Option<&'static Self> {
        if is_loaded(py) { quietly(py, Self::get(py)) } else { None }
    }

    fn get(py: Python<'_>) -> PyResult<&'static Self> {
        static BRIDGE: PyOnceLock<Bridge> = PyOnceLock::new();
        if let Some(bridge) = BRIDGE.get(py) {
            return Ok(bridge);
        }
        // Not within the lock: a signal handler that records in the midst of the import would wait for itself.
        let module = py.import("callboard._otel")?;
        let (kept, is_asked): (Bound<'_, PyAny>, bool) = module.call_method0("kept")?.extract()?;
        let bridge = Self {
            within: module.getattr("within")?.unbind(),
            current: Variable::of(&kept)?,
            is_asked,
        };
        Ok(BRIDGE.get_or_init(py, || bridge))
    }

    fn attach(&self, py: Python<'_>, span: &Span) -> PyResult<Py<PyAny>> {
        let before = self.current.get(py)?;
        self.current.set(py, &self.within(&before, span)?)?;
        Ok(before.unbind())
    }

    fn within<'py>(&self, around: &Bound<'py, PyAny>, span: &Span) -> PyResult<Bound<'py, PyAny>> {
        let py = around.py();
        let mut ids = [0; 24];
        ids[..16].copy_from_slice(&span.trace_id().to_bytes());
        ids[16..].copy_from_slice(&span.span_id().to_bytes());
        self.within.bind(py).call1((PyBytes::new(py, &ids), around))
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
