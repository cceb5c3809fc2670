//! AG2 1.x: an agent's turns, and the model calls in them.
//!
//! - [`turn`]: REPLY; [`llm`]: LLM_CALL, LLM_CREATE and COST.
//! - [`request`]: what a call asks, read off AG2's client; [`answer`] and [`usage`]: what it answers, and used.
//! - [`classes`]: classes of events, read once; [`events`]: events as messages; [`streams`]: histories of them.
//! - [`scopes`]: who acts, and where.
//!
//! The other hooks of AG2 1.x, and what these share with them, are in `callboard/ag2_v1/`; they say more of what AG2 does.

mod answer;
mod classes;
mod events;
mod llm;
mod request;
mod scopes;
mod streams;
mod turn;
mod usage;

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyString, PyType};

use super::NativeHook;
use llm::{Binding, Calling, InProgress};
use request::Clients;
use streams::Streams;
pub(crate) use turn::Turn;

use crate::current::current_span;
use crate::given::AttributeList;

/// What the hooks of AG2 1.x take of the Python package.
///
/// Args:
///     delivery: the class of the scope of a message that a hub hands over.
///     described: takes a client of models; see `described` in `callboard/ag2_v1/model.py`.
///     of_parts: takes what a message consists of, and gives what is recorded of it.
///     ledger_of: takes a span, and gives the ledger of its run.
#[pyclass(module = "callboard", frozen)]
pub(crate) struct TurnHooks {
    delivery: Py<PyType>,
    clients: Clients,
    streams: Streams,
    in_progress: InProgress,
    ledger_of: Py<PyAny>,
}

#[pymethods]
impl TurnHooks {
    #[new]
    #[pyo3(signature = (*, delivery, described, of_parts, ledger_of))]
    fn new(
        delivery: Py<PyType>,
        described: Py<PyAny>,
        of_parts: Py<PyAny>,
        ledger_of: Py<PyAny>,
    ) -> Self {
        let (clients, streams) = (Clients::new(described), Streams::new(of_parts));
        Self { delivery, clients, streams, in_progress: InProgress::default(), ledger_of }
    }

    /// REPLY: watches an agent's turn. It is told of the agent, and of the event that the turn begins with.
    fn reply(slf: Py<Self>) -> NativeHook {
        NativeHook(Arc::new(turn::Replying(slf)))
    }

    /// LLM_CALL: watches a client of models being called.
    fn llm_call(slf: Py<Self>) -> NativeHook {
        NativeHook(Arc::new(Calling { hooks: slf, bound: None }))
    }

    /// LLM_CALL: watches a function that calls this client with these tools.
    fn llm_call_of(slf: Py<Self>, client: Py<PyAny>, tools: Py<PyAny>) -> NativeHook {
        NativeHook(Arc::new(Calling { hooks: slf, bound: Some(Binding { client, tools }) }))
    }

    /// Notes that a piece of a streamed answer is there.
    fn note_chunk(&self, py: Python<'_>) {
        if let Some(span) = current_span(py) {
            self.in_progress.note_chunk(span.get());
        }
    }
}

/// What the names of agents begin with that AG2 makes for a subtask.
const SUBTASK: &str = "subtask-";

/// Marks what an agent of AG2's own does.
fn put_mark(attributes: &mut AttributeList<'_>, name: &Bound<'_, PyAny>) {
    let name_is =
        |name: &Bound<'_, PyString>| name.to_str().is_ok_and(|it| it.starts_with(SUBTASK));
    if name.cast::<PyString>().is_ok_and(name_is) {
        attributes.put_given(name.py(), super::keys::AGENT_INTERNAL, true);
    }
}
