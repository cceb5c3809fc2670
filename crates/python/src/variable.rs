//! Variables of a context, by the quickest way that the running interpreter has.

use std::ffi::c_int;

use pyo3::ffi;
use pyo3::prelude::*;

/// A `contextvars.ContextVar` that has a default, or what has its `get` and `set`, with the ways to it kept at hand.
pub(crate) struct Variable {
    variable: Py<PyAny>,
    get: Py<PyAny>,
    set: Py<PyAny>,
    direct: Option<Direct>,
}

/// CPython's own functions for variables of a context. They have been the same since 3.7 and are no part of the stable
/// ABI, so the running interpreter is asked whether it has them; without them the methods do, in three times the time.
struct Direct {
    get: ContextVarGet,
    set: ContextVarSet,
}

type ContextVarGet = unsafe extern "C" fn(
    variable: *mut ffi::PyObject,
    default: *mut ffi::PyObject,
    value: *mut *mut ffi::PyObject,
) -> c_int;

type ContextVarSet = unsafe extern "C" fn(
    variable: *mut ffi::PyObject,
    value: *mut ffi::PyObject,
) -> *mut ffi::PyObject;

impl Direct {
    #[cfg(unix)]
    fn find() -> Option<Self> {
        use std::ffi::c_void;
        use std::mem::transmute;

        // SAFETY: the names are C strings, and CPython declares the functions so (Include/cpython/context.h).
        unsafe {
            let get = libc::dlsym(libc::RTLD_DEFAULT, c"PyContextVar_Get".as_ptr());
            let set = libc::dlsym(libc::RTLD_DEFAULT, c"PyContextVar_Set".as_ptr());
            let found = !get.is_null() && !set.is_null();
            found.then(|| Self {
                get: transmute::<*mut c_void, ContextVarGet>(get),
                set: transmute::<*mut c_void, ContextVarSet>(set),
            })
        }
    }

    #[cfg(not(unix))]
    fn find() -> Option<Self> {
        None
    }
}

impl Variable {
    /// The ways to a variable.
    pub(crate) fn of(variable: &Bound<'_, PyAny>) -> PyResult<Self> {
        let class = variable.py().import("contextvars")?.getattr("ContextVar")?;
        Ok(Self {
            get: variable.getattr("get")?.unbind(),
            set: variable.getattr("set")?.unbind(),
            direct: Direct::find().filter(|_| variable.get_type().is(&class)),
            variable: variable.clone().unbind(),
        })
    }

    /// What it holds in this context.
    pub(crate) fn get<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let Some(direct) = &self.direct else {
            return self.get.bind(py).call0();
        };
        let mut value = std::ptr::null_mut();
        // SAFETY: it borrows the variable, and gives an owned reference or raises; without a default of the call's the
        // variable's own is given.
        unsafe {
            (direct.get)(self.variable.as_ptr(), std::ptr::null_mut(), &raw mut value);
            Bound::from_owned_ptr_or_err(py, value)
        }
    }

    /// Has it hold another value in this context.
    pub(crate) fn set(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let Some(direct) = &self.direct else {
            return self.set.bind(py).call1((value,)).map(drop);
        };
        // SAFETY: it borrows both, and gives an owned reference (a token) or raises.
        unsafe {
            let token = (direct.set)(self.variable.as_ptr(), value.as_ptr());
            Bound::from_owned_ptr_or_err(py, token).map(drop)
        }
    }
}
