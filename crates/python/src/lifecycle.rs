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

/// Ends what is still open and delivers everything, within `timeout` seconds in all; says what was dropped.
#[pyfunction]
pub(crate) fn shutdown_all(py: Python<'_>, timeout: f64) {
    let timeout = Duration::try_from_secs_f64(timeout).unwrap_or_default();
    py.detach(|| {
        let deadline = Instant::now() + timeout;
        for root in std::mem::take(&mut *ROOTS.lock().unwrap_or_else(PoisonError::into_inner)) {
            if let Some(root) = root.upgrade() {
                root.end();
            }
        }
        let managers = std::mem::take(&mut *MANAGERS.lock().unwrap_or_else(PoisonError::into_inner));
        for manager in managers.iter().filter_map(WeakManager::upgrade) {
            let finished = manager.shutdown(deadline.saturating_duration_since(Instant::now()));
            tell_losses(&manager, finished);
        }
    });
}

/// Delivers what a forked child recorded, within `timeout` seconds; for a child that ends without an interpreter exit.
#[pyfunction]
pub(crate) fn flush_all(py: Python<'_>, timeout: f64) {
    let timeout = Duration::try_from_secs_f64(timeout).unwrap_or_default();
    let managers = MANAGERS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    py.detach(|| {
        let deadline = Instant::now() + timeout;
        for manager in managers.iter().filter_map(WeakManager::upgrade) {
            manager.flush(deadline.saturating_duration_since(Instant::now()));
        }
    });
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
