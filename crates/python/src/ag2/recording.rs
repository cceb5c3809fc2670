//! What the hooks record in a span.

use callboard_core::{Attribute, EventKind, SpanKind};
use pyo3::intern;
use pyo3::prelude::*;

use crate::current::current_span;
use crate::given::AttributeList;
use crate::span::SpanContext;

impl SpanContext {
    /// Starts a span within this one, which is current until it ends. With `start_ns` it began then.
    pub(super) fn open_child<'py>(
        &self,
        py: Python<'py>,
        kind: SpanKind,
        attributes: &mut AttributeList<'_>,
        start_ns: Option<u64>,
    ) -> PyResult<Bound<'py, Self>> {
        let Some((span, run)) = self.span().zip(self.run()) else {
            return Ok(Self::nowhere(py, kind, Vec::new())?.into_bound(py));
        };
        let child = match start_ns {
            None => span.start_child(kind, attributes.take()),
            Some(start_ns) => span.start_past_child(kind, attributes.take(), start_ns),
        };
        Self::make_current(py, child, run.clone(), current_span(py))
    }

    /// Records a span within this one that is over already. Times are readings of the monotonic clock.
    pub(super) fn add_brief(
        &self,
        kind: SpanKind,
        attributes: &mut AttributeList<'_>,
        start_ns: u64,
        end_ns: u64,
    ) {
        if let Some(span) = self.span().filter(|span| !span.is_ended()) {
            span.add_past_child(kind, attributes.take(), start_ns, end_ns);
        }
    }

    /// Sets attributes. The list is empty afterwards.
    #[inline(never)]
    pub(super) fn set_list(&self, attributes: &mut AttributeList<'_>) {
        if let Some(span) = self.span() {
            span.set_attributes(attributes.take());
        }
        attributes.clear();
    }

    /// Records that something happened in this span, now, in attributes that are needed once more.
    pub(super) fn record_copy(&self, py: Python<'_>, kind: EventKind, attributes: &[Attribute]) {
        let mut list = AttributeList::new(self.policy());
        for (key, value) in attributes {
            list.put_given(py, key.clone(), value.clone());
        }
        self.record(kind, &mut list);
    }

    /// Asks the run's budget, where it has one, whether a model may be called in `span`; an error where it may not.
    /// `ledger_of` gives the ledger of a span's run.
    pub(super) fn ask_budget(
        span: &Bound<'_, Self>,
        ledger_of: &Py<PyAny>,
        agent_name: &Bound<'_, PyAny>,
        model_name: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let py = span.py();
        if span.get().has_budget(py) {
            let ledger = ledger_of.bind(py).call1((span,))?;
            ledger.call_method1(intern!(py, "ask"), (span, agent_name, model_name))?;
        }
        Ok(())
    }

    /// Records that something happened in this span, now. The list is empty afterwards.
    #[inline(never)]
    pub(super) fn record(&self, kind: EventKind, attributes: &mut AttributeList<'_>) {
        if let Some(span) = self.span() {
            span.record_event(kind, attributes.take());
        }
        attributes.clear();
    }
}
