//! The current span of a Python program: one `contextvars.ContextVar`, so that asyncio tasks and copied contexts carry it.

use std::collections::HashSet;
use std::ffi::c_int;

use callboard_core::{Span, SpanId};
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use crate::guard::quietly;
use crate::span::SpanContext;

/// The variable, with the ways to it kept at hand.
struct Current {
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

impl Current {
    fn get<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
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

    fn set(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
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

static CURRENT: PyOnceLock<Current> = PyOnceLock::new();

/// Makes the variable, as the module is loaded: made at its first use it would be made twice at once, and wait for
/// itself, where a signal handler records in the midst of that.
pub(crate) fn make_variable(py: Python<'_>) -> PyResult<()> {
    let options = PyDict::new(py);
    options.set_item("default", py.None())?;
    let class = py.import("contextvars")?.getattr("ContextVar")?;
    let variable = class.call(("callboard_current_span",), Some(&options))?;
    let current = Current {
        get: variable.getattr("get")?.unbind(),
        set: variable.getattr("set")?.unbind(),
        direct: Direct::find(),
        variable: variable.unbind(),
    };
    // Loaded a second time, the module finds its variable made.
    let _ = CURRENT.set(py, current);
    Ok(())
}

fn current_variable(py: Python<'_>) -> PyResult<&Current> {
    CURRENT.get(py).ok_or_else(|| PyRuntimeError::new_err("callboard._native was not loaded whole"))
}

/// The span current in this context; None where no run is.
#[pyfunction]
pub(crate) fn current_span(py: Python<'_>) -> Option<Bound<'_, SpanContext>> {
    let held = stored(py)?;
    if held.get().is_open() { Some(held) } else { look_past(&held) }
}

/// The nearest span that has not ended, where the variable holds one that has.
fn look_past<'py>(held: &Bound<'py, SpanContext>) -> Option<Bound<'py, SpanContext>> {
    let (open, is_noticed) = leave_ended(held);
    if is_noticed {
        set_current(held.py(), open.as_ref());
    }
    open
}

/// Makes a span, or none, the current one of this context.
pub(crate) fn set_current(py: Python<'_>, span: Option<&Bound<'_, SpanContext>>) {
    let none = py.None().into_bound(py);
    let value = span.map_or(&none, |span| span.as_any());
    quietly(py, current_variable(py).and_then(|variable| variable.set(py, value)));
}

/// What the variable holds, ended or not.
pub(crate) fn stored(py: Python<'_>) -> Option<Bound<'_, SpanContext>> {
    let current = current_variable(py).and_then(|variable| variable.get(py));
    quietly(py, current)?.cast_into().ok()
}

/// The nearest span, of those that were current before this one, that has not ended.
pub(crate) fn open_before<'py>(span: Bound<'py, SpanContext>) -> Option<Bound<'py, SpanContext>> {
    let py = span.py();
    let mut before = span.get().previous(py)?;
    while !before.get().is_open() {
        before = before.get().previous(py)?;
    }
    Some(before)
}

/// Makes current what is when `ended` has ended, where `held` is what the variable holds.
///
/// A change of the variable takes longer than the rest of ending a span, so an ended one is left in it where nobody can
/// tell: whoever looks for the current span passes it by, and the next span to start takes its place.
pub(crate) fn leave(ended: &Bound<'_, SpanContext>, held: Bound<'_, SpanContext>) {
    let py = ended.py();
    let mut current = held.clone();
    while !current.is(ended) && !current.get().is_open() {
        let Some(before) = current.get().previous(py) else { return };
        current = before;
    }
    if current.is(ended) {
        look_past(&held);
        return;
    }
    let Some(later) = later_ones(ended, &current) else { return };
    let stays = later.into_iter().find(|span| span.get().is_open());
    match stays {
        Some(stays) => set_current(py, Some(&stays)),
        None => set_current(py, leave_ended(ended).0.as_ref()),
    }
}

/// Of the spans that became current after `ended`, from `current` back to it, those that are not within it: they began
/// after it but belong elsewhere. None where it was not current before `current`.
fn later_ones<'py>(
    ended: &Bound<'py, SpanContext>,
    current: &Bound<'py, SpanContext>,
) -> Option<Vec<Bound<'py, SpanContext>>> {
    let mut later = vec![current.clone()];
    loop {
        let before = later.last().and_then(|span| span.get().previous(ended.py()))?;
        if before.is(ended) {
            break;
        }
        later.push(before);
    }
    let mut within: HashSet<SpanId> = ended.get().span().map(Span::span_id).into_iter().collect();
    for span in later.iter().rev().filter_map(|span| span.get().span()) {
        if span.parent_span_id().is_some_and(|parent| within.contains(&parent)) {
            within.insert(span.span_id());
        }
    }
    later.retain(|span| span.get().span().is_some_and(|span| !within.contains(&span.span_id())));
    Some(later)
}

/// Leaves an ended span, and whatever of those that were current before it has ended too, in some other thread or out of
/// turn: the nearest that has not, and whether somebody would notice if the variable went on holding one of these.
fn leave_ended<'py>(span: &Bound<'py, SpanContext>) -> (Option<Bound<'py, SpanContext>>, bool) {
    let py = span.py();
    let (mut before, mut is_noticed) = (Some(span.clone()), false);
    while let Some(ended) = before.take_if(|before| !before.get().is_open()) {
        ended.get().detach_otel(py);
        before = ended.get().previous(py);
        is_noticed |= ended.get().is_noticed_when_held() || before.is_none();
    }
    (before, is_noticed)
}
