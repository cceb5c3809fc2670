//! The OpenTelemetry API's own context: spans that the program or its libraries make with it become children of callboard's.
//!
//! Only where that package is loaded already; callboard never loads it, and never replaces its tracer provider. As a span
//! begins it is only noted what OpenTelemetry's context was then. Whoever asks for that context gets it with the span in
//! it, as long as the span is current and nothing else was attached since. OpenTelemetry asks callboard while runs are
//! open; the end of the last one puts back what keeps its context ([`OpenRun`]).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use callboard_core::Span;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyString};

use crate::current::{look_at_current_span, open_before};
use crate::guard::{lock, quietly, quietly_on_drop};
use crate::variable::Variable;

static LOADED: AtomicBool = AtomicBool::new(false);

/// How many runs are open in this process.
static OPEN_RUNS: AtomicUsize = AtomicUsize::new(0);

/// The bridge while runs are open.
static BRIDGE: Mutex<Option<Arc<Bridge>>> = Mutex::new(None);

/// A run that is open. The end of the last one gives OpenTelemetry back what keeps its context.
pub(crate) struct OpenRun(());

impl OpenRun {
    pub(crate) fn begin() -> Self {
        OPEN_RUNS.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for OpenRun {
    fn drop(&mut self) {
        if OPEN_RUNS.fetch_sub(1, Ordering::SeqCst) == 1 && lock(&BRIDGE).is_some() {
            Python::try_attach(|py| quietly_on_drop(py, || Bridge::put_back(py)));
        }
    }
}

/// Where a span that is current is in OpenTelemetry's context.
pub(crate) enum Place {
    /// Within the first context; the second has the span in it too, and is made once somebody asks.
    Within(Py<PyAny>, PyOnceLock<Py<PyAny>>),
    /// Where OpenTelemetry keeps its context in some other way: attached.
    Attached(Attached),
}

/// A span that was made current for the OpenTelemetry API.
///
/// It does not keep OpenTelemetry's token: that refers to the context that holds the span, and a span that kept it would
/// keep itself alive.
pub(crate) struct Attached {
    context: Py<PyAny>,
    bridge: Arc<Bridge>,
}

impl Attached {
    /// Restores what was current before. Where another span was attached since, that is done once it is detached.
    pub(crate) fn detach(&self, py: Python<'_>) {
        quietly(py, self.leave(py));
    }

    fn leave(&self, py: Python<'_>) -> PyResult<()> {
        let current = self.bridge.current.get(py)?;
        let left = module(py)?.call_method1(intern!(py, "left"), (&self.context, &current))?;
        if left.is(&current) { Ok(()) } else { self.bridge.current.set(py, &left) }
    }
}

impl Place {
    /// The place of a span that is about to be current.
    pub(crate) fn take(py: Python<'_>, span: &Span) -> Option<Self> {
        let bridge = Bridge::find(py)?;
        let place = if bridge.replacement.is_some() {
            bridge.current.get(py).map(|around| Self::Within(around.unbind(), PyOnceLock::new()))
        } else {
            bridge.attach(py, span).map(Self::Attached)
        };
        quietly(py, place)
    }

    /// Restores what was current before, where the span was attached.
    pub(crate) fn leave(&self, py: Python<'_>) {
        if let Self::Attached(attached) = self {
            attached.detach(py);
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
                let context = within(around, span)?.unbind();
                Ok(Some(made.get_or_init(py, || context).bind(py).clone()))
            }
            _ => Ok(None),
        }
    }
}

/// Makes the span current for the OpenTelemetry API.
pub(crate) fn attach(py: Python<'_>, span: &Span) -> Option<Attached> {
    quietly(py, Bridge::find(py)?.attach(py, span))
}

/// OpenTelemetry's context as it is to be seen, where this is what was attached last: with the innermost of the open spans
/// in it that began right within it, if any did.
#[pyfunction]
pub(crate) fn with_current_span(context: Bound<'_, PyAny>) -> Bound<'_, PyAny> {
    let py = context.py();
    let mut candidate = look_at_current_span(py);
    while let Some(handle) = candidate {
        if let Some(found) = quietly(py, handle.get().otel_context(&context)).flatten() {
            return found;
        }
        candidate = open_before(handle);
    }
    context
}

/// The way to OpenTelemetry's current context, of `callboard/_otel.py`.
struct Bridge {
    current: Variable,
    /// Where OpenTelemetry asks [`with_current_span`].
    replacement: Option<Replacement>,
}

/// What keeps OpenTelemetry's context while runs are open.
struct Replacement {
    /// OpenTelemetry's module, and the name in it.
    owner: Py<PyAny>,
    name: Py<PyString>,
    original: Py<PyAny>,
    ours: Py<PyAny>,
}

impl Bridge {
    /// None where OpenTelemetry is not loaded, and where no run is open.
    fn find(py: Python<'_>) -> Option<Arc<Self>> {
        if !is_loaded(py) || OPEN_RUNS.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let found = lock(&BRIDGE).clone();
        found.or_else(|| quietly(py, Self::install(py)))
    }

    fn install(py: Python<'_>) -> PyResult<Arc<Self>> {
        // Not within the lock: a signal handler that records in the midst of the import would wait for itself.
        let found = module(py)?.call_method0(intern!(py, "bridge"))?;
        let (kept, replacement): (Bound<'_, PyAny>, Option<[Py<PyAny>; 2]>) = found.extract()?;
        let owner = py.import(intern!(py, "opentelemetry.context"))?.into_any().unbind();
        let name = PyString::new(py, "_RUNTIME_CONTEXT").unbind();
        let replacement =
            replacement.map(|[original, ours]| Replacement { owner, name, original, ours });
        let bridge = Arc::new(Self { current: Variable::of(&kept)?, replacement });
        // No Python code runs from here on, so no other thread comes between.
        let mut installed = lock(&BRIDGE);
        if let Some(installed) = &*installed {
            return Ok(installed.clone());
        }
        if let Some(replacement) = &bridge.replacement {
            replacement.exchange(py, &replacement.original, &replacement.ours)?;
        }
        *installed = Some(bridge.clone());
        Ok(bridge)
    }

    /// Takes back what [`install`](Self::install) did, unless a run has begun in another thread meanwhile. No Python code
    /// runs in it.
    fn put_back(py: Python<'_>) -> PyResult<()> {
        if OPEN_RUNS.load(Ordering::SeqCst) > 0 {
            return Ok(());
        }
        let bridge = lock(&BRIDGE).take();
        match bridge.as_ref().and_then(|bridge| bridge.replacement.as_ref()) {
            Some(replacement) => replacement.exchange(py, &replacement.ours, &replacement.original),
            None => Ok(()),
        }
    }

    fn attach(self: Arc<Self>, py: Python<'_>, span: &Span) -> PyResult<Attached> {
        let context = within(&self.current.get(py)?, span)?;
        self.current.set(py, &context)?;
        Ok(Attached { context: context.unbind(), bridge: self })
    }
}

impl Replacement {
    /// Puts one where the other is; what somebody else put there stays.
    fn exchange(&self, py: Python<'_>, from: &Py<PyAny>, to: &Py<PyAny>) -> PyResult<()> {
        let (owner, name) = (self.owner.bind(py), self.name.bind(py));
        if owner.getattr(name)?.is(from) { owner.setattr(name, to) } else { Ok(()) }
    }
}

fn module(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import(intern!(py, "callboard._otel"))
}

/// The context in which a span is current, within another.
fn within<'py>(around: &Bound<'py, PyAny>, span: &Span) -> PyResult<Bound<'py, PyAny>> {
    let py = around.py();
    let mut ids = [0; 24];
    ids[..16].copy_from_slice(&span.trace_id().to_bytes());
    ids[16..].copy_from_slice(&span.span_id().to_bytes());
    module(py)?.call_method1(intern!(py, "within"), (PyBytes::new(py, &ids), around))
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
        return LOADED.load(Ordering::Relaxed); // Another thread may have found it meanwhile.
    }
    let looked_among = modules.len();
    let loaded = modules.contains(intern!(py, "opentelemetry.trace")).unwrap_or(false);
    LOADED.fetch_or(loaded, Ordering::Relaxed);
    LOOKED_AMONG.store(looked_among, Ordering::Relaxed);
    loaded
}
