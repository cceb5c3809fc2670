//! The interpreter's end, as a program's own threads meet it inside of callboard.
//!
//! Before Python 3.14 a daemon thread that wants the GIL once the interpreter is finalizing is ended by `pthread_exit`, which
//! unwinds its stack. Native code of ours in that stack aborts the process. So from the exit handler on no thread enters
//! native code that may release the GIL, and the handler waits for those that are inside.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use pyo3::prelude::*;

/// The thread that ends the interpreter, once it does.
static ENDING: OnceLock<ThreadId> = OnceLock::new();
/// How many threads are inside of native code that may release the GIL, nested entries counted.
static INSIDE: AtomicUsize = AtomicUsize::new(0);

/// How long the exit handler waits for threads that are inside.
const WAIT: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(1);

/// A thread is inside of native code that may release the GIL, as everything does that may run Python code.
pub(crate) struct Inside(());

/// Enters native code that may release the GIL. None once another thread ends the interpreter: then nothing is to be done.
pub(crate) fn enter() -> Option<Inside> {
    INSIDE.fetch_add(1, Ordering::SeqCst);
    let inside = Inside(());
    let is_open = ENDING.get().is_none_or(|thread| *thread == std::thread::current().id());
    is_open.then_some(inside)
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Does work without the GIL. A thread that comes back once another one ends the interpreter stays here until the process
/// is gone, as Python 3.14 has it.
pub(crate) fn without_gil<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> T {
    let (done, _inside) = py.detach(|| {
        let done = work();
        let inside = enter();
        while inside.is_none() {
            std::thread::park();
        }
        (done, inside)
    });
    done
}

/// Keeps all other threads out from now on, and waits for a while until those inside have left.
pub(crate) fn close(py: Python<'_>) {
    if ENDING.set(std::thread::current().id()).is_err() {
        return;
    }
    let deadline = Instant::now() + WAIT;
    py.detach(|| {
        while INSIDE.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
    });
}

/// In a forked child only the thread that forked goes on.
pub(crate) fn forget_other_threads() {
    INSIDE.store(0, Ordering::SeqCst);
}
