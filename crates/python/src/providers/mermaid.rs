//! `MermaidDiagramProvider`, as Python sees it.

use callboard::providers::mermaid::{DiagramOptions, MermaidConfig};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::arguments::{count, of_run};
use crate::exit::without_gil;
use crate::span::datetime;

/// Draws who said what to whom, as a Mermaid sequence diagram.
///
/// Args:
///     fold: whether rounds that repeat are drawn once, in a `loop`.
///     max_messages: the most messages that are drawn, the first and the last ones; a note tells how many are left out.
///     kept_messages: the most messages that are kept at all; the oldest go first. Default: 100,000.
///
/// Raises:
///     ValueError: `max_messages` or `kept_messages` is below 0.
#[pyclass(module = "callboard", subclass, frozen, weakref)]
pub(crate) struct MermaidDiagramProvider {
    pub(crate) provider: callboard::MermaidDiagramProvider,
    options: DiagramOptions,
}

#[pymethods]
impl MermaidDiagramProvider {
    #[new]
    #[pyo3(signature = (*, fold=false, max_messages=None, kept_messages=None))]
    fn new(fold: bool, max_messages: Option<i128>, kept_messages: Option<i128>) -> PyResult<Self> {
        let defaults = MermaidConfig::default();
        let max_messages = count("max_messages", max_messages)?;
        let kept_messages = count("kept_messages", kept_messages)?;
        let options = DiagramOptions { fold, max_messages };
        let config = MermaidConfig {
            kept_messages: kept_messages.unwrap_or(defaults.kept_messages),
            diagram: options.clone(),
        };
        Ok(Self { provider: callboard::MermaidDiagramProvider::new(config), options })
    }

    /// The text of a run's diagram; without a `run` that of the run that began last. `run` takes a `SpanContext` of the run, its
    /// root or any other, or its trace id. `fold` and `max_messages` replace the provider's own for this drawing.
    ///
    /// Raises:
    ///     ValueError: the run is not known here, or `max_messages` is below 0.
    #[pyo3(signature = (*, run=None, fold=None, max_messages=None))]
    fn generate_sequence_diagram(
        &self,
        py: Python<'_>,
        run: Option<&Bound<'_, PyAny>>,
        fold: Option<bool>,
        max_messages: Option<i128>,
    ) -> PyResult<String> {
        let options = DiagramOptions {
            fold: fold.unwrap_or(self.options.fold),
            max_messages: count("max_messages", max_messages)?.or(self.options.max_messages),
        };
        let provider = &self.provider;
        of_run(py, run, |run| provider.draw_run(run, &options), || provider.draw(&options))
    }

    /// How many runs are no longer kept, with their messages.
    #[getter]
    fn runs_dropped(&self, py: Python<'_>) -> u64 {
        without_gil(py, || self.provider.runs_dropped())
    }

    /// Every message of all runs, in order of time: tuples of the time (a `datetime` in UTC), the sender, the recipient
    /// and what the diagram shows of the message.
    #[getter]
    fn interactions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for said in without_gil(py, || self.provider.interactions()) {
            let time = datetime(py, said.time_unix_ns)?;
            list.append((time, said.from.as_str(), said.to.as_str(), said.message))?;
        }
        Ok(list)
    }

    /// The agents that take part in any run, in the diagram's order; each name stands under itself.
    #[getter]
    fn participants<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let names = PyDict::new(py);
        for name in without_gil(py, || self.provider.participants()) {
            names.set_item(name.as_str(), name.as_str())?;
        }
        Ok(names)
    }

    fn _repr_html_(&self, py: Python<'_>) -> String {
        without_gil(py, || self.provider.to_html())
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let messages = without_gil(py, || self.provider.interactions()).len();
        format!("<MermaidDiagramProvider: {messages} messages>")
    }
}
