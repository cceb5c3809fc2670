//! What surrounds this moment: who acts, and what a hub hands over; `callboard/ag2/scope.py` has the scopes.

use pyo3::intern;
use pyo3::prelude::*;

use super::super::reading::or_none;
use super::TurnHooks;
use super::turn::Turn;
use crate::watch::Switch;

/// The agent whose turn this is; None outside of every turn.
pub(super) fn acting<'py>(switch: &Switch, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
    let mut scope = or_none(py, switch.scope(py));
    while !scope.is_none() {
        let agent = match scope.cast::<Turn>() {
            Ok(turn) => turn.get().its_agent(py).clone(),
            Err(_) => scope.getattr(intern!(py, "agent"))?,
        };
        if !agent.is_none() {
            return Ok(agent);
        }
        scope = outer(&scope)?;
    }
    Ok(scope)
}

/// The nearest message being handed over by a hub that what happens now is part of.
pub(super) fn delivery<'py>(
    hooks: &TurnHooks,
    switch: &Switch,
    py: Python<'py>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let mut scope = or_none(py, switch.scope(py));
    while !scope.is_none() {
        if scope.is_instance(hooks.delivery.bind(py))? {
            return Ok(Some(scope));
        }
        scope = outer(&scope)?;
    }
    Ok(None)
}

fn outer<'py>(scope: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = scope.py();
    if let Ok(turn) = scope.cast::<Turn>() {
        return Ok(turn.get().its_outer(py).clone());
    }
    scope.getattr(intern!(py, "outer"))
}
