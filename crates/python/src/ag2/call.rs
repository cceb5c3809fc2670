//! A model being called: the scope of what happens meanwhile. The hooks in `callboard/ag2/llm.py` note here how the call goes.

use std::sync::{Mutex, MutexGuard};

use callboard_core::time::{Clock, SystemClock};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyList;
use smallvec::SmallVec;

use super::llm::Asked;
use super::reading::{field, in_words};
use super::scope::Scope;
use super::usage::Usage;
use crate::guard::lock;
use crate::span::SpanContext;

/// A model being called. It is a scope.
#[pyclass(module = "callboard", frozen, extends = Scope)]
pub(crate) struct ModelCall {
    #[pyo3(get)]
    span: Py<SpanContext>,
    #[pyo3(get)]
    agent: Py<PyAny>,
    #[pyo3(get)]
    outer: Py<PyAny>,
    /// What of its answers was streamed to the console.
    streamed: PyOnceLock<Py<PyList>>,
    progress: Mutex<Progress>,
}

/// How far a call is.
#[derive(Default)]
pub(super) struct Progress {
    /// What is called; none once that has returned.
    pub(super) asked: Option<Asked>,
    /// When a service was asked: a reading of the clock. So is the next.
    pub(super) asked_ns: u64,
    /// When the first piece of a streamed answer was there.
    pub(super) first_chunk_ns: Option<u64>,
    pub(super) usages: SmallVec<[Usage; 1]>,
    pub(super) failures: Vec<Failure>,
    /// Whether a configuration has been tried already.
    is_tried: bool,
}

/// An attempt that failed.
pub(super) struct Failure {
    pub(super) client: Py<PyAny>,
    /// Its exception.
    pub(super) in_words: String,
}

#[pymethods]
impl ModelCall {
    /// The texts that were streamed to the console: a list, to be added to.
    #[getter]
    fn streamed(&self, py: Python<'_>) -> Py<PyList> {
        self.streamed.get_or_init(py, || PyList::empty(py).unbind()).clone_ref(py)
    }

    /// Notes that a configuration is tried. Returns the agent's name where another one was tried before it; else None.
    fn try_next(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let mut progress = self.progress();
        let is_first = !std::mem::replace(&mut progress.is_tried, true);
        let asked = progress.asked.as_ref().filter(|_| !is_first);
        asked.map(|asked| asked.agent_name.clone_ref(py))
    }

    /// Notes that a service is asked now.
    fn ask(&self) {
        let now = SystemClock.monotonic_ns();
        let mut progress = self.progress();
        (progress.asked_ns, progress.first_chunk_ns) = (now, None);
    }

    /// Notes that a service could not be asked, or failed.
    fn fail(&self, client: Py<PyAny>, error: &Bound<'_, PyAny>) -> PyResult<()> {
        let failure = Failure { client, in_words: in_words(error)? };
        self.progress().failures.push(failure);
        Ok(())
    }

    /// Notes what an answer used, as AG2 counts it.
    fn count(
        &self,
        actual: Option<Bound<'_, PyAny>>,
        total: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let usage = Usage::told(actual, total)?;
        self.progress().usages.push(usage);
        Ok(())
    }

    /// Notes that a piece of a streamed answer is there.
    fn chunk(&self) {
        self.progress().first_chunk_ns.get_or_insert_with(|| SystemClock.monotonic_ns());
    }
}

impl ModelCall {
    /// A call that begins now.
    pub(super) fn new(
        span: &Bound<'_, SpanContext>,
        agent: Bound<'_, PyAny>,
        outer: Bound<'_, PyAny>,
        asked: Asked,
    ) -> Self {
        let asked_ns = SystemClock.monotonic_ns();
        let progress = Progress { asked: Some(asked), asked_ns, ..Progress::default() };
        Self {
            span: span.clone().unbind(),
            agent: agent.unbind(),
            outer: outer.unbind(),
            streamed: PyOnceLock::new(),
            progress: Mutex::new(progress),
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        lock(&self.progress)
    }

    /// How far it is, once it has returned. Nothing of it stays.
    pub(super) fn take_progress(&self) -> Progress {
        std::mem::take(&mut *self.progress())
    }

    pub(super) fn its_span<'py>(&self, py: Python<'py>) -> &Bound<'py, SpanContext> {
        self.span.bind(py)
    }

    pub(super) fn its_agent<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.agent.bind(py)
    }

    /// What was streamed to the console, as one text.
    pub(super) fn streamed_text<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(texts) = self.streamed.get(py).map(|texts| texts.bind(py)) else {
            return Ok(None);
        };
        let is_any = !texts.is_empty();
        is_any.then(|| intern!(py, "").call_method1(intern!(py, "join"), (texts,))).transpose()
    }
}

/// The failures that a call went on from: all but the one that ended it.
pub(super) fn survived<'a>(
    failures: &'a [Failure],
    error: Option<&Bound<'_, PyAny>>,
) -> PyResult<&'a [Failure]> {
    let (Some((last, before)), Some(error)) = (failures.split_last(), error) else {
        return Ok(failures);
    };
    let cause = field(error, intern!(error.py(), "__cause__"))?;
    for ending in [Some(error), cause.as_ref()].into_iter().flatten() {
        if in_words(ending)? == last.in_words {
            return Ok(before);
        }
    }
    Ok(failures)
}
