//! `InstrumentationManager`: makes runs, and hands what happens in them to the registered providers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use callboard::{Money, Pricing};
use callboard_core as core;
use callboard_core::time::{Clock, SystemClock};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::adapter::PythonProvider;
use crate::arguments::count;
use crate::content::ContentPolicy;
use crate::current::{current_span, look_at_current_span};
use crate::exit::without_gil;
use crate::given::with_attributes;
use crate::guard::{lock, quietly};
use crate::kinds;
use crate::lifecycle;
use crate::parent;
use crate::providers::{self, OpenTelemetryProvider};
use crate::span::{RunOwner, SpanContext, current_span_of, nearest_of};
use crate::value::{self, bounded, text_of};

/// How long the end of a chat waits for providers written in Python, so that what they show right after it is whole.
const SETTLE_TIMEOUT: Duration = Duration::from_millis(500);

/// Makes runs and hands what happens in them to its providers.
///
/// Args:
///     capture_console: whether console output is recorded as events.
///     queue_bytes: the most bytes of memory that all records may hold which some provider has yet to take. Beyond
///         three quarters of it message bodies are dropped, at it whole records; both are counted. Default: 64 MiB.
///     prices: a file with prices of your own, in JSON; it overrides the built-in table. Default: the file that the
///         environment variable CALLBOARD_PRICES names, if any.
///     budget: what a run may use at the most: a `Budget`, or several.
///     capture_content: what of messages is recorded: "full", "none", or how many characters of each text. Default: what
///         the environment variable OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT says, else "full".
///     redact: what is taken out of every text before it is recorded: a function of a text, or patterns, such as those
///         of `callboard.redaction`.
#[pyclass(module = "callboard", subclass, frozen, weakref)]
pub(crate) struct InstrumentationManager {
    manager: core::InstrumentationManager,
    registered: Mutex<Vec<Registered>>,
    /// Whether some provider is waited for at the end of a chat.
    settles: AtomicBool,
    /// The same prices as the pipeline's, for whoever has to know now.
    pricing: Pricing,
    #[pyo3(get)]
    capture_console: bool,
    /// A tuple of budgets.
    #[pyo3(get)]
    budgets: Py<PyAny>,
    policy: Option<Py<ContentPolicy>>,
    #[pyo3(get)]
    capture_content: Option<Py<PyAny>>,
    #[pyo3(get)]
    redact: Option<Py<PyAny>>,
}

struct Registered {
    provider: Py<PyAny>,
    id: core::ProviderId,
    /// Whether the provider is written in Python.
    is_python: bool,
}

