//! Agents: what names them, and which are AG2's own.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyWeakrefReference};

use super::keys;
use crate::given::AttributeList;
use crate::guard::{lock, quietly};

/// An agent as attributes name it: by its name, and by Python's `id()` of it.
pub(super) struct Named<'py> {
    /// None where it has no name.
    pub(super) name: Bound<'py, PyAny>,
    id: String,
}

impl<'py> Named<'py> {
    /// How an agent is named. A missing one is not.
    pub(super) fn of(agent: &Bound<'py, PyAny>) -> Option<Self> {
        (!agent.is_none()).then(|| Self { name: name_of(agent), id: id_of(agent).to_string() })
    }
}

/// An agent's name; None where it has none.
pub(super) fn name_of<'py>(agent: &Bound<'py, PyAny>) -> Bound<'py, PyAny> {
    let py = agent.py();
    let name = agent.getattr_opt(intern!(py, "name"));
    quietly(py, name).flatten().unwrap_or_else(|| py.None().into_bound(py))
}

/// What Python's `id()` gives for an object.
pub(super) fn id_of(object: &Bound<'_, PyAny>) -> usize {
    object.as_ptr() as usize
}

/// Names the two agents in attributes.
pub(super) fn put_sender_and_recipient<'a>(
    attributes: &mut AttributeList<'a>,
    sender: Option<&'a Named<'_>>,
    recipient: Option<&'a Named<'_>>,
) {
    let both =
        [(sender, keys::SENDER, keys::SENDER_ID), (recipient, keys::RECIPIENT, keys::RECIPIENT_ID)];
    for (agent, name_key, id_key) in both {
        if let Some(agent) = agent {
            attributes.put(name_key, &agent.name);
            attributes.put_given(agent.name.py(), id_key, agent.id.as_str());
        }
    }
}

/// The agents that AG2 made for its own use: those marked, and those whose name AG2 keeps for such.
#[pyclass(module = "callboard", frozen)]
pub(crate) struct InternalAgents {
    /// By their ids.
    marked: Mutex<HashMap<usize, Py<PyWeakrefReference>>>,
}

/// Names that AG2 keeps for its executors of tools.
const NAMES: [&str; 2] = ["_Group_Tool_Executor", "_Swarm_Tool_Executor"];
/// What the names of agents begin with that AG2 puts around a chat that is handed to.
const BEGINNINGS: [&str; 2] = ["wrapped_nested_", "wrapped_group_"];

#[pymethods]
impl InternalAgents {
    #[new]
    fn new() -> Self {
        Self { marked: Mutex::default() }
    }

    /// Keeps in mind that AG2 made this agent for its own use.
    fn mark(&self, agent: &Bound<'_, PyAny>) -> PyResult<()> {
        let (py, agent_id) = (agent.py(), id_of(agent));
        let agent = PyWeakrefReference::new(agent)?.unbind();
        let mut marked = self.marked();
        let gone: Vec<usize> =
            marked.iter().filter(|(_, agent)| is_gone(agent.bind(py))).map(|(id, _)| *id).collect();
        let mut let_go: Vec<_> = gone.iter().filter_map(|id| marked.remove(id)).collect();
        let_go.extend(marked.insert(agent_id, agent));
        drop(marked);
        // Without the lock: what is let go of may run Python code.
        drop(let_go);
        Ok(())
    }

    /// Whether this is an agent of AG2's own.
    fn __contains__(&self, agent: &Bound<'_, PyAny>) -> bool {
        self.includes(agent, &name_of(agent))
    }
}

impl InternalAgents {
    fn marked(&self) -> MutexGuard<'_, HashMap<usize, Py<PyWeakrefReference>>> {
        lock(&self.marked)
    }

    fn is_marked(&self, agent: &Bound<'_, PyAny>) -> bool {
        let marked = self.marked();
        let known = marked.get(&id_of(agent)).map(|known| known.clone_ref(agent.py()));
        drop(marked);
        known.is_some_and(|known| known.bind(agent.py()).upgrade().is_some_and(|it| it.is(agent)))
    }

    fn includes(&self, agent: &Bound<'_, PyAny>, name: &Bound<'_, PyAny>) -> bool {
        self.is_marked(agent) || is_internal_name(name)
    }

    /// Marks what an agent of AG2's own does.
    pub(super) fn put_mark(
        &self,
        attributes: &mut AttributeList<'_>,
        agent: &Bound<'_, PyAny>,
        name: &Bound<'_, PyAny>,
    ) {
        if self.includes(agent, name) {
            attributes.put_given(agent.py(), keys::AGENT_INTERNAL, true);
        }
    }
}

fn is_gone(agent: &Bound<'_, PyWeakrefReference>) -> bool {
    agent.upgrade().is_none()
}

fn is_internal_name(name: &Bound<'_, PyAny>) -> bool {
    let Ok(name) = name.cast::<PyString>() else { return false };
    name.to_str().is_ok_and(|name| {
        NAMES.contains(&name) || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
    })
}
