//! What an answer used, counted the same way for every service.
//!
//! The tokens are those of the answer itself, which AG2 also puts into its `UsageEvent`. Its other kind, `subtask`, sums up
//! calls that have been counted already, so nothing listens to it.

use callboard_core::Value;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyString};

use super::super::keys;
use super::classes::Event;
use crate::given::AttributeList;
use crate::guard::quietly;
use crate::value::to_value;

/// Whose input tokens leave out those of the prompt cache. Everywhere else the counts include them, as they do in the
/// GenAI conventions.
const CACHE_APART: [&str; 2] = ["anthropic", "bedrock"];
/// Whose output tokens leave out those of reasoning.
const REASONING_APART: [&str; 1] = ["google"];

/// The tokens of one answer.
pub(super) struct Tokens {
    input: i64,
    output: i64,
    cache_read: Option<i64>,
    cache_write: Option<i64>,
    reasoning: Option<i64>,
}

impl Tokens {
    /// What an answer used; none where the service kept that to itself. `service` is AG2's name of it.
    pub(super) fn of(
        response: &Event<'_, '_>,
        service: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<Self>> {
        let py = response.py();
        let Some(usage) = response.field(intern!(py, "usage"))? else { return Ok(None) };
        let usage = Event::of(&usage)?;
        let cache_read = count(&usage, intern!(py, "cache_read_input_tokens"));
        let cache_write = count(&usage, intern!(py, "cache_creation_input_tokens"));
        let reasoning = count(&usage, intern!(py, "thinking_tokens"));
        let mut input = count(&usage, intern!(py, "prompt_tokens")).unwrap_or(0);
        let mut output = count(&usage, intern!(py, "completion_tokens")).unwrap_or(0);
        let total = count(&usage, intern!(py, "total_tokens"));
        let counted = [Some(input), Some(output), total, cache_read, cache_write, reasoning];
        if counted.iter().all(|tokens| tokens.unwrap_or(0) == 0) {
            return Ok(None);
        }
        let service = service.and_then(|name| name.cast::<PyString>().ok()?.to_str().ok());
        if service.is_some_and(|name| CACHE_APART.contains(&name)) {
            let cached = cache_read.unwrap_or(0).saturating_add(cache_write.unwrap_or(0));
            input = input.saturating_add(cached);
        }
        if service.is_some_and(|name| REASONING_APART.contains(&name)) {
            output = output.saturating_add(reasoning.unwrap_or(0));
        }
        Ok(Some(Self { input, output, cache_read, cache_write, reasoning }))
    }

    /// Says what an answer used in the GenAI conventions' words.
    pub(super) fn put(&self, py: Python<'_>, attributes: &mut AttributeList<'_>) {
        attributes.put_given(py, keys::GEN_AI_INPUT_TOKENS, self.input);
        attributes.put_given(py, keys::GEN_AI_OUTPUT_TOKENS, self.output);
        let details = [
            (keys::GEN_AI_CACHE_READ_TOKENS, self.cache_read),
            (keys::GEN_AI_REASONING_TOKENS, self.reasoning),
        ];
        for (key, tokens) in details {
            if let Some(tokens) = tokens {
                attributes.put_given(py, key, tokens);
            }
        }
    }
}

/// The number of tokens of a kind; none where the service does not say.
fn count<'py>(usage: &Event<'_, 'py>, name: &Bound<'py, PyString>) -> Option<i64> {
    let py = usage.py();
    let tokens = quietly(py, usage.field(name)).flatten()?;
    if tokens.is_exact_instance_of::<PyInt>() {
        return tokens.extract().ok();
    }
    let whole = quietly(py, py.get_type::<PyInt>().call1((tokens,)))?;
    whole.extract().ok()
}

/// Whose answer it is that has a cost.
pub(super) struct Answered<'a> {
    /// The agent's name.
    pub(super) agent: &'a Bound<'a, PyAny>,
    pub(super) provider: &'a Value,
    pub(super) model: &'a Bound<'a, PyAny>,
}

/// Gives the attributes of an answer's COST, one by one. The pipeline's cost module prices it, nobody here does.
pub(super) fn put_cost(
    answered: &Answered<'_>,
    tokens: Option<&Tokens>,
    put: &mut dyn FnMut(&'static str, Value),
) {
    put(keys::COST_TYPE, "LLM".into());
    put(keys::AGENT_NAME, to_value(answered.agent));
    put(keys::LLM_PROVIDER, answered.provider.clone());
    put(keys::LLM_MODEL, to_value(answered.model));
    let Some(tokens) = tokens else {
        put(keys::COST_UNPRICED, true.into());
        return;
    };
    put(keys::LLM_INPUT_TOKENS, tokens.input.into());
    put(keys::LLM_OUTPUT_TOKENS, tokens.output.into());
    let details = [
        (keys::CACHE_READ_TOKENS, tokens.cache_read),
        (keys::CACHE_WRITE_TOKENS, tokens.cache_write),
        (keys::REASONING_TOKENS, tokens.reasoning),
    ];
    for (key, tokens) in details {
        if let Some(tokens) = tokens {
            put(key, tokens.into());
        }
    }
}
