//! What a model's answers used, as AG2 tells it by `OpenAIWrapper._update_usage`: once an answer, also for one that a filter
//! then rejects.
//!
//! ```text
//! actual usage and total usage    the service answered
//! only total usage                a cache of AG2's answered, which cost nothing
//! neither                         the service answered and did not say what it used
//! ```

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::keys;
use super::reading::{entry, field, field_of, truthy};
use crate::given::AttributeList;
use crate::value::to_value;

/// What one answer used.
#[derive(Default)]
pub(super) struct Usage {
    /// `prompt_tokens`, `completion_tokens`, `cost`, `model`; none where nothing is known.
    tokens: Option<Py<PyAny>>,
    /// Whether a cache of AG2's answered, not the service.
    pub(super) is_cached: bool,
}

/// Of the tokens: those read from the service's prompt cache, written to it, spent on reasoning, where it says.
#[derive(Default)]
pub(super) struct Details<'py> {
    pub(super) read: Option<Bound<'py, PyAny>>,
    pub(super) written: Option<Bound<'py, PyAny>>,
    pub(super) reasoning: Option<Bound<'py, PyAny>>,
}

impl Usage {
    pub(super) fn told(
        actual: Option<Bound<'_, PyAny>>,
        total: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let (actual, total) = (actual.filter(|it| !it.is_none()), total.filter(|it| !it.is_none()));
        let is_cached = actual.is_none() && total.is_some();
        let tokens = truthy(actual)?.map_or_else(|| truthy(total), |actual| Ok(Some(actual)))?;
        Ok(Self { tokens: tokens.map(Bound::unbind), is_cached })
    }

    /// What AG2 says under this name.
    pub(super) fn get<'py>(
        &self,
        name: &Bound<'py, PyString>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let tokens = self.tokens.as_ref().map(|tokens| tokens.bind(name.py()));
        tokens.map_or(Ok(None), |tokens| entry(tokens, name))
    }

    /// The tokens that went in, or 0.
    pub(super) fn input<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        or_zero(py, self.get(intern!(py, "prompt_tokens"))?)
    }

    /// The tokens that came out, or 0.
    pub(super) fn output<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        or_zero(py, self.get(intern!(py, "completion_tokens"))?)
    }

    /// Whether the service kept to itself what it used. AG2's client for OpenAI then counts 0 tokens.
    pub(super) fn is_unknown(
        &self,
        py: Python<'_>,
        response: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        if self.tokens.is_none() {
            return Ok(true);
        }
        if self.input(py)?.is_truthy()? || self.output(py)?.is_truthy()? {
            return Ok(false);
        }
        Ok(response.is_some() && field_of(response, intern!(py, "usage"))?.is_none())
    }
}

fn or_zero<'py>(py: Python<'py>, number: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
    match truthy(number)? {
        Some(number) => Ok(number),
        None => Ok(0_u32.into_pyobject(py)?.into_any()),
    }
}

impl<'py> Details<'py> {
    /// Reads them off a response.
    pub(super) fn of(response: &Bound<'py, PyAny>) -> PyResult<Self> {
        let py = response.py();
        let Some(usage) = field(response, intern!(py, "usage"))? else {
            return Ok(Self::default());
        };
        let prompt = field(&usage, intern!(py, "prompt_tokens_details"))?;
        let completion = field(&usage, intern!(py, "completion_tokens_details"))?;
        Ok(Self {
            read: field_of(prompt.as_ref(), intern!(py, "cached_tokens"))?,
            written: field_of(prompt.as_ref(), intern!(py, "cache_write_tokens"))?,
            reasoning: field_of(completion.as_ref(), intern!(py, "reasoning_tokens"))?,
        })
    }
}

/// Sums what a call took from the service, in the GenAI conventions' words. A cached answer took nothing.
pub(super) fn put_tokens_used<'a>(
    list: &mut AttributeList<'a>,
    usages: &[Usage],
    response: &Bound<'_, PyAny>,
    details: &'a Details<'_>,
) -> PyResult<()> {
    let py = response.py();
    let mut live = usages.iter().filter(|usage| !usage.is_cached);
    let (Some(first), Some(last)) = (live.next(), usages.last()) else { return Ok(()) };
    if last.is_unknown(py, Some(response))? {
        return Ok(());
    }
    let (mut input, mut output) = (first.input(py)?, first.output(py)?);
    for usage in live {
        input = input.add(usage.input(py)?)?;
        output = output.add(usage.output(py)?)?;
    }
    list.put_given(py, keys::GEN_AI_INPUT_TOKENS, to_value(&input));
    list.put_given(py, keys::GEN_AI_OUTPUT_TOKENS, to_value(&output));
    if let Some(read) = &details.read {
        list.put(keys::GEN_AI_CACHE_READ_TOKENS, read);
    }
    if let Some(reasoning) = &details.reasoning {
        list.put(keys::GEN_AI_REASONING_TOKENS, reasoning);
    }
    Ok(())
}
