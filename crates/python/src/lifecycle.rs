//! The interpreter's life: its exit, its forks, and where callboard's own words go.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use callboard_core::{InstrumentationManager, Span, WeakManager, WeakSpan, fork};
use log::{Level, LevelFilter, Log, Metadata};
use pyo3::exceptions::PyImportError;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::exit::{self, without_gil};
use crate::guard::{attached_on_own_thread, call_on_own_thread, lock};

/// Whose words these are, in Python's `logging` and, with its crates' names, in the `log` crate's records.
const TARGET: &str = "callboard";

static MANAGERS: Mutex<Vec<WeakManager>> = Mutex::new(Vec::new());
static ROOTS: Mutex<Vec<WeakSpan>> = Mutex::new(Vec::new());

/// Fails anywhere but in the main interpreter: Python's objects that are kept in statics, such as the variable of the
/// current span, must be those of one.
pub(crate) fn refuse_subinterpreters() -> PyResult<()> {
    const MAIN: i64 = 0;
    // SAFETY: this thread is attached to an interpreter, and these only read which one.
    let id = unsafe { ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get()) };
    if id == MAIN {
        return Ok(());
    }
    Err(PyImportError::new_err("callboard._native does not load in a subinterpreter"))
}

/// Makes a manager known to [`shutdown_all`], and the first one tells the package to call that at exit.
pub(crate) fn watch(manager: &InstrumentationManager) {
    static PREPARED: AtomicBool = AtomicBool::new(false);
    if !PREPARED.swap(true, Ordering::Relaxed) {
        let prepared = Python::attach(|py| {
            py.import("callboard._load")?.call_method0("prepare_exit").map(drop)
        });
        if let Err(error) = prepared {
            log::warn!(target: TARGET, "what is recorded at the very end may be lost: {error}");
        }
    }
    let mut managers = lock(&MANAGERS);
    managers.retain(|known| known.upgrade().is_some());
    managers.push(manager.downgrade());
}

/// Makes a run known to [`shutdown_all`].
pub(crate) fn watch_run(root: &Span) {
    let mut roots = lock(&ROOTS);
    roots.retain(|known| known.upgrade().is_some_and(|root| !root.is_ended()));
    roots.push(root.downgrade());
}

/// Ends what is still open and delivers everything, within `timeout` seconds in all; says what was dropped. Nothing is
/// recorded afterwards, and no other thread runs native code of ours that the interpreter's end could catch it in. A provider
/// that was waited for in vain before is not waited for again.
#[pyfunction]
pub(crate) fn shutdown_all(py: Python<'_>, timeout: f64) {
    without_gil(py, || finish_all(timeout, InstrumentationManager::shutdown_or_give_up));
    exit::close(py);
}

/// Ends what is still open and delivers everything, within `timeout` seconds in all; says what was dropped. For a worker
/// process that ends without an interpreter exit, whose own finalizers may still record.
#[pyfunction]
pub(crate) fn flush_all(py: Python<'_>, timeout: f64) {
    without_gil(py, || finish_all(timeout, InstrumentationManager::flush_or_give_up));
}

fn finish_all(timeout: f64, finish: fn(&InstrumentationManager, Duration) -> bool) {
    let timeout = Duration::try_from_secs_f64(timeout).unwrap_or_default();
    let deadline = Instant::now() + timeout;
    // Copied: a thread that starts a run meanwhile holds the GIL, and must not wait for what may need it.
    let roots = lock(&ROOTS).clone();
    for root in roots.iter().filter_map(WeakSpan::upgrade) {
        root.end();
    }
    let managers = lock(&MANAGERS).clone();
    for manager in managers.iter().filter_map(WeakManager::upgrade) {
        let finished = finish(&manager, deadline.saturating_duration_since(Instant::now()));
        tell_losses(&manager, finished);
    }
}

fn tell_losses(manager: &InstrumentationManager, finished: bool) {
    let counted = manager.statistics();
    if counted.dropped > 0 || counted.bodies_dropped > 0 {
        log::warn!(
            target: TARGET,
            "{} of {} records were dropped, and {} message bodies: the queue was full, or shut down",
            counted.dropped,
            counted.recorded,
            counted.bodies_dropped
        );
    }
    for provider in counted.providers {
        if provider.dropped > 0 || provider.failures > 1 {
            log::warn!(
                target: TARGET,
                "{}: {} records were dropped, {} calls failed",
                provider.name,
                provider.dropped,
                provider.failures
            );
        }
    }
    if !finished {
        log::warn!(target: TARGET, "the program ended before every provider had finished");
    }
}

/// Before a fork: brings callboard's threads to rest.
#[pyfunction]
pub(crate) fn before_fork(py: Python<'_>) {
    without_gil(py, fork::before);
}

/// After a fork, in the parent.
#[pyfunction]
pub(crate) fn after_fork_in_parent() {
    fork::after_in_parent();
}

/// After a fork, in the child.
#[pyfunction]
pub(crate) fn after_fork_in_child() {
    exit::forget_other_threads();
    fork::after_in_child();
}

/// Hands what callboard has to say to Python's `logging`, as logger `callboard`.
struct PythonLogging;

static LOGGING: PythonLogging = PythonLogging;

/// Installs it. What dependencies log below a warning is left out before it costs anything.
pub(crate) fn install_logging() {
    if log::set_logger(&LOGGING).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}

impl Log for PythonLogging {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Warn && metadata.target().starts_with(TARGET)
    }

    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let told = attached_on_own_thread(|py| {
            let logger = py.import("logging")?.call_method1("getLogger", (TARGET,))?;
            let said = ("%s", record.args().to_string()).into_pyobject(py)?;
            call_on_own_thread(&logger.getattr("warning")?, &said, None).map(drop)
        });
        if !matches!(told, Some(Ok(()))) {
            eprintln!("{TARGET}: {}", record.args());
        }
    }

    fn flush(&self) {}
}
