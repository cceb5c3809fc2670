//! Calls of a model: `llm_call`, with LLM_CREATE and the COST of each answer.

use callboard_core::{EventKind, SpanKind, Value};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::agents::{id_of, name_of};
use super::answer::Answer;
use super::attempt::Attempt;
use super::call::{Failure, ModelCall, Progress, survived};
use super::cost::record_costs;
use super::model::{Model, Request};
use super::reading::{added_field, field, in_words, or_none};
use super::reply::Reply;
use super::scope::Scope;
use super::usage::{Details, Usage, put_tokens_used};
use super::{Hooks, here, keys};
use crate::given::AttributeList;
use crate::span::SpanContext;
use crate::value::{class_name, to_value};
use crate::watch::{Begun, Call, Hook, Outcome, Switch};

/// Watches `OpenAIWrapper.create`.
pub(super) struct Calling(pub(super) Py<Hooks>);

/// What a model is asked.
pub(super) struct Asked {
    request: Request,
    pub(super) agent_name: Py<PyAny>,
    messages: Value,
}

/// A call that has returned.
pub(super) struct Returned<'a, 'py> {
    pub(super) hooks: &'a Hooks,
    pub(super) switch: &'a Switch,
    pub(super) span: &'a Bound<'py, SpanContext>,
    pub(super) agent_name: Bound<'py, PyAny>,
    /// The class of the agent; None where there is no agent.
    agent_type: Value,
    pub(super) request: &'a Request,
    messages: &'a Value,
    /// The model that answered, or failed to.
    pub(super) model: &'a Model,
    pub(super) model_name: Bound<'py, PyAny>,
    pub(super) usages: &'a [Usage],
    /// None where the call failed.
    pub(super) response: Option<&'a Bound<'py, PyAny>>,
    pub(super) details: Details<'py>,
}

impl Hook for Calling {
    fn what(&self) -> &'static str {
        "llm_call"
    }

    fn begin<'py>(&self, call: &Call<'_, 'py>) -> PyResult<Option<Begun<'py>>> {
        let (py, hooks) = (call.py(), self.0.get());
        let Some(parent) = here(call.switch, py) else { return Ok(None) };
        let agent = or_none(py, call.keyword(intern!(py, "agent")));
        let agent_name = name_of(&agent);
        let request = Request::of(&hooks.models, &call.positional(0)?, call.named)?;
        let model_name = request.name_of(py, &request.model)?;
        SpanContext::ask_budget(&parent, &hooks.counting.ledger_of, &agent_name, &model_name)?;
        let messages = or_none(py, call.keyword(intern!(py, "messages")));
        let messages = context(hooks, call.switch, &parent, &agent, &messages)?;
        let mut attributes = AttributeList::new(parent.get().policy());
        request.put_attributes(py, &model_name, &mut attributes);
        attributes.put_given(py, keys::GEN_AI_OPERATION, "chat");
        attributes.put(keys::GEN_AI_AGENT_NAME, &agent_name);
        attributes.put_given(py, keys::GEN_AI_INPUT_MESSAGES, messages.clone());
        hooks.internal.get().put_mark(&mut attributes, &agent, &agent_name);
        let span = parent.get().open_child(py, SpanKind::LlmCall, &mut attributes, None)?;
        let outer = or_none(py, call.switch.scope(py));
        drop(attributes);
        let asked = Asked { request, agent_name: agent_name.unbind(), messages };
        let state = Bound::new(py, (ModelCall::new(&span, agent, outer, asked), Scope))?.into_any();
        Ok(Some(call.within(state, span)))
    }

    fn finish(
        &self,
        switch: &Switch,
        begun: &Bound<'_, PyAny>,
        outcome: Outcome<'_, '_>,
    ) -> PyResult<()> {
        let py = begun.py();
        let (call, hooks) = (begun.cast::<ModelCall>()?.get(), self.0.get());
        let mut progress = call.take_progress();
        let Some(asked) = progress.asked.take() else { return Ok(()) };
        let (response, error) = match outcome {
            Outcome::Returned(response) => (Some(response).filter(|it| !it.is_none()), None),
            Outcome::Raised(error) => (None, Some(error)),
        };
        // The costs first: an answer of a shape that nobody foresaw may fail the rest.
        let model = match response {
            Some(response) => asked.request.answered_by(&hooks.models, response)?,
            None => asked.request.model.clone(),
        };
        let agent = call.its_agent(py);
        let returned = Returned {
            hooks,
            switch,
            span: call.its_span(py),
            agent_name: asked.agent_name.bind(py).clone(),
            agent_type: if agent.is_none() { Value::Null } else { class_name(agent).into() },
            request: &asked.request,
            messages: &asked.messages,
            model: &model,
            model_name: asked.request.name_of(py, &model)?,
            usages: &progress.usages,
            response,
            details: response.map_or_else(|| Ok(Details::default()), Details::of)?,
        };
        record_costs(&returned)?;
        returned.record_first_chunk(&progress);
        returned.record_failures(survived(&progress.failures, error)?)?;
        match error {
            Some(error) => returned.record_failure(&model, &returned.model_name, &in_words(error)?),
            None => returned.record_answer(call),
        }
    }
}

