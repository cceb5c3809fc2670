//! The generator that a frame is of, where the running interpreter can say.

use pyo3::ffi::PyObject;
use pyo3::prelude::*;

/// The generator, asynchronous generator or coroutine that a frame is of; None where it is of none, or where the interpreter
/// does not say.
#[pyfunction]
pub(crate) fn generator_of<'py>(frame: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    let (py, get) = (frame.py(), getter()?);
    let class = py.import("types").and_then(|types| types.getattr("FrameType")).ok()?;
    if !frame.get_type().is(&class) {
        return None;
    }
    // SAFETY: it is a frame, which the function borrows; the function gives an owned reference or null, and never raises.
    unsafe { Bound::from_owned_ptr_or_opt(py, get(frame.as_ptr())) }
}

/// `PyFrame_GetGenerator`: public since Python 3.11 and no part of the stable ABI, so the running interpreter is asked for it.
type GetGenerator = unsafe extern "C" fn(frame: *mut PyObject) -> *mut PyObject;

#[cfg(unix)]
fn getter() -> Option<GetGenerator> {
    use std::ffi::c_void;
    use std::mem::transmute;

    // SAFETY: the name is a C string, and CPython declares the function so (Include/cpython/pyframe.h).
    unsafe {
        let found = libc::dlsym(libc::RTLD_DEFAULT, c"PyFrame_GetGenerator".as_ptr());
        (!found.is_null()).then(|| transmute::<*mut c_void, GetGenerator>(found))
    }
}

#[cfg(not(unix))]
fn getter() -> Option<GetGenerator> {
    None
}
