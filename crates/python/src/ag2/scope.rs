//! What the scopes of the hooks in Rust have in common, as `Scope` of `callboard/ag2/scope.py` has it.

use pyo3::prelude::*;
use pyo3::types::PyFrozenSet;

use crate::span::SpanContext;

/// A hooked call in progress. What derives from it has `span`, `agent` and `outer`, the scope around it.
#[pyclass(module = "callboard", frozen, subclass)]
pub(crate) struct Scope;

#[pymethods]
impl Scope {
    /// What AG2 calls the agents that it makes for its own use meanwhile: none.
    #[classattr]
    fn internal_names(py: Python<'_>) -> PyResult<Py<PyFrozenSet>> {
        PyFrozenSet::empty(py).map(Bound::unbind)
    }

    /// Where something is recorded while a span is current: in that one.
    fn opened<'py>(&self, span: Bound<'py, SpanContext>) -> Bound<'py, SpanContext> {
        span
    }
}
