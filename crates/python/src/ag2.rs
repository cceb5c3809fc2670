//! AG2's busiest functions, watched from here: in Python, their hooks would cost a program a third of what AG2 itself does.
//!
//! The hooks of everything else, and what these share with them, are in `callboard/ag2/`; they say more of what AG2 does.

mod agents;
mod answer;
mod attempt;
mod call;
mod cost;
mod kept;
mod keys;
mod llm;
mod model;
mod reading;
mod recording;
mod reply;
mod scope;
mod usage;

use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyType};

pub(crate) use agents::InternalAgents;
pub(crate) use attempt::{Attempt, Trial};
use call::ModelCall;
use cost::{Cost, Counting};
use model::Models;
pub(crate) use reply::Reply;

use crate::current::current_span;
use crate::guard::quietly;
use crate::span::SpanContext;
use crate::watch::{Hook, Switch};

pub(crate) fn add_classes(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<NativeHook>()?;
    module.add_class::<Hooks>()?;
    module.add_class::<InternalAgents>()?;
    module.add_class::<scope::Scope>()?;
    module.add_class::<Reply>()?;
    module.add_class::<Trial>()?;
    module.add_class::<Attempt>()?;
    module.add_class::<ModelCall>()?;
    module.add_class::<Cost>()
}

/// A hook that is written in Rust, for `Watch`.
#[pyclass(name = "Hook", module = "callboard", frozen)]
pub(crate) struct NativeHook(pub(crate) Arc<dyn Hook>);

/// What the hooks take of the Python package.
///
/// Args:
///     chat: the class of the scope of a chat.
///     internal: the agents that AG2 made for its own use.
///     rewrite: takes a message, and gives the one that is recorded instead; it must give the same for the same.
///     described: takes a wrapper of models, a client and its configuration; see `described` in `callboard/ag2/model.py`.
///     given: takes a wrapper of models and a call's arguments; see `given` there.
///     tally: the class of scopes that count what is spent within them.
///     most_waiting: how many calls wait in one to be summed at the most.
///     ledger_of: takes a span, and gives the ledger of its run.
#[pyclass(module = "callboard", frozen)]
pub(crate) struct Hooks {
    chat: Py<PyType>,
    internal: Py<InternalAgents>,
    rewrite: Py<PyAny>,
    models: Models,
    counting: Counting,
}

#[pymethods]
impl Hooks {
    #[new]
    #[pyo3(signature = (*, chat, internal, rewrite, described, given, tally, most_waiting, ledger_of))]
    #[expect(clippy::too_many_arguments, reason = "each has a name where it is called")]
    fn new(
        chat: Py<PyType>,
        internal: Py<InternalAgents>,
        rewrite: Py<PyAny>,
        described: Py<PyAny>,
        given: Py<PyAny>,
        tally: Py<PyType>,
        most_waiting: usize,
        ledger_of: Py<PyAny>,
    ) -> Self {
        let models = Models::new(described, given);
        let counting = Counting { tally, most_waiting, ledger_of };
        Self { chat, internal, rewrite, models, counting }
    }

    /// REPLY: watches an agent replying.
    fn reply(slf: Py<Self>) -> NativeHook {
        NativeHook(Arc::new(reply::Replying(slf)))
    }

    /// LLM_CALL: watches a model being called, by whichever configuration answers.
    fn llm_call(slf: Py<Self>) -> NativeHook {
        NativeHook(Arc::new(llm::Calling(slf)))
    }
}

impl Hooks {
    /// The scope, where it is a chat whose own turn it is: nothing has opened a span in it but its round.
    fn chat<'py>(&self, switch: &Switch, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(scope) = switch.scope(py) else { return Ok(None) };
        if !scope.is_instance(self.chat.bind(py))? {
            return Ok(None);
        }
        let Some(span) = current_span(py) else { return Ok(None) };
        let is_its_turn = scope.getattr(intern!(py, "span"))?.is(&span)
            || scope.getattr(intern!(py, "round"))?.is(&span);
        Ok(is_its_turn.then_some(scope))
    }

    /// A message as it is recorded: without the data of its images.
    fn by_reference<'py>(&self, message: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if has_parts(message) {
            self.rewrite.bind(message.py()).call1((message,))
        } else {
            Ok(message.clone())
        }
    }
}

/// Whether a message's content is a list of parts: texts, images.
pub(crate) fn has_parts(message: &Bound<'_, PyAny>) -> bool {
    let Ok(message) = message.cast::<PyDict>() else { return false };
    let content = message.get_item(intern!(message.py(), "content"));
    quietly(message.py(), content)
        .flatten()
        .is_some_and(|content| content.is_instance_of::<PyList>())
}

/// The span under which something is recorded now; none where no run is current.
fn here<'py>(switch: &Switch, py: Python<'py>) -> Option<Bound<'py, SpanContext>> {
    let span = current_span(py)?;
    let scope = switch.scope(py)?;
    if let Ok(reply) = scope.cast::<Reply>() {
        return Some(reply.get().opened_under(span));
    }
    match scope.cast::<Attempt>() {
        Ok(attempt) => Some(attempt.get().opened_under(attempt, span)),
        Err(_) => Some(span),
    }
}
