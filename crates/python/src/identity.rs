//! Which objects a list has that it had before.
//!
//! A program hands its whole history over at every call, and all of it is gone through each time.

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyList;

/// A list as CPython lays it out (`Include/cpython/listobject.h`). The stable ABI has only a function that gives one object
/// at a time, which takes several times as long.
#[repr(C)]
struct ListObject {
    head: ffi::PyVarObject,
    items: *const *mut ffi::PyObject,
    allocated: ffi::Py_ssize_t,
}

/// The newest version of CPython that is known to lay lists out so.
const NEWEST: (u8, u8) = (3, 14);

/// How many objects at a list's beginning are these very ones. It runs no Python code, and counts no references: that would
/// touch the memory of each object.
pub(crate) fn count_same(
    list: &Bound<'_, PyList>,
    known: impl Iterator<Item = *mut ffi::PyObject>,
) -> usize {
    if !is_laid_out_so(list.py()) {
        // SAFETY: the list is alive and the index within it, as nothing here runs Python code.
        let at = |index| unsafe { ffi::PyList_GetItem(list.as_ptr(), index as ffi::Py_ssize_t) };
        return (0..list.len())
            .zip(known)
            .take_while(|(index, known)| at(*index) == *known)
            .count();
    }
    // SAFETY: lists are laid out so, and nothing changes this one meanwhile, as nothing here runs Python code. An empty list
    // may point nowhere.
    let items = unsafe {
        let list = &*list.as_ptr().cast::<ListObject>();
        match usize::try_from(list.head.ob_size) {
            Ok(length) if length > 0 => std::slice::from_raw_parts(list.items, length),
            _ => &[],
        }
    };
    items.iter().zip(known).take_while(|(item, known)| *item == known).count()
}

/// Whether this Python lays lists out as above.
fn is_laid_out_so(py: Python<'_>) -> bool {
    static KNOWN: PyOnceLock<bool> = PyOnceLock::new();
    *KNOWN.get_or_init(py, || {
        let version = py.version_info();
        let is_known = (version.major, version.minor) <= NEWEST;
        is_known && implementation(py).is_ok_and(|name| name == "cpython") && has_its_size(py)
    })
}

fn implementation(py: Python<'_>) -> PyResult<String> {
    let implementation = py.import("sys")?.getattr(intern!(py, "implementation"))?;
    implementation.getattr(intern!(py, "name"))?.extract()
}

fn has_its_size(py: Python<'_>) -> bool {
    let size = py.get_type::<PyList>().getattr(intern!(py, "__basicsize__"));
    size.and_then(|size| size.extract()).is_ok_and(|size: usize| size == size_of::<ListObject>())
}