#[pymethods]
impl InstrumentationManager {
    #[new]
    #[pyo3(signature = (
        *,
        capture_console=true,
        queue_bytes=None,
        prices=None,
        budget=None,
        capture_content=None,
        redact=None,
    ))]
    fn new(
        py: Python<'_>,
        capture_console: bool,
        queue_bytes: Option<i128>,
        prices: Option<&Bound<'_, PyAny>>,
        budget: Option<&Bound<'_, PyAny>>,
        capture_content: Option<Py<PyAny>>,
        redact: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let queue_bytes = count("queue_bytes", queue_bytes)?;
        let rules = (&capture_content, &redact);
        let policy = py.import("callboard.content")?.call_method1("policy", rules)?.extract()?;
        let budgets = match budget {
            Some(budget) => py.import("callboard.budget")?.call_method1("checked", (budget,))?,
            None => PyTuple::empty(py).into_any(),
        };
        let prices = providers::load_prices(prices.map(text_of))?;
        let pricing = Pricing::new(prices.clone());
        let manager = providers::make_manager(queue_bytes, prices);
        lifecycle::watch(&manager);
        let registered = Mutex::default();
        let settles = AtomicBool::new(false);
        let budgets = budgets.unbind();
        Ok(Self {
            manager,
            registered,
            settles,
            pricing,
            capture_console,
            budgets,
            policy,
            capture_content,
            redact,
        })
    }

    /// Hands everything recorded from now on to the provider too. Registered again, it still gets everything once.
    ///
    /// Raises:
    ///     TypeError: the object is no provider; the message names the methods that it lacks.
    fn register_provider(&self, provider: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.registered().iter().any(|known| known.provider.is(provider)) {
            return Ok(());
        }
        let native = providers::sink_of(provider);
        let is_python = native.is_none();
        let sink = match native {
            Some(sink) => sink,
            None => Box::new(PythonProvider::new(provider)?),
        };
        let id = self.manager.register(sink);
        let provider = provider.clone().unbind();
        self.settles.fetch_or(is_python, Ordering::Relaxed);
        self.registered().push(Registered { provider, id, is_python });
        Ok(())
    }

    /// Hands nothing more to the provider; what was recorded before it still gets. False: it was not registered.
    fn deregister_provider(&self, provider: &Bound<'_, PyAny>) -> bool {
        let mut registered = self.registered();
        let Some(place) = registered.iter().position(|known| known.provider.is(provider)) else {
            return false;
        };
        let removed = registered.remove(place);
        drop(registered);
        without_gil(provider.py(), || self.manager.deregister(removed.id))
    }

    /// Starts a run: a trace with a WORKFLOW span as its root, which becomes the current span. The trace is a new one
    /// unless the environment variable TRACEPARENT names a span that the run is begun in.
    #[pyo3(signature = (name=None, attributes=None))]
    fn start_trace<'py>(
        slf: &Bound<'py, Self>,
        name: Option<&Bound<'py, PyAny>>,
        attributes: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, SpanContext>> {
        let policy = slf.get().policy.as_ref().map(|policy| policy.clone_ref(slf.py()));
        Self::_start_trace_under(slf, name, attributes, policy, None)
    }

    /// As `start_trace`, by rules of the run's own for what is recorded of texts (None: all of them), and in the span that
    /// a `traceparent` names.
    #[pyo3(signature = (name, attributes, policy, traceparent=None))]
    fn _start_trace_under<'py>(
        slf: &Bound<'py, Self>,
        name: Option<&Bound<'py, PyAny>>,
        attributes: Option<&Bound<'py, PyAny>>,
        policy: Option<Py<ContentPolicy>>,
        traceparent: Option<&str>,
    ) -> PyResult<Bound<'py, SpanContext>> {
        let py = slf.py();
        let name = name.filter(|name| !name.is_none()).map(|name| bounded(text_of(name)));
        let name = name.unwrap_or_else(|| core::DEFAULT_WORKFLOW_NAME.into());
        let (mut name, mut given) = (name, value::attributes(attributes));
        if let Some(policy) = policy.as_ref().map(Py::get) {
            name = policy.text(py, name);
            for (key, value) in &mut given {
                *value = policy.attribute(py, key, std::mem::take(value));
            }
        }
        let outer = look_at_current_span(py);
        if let Some(outer) = outer.as_ref().and_then(|outer| outer.get().span()) {
            given.push((core::keys::OUTER_TRACE_ID.into(), outer.trace_id().to_string().into()));
            given.push((core::keys::OUTER_SPAN_ID.into(), outer.span_id().to_string().into()));
        }
        let root = slf.get().manager.start_run_within(parent::of_run(traceparent), name, given);
        lifecycle::watch_run(&root);
        SpanContext::make_current(py, root, RunOwner::new(slf, policy), outer)
    }

    /// Starts a span, which becomes the current one, within `parent_context` or else the current span.
    #[pyo3(signature = (kind, parent_context=None, attributes=None))]
    fn start_span<'py>(
        slf: &Bound<'py, Self>,
        kind: &Bound<'py, PyAny>,
        parent_context: Option<&Bound<'py, PyAny>>,
        attributes: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, SpanContext>> {
        let py = slf.py();
        let kind = kinds::span_kind(kind);
        let current = current_span(py);
        let given = parent_context.and_then(|given| given.cast::<SpanContext>().ok()).cloned();
        let parent = given.filter(|given| given.get().span().is_some());
        let parent = parent.or_else(|| nearest_of(slf, current.clone()));
        match parent.as_ref().and_then(|parent| parent.get().span().zip(parent.get().run())) {
            Some((span, run)) => {
                let child = with_attributes(attributes, run.policy(), |given| {
                    span.start_child(kind, given)
                });
                SpanContext::make_current(py, child, run.clone(), current)
            }
            None => {
                let attributes = value::attributes(attributes);
                Ok(SpanContext::nowhere(py, kind, attributes)?.into_bound(py))
            }
        }
    }

    /// Sets an attribute on a span; a later value replaces an earlier one.
    #[expect(clippy::unused_self, reason = "a method of the published API")]
    fn set_attribute(
        &self,
        span_context: &Bound<'_, PyAny>,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) {
        if let Ok(span) = span_context.cast::<SpanContext>() {
            span.get().set(key, value);
        }
    }

    /// Ends the current span; what was current before it is again.
    fn end_span(slf: &Bound<'_, Self>) {
        let current = current_span(slf.py());
        if let Some(span) = nearest_of(slf, current.clone()) {
            span.get().finish(&span, current);
        }
    }

    /// Records that something happened in the current span, now. Without a current span it does nothing.
    #[pyo3(signature = (event_kind, attributes=None))]
    fn record_event(
        slf: &Bound<'_, Self>,
        event_kind: &Bound<'_, PyAny>,
        attributes: Option<&Bound<'_, PyAny>>,
    ) {
        let current = current_span_of(slf.py(), slf);
        if let Some(span) = current.as_ref().and_then(|current| current.get().span()) {
            let kind = kinds::event_kind(event_kind);
            let policy = current.as_ref().and_then(|current| current.get().policy());
            with_attributes(attributes, policy, |given| span.record_event(kind, given));
        }
    }

    /// The span that is current in this context; None where this manager has none.
    fn get_current_span<'py>(slf: &Bound<'py, Self>) -> Option<Bound<'py, SpanContext>> {
        current_span_of(slf.py(), slf)
    }

    /// Waits until every provider has passed on what was recorded so far, `timeout` seconds at the most; False: it
    /// took longer, and goes on in the background.
    #[pyo3(signature = (timeout=10.0))]
    fn flush(&self, py: Python<'_>, timeout: f64) -> bool {
        without_gil(py, || self.manager.flush(seconds(timeout)))
    }

    /// As `flush`, at the end of a context. A provider that is not done in time is not waited for again until it has caught
    /// up: a program of many contexts is not held up at the end of each, nor at its own.
    fn _flush_on_leaving(&self, py: Python<'_>, timeout: f64) -> bool {
        without_gil(py, || self.manager.flush_or_give_up(seconds(timeout)))
    }

    /// Delivers what is left and shuts the providers down; nothing is recorded afterwards. False: `timeout` seconds
    /// were not enough, and it goes on in the background.
    #[pyo3(signature = (timeout=10.0))]
    fn shutdown(&self, py: Python<'_>, timeout: f64) -> bool {
        without_gil(py, || self.manager.shutdown(seconds(timeout)))
    }

    /// As `shutdown`, at the end of the program: without waiting for a provider that `_flush_on_leaving` waited for in vain.
    fn _shutdown_on_leaving(&self, py: Python<'_>, timeout: f64) -> bool {
        without_gil(py, || self.manager.shutdown_or_give_up(seconds(timeout)))
    }

    /// Whether what is recorded is exported: whether an OpenTelemetryProvider is registered.
    fn _exports(&self, py: Python<'_>) -> bool {
        let is_exporter =
            |known: &Registered| known.provider.bind(py).is_instance_of::<OpenTelemetryProvider>();
        self.registered().iter().any(is_exporter)
    }

    /// What a COST event with these attributes will be said to cost, in picodollars (10^-12 US dollars); None where nobody
    /// knows. It is worked out at once.
    fn _price_of(&self, attributes: &Bound<'_, PyAny>) -> Option<i128> {
        self.price(&value::attributes(Some(attributes)))
    }

    /// What was recorded, delivered and dropped so far: `recorded`, `dropped`, `bodies_dropped`, and under `providers`
    /// for each its `name`, `delivered`, `dropped` and `failures`.
    fn statistics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counted = self.manager.statistics();
        let statistics = PyDict::new(py);
        statistics.set_item("recorded", counted.recorded)?;
        statistics.set_item("dropped", counted.dropped)?;
        statistics.set_item("bodies_dropped", counted.bodies_dropped)?;
        let providers = PyList::empty(py);
        for counted in counted.providers {
            let provider = PyDict::new(py);
            provider.set_item("name", counted.name)?;
            provider.set_item("delivered", counted.delivered)?;
            provider.set_item("dropped", counted.dropped)?;
            provider.set_item("failures", counted.failures)?;
            providers.append(provider)?;
        }
        statistics.set_item("providers", providers)?;
        Ok(statistics)
    }

    fn __repr__(&self) -> String {
        format!("<InstrumentationManager with {} providers>", self.registered().len())
    }
}

