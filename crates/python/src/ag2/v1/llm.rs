//! Calls of a model: LLM_CALL, with LLM_CREATE and COST.

use std::sync::{Arc, Mutex};

use callboard_core::time::{Clock, SystemClock};
use callboard_core::{Attribute, EventKind, Span, SpanId, SpanKind, Value};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::super::agents::{id_of, name_of};
use super::super::keys;
use super::super::reading::{field, in_words, or_none, truthy};
use super::answer::Answer;
use super::classes::Event;
use super::request::{Request, provider_name};
use super::scopes::{acting, delivery};
use super::usage::{Answered, Tokens, put_cost};
use super::{TurnHooks, put_mark, streams};
use crate::current::current_span;
use crate::given::AttributeList;
use crate::guard::lock;
use crate::span::{RunOwner, SpanContext};
use crate::value::{attributes_to_python, class_name, to_value};
use crate::watch::{Begun, Call, Hook, Outcome, Switch};

/// A client of models being called.
#[pyclass(module = "callboard", frozen)]
struct ClientCall {
    span: Py<SpanContext>,
    /// What is asked; none once that is answered.
    asked: Mutex<Option<Asked>>,
}

/// What a model is asked.
struct Asked {
    request: Request,
    agent: Py<PyAny>,
    agent_name: Py<PyAny>,
    messages: Value,
    /// When: a reading of the clock.
    asked_ns: u64,
}

/// The spans of the clients that are being called, and when the first piece of a streamed answer was there: readings of the
/// clock.
#[derive(Default)]
pub(super) struct InProgress(Mutex<Vec<(SpanId, Option<u64>)>>);

impl InProgress {
    /// Notes that a piece of a streamed answer is there, in this span.
    pub(super) fn note_chunk(&self, span: &SpanContext) {
        let Some(span_id) = span.span().map(Span::span_id) else { return };
        if let Some((_, first)) = lock(&self.0).iter_mut().find(|(known, _)| *known == span_id) {
            first.get_or_insert_with(|| SystemClock.monotonic_ns());
        }
    }

    fn add(&self, span: &SpanContext) {
        lock(&self.0).extend(span.span().map(|span| (span.span_id(), None)));
    }

    fn includes(&self, span: &SpanContext) -> bool {
        let span_id = span.span().map(Span::span_id);
        lock(&self.0).iter().any(|(known, _)| Some(*known) == span_id)
    }

    /// When the first piece was there.
    fn remove(&self, span: &SpanContext) -> Option<u64> {
        let span_id = span.span().map(Span::span_id)?;
        let mut all = lock(&self.0);
        let place = all.iter().position(|(known, _)| *known == span_id)?;
        all.swap_remove(place).1
    }
}

/// Watches `LLMClient.__call__(messages, context, tools)`.
pub(super) struct Calling {
    pub(super) hooks: Py<TurnHooks>,
    /// What the watched function is bound to, where it is not the client's own.
    pub(super) bound: Option<Binding>,
}

/// The client that a function calls, and the tools.
pub(super) struct Binding {
    pub(super) client: Py<PyAny>,
    pub(super) tools: Py<PyAny>,
}

/// The arguments of a call.
struct Arguments<'py> {
    client: Bound<'py, PyAny>,
    messages: Bound<'py, PyAny>,
    context: Bound<'py, PyAny>,
    tools: Option<Bound<'py, PyAny>>,
}

impl Calling {
    fn arguments<'py>(&self, call: &Call<'_, 'py>) -> PyResult<Arguments<'py>> {
        let py = call.py();
        let (messages, context) = (intern!(py, "messages"), intern!(py, "context"));
        Ok(match &self.bound {
            None => Arguments {
                client: call.positional(0)?,
                messages: or_none(py, call.argument(1, messages)),
                context: or_none(py, call.argument(2, context)),
                tools: call.argument(3, intern!(py, "tools")),
            },
            Some(Binding { client, tools }) => Arguments {
                client: client.bind(py).clone(),
                messages: or_none(py, call.argument(0, messages)),
                context: or_none(py, call.argument(1, context)),
                tools: Some(tools.bind(py).clone()),
            },
        })
    }
}

