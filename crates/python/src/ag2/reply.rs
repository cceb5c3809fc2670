//! An agent replying: REPLY. The functions that it tries are [`super::attempt`]'s.

use std::sync::Mutex;

use callboard_core::{Attribute, SpanKind, Value};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

use super::agents::{Named, id_of, put_sender_and_recipient};
use super::attempt::Attempt;
use super::scope::Scope;
use super::{Hooks, here, keys};
use crate::current::current_span;
use crate::given::AttributeList;
use crate::guard::lock;
use crate::span::SpanContext;
use crate::watch::{Begun, Call, Hook, Outcome, Switch};

/// An agent replying to a sender: a scope. `messages` is the history that it was given.
#[pyclass(module = "callboard", frozen, extends = Scope)]
pub(crate) struct Reply {
    #[pyo3(get)]
    span: Py<SpanContext>,
    #[pyo3(get)]
    agent: Py<PyAny>,
    #[pyo3(get)]
    outer: Py<PyAny>,
    #[pyo3(get)]
    sender: Py<PyAny>,
    #[pyo3(get)]
    messages: Py<PyAny>,
    /// The function that is being tried, where that is no scope.
    trying: Mutex<Option<Py<Attempt>>>,
    /// Who replies to whom, as the run's rules have it recorded.
    pub(super) about: Vec<Attribute>,
    /// Whose history the messages are.
    owner: Py<PyTuple>,
    hooks: Py<Hooks>,
}

#[pymethods]
impl Reply {
    /// Where something is recorded while a span is current: in that one, or in that of the function being tried.
    fn opened<'py>(&self, span: Bound<'py, SpanContext>) -> Bound<'py, SpanContext> {
        self.opened_under(span)
    }
}

impl Reply {
    pub(super) fn context<'py>(&self, py: Python<'py>) -> &Bound<'py, SpanContext> {
        self.span.bind(py)
    }

    pub(super) fn sender_id(&self, py: Python<'_>) -> usize {
        id_of(self.sender.bind(py))
    }

    /// Says which function is being tried from now on.
    pub(super) fn set_trying(&self, attempt: Option<&Bound<'_, Attempt>>) {
        let attempt = attempt.map(|attempt| attempt.clone().unbind());
        let mut slot = lock(&self.trying);
        let before = std::mem::replace(&mut *slot, attempt);
        drop(slot);
        // Without the lock: what is let go of may run Python code.
        drop(before);
    }

    fn trying<'py>(&self, py: Python<'py>) -> Option<Bound<'py, Attempt>> {
        lock(&self.trying).as_ref().map(|attempt| attempt.bind(py).clone())
    }

    /// Where something is recorded while `span` is current: in the span of the function being tried, if it is what
    /// happens there.
    pub(super) fn opened_under<'py>(
        &self,
        span: Bound<'py, SpanContext>,
    ) -> Bound<'py, SpanContext> {
        match self.trying(span.py()) {
            Some(attempt) => attempt.get().opened_under(&attempt, span),
            None => span,
        }
    }

    /// Adds messages as one value, which shares what the agent's earlier ones hold.
    pub(super) fn put_history<'a>(
        &self,
        attributes: &mut AttributeList<'a>,
        key: &'static str,
        messages: &'a Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let py = messages.py();
        if !messages.is_instance_of::<PyList>() {
            attributes.put(key, messages);
            return Ok(());
        }
        let owner = self.owner.bind(py);
        let of_hooks = || owner.add(PyTuple::new(py, [intern!(py, "processed")])?);
        // Hooks of the agent may have made another list of its history.
        let is_its_own = self.messages.is(messages);
        let owner = if is_its_own { owner.clone().into_any() } else { of_hooks()? };
        let rewrite = self.hooks.get().rewrite.bind(py);
        let history = self.context(py).get().history(&owner, messages, Some(rewrite));
        attributes.put_given(py, key, Value::Messages(history));
        Ok(())
    }
}

/// Watches `generate_reply(agent, messages, sender, exclude)` and its twin with `a_` before.
pub(super) struct Replying(pub(super) Py<Hooks>);