impl InstrumentationManager {
    /// See `_price_of`.
    pub(crate) fn price(&self, attributes: &[core::Attribute]) -> Option<i128> {
        self.pricing.cost_of(attributes, SystemClock.unix_ns()).map(Money::picodollars)
    }

    /// Whether what runs use is counted against a budget.
    pub(crate) fn has_budget(&self, py: Python<'_>) -> bool {
        quietly(py, self.budgets.bind(py).is_truthy()).unwrap_or(false)
    }

    fn registered(&self) -> MutexGuard<'_, Vec<Registered>> {
        lock(&self.registered)
    }

    /// Waits, for a short while, until the providers written in Python have what was recorded: programs read them
    /// right after a chat. One that did not make it in time is not waited for again.
    pub(crate) fn settle(&self, py: Python<'_>) {
        if !self.settles.load(Ordering::Relaxed) {
            return;
        }
        let ids: Vec<_> = self
            .registered()
            .iter()
            .filter(|known| known.is_python)
            .map(|known| known.id)
            .collect();
        for id in ids {
            let settled = without_gil(py, || self.manager.wait_delivered(id, SETTLE_TIMEOUT));
            if !settled {
                let mut registered = self.registered();
                registered
                    .iter_mut()
                    .filter(|known| known.id == id)
                    .for_each(|late| late.is_python = false);
            }
        }
    }
}

fn seconds(timeout: f64) -> Duration {
    let endless = if timeout > 0.0 { Duration::MAX } else { Duration::ZERO };
    Duration::try_from_secs_f64(timeout).unwrap_or(endless)
}
