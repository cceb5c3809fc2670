//! An agent's turn: REPLY.

use callboard_core::SpanKind;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::super::agents::{Named, put_sender_and_recipient};
use super::super::keys;
use super::super::reading::{field, or_none};
use super::super::scope::Scope;
use super::answer::Answer;
use super::classes::Event;
use super::scopes::acting;
use super::{TurnHooks, put_mark};
use crate::current::current_span;
use crate::given::AttributeList;
use crate::span::SpanContext;
use crate::value::{key, to_value};
use crate::watch::{Begun, Call, Hook, Outcome, Switch};

/// An agent's turn in progress: a scope.
#[pyclass(module = "callboard", frozen, extends = Scope)]
pub(crate) struct Turn {
    #[pyo3(get)]
    span: Py<SpanContext>,
    #[pyo3(get)]
    agent: Py<PyAny>,
    #[pyo3(get)]
    outer: Py<PyAny>,
}

impl Turn {
    pub(super) fn its_agent<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.agent.bind(py)
    }

    pub(super) fn its_outer<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.outer.bind(py)
    }
}

/// Watches a turn's `drive()`. It is told of the agent, and of the event that the turn begins with.
pub(super) struct Replying(pub(super) Py<TurnHooks>);

impl Hook for Replying {
    fn what(&self) -> &'static str {
        "reply"
    }

    fn begin<'py>(&self, call: &Call<'_, 'py>) -> PyResult<Option<Begun<'py>>> {
        let (py, hooks) = (call.py(), self.0.get());
        let Some(parent) = current_span(py) else { return Ok(None) };
        let (agent, event) = (call.positional(0)?, call.positional(1)?);
        let outer = or_none(py, call.switch.scope(py));
        let recipient = Named::of(&agent);
        let sender = Sender::of(hooks, call.switch, &outer)?;
        let started = hooks.streams.messages_of(&event)?;
        let mut attributes = AttributeList::new(parent.get().policy());
        attributes.put_given(py, keys::REPLY_FUNCTION, "ask");
        sender.put(py, &mut attributes);
        put_sender_and_recipient(&mut attributes, None, recipient.as_ref());
        if let Some(Named { name, .. }) = &recipient {
            attributes.put(keys::GEN_AI_AGENT_NAME, name);
        }
        attributes.put_given(py, keys::MESSAGES_START, started);
        if let Some(Named { name, .. }) = &recipient {
            put_mark(&mut attributes, name);
        }
        let span = parent.get().open_child(py, SpanKind::Reply, &mut attributes, None)?;
        drop(attributes);
        let turn =
            Turn { span: span.clone().unbind(), agent: agent.unbind(), outer: outer.unbind() };
        let state = Bound::new(py, (turn, Scope))?.into_any();
        Ok(Some(call.within(state, span)))
    }

    fn finish(
        &self,
        _switch: &Switch,
        begun: &Bound<'_, PyAny>,
        outcome: Outcome<'_, '_>,
    ) -> PyResult<()> {
        let py = begun.py();
        let Outcome::Returned(result) = outcome else { return Ok(()) };
        let Some(response) = field(result, intern!(py, "response"))? else { return Ok(()) };
        let answer = Answer::of(&Event::of(&response)?)?;
        let span = begun.cast::<Turn>()?.get().span.bind(py);
        let mut attributes = AttributeList::new(span.get().policy());
        attributes.put_given(py, keys::REPLY, answer.said());
        span.get().set_list(&mut attributes);
        Ok(())
    }
}

/// Who is answered: whoever posted what a hub delivers, else the agent whose turn this is within.
enum Sender<'py> {
    /// The attributes that name whoever posted.
    Posted(Bound<'py, PyDict>),
    Agent(Option<Named<'py>>),
}

impl<'py> Sender<'py> {
    fn of(hooks: &TurnHooks, switch: &Switch, scope: &Bound<'py, PyAny>) -> PyResult<Self> {
        let py = scope.py();
        if !scope.is_none() && scope.is_instance(hooks.delivery.bind(py))? {
            return Ok(Self::Posted(scope.getattr(intern!(py, "sender"))?.cast_into()?));
        }
        Ok(Self::Agent(Named::of(&acting(switch, py)?)))
    }

    fn put<'a>(&'a self, py: Python<'py>, attributes: &mut AttributeList<'a>) {
        match self {
            Self::Agent(agent) => put_sender_and_recipient(attributes, agent.as_ref(), None),
            Self::Posted(named) => {
                for (name, value) in named {
                    attributes.put_given(py, key(&name), to_value(&value));
                }
            }
        }
    }
}