impl Hook for Calling {
    fn what(&self) -> &'static str {
        "llm_call"
    }

    fn begin<'py>(&self, call: &Call<'_, 'py>) -> PyResult<Option<Begun<'py>>> {
        let (py, hooks) = (call.py(), self.hooks.get());
        let Some(parent) = current_span(py) else { return Ok(None) };
        let Some(run) = parent.get().run() else { return Ok(None) };
        if hooks.in_progress.includes(parent.get()) {
            return Ok(None); // A client that calls another one, to which it adds something.
        }
        let arguments = self.arguments(call)?;
        let agent = acting(call.switch, py)?;
        let agent_name = name_of(&agent);
        let request = Request::of(
            &hooks.clients,
            &arguments.client,
            &arguments.context,
            arguments.tools.as_ref(),
        )?;
        let model_name = request.name.bind(py).clone();
        SpanContext::ask_budget(&parent, &hooks.ledger_of, &agent_name, &model_name)?;
        let messages = history(hooks, call.switch, run, &agent, &arguments)?;
        let mut attributes = AttributeList::new(parent.get().policy());
        request.put_attributes(&model_name, &mut attributes);
        attributes.put_given(py, keys::GEN_AI_OPERATION, "chat");
        attributes.put(keys::GEN_AI_AGENT_NAME, &agent_name);
        attributes.put_given(py, keys::GEN_AI_INPUT_MESSAGES, messages.clone());
        put_mark(&mut attributes, &agent_name);
        let span = parent.get().open_child(py, SpanKind::LlmCall, &mut attributes, None)?;
        drop(attributes);
        let asked = Asked {
            request,
            agent: agent.unbind(),
            agent_name: agent_name.unbind(),
            messages,
            asked_ns: SystemClock.monotonic_ns(),
        };
        let asked = Mutex::new(Some(asked));
        let state = Bound::new(py, ClientCall { span: span.clone().unbind(), asked })?.into_any();
        hooks.in_progress.add(span.get());
        Ok(Some(Begun { state, span: Some(span) }))
    }

    fn finish(
        &self,
        _switch: &Switch,
        begun: &Bound<'_, PyAny>,
        outcome: Outcome<'_, '_>,
    ) -> PyResult<()> {
        let py = begun.py();
        let call = begun.cast::<ClientCall>()?.get();
        let Some(asked) = lock(&call.asked).take() else { return Ok(()) };
        let span = call.span.bind(py);
        let first_chunk_ns = self.hooks.get().in_progress.remove(span.get());
        match outcome {
            Outcome::Returned(response) => {
                record_answer(self.hooks.get(), span, &asked, first_chunk_ns, response)
            }
            Outcome::Raised(error) => {
                let name = asked.request.name.bind(py).clone();
                let agent_name = asked.agent_name.bind(py).clone();
                let mut attributes = AttributeList::new(span.get().policy());
                asked.put_created(span, &name, &agent_name, &mut attributes);
                attributes.put_given(py, keys::LLM_IS_ERROR, true);
                attributes.put_given(py, keys::LLM_RESPONSE, in_words(error)?);
                span.get().record(EventKind::LlmCreate, &mut attributes);
                Ok(())
            }
        }
    }
}

/// The messages as one value, which shares what the agent's earlier calls in the same place hold.
fn history(
    hooks: &TurnHooks,
    switch: &Switch,
    run: &Arc<RunOwner>,
    agent: &Bound<'_, PyAny>,
    arguments: &Arguments<'_>,
) -> PyResult<Value> {
    let py = agent.py();
    let prompt = match field(&arguments.context, intern!(py, "prompt"))? {
        Some(prompt) => py.get_type::<PyTuple>().call1((prompt,))?.cast_into()?,
        None => PyTuple::empty(py),
    };
    let stream = or_none(py, field(&arguments.context, intern!(py, "stream"))?);
    let events = &arguments.messages;
    let asked = streams::Asked { run, stream: &stream, prompt: &prompt, events };
    let owner = || {
        let place = match delivery(hooks, switch, py)? {
            Some(delivery) => Some(delivery.getattr(intern!(py, "channel_id"))?),
            None => None,
        };
        let owner = (id_of(agent), place, intern!(py, "model")).into_pyobject(py)?;
        Ok(owner.into_any())
    };
    Ok(hooks.streams.context(&asked, owner)?.into())
}

