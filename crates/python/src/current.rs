//! The current span of a Python program: one `contextvars.ContextVar`, so that asyncio tasks and copied contexts carry it.
//!
//! While a generator owns a run, `callboard/_generators.py` decides what is current, as Python keeps no variables for a
//! generator.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use callboard_core::{Span, SpanId};
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use crate::guard::quietly;
use crate::span::SpanContext;
use crate::variable::Variable;

static CURRENT: PyOnceLock<Variable> = PyOnceLock::new();

/// Whether a generator owns a run.
static ASKS_GENERATORS: AtomicBool = AtomicBool::new(false);

/// Makes the variable, as the module is loaded: made at its first use it would be made twice at once, and wait for
/// itself, where a signal handler records in the midst of that.
pub(crate) fn make_variable(py: Python<'_>) -> PyResult<()> {
    let options = PyDict::new(py);
    options.set_item("default", py.None())?;
    let class = py.import("contextvars")?.getattr("ContextVar")?;
    let variable = class.call(("callboard_current_span",), Some(&options))?;
    // Loaded a second time, the module finds its variable made.
    let _ = CURRENT.set(py, Variable::of(&variable)?);
    Ok(())
}

fn current_variable(py: Python<'_>) -> PyResult<&Variable> {
    CURRENT.get(py).ok_or_else(|| PyRuntimeError::new_err("callboard._native was not loaded whole"))
}

/// The span current in this context; None where no run is.
#[pyfunction(name = "current_span")]
pub(crate) fn look_at_current_span(py: Python<'_>) -> Option<Bound<'_, SpanContext>> {
    let held = held_open(py);
    if asks_generators() { current_by_generators(py, held, false) } else { held }
}

/// As [`look_at_current_span`], for who is about to record something.
#[inline(never)]
pub(crate) fn current_span(py: Python<'_>) -> Option<Bound<'_, SpanContext>> {
    let held = held_open(py);
    if asks_generators() { current_by_generators(py, held, true) } else { held }
}

fn held_open(py: Python<'_>) -> Option<Bound<'_, SpanContext>> {
    let held = stored(py)?;
    if held.get().is_open() {
        return Some(held);
    }
    // It was ended in another context: by another thread, or by a task.
    let open = nearest_open(held);
    set_current(py, open.as_ref());
    open
}

/// Has `callboard/_generators.py` asked what is current, or no longer.
#[pyfunction]
pub(crate) fn ask_generators(asked: bool) {
    ASKS_GENERATORS.store(asked, Ordering::Relaxed);
}

fn asks_generators() -> bool {
    ASKS_GENERATORS.load(Ordering::Relaxed)
}

pub(crate) fn generators(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import(intern!(py, "callboard._generators"))
}

fn current_by_generators<'py>(
    py: Python<'py>,
    held: Option<Bound<'py, SpanContext>>,
    is_recorded: bool,
) -> Option<Bound<'py, SpanContext>> {
    let decided = generators(py).and_then(|module| {
        module.call_method1(intern!(py, "current"), (held.clone(), is_recorded))
    });
    let Some(decided) = quietly(py, decided) else { return held };
    let current: Option<Bound<'py, SpanContext>> = decided.cast_into().ok();
    // So that tasks and threads that are made from here on have it.
    if is_recorded && current.as_ref().map(Bound::as_ptr) != held.as_ref().map(Bound::as_ptr) {
        set_current(py, current.as_ref());
    }
    current
}

/// Makes a span of what happens here the current one of this context.
pub(crate) fn make_current(span: &Bound<'_, SpanContext>) {
    let py = span.py();
    set_current(py, Some(span));
    if asks_generators() {
        let noted = generators(py)
            .and_then(|module| module.call_method1(intern!(py, "became_current"), (span,)));
        quietly(py, noted);
    }
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

/// Makes current what is current once `ended` has ended, where `held` is what the variable holds.
pub(crate) fn leave(ended: &Bound<'_, SpanContext>, held: &Bound<'_, SpanContext>) {
    let Some(later) = later_ones(ended, held) else { return };
    let stays = later.into_iter().find(|span| span.get().is_open());
    match stays.or_else(|| nearest_open(ended.clone())) {
        Some(current) => make_current(&current),
        None => set_current(ended.py(), None),
    }
}

/// The spans that became current after `ended`, from `held` back to it, without those that lie within it. None where
/// `ended` was not current before `held`.
fn later_ones<'py>(
    ended: &Bound<'py, SpanContext>,
    held: &Bound<'py, SpanContext>,
) -> Option<Vec<Bound<'py, SpanContext>>> {
    let mut later = Vec::new();
    let mut current = held.clone();
    while !current.is(ended) {
        let before = current.get().previous(ended.py())?;
        later.push(current);
        current = before;
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

/// This span where it is open, else the nearest open one of those that were current before it. What was current for the
/// OpenTelemetry API before an ended one is current there again.
fn nearest_open(span: Bound<'_, SpanContext>) -> Option<Bound<'_, SpanContext>> {
    let py = span.py();
    let mut nearest = Some(span);
    while let Some(ended) = nearest.take_if(|span| !span.get().is_open()) {
        ended.get().detach_otel(py);
        nearest = ended.get().previous(py);
    }
    nearest
}