/// The messages as one value, which shares what the agent's earlier calls of the conversation hold.
fn context(
    hooks: &Hooks,
    switch: &Switch,
    parent: &Bound<'_, SpanContext>,
    agent: &Bound<'_, PyAny>,
    messages: &Bound<'_, PyAny>,
) -> PyResult<Value> {
    let py = messages.py();
    if !messages.is_instance_of::<PyList>() {
        return Ok(to_value(messages));
    }
    let reply = switch.scope(py).and_then(|scope| match scope.cast::<Attempt>() {
        Ok(attempt) => Some(attempt.get().reply(py).clone()),
        Err(_) => scope.cast_into::<Reply>().ok(),
    });
    let peer = reply.map(|reply| reply.get().sender_id(py));
    let owner = (id_of(agent), peer, intern!(py, "model")).into_pyobject(py)?;
    let rewrite = hooks.rewrite.bind(py);
    Ok(parent.get().history(owner.as_any(), messages, Some(rewrite)).into())
}

impl Returned<'_, '_> {
    /// How long it took until the answer began, where that is known.
    fn record_first_chunk(&self, progress: &Progress) {
        if let Some(first_chunk_ns) = progress.first_chunk_ns {
            let took_ns = first_chunk_ns.saturating_sub(progress.asked_ns);
            let mut attributes = AttributeList::new(self.span.get().policy());
            let took = took_ns as f64 / 1e9;
            attributes.put_given(self.span.py(), keys::GEN_AI_TIME_TO_FIRST_CHUNK, took);
            self.span.get().set_list(&mut attributes);
        }
    }

    /// LLM_CREATE for each failure that the call went on from.
    fn record_failures(&self, failures: &[Failure]) -> PyResult<()> {
        let py = self.span.py();
        for failure in failures {
            let model = self.request.model_of(&self.hooks.models, failure.client.bind(py))?;
            let name = self.request.name_of(py, &model)?;
            self.record_failure(&model, &name, &failure.in_words)?;
        }
        Ok(())
    }

    /// LLM_CREATE of a configuration that failed.
    fn record_failure(
        &self,
        model: &Model,
        name: &Bound<'_, PyAny>,
        in_words: &str,
    ) -> PyResult<()> {
        let py = self.span.py();
        let mut attributes = self.created(model, name)?;
        attributes.put_given(py, keys::LLM_RESPONSE, in_words);
        attributes.put_given(py, keys::LLM_IS_ERROR, true);
        self.span.get().record(EventKind::LlmCreate, &mut attributes);
        Ok(())
    }

    /// What the model answered: on the span, and LLM_CREATE.
    fn record_answer(&self, call: &ModelCall) -> PyResult<()> {
        let py = self.span.py();
        let none = py.None().into_bound(py);
        let response = self.response.unwrap_or(&none);
        let answer = Answer::of(response)?;
        let cost = or_none(py, added_field(response, intern!(py, "cost"))?);
        let mut attributes = self.created(self.model, &self.model_name)?;
        attributes.put_given(py, keys::LLM_RESPONSE, answer.said);
        let is_cached = self.usages.last().is_some_and(|usage| usage.is_cached);
        attributes.put_given(py, keys::LLM_IS_CACHED, is_cached);
        attributes.put(keys::LLM_COST, &cost);
        attributes.put_given(py, keys::LLM_IS_ERROR, false);
        self.tell_answer(response, answer.messages, answer.reasons)?;
        if let Some(text) = call.streamed_text(py)? {
            let mut printed = AttributeList::new(self.span.get().policy());
            printed.put_given(py, keys::CONSOLE_EVENT, "stream");
            printed.put(keys::CONSOLE_TEXT, &text);
            self.span.get().record(EventKind::ConsolePrint, &mut printed);
        }
        self.span.get().record(EventKind::LlmCreate, &mut attributes);
        Ok(())
    }

    /// Tells the span what the model answered.
    fn tell_answer(
        &self,
        response: &Bound<'_, PyAny>,
        messages: Vec<Value>,
        reasons: Vec<Value>,
    ) -> PyResult<()> {
        let py = self.span.py();
        let model = or_none(py, field(response, intern!(py, "model"))?);
        let id = or_none(py, field(response, intern!(py, "id"))?);
        let mut attributes = AttributeList::new(self.span.get().policy());
        put_tokens_used(&mut attributes, self.usages, response, &self.details)?;
        attributes.put(keys::GEN_AI_RESPONSE_MODEL, &model);
        attributes.put(keys::GEN_AI_RESPONSE_ID, &id);
        if !messages.is_empty() {
            attributes.put_given(py, keys::GEN_AI_OUTPUT_MESSAGES, messages);
            attributes.put_given(py, keys::GEN_AI_FINISH_REASONS, reasons);
        }
        self.span.get().set_list(&mut attributes);
        Ok(())
    }

    /// The beginning of an LLM_CREATE.
    fn created<'a>(
        &'a self,
        model: &Model,
        name: &'a Bound<'_, PyAny>,
    ) -> PyResult<AttributeList<'a>> {
        let py = self.span.py();
        let mut attributes = AttributeList::new(self.span.get().policy());
        model.put_about(py, &mut attributes);
        attributes.put_given(py, keys::INVOCATION_ID, self.span.get().core_span_id());
        attributes.put(keys::CLIENT_MODEL, name);
        attributes.put_given(py, keys::AGENT_TYPE, self.agent_type.clone());
        attributes.put(keys::AGENT_NAME, &self.agent_name);
        let parameters = self.request.parameters(py, model, self.messages)?;
        attributes.put_given(py, keys::LLM_PARAMS, parameters);
        Ok(attributes)
    }
}
