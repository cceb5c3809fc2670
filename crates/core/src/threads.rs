//! callboard's own threads.

use std::cell::Cell;
use std::io;

thread_local! {
    static IS_OURS: Cell<bool> = const { Cell::new(false) };
}

/// How a thread shares a busy machine with the program's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    /// As any of the program's threads: somebody may wait for it.
    Usual,
    /// Lower than that of the program's threads, whatever theirs is. On Linux; elsewhere as usual.
    Low,
}

/// Whether the caller runs on one of callboard's own threads, where waiting for a pipeline would be waiting for oneself.
pub fn on_callboard_thread() -> bool {
    IS_OURS.get()
}

/// Starts a thread of callboard's.
///
/// # Errors
/// When the system has no thread to give.
pub(crate) fn spawn(
    name: String,
    priority: Priority,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let work = move || {
        IS_OURS.set(true);
        if priority == Priority::Low {
            lower_priority();
        }
        work();
    };
    std::thread::Builder::new().name(name).spawn(work).map(drop)
}

/// How much nicer than the thread that started it a thread of low priority is.
#[cfg(target_os = "linux")]
const NICER_BY: i32 = 10;

/// The nicest that a thread can be.
#[cfg(target_os = "linux")]
const NICEST: i32 = 19;

/// Linux has a nice value for each thread (setpriority(2), under "C library/kernel differences"). A new thread has that
/// of the thread that started it.
#[cfg(target_os = "linux")]
fn lower_priority() {
    let this = Some(rustix::thread::gettid());
    let lowered = rustix::process::getpriority_process(this)
        .map(|own| NICEST.min(own + NICER_BY))
        .and_then(|nice| rustix::process::setpriority_process(this, nice));
    if let Err(error) = lowered {
        log::debug!("a thread of callboard's has the usual priority: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn lower_priority() {}
