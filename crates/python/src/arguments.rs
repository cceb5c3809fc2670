//! Numbers that a program may pass as arguments, with an error that names the argument where one is out of range.

use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// So many; more than the machine can count are as many as it can.
pub(crate) fn count(argument: &str, given: Option<i128>) -> PyResult<Option<usize>> {
    let Some(given) = given else { return Ok(None) };
    if given < 0 {
        let message = format!("{argument} takes a whole number from 0 on, not {given}");
        return Err(PyValueError::new_err(message));
    }
    Ok(Some(usize::try_from(given).unwrap_or(usize::MAX)))
}

/// So many seconds.
pub(crate) fn seconds(argument: &str, given: Option<f64>) -> PyResult<Option<Duration>> {
    let Some(given) = given else { return Ok(None) };
    let duration = Duration::try_from_secs_f64(given).map_err(|_| {
        PyValueError::new_err(format!(
            "{argument} takes a number of seconds from 0 on, not {given}"
        ))
    })?;
    Ok(Some(duration))
}
