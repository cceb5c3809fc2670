//! Between callboard and Python code that is not its own: attribute values that render themselves, users' providers.
//!
//! What such code raises is kept from the program, and a thread that the interpreter's end catches inside it stays there.

use std::sync::{Mutex, MutexGuard, PoisonError};

use callboard_core::fork;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// What came of a call, or nothing where it raised. A Ctrl-C is the program's: where it came in the middle of our call,
/// it comes again right after.
pub(crate) fn quietly<T>(py: Python<'_>, result: PyResult<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            if error.is_instance_of::<PyKeyboardInterrupt>(py) {
                // SAFETY: it only sets a flag, and the GIL is held.
                unsafe { ffi::PyErr_SetInterrupt() };
            }
            None
        }
    }
}

/// The lock's content, also after a panic: no update leaves it half done. Nothing that may run Python code belongs within.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does what needs Python on one of callboard's own threads; nothing where the interpreter is gone already.
///
/// Before Python 3.14 a thread that wants the GIL once the interpreter is finalizing is ended by `pthread_exit`, which
/// unwinds its stack. No Rust code may run then, least of all one that gives back the GIL: the thread is parked instead,
/// as newer Pythons do it, until the process is gone. Whatever may run Python code in `work` goes through
/// [`call_on_own_thread`].
pub(crate) fn attached_on_own_thread<T>(work: impl FnOnce(Python<'_>) -> T) -> Option<T> {
    // Before Python 3.13 a fork does not mind that another thread is just getting to know the interpreter.
    let no_fork = fork::hold_off();
    Python::try_attach(|py| {
        drop(no_fork);
        let caught = ParkedByUnwinding;
        let done = work(py);
        std::mem::forget(caught);
        done
    })
}

/// Calls a Python callable on one of callboard's own threads; see [`attached_on_own_thread`].
pub(crate) fn call_on_own_thread<'py>(
    callable: &Bound<'py, PyAny>,
    arguments: &Bound<'py, PyTuple>,
    named: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    type Call = unsafe extern "C-unwind" fn(
        *mut ffi::PyObject,
        *mut ffi::PyObject,
        *mut ffi::PyObject,
    ) -> *mut ffi::PyObject;
    let named = named.map_or(std::ptr::null_mut(), Bound::as_ptr);
    // SAFETY: the same function with the same arguments, called as one that may unwind, as it does; the optimizer is
    // kept from seeing that it is declared otherwise. It takes borrowed references, and gives an owned one or raises.
    unsafe {
        let call: Call = std::mem::transmute(std::hint::black_box(ffi::PyObject_Call as *const ()));
        let caught = ParkedByUnwinding;
        let returned = call(callable.as_ptr(), arguments.as_ptr(), named);
        std::mem::forget(caught);
        Bound::from_owned_ptr_or_err(callable.py(), returned)
    }
}

/// Dropped only where the stack is unwound.
struct ParkedByUnwinding;

impl Drop for ParkedByUnwinding {
    fn drop(&mut self) {
        // A panic is another matter: it is caught further out.
        while !std::thread::panicking() {
            std::thread::park();
        }
    }
}
