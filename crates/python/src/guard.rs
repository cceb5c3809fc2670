//! Between callboard and Python code that is not its own: attribute values that render themselves, users' providers.
//!
//! What such code raises is kept from the program, unless it belongs to the program. One of our threads that the interpreter's
//! end catches inside such code stays there.

use std::ffi::{c_int, c_long, c_ulong, c_void};
use std::sync::{Mutex, MutexGuard, PoisonError};

use callboard_core::fork;
use pyo3::exceptions::{PyException, PyRecursionError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// What came of a call, or nothing where it raised. What belongs to the program (a signal handler's exception that was raised
/// in the middle of our call) is raised in the program, as soon as this native call is over.
pub(crate) fn quietly<T>(py: Python<'_>, result: PyResult<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            match belongs_to_program(py, &error) {
                Ok(false) => {}
                Ok(true) => raise_later(py, error),
                Err(later) => raise_later(py, later),
            }
            None
        }
    }
}

/// Whether an exception that our code caught belongs to the program; see `callboard/_interrupts.py`. An error: another
/// exception of the program's, raised in the middle of finding out.
pub(crate) fn belongs_to_program(py: Python<'_>, error: &PyErr) -> PyResult<bool> {
    let no_code_ran = error.is_instance_of::<PyException>(py) && error.traceback(py).is_none();
    // Handlers do not raise a RecursionError, and near the end of the stack there may be no room to find out.
    if no_code_ran || error.is_instance_of::<PyRecursionError>(py) {
        return Ok(false);
    }
    // `into_value` gives the exception its traceback, which is kept beside it until then.
    let exception = error.clone_ref(py).into_value(py);
    let asked = interrupts(py)
        .and_then(|module| module.call_method1(intern!(py, "belongs_to_program"), (exception,)));
    match asked {
        Err(error) if error.is_instance_of::<PyRecursionError>(py) => Ok(false),
        asked => asked?.is_truthy(),
    }
}

/// As [`quietly`], for what is done as an object is dropped: an exception may be on its way, and goes on afterwards.
pub(crate) fn quietly_on_drop(py: Python<'_>, work: impl FnOnce() -> PyResult<()>) {
    let on_its_way = PyErr::take(py);
    quietly(py, work());
    if let Some(error) = on_its_way {
        error.restore(py);
    }
}

fn interrupts(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import(intern!(py, "callboard._interrupts"))
}

// SAFETY: CPython declares them so (Include/ceval.h, Include/pythread.h). They are part of the stable ABI; PyO3 does not
// declare them.
unsafe extern "C" {
    fn Py_AddPendingCall(
        call: unsafe extern "C" fn(*mut c_void) -> c_int,
        argument: *mut c_void,
    ) -> c_int;
    fn PyThread_get_thread_ident() -> c_ulong;
}

/// Raises an exception in the program's next line on this thread.
fn raise_later(py: Python<'_>, error: PyErr) {
    let is_main = interrupts(py)
        .and_then(|module| module.call_method0(intern!(py, "is_main_thread"))?.is_truthy());
    if is_main.unwrap_or(true) {
        let argument = Box::into_raw(Box::new(error));
        // SAFETY: `raise` takes the box over, unless the interpreter has no room for the call.
        unsafe {
            if Py_AddPendingCall(raise, argument.cast()) == 0 {
                return;
            }
            send(py, &Box::from_raw(argument));
        }
    } else {
        send(py, &error);
    }
}

/// Called by the interpreter, on the main thread, between two lines of Python.
// SAFETY: `raise_later` makes the box for this one call.
unsafe extern "C" fn raise(argument: *mut c_void) -> c_int {
    // SAFETY: as above, and the interpreter holds the GIL.
    let (error, py) =
        unsafe { (Box::from_raw(argument.cast::<PyErr>()), Python::assume_attached()) };
    error.restore(py);
    -1
}

/// Raises an exception of the same class in this thread's next line: its arguments are lost, as when one thread sends an
/// exception to another.
fn send(py: Python<'_>, error: &PyErr) {
    // SAFETY: both only note the class for this thread, and the GIL is held.
    unsafe {
        let thread = PyThread_get_thread_ident();
        ffi::PyThreadState_SetAsyncExc(thread as c_long, error.get_type(py).as_ptr());
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
