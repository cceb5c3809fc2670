//! The interpreter's life: its exit, its forks, and where callboard's own words go.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use callboard_core::{InstrumentationManager, Span, WeakManager, WeakSpan, fork};
use log::{Level, LevelFilter, Log, Metadata};
use pyo3::prelude::*;

static MANAGERS: Mutex<Vec<WeakManager>> = Mutex::new(Vec::new());
static ROOTS: Mutex<Vec<WeakSpan>> = Mutex::new(Vec::new());

/// Makes a manager known to [`shutdown_all`].
pub(crate) fn watch(manager: &InstrumentationManager) {
    let mut managers = MANAGERS.lock().unwrap_or_else(PoisonError::into_inner);
    managers.retain(|known| known.upgrade().is_some());
    managers.push(manager.downgrade());
}

/// Makes a run known to [`shutdown_all`].
pub(crate) fn watch_run(root: &Span) {
    let mut roots = ROOTS.lock().unwrap_or_else(PoisonError::into_inner);
    roots.retain(|known| known.upgrade().is_some_and(|root| !root.is_ended()));
    roots.push(root.downgrade());
}

/// Ends what is still open and delivers everything, within `timeout` seconds in all; says what was dropped. Nothing is
/// recorded afterwards.
#[pyfunction]
pub(crate) fn shutdown_all(py: Python<'_>, timeout: f64) {
    py.detach(|| finish_all(timeout, InstrumentationManager::shutdown));
}

/// Ends what is still open and delivers everything, within `timeout` seconds in all; says what was dropped. For a worker
/// process that ends without an interpreter exit, whose own finalizers may still record.
#[pyfunction]
pub(crate) fn flush_all(py: Python<'_>, timeout: f64) {
    py.detach(|| finish_all(timeout, InstrumentationManager::flush));
}

fn finish_all(timeout: f64, finish: fn(&InstrumentationManager, Duration) -> bool) {
    let timeout = Duration::try_from_secs_f64(timeout).unwrap_or_default();
    let deadline = Instant::now() + timeout;
    // Copied: a thread that starts a run meanwhile holds the GIL, and must not wait for what may need it.
    let roots = ROOTS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for root in roots.iter().filter_map(WeakSpan::upgrade) {
        root.end();
    }
    let managers = MANAGERS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for manager in managers.iter().filter_map(WeakManager::upgrade) {
        let finished = finish(&manager, deadline.saturating_duration_since(Instant::now()));
        tell_losses(&manager, finished);
    }
}

fn tell_losses(manager: &InstrumentationManager, finished: bool) {
    let counted = manager.statistics();
    if counted.dropped > 0 || counted.bodies_dropped > 0 {
        log::warn!(
            "{} of {} records were dropped, and {} message bodies, as the queue was full",
            counted.dropped,
            counted.recorded,
            counted.bodies_dropped
        );
    }
    for provider in counted.providers {
        if provider.dropped > 0 || provider.failures > 1 {
            log::warn!(
                "{}: {} records were dropped, {} calls failed",
                provider.name,
                provider.dropped,
                provider.failures
            );
        }
    }
    if !finished {
        log::warn!("the program ended before every provider had finished");
    }
}

/// Before a fork: brings callboard's threads to rest.
#[pyfunction]
pub(crate) fn before_fork(py: Python<'_>) {
    py.detach(fork::before);
}

/// After a fork, in the parent.
#[pyfunction]
pub(crate) fn after_fork_in_parent() {
    fork::after_in_parent();
}

/// After a fork, in the child.
#[pyfunction]
pub(crate) fn after_fork_in_child() {
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
        metadata.level() <= Level::Warn && metadata.target().starts_with("callboard")
    }

    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let told = Python::try_attach(|py| {
            let logger = py.import("logging")?.call_method1("getLogger", ("callboard",))?;
            logger.call_method1("warning", ("%s", record.args().to_string())).map(drop)
        });
        if !matches!(told, Some(Ok(()))) {
            eprintln!("callboard: {}", record.args());
        }
    }

    fn flush(&self) {}
}
