//! `CostTrackerProvider`, as Python sees it.

use callboard::CostSummary;
use callboard::providers::cost::{CostTrackerConfig, MessageCost, Share, Unpriced};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::arguments::{count, of_run};
use crate::exit::without_gil;
use crate::value::attributes_to_python;

/// Adds up what model calls, and anything else with a cost, cost.
///
/// Every COST event with an `ag2.cost` counts, a program's own too. The price of a model call is the one that the program
/// configured, else what the framework says where it is above 0, else the price table's (a price file of your own first);
/// a call that nobody has a price for is `unpriced`, and in no sum. Answers from a response cache cost nothing: see `saved`.
///
/// What is read covers all runs. The methods take a `run`: a `SpanContext` of it, its root or any other, or its trace id. A
/// run that is not known is a ValueError.
///
/// Args:
///     history_entries: the most entries of `cost_history`; the oldest go first. Sums never lose anything.
///
/// Raises:
///     ValueError: `history_entries` is below 0.
#[pyclass(module = "callboard", subclass, frozen, weakref)]
pub(crate) struct CostTrackerProvider {
    pub(crate) provider: callboard::CostTrackerProvider,
}

#[pymethods]
impl CostTrackerProvider {
    #[new]
    #[pyo3(signature = (*, history_entries=None))]
    fn new(history_entries: Option<i128>) -> PyResult<Self> {
        let defaults = CostTrackerConfig::default();
        let history_entries =
            count("history_entries", history_entries)?.unwrap_or(defaults.history_entries);
        let provider = callboard::CostTrackerProvider::new(CostTrackerConfig { history_entries });
        Ok(Self { provider })
    }

    /// What everything cost so far, in US dollars.
    #[getter]
    fn total_cost(&self, py: Python<'_>) -> f64 {
        without_gil(py, || self.provider.total_cost())
    }

    /// A dict for each COST event that counts, in the order of recording, with the event's attributes.
    #[getter]
    fn cost_history<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.history(py, None)
    }

    /// US dollars by the name of the agent that called, the dearest first. They add up to the total.
    #[pyo3(signature = (*, run=None))]
    fn cost_by_agent<'py>(
        &self,
        py: Python<'py>,
        run: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        shares(py, &self.summary_of(py, run)?.by_agent)
    }

    /// US dollars by model, the dearest first. They add up to the total.
    #[pyo3(signature = (*, run=None))]
    fn cost_by_model<'py>(
        &self,
        py: Python<'py>,
        run: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        shares(py, &self.summary_of(py, run)?.by_model)
    }

    /// US dollars by the nearest chat around the call, the dearest first. They add up to the total.
    #[pyo3(signature = (*, run=None))]
    fn cost_by_chat<'py>(
        &self,
        py: Python<'py>,
        run: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        shares(py, &self.summary_of(py, run)?.by_chat)
    }

    /// The sums as a dict: `total_cost`, `cost_events` (how many), `saved`, `cached_answers` (how many) and `unpriced`. Without
    /// a run they are those of the properties.
    #[pyo3(signature = (*, run=None))]
    fn summary<'py>(
        &self,
        py: Python<'py>,
        run: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let summary = self.summary_of(py, run)?;
        let sums = PyDict::new(py);
        sums.set_item("total_cost", summary.total.usd())?;
        sums.set_item("cost_events", summary.events)?;
        sums.set_item("saved", summary.saved.usd())?;
        sums.set_item("cached_answers", summary.cached_calls)?;
        sums.set_item("unpriced", unpriced(py, summary.unpriced)?)?;
        Ok(sums)
    }

    /// The `cost_history` of a run; without one that of all runs.
    #[pyo3(signature = (*, run=None))]
    fn history<'py>(
        &self,
        py: Python<'py>,
        run: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let provider = &self.provider;
        let history =
            of_run(py, run, |run| provider.cost_history_of_run(run), || provider.cost_history())?;
        let list = PyList::empty(py);
        for entry in history {
            list.append(attributes_to_python(py, &entry)?)?;
        }
        Ok(list)
    }

    /// How many runs are no longer kept apart; the sums over all runs have what they cost.
    #[getter]
    fn runs_dropped(&self, py: Python<'_>) -> u64 {
        without_gil(py, || self.provider.runs_dropped())
    }

    /// What each message cost over its life, a dict a message, the dearest first; `limit` of them, None for all.
    ///
    /// A message is paid for when a model makes it, and each time that a call carries it. A dict has its `run`; who said it:
    /// `role` (`tools` for the definitions of an agent's tools), `agent` and `tool`, None where unknown; `text`, its beginning
    /// on one line, None where messages are not recorded; `calls`, how many carried it; `input_tokens`, `input_cost_usd` for
    /// these; `output_tokens`, `output_cost_usd` for making it; `cost_usd`, the two; `share`, its part in the run's
    /// cost from 0 to 1; `in_words`, a sentence; and `estimated`, always True: services bill a call as a whole, and
    /// its input is shared out by length. All `input_cost_usd` add up to what was billed for the input of the calls
    /// whose history was recorded.
    #[pyo3(signature = (limit=20, *, run=None))]
    fn cost_by_message<'py>(
        &self,
        py: Python<'py>,
        limit: Option<i128>,
        run: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let limit = count("limit", limit)?.unwrap_or(usize::MAX);
        let provider = &self.provider;
        let messages = of_run(
            py,
            run,
            |run| provider.cost_by_message_of_run(run, limit),
            || provider.cost_by_message(limit),
        )?;
        let list = PyList::empty(py);
        for message in messages {
            list.append(message_cost(py, &message)?)?;
        }
        Ok(list)
    }

    /// The calls that nobody has a price for, a dict a model: `model`, `calls`, `input_tokens`, `output_tokens`.
    #[getter]
    fn unpriced<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let models = without_gil(py, || self.provider.unpriced());
        unpriced(py, models)
    }

    /// What answers from a response cache would have cost, in US dollars.
    #[getter]
    fn saved(&self, py: Python<'_>) -> f64 {
        without_gil(py, || self.provider.saved())
    }

    /// The costs as a table of plain text.
    #[pyo3(signature = (*, run=None))]
    fn report(&self, py: Python<'_>, run: Option<&Bound<'_, PyAny>>) -> PyResult<String> {
        of_run(py, run, |run| self.provider.report_of_run(run), || self.provider.report())
    }

    fn _repr_html_(&self, py: Python<'_>) -> String {
        without_gil(py, || self.provider.to_html())
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let summary = without_gil(py, || self.provider.summary());
        format!(
            "<CostTrackerProvider: {:.6} USD in {} cost events>",
            summary.total.usd(),
            summary.events
        )
    }
}

