//! What a program may pass as arguments, with an error that names the argument where it cannot be used.

use std::time::Duration;

use callboard::{RunFilter, TraceId};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::exit::without_gil;
use crate::span::SpanContext;

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

/// Which run the argument `run` names: a span of it, or the id of its trace.
fn run(given: &Bound<'_, PyAny>) -> PyResult<RunFilter> {
    let trace_id = match given.cast::<SpanContext>() {
        Ok(context) => match context.get().span() {
            Some(span) => return Ok(span.into()),
            // A provider's description of a span has the trace's id alone.
            None => given.getattr(intern!(given.py(), "trace_id"))?,
        },
        Err(_) => given.clone(),
    };
    let Ok(text) = trace_id.cast::<PyString>() else {
        let message = format!(
            "run takes a SpanContext of the run or its trace id, not {}",
            given.get_type().name()?
        );
        return Err(PyTypeError::new_err(message));
    };
    let text = text.to_string_lossy();
    text.parse::<TraceId>().map(RunFilter::from).map_err(|_| {
        let shown = match given.is_instance_of::<SpanContext>() {
            true => "a SpanContext that belongs to no run".to_owned(),
            false => format!("{:?}", text.chars().take(80).collect::<String>()),
        };
        PyValueError::new_err(format!(
            "run takes a SpanContext of the run or its trace id, which is 32 hex digits, not {shown}"
        ))
    })
}

/// What a provider has of the run that the argument `run` names, or of all runs where it is None. It is read without the GIL.
pub(crate) fn of_run<T: Send>(
    py: Python<'_>,
    run: Option<&Bound<'_, PyAny>>,
    of_one: impl FnOnce(RunFilter) -> Option<T> + Send,
    of_all: impl FnOnce() -> T + Send,
) -> PyResult<T> {
    let Some(run) = run.map(self::run).transpose()? else { return Ok(without_gil(py, of_all)) };
    without_gil(py, || of_one(run)).ok_or_else(|| {
        PyValueError::new_err(
            "run is not known to this provider: nothing was recorded in it since the provider was registered, or it is \
             one of the runs_dropped",
        )
    })
}
