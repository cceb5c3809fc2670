//! The current span of a Python program: one `contextvars.ContextVar`, so that asyncio tasks and copied contexts carry it.

use std::collections::HashSet;

use callboard_core::{Span, SpanId};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use crate::guard::quietly;
use crate::span::SpanContext;
use crate::variable::Variable;

static CURRENT: PyOnceLock<Variable> = PyOnceLock::new();

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
#[inline(never)]
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
