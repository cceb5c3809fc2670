//! What a model's answers cost: COST, once an answer. The pipeline's cost module prices it, nobody here does.

use callboard_core::{Attribute, EventKind, Key, Value};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyList, PyType};

use super::keys;
use super::llm::Returned;
use super::reading::{field_of, or_none, truthy};
use super::usage::{Details, Usage};
use crate::guard::quietly;
use crate::manager::InstrumentationManager;
use crate::value::{attributes_to_python, to_value};
use crate::watch::Switch;

/// Where costs are counted.
pub(super) struct Counting {
    /// The class of scopes that count what is spent within them.
    pub(super) tally: Py<PyType>,
    /// How many calls wait to be summed at the most.
    pub(super) most_waiting: usize,
    /// Takes a span; gives the ledger of its run.
    pub(super) ledger_of: Py<PyAny>,
}

/// What a call cost, as a tally keeps it until it is summed.
#[pyclass(module = "callboard", frozen)]
pub(crate) struct Cost {
    attributes: Vec<Attribute>,
    used: Option<[Py<PyAny>; 2]>,
}

#[pymethods]
impl Cost {
    /// The tokens that went in; None where that is not known.
    #[getter]
    fn input_tokens(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.used.as_ref().map(|[input, _]| input.clone_ref(py))
    }

    /// The tokens that came out; None where that is not known.
    #[getter]
    fn output_tokens(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.used.as_ref().map(|[_, output]| output.clone_ref(py))
    }

    /// What a manager says that it cost, in picodollars (10^-12 US dollars); None where nobody knows.
    fn price(&self, manager: &InstrumentationManager) -> Option<i128> {
        manager.price(&self.attributes)
    }
}

/// Records a COST for each answer of a call. The last is the response; none where the call failed.
pub(super) fn record_costs(call: &Returned<'_, '_>) -> PyResult<()> {
    let py = call.span.py();
    let unsaid = [Usage::default()];
    let usages = match call.response {
        Some(_) if call.usages.is_empty() => &unsaid[..],
        _ => call.usages,
    };
    if usages.is_empty() {
        return Ok(());
    }
    let has_budget = call.span.get().has_budget(py);
    let ledger = has_budget.then(|| call.hooks.counting.ledger_of.bind(py).call1((call.span,)));
    let ledger = ledger.transpose()?;
    for (index, usage) in usages.iter().enumerate() {
        let is_last = index + 1 == usages.len();
        let cost = cost_of(call, usage, call.response.filter(|_| is_last))?;
        call.span.get().record_copy(py, EventKind::Cost, &cost.attributes);
        let said = ledger.as_ref().map(|_| attributes_to_python(py, &cost.attributes));
        count(&call.hooks.counting, call.switch, py, usage, cost)?;
        if let (Some(ledger), Some(said)) = (&ledger, said.transpose()?) {
            let about = (call.span, &call.agent_name, &call.model_name, said);
            ledger.call_method1(intern!(py, "count"), about)?;
        }
    }
    Ok(())
}

/// What an answer cost. `response` is none for one that came before the last.
fn cost_of(
    call: &Returned<'_, '_>,
    usage: &Usage,
    response: Option<&Bound<'_, PyAny>>,
) -> PyResult<Cost> {
    let py = call.span.py();
    let model = match truthy(usage.get(intern!(py, "model"))?)? {
        Some(model) => Some(model),
        None => truthy(field_of(call.response, intern!(py, "model"))?)?,
    };
    let mut attributes = Vec::with_capacity(8);
    let mut put = |key, value| attributes.push((Key::from_static(key), value));
    put(keys::COST_TYPE, "LLM".into());
    put(keys::AGENT_NAME, to_value(&call.agent_name));
    put(keys::LLM_PROVIDER, call.model.provider.clone());
    put(keys::LLM_MODEL, to_value(model.as_ref().unwrap_or(&call.model_name)));
    if usage.is_unknown(py, response)? {
        put(keys::COST_UNPRICED, true.into());
        return Ok(Cost { attributes, used: None });
    }
    let (input, output) = (usage.input(py)?, usage.output(py)?);
    put(keys::LLM_INPUT_TOKENS, to_value(&input));
    put(keys::LLM_OUTPUT_TOKENS, to_value(&output));
    let unsaid = Details::default();
    let details = if response.is_some() { &call.details } else { &unsaid };
    let detailed = [
        (keys::CACHE_READ_TOKENS, &details.read),
        (keys::CACHE_WRITE_TOKENS, &details.written),
        (keys::REASONING_TOKENS, &details.reasoning),
    ];
    for (key, tokens) in detailed {
        if let Some(tokens) = tokens {
            put(key, to_value(tokens));
        }
    }
    if usage.is_cached {
        put(keys::COST_CACHED, true.into());
    }
    let says = usage.get(intern!(py, "cost"))?.map_or(Value::Null, |cost| to_value(&cost));
    match call.request.price_of(py, call.model)? {
        None => put(keys::COST_FRAMEWORK, says),
        Some(price) => {
            put(keys::COST_CONFIGURED, says);
            if let Some(cost) = of_the_input(&input, &price) {
                put(keys::COST_INPUT, to_value(&cost));
            }
            put(keys::INVOCATION_ID, call.span.get().core_span_id().into());
        }
    }
    Ok(Cost { attributes, used: Some([input.unbind(), output.unbind()]) })
}

/// The input's part of a cost by a configured price: US dollars for 1,000 tokens of input, and of output.
fn of_the_input<'py>(
    tokens: &Bound<'py, PyAny>,
    price: &Bound<'py, PyAny>,
) -> Option<Bound<'py, PyAny>> {
    let py = tokens.py();
    let cost = || {
        let of_1000 = py.get_type::<PyFloat>().call1((price.get_item(0)?,))?;
        tokens.mul(of_1000)?.div(1000)
    };
    // AG2 takes what it can use, and warns of the rest.
    quietly(py, cost())
}

/// Adds an answer to the nearest tally. One from a cache took nothing.
fn count(
    counting: &Counting,
    switch: &Switch,
    py: Python<'_>,
    usage: &Usage,
    cost: Cost,
) -> PyResult<()> {
    if usage.is_cached && cost.used.is_some() {
        return Ok(());
    }
    let Some(tally) = nearest(counting, switch, py)? else { return Ok(()) };
    let waiting = tally.getattr(intern!(py, "waiting"))?.cast_into::<PyList>()?;
    waiting.append(Bound::new(py, cost)?)?;
    if waiting.len() >= counting.most_waiting {
        tally.call_method0(intern!(py, "shorten"))?;
    }
    Ok(())
}

/// The tally that counts what happens now.
fn nearest<'py>(
    counting: &Counting,
    switch: &Switch,
    py: Python<'py>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let tally = counting.tally.bind(py);
    let mut scope = or_none(py, switch.scope(py));
    while !scope.is_none() {
        if scope.is_instance(tally)? && !scope.getattr(intern!(py, "is_over"))?.is_truthy()? {
            return Ok(Some(scope));
        }
        scope = scope.getattr(intern!(py, "outer"))?;
    }
    Ok(None)
}