impl CostTrackerProvider {
    /// What a run cost; without one what all runs did.
    fn summary_of(&self, py: Python<'_>, run: Option<&Bound<'_, PyAny>>) -> PyResult<CostSummary> {
        of_run(py, run, |run| self.provider.summary_of_run(run), || self.provider.summary())
    }
}

fn unpriced(py: Python<'_>, models: Vec<Unpriced>) -> PyResult<Bound<'_, PyList>> {
    let list = PyList::empty(py);
    for model in models {
        let entry = PyDict::new(py);
        entry.set_item("model", model.model)?;
        entry.set_item("calls", model.calls)?;
        entry.set_item("input_tokens", model.input_tokens)?;
        entry.set_item("output_tokens", model.output_tokens)?;
        list.append(entry)?;
    }
    Ok(list)
}

fn message_cost<'py>(py: Python<'py>, message: &MessageCost) -> PyResult<Bound<'py, PyDict>> {
    let entry = PyDict::new(py);
    entry.set_item("run", &message.run)?;
    entry.set_item("role", &message.role)?;
    entry.set_item("agent", &message.agent)?;
    entry.set_item("tool", &message.tool)?;
    entry.set_item("text", &message.text)?;
    entry.set_item("calls", message.calls)?;
    entry.set_item("input_tokens", message.input_tokens)?;
    entry.set_item("output_tokens", message.output_tokens)?;
    entry.set_item("input_cost_usd", message.input_cost.usd())?;
    entry.set_item("output_cost_usd", message.output_cost.usd())?;
    entry.set_item("cost_usd", message.cost().usd())?;
    entry.set_item("share", message.share)?;
    entry.set_item("in_words", message.to_string())?;
    entry.set_item("estimated", true)?;
    Ok(entry)
}

fn shares<'py>(py: Python<'py>, shares: &[Share]) -> PyResult<Bound<'py, PyDict>> {
    let by_name = PyDict::new(py);
    for share in shares {
        by_name.set_item(&share.name, share.cost.usd())?;
    }
    Ok(by_name)
}