/// What the model answered, and used: COST, on the span, and LLM_CREATE. The cost first: an answer of a shape that nobody
/// foresaw may fail the rest.
fn record_answer(
    hooks: &TurnHooks,
    span: &Bound<'_, SpanContext>,
    asked: &Asked,
    first_chunk_ns: Option<u64>,
    response: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let py = span.py();
    let name = asked.request.name.bind(py).clone();
    let agent_name = asked.agent_name.bind(py).clone();
    let response = Event::of(response)?;
    let service = response.field(intern!(py, "provider"))?;
    let tokens = Tokens::of(&response, service.as_ref())?;
    let provider = match provider_name(service.as_ref()) {
        Value::Null => asked.request.provider.clone(),
        provider => provider,
    };
    let model = or_none(py, response.field(intern!(py, "model"))?);
    let priced = truthy(Some(model.clone()))?.unwrap_or_else(|| name.clone());
    let answered = Answered { agent: &agent_name, provider: &provider, model: &priced };
    let mut attributes = AttributeList::new(span.get().policy());
    put_cost(&answered, tokens.as_ref(), &mut |key, value| attributes.put_given(py, key, value));
    span.get().record(EventKind::Cost, &mut attributes);
    if span.get().has_budget(py) {
        let mut cost: Vec<Attribute> = Vec::new();
        put_cost(&answered, tokens.as_ref(), &mut |key, value| cost.push((key.into(), value)));
        let ledger = hooks.ledger_of.bind(py).call1((span,))?;
        let about = (span, &agent_name, &name, attributes_to_python(py, &cost)?);
        ledger.call_method1(intern!(py, "count"), about)?;
    }

    let answer = Answer::of(&response)?;
    let reason = to_value(&or_none(py, response.field(intern!(py, "finish_reason"))?));
    let id = to_value(&or_none(py, response.field(intern!(py, "response_id"))?));
    let model = to_value(&model);
    if let Some(tokens) = tokens {
        tokens.put(py, &mut attributes);
    }
    attributes.put_given(py, keys::GEN_AI_PROVIDER, provider);
    attributes.put_given(py, keys::GEN_AI_RESPONSE_MODEL, model.clone());
    attributes.put_given(py, keys::GEN_AI_RESPONSE_ID, id.clone());
    attributes.put_given(py, keys::GEN_AI_OUTPUT_MESSAGES, answer.messages(reason.clone()));
    attributes.put_given(py, keys::GEN_AI_FINISH_REASONS, vec![reason.clone()]);
    if let Some(first_chunk_ns) = first_chunk_ns {
        let took = first_chunk_ns.saturating_sub(asked.asked_ns) as f64 / 1e9;
        attributes.put_given(py, keys::GEN_AI_TIME_TO_FIRST_CHUNK, took);
    }
    span.get().set_list(&mut attributes);

    asked.put_created(span, &name, &agent_name, &mut attributes);
    attributes.put_given(py, keys::LLM_IS_ERROR, false);
    let plain = answer.plain(id, model, reason);
    attributes.put_given(py, keys::LLM_RESPONSE, plain);
    attributes.put_given(py, keys::LLM_IS_CACHED, false);
    span.get().record(EventKind::LlmCreate, &mut attributes);
    Ok(())
}

impl Asked {
    /// Begins an LLM_CREATE.
    fn put_created<'a>(
        &self,
        span: &Bound<'_, SpanContext>,
        name: &'a Bound<'_, PyAny>,
        agent_name: &'a Bound<'_, PyAny>,
        attributes: &mut AttributeList<'a>,
    ) {
        let py = span.py();
        let agent = self.agent.bind(py);
        let agent_type = if agent.is_none() { Value::Null } else { class_name(agent).into() };
        attributes.put_given(py, keys::INVOCATION_ID, span.get().core_span_id());
        self.request.put_about(name, attributes);
        attributes.put_given(py, keys::AGENT_TYPE, agent_type);
        attributes.put(keys::AGENT_NAME, agent_name);
        let parameters = self.request.parameters(py, &self.messages);
        attributes.put_given(py, keys::LLM_PARAMS, parameters);
    }
}