impl Hook for Replying {
    fn what(&self) -> &'static str {
        "reply"
    }

    fn begin<'py>(&self, call: &Call<'_, 'py>) -> PyResult<Option<Begun<'py>>> {
        let (py, hooks) = (call.py(), self.0.get());
        let asked = Asked::by(call)?;
        let outer = call.switch.scope(py).unwrap_or_else(|| py.None().into_bound(py));
        if is_overriding(&outer, &asked.agent) {
            return Ok(None);
        }
        let chat = hooks.chat(call.switch, py)?;
        if let Some(chat) = &chat {
            chat.call_method1(intern!(py, "before_reply"), (&asked.agent,))?;
        }
        let Some(parent) = here(call.switch, py) else { return Ok(None) };
        let exchange = chat.as_ref().map(exchange_of).transpose()?.flatten();
        let messages = asked.messages()?;
        let owner = PyTuple::new(py, [id_of(&asked.agent), id_of(&asked.sender)])?;
        let (sender, recipient) = (Named::of(&asked.sender), Named::of(&asked.agent));
        let about = about(parent.get(), sender.as_ref(), recipient.as_ref());
        let mut attributes = AttributeList::new(parent.get().policy());
        attributes.put(keys::REPLY_FUNCTION, asked.function.as_any());
        attributes.extend(&about);
        if let Some(Named { name, .. }) = &recipient {
            hooks.internal.get().put_mark(&mut attributes, &asked.agent, name);
        }
        if messages.is_instance_of::<PyList>() {
            let rewrite = hooks.rewrite.bind(py);
            let history = parent.get().history(owner.as_any(), &messages, Some(rewrite));
            attributes.put_given(py, keys::MESSAGES_START, Value::Messages(history));
        }
        if let Some(exchange) = &exchange {
            attributes.put(keys::EXCHANGE, exchange);
        }
        let span = parent.get().open_child(py, SpanKind::Reply, &mut attributes, None)?;
        drop(attributes);
        let reply = Reply {
            span: span.clone().unbind(),
            agent: asked.agent.unbind(),
            outer: outer.unbind(),
            sender: asked.sender.unbind(),
            messages: messages.unbind(),
            trying: Mutex::default(),
            about,
            owner: owner.unbind(),
            hooks: self.0.clone_ref(py),
        };
        let reply = Bound::new(py, (reply, Scope))?.into_any();
        Ok(Some(call.within(reply, span)))
    }

    fn finish(
        &self,
        _switch: &Switch,
        begun: &Bound<'_, PyAny>,
        outcome: Outcome<'_, '_>,
    ) -> PyResult<()> {
        let py = begun.py();
        let reply = begun.cast::<Reply>()?.get();
        reply.set_trying(None);
        let Outcome::Returned(result) = outcome else { return Ok(()) };
        let said = self.0.get().by_reference(result)?;
        let messages = reply.messages.bind(py).clone();
        let context = reply.context(py).get();
        let mut attributes = AttributeList::new(context.policy());
        attributes.put(keys::REPLY, &said);
        reply.put_history(&mut attributes, keys::MESSAGES_END, &messages)?;
        context.set_list(&mut attributes);
        Ok(())
    }
}

/// What an agent is asked.
struct Asked<'py> {
    function: Bound<'py, PyString>,
    agent: Bound<'py, PyAny>,
    messages: Option<Bound<'py, PyAny>>,
    sender: Bound<'py, PyAny>,
}

impl<'py> Asked<'py> {
    fn by(call: &Call<'_, 'py>) -> PyResult<Self> {
        let py = call.py();
        let sender = call.argument(2, intern!(py, "sender"));
        Ok(Self {
            function: call.about.get_item(0)?.cast_into()?,
            agent: call.positional(0)?,
            messages: call.argument(1, intern!(py, "messages")),
            sender: sender.unwrap_or_else(|| py.None().into_bound(py)),
        })
    }

    /// The history that it replies to: its own with the sender, where it is given none.
    fn messages(&self) -> PyResult<Bound<'py, PyAny>> {
        if let Some(messages) = self.messages.as_ref().filter(|messages| !messages.is_none()) {
            return Ok(messages.clone());
        }
        let py = self.agent.py();
        let known = self.agent.getattr(intern!(py, "_oai_messages"))?;
        known.call_method1(intern!(py, "get"), (&self.sender,))
    }
}

/// Who replies to whom, as the rules of the span's run have it recorded.
fn about(
    span: &SpanContext,
    sender: Option<&Named<'_>>,
    recipient: Option<&Named<'_>>,
) -> Vec<Attribute> {
    let mut attributes = AttributeList::new(span.policy());
    put_sender_and_recipient(&mut attributes, sender, recipient);
    if let Some(agent) = recipient {
        attributes.put(keys::GEN_AI_AGENT_NAME, &agent.name);
    }
    attributes.into_kept()
}

/// Whether an override of `generate_reply` calls the one that it overrides.
fn is_overriding(scope: &Bound<'_, PyAny>, agent: &Bound<'_, PyAny>) -> bool {
    let Ok(reply) = scope.cast::<Reply>() else { return false };
    let reply = reply.get();
    reply.agent.is(agent)
        && lock(&reply.trying).is_none()
        && current_span(scope.py()).is_some_and(|span| reply.span.is(&span))
}

/// The number of a reply in a chat that has no rounds.
fn exchange_of<'py>(chat: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = chat.py();
    let has_rounds = !chat.getattr(intern!(py, "max_turns"))?.is_none();
    if has_rounds { Ok(None) } else { chat.getattr(intern!(py, "count")).map(Some) }
}
