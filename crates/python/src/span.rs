//! `SpanContext`: the handle of a span in Python, and the record of one that a provider is shown.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use callboard_core::time::{Clock, SystemClock, UnixNanos};
use callboard_core::{Attribute, Context, Span, SpanId, SpanKind, Status};
use pyo3::exceptions::PyBaseException;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};

use crate::activation::Activation;
use crate::content::ContentPolicy;
use crate::current::{self, current_span, leave, open_before, stored};
use crate::exception;
use crate::given::{given_under, with_attributes};
use crate::guard::lock;
use crate::history::{Histories, Messages, Recording};
use crate::kinds;
use crate::manager::InstrumentationManager;
use crate::otel::{OpenRun, Place};
use crate::value::{self, attributes_to_python, bounded, text_of};

/// A span: its handle, as `start_span` gives it, or what a provider is told of it.
///
/// Recording never raises, and does nothing once the span has ended.
#[pyclass(module = "callboard", frozen, weakref)]
pub(crate) struct SpanContext {
    state: State,
}

enum State {
    /// A span of a run in this process.
    Live(Live),
    /// What is known of a span: as providers see it, or as a program made it.
    Described(Box<Described>),
}

struct Live {
    span: Span,
    run: Arc<RunOwner>,
    /// What was current when this became current.
    previous: Mutex<Option<Py<SpanContext>>>,
    otel: Option<Place>,
    /// Of a root, until it ends.
    open_run: Mutex<Option<OpenRun>>,
}

impl Drop for Live {
    /// Lets go of those that were current before one by one: a program that never ends its spans has a chain of them
    /// that would overflow the stack, each dropped within the other.
    fn drop(&mut self) {
        let mut last = taken(&self.previous);
        while let Some(previous) = last {
            // SAFETY: the object is alive, and its count is only read; that no other holder appears is not relied on.
            let is_last = unsafe { ffi::Py_REFCNT(previous.as_ptr()) } == 1;
            last = previous.get().live().filter(|_| is_last).and_then(|live| taken(&live.previous));
        }
    }
}

fn taken<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    lock(slot).take()
}

/// What the spans of a run share on Python's side.
pub(crate) struct RunOwner {
    pub(crate) manager: Py<InstrumentationManager>,
    histories: Histories,
    /// What is recorded of texts; none: all of them.
    pub(crate) policy: Option<Py<ContentPolicy>>,
    /// Whether some span of the run was made current elsewhere than where it began.
    is_carried: AtomicBool,
}

struct Described {
    kind: SpanKind,
    trace_id: String,
    core_span_id: Option<String>,
    parent_span_id: Option<String>,
    timestamp: Timestamp,
    attributes: Mutex<Vec<Attribute>>,
    /// When it ended, and how it went.
    ended: OnceLock<(UnixNanos, Status)>,
}

enum Timestamp {
    /// When a recorded span began.
    At(UnixNanos),
    /// What the program said, if anything.
    Given(Option<Py<PyAny>>),
}

impl RunOwner {
    pub(crate) fn new(
        manager: &Bound<'_, InstrumentationManager>,
        policy: Option<Py<ContentPolicy>>,
    ) -> Arc<Self> {
        let histories = Histories::new(manager.py());
        let (manager, is_carried) = (manager.clone().unbind(), AtomicBool::new(false));
        Arc::new(Self { manager, histories, policy, is_carried })
    }

    pub(crate) fn policy(&self) -> Option<&ContentPolicy> {
        self.policy.as_ref().map(Py::get)
    }
}

/// The trace id of a span that is in no trace, which OpenTelemetry calls invalid.
const NO_TRACE: &str = "00000000000000000000000000000000";

/// How spans are made and handed around.
impl SpanContext {
    /// A handle that is current from now on.
    pub(crate) fn make_current<'py>(
        py: Python<'py>,
        span: Span,
        run: Arc<RunOwner>,
        previous: Option<Bound<'py, SpanContext>>,
    ) -> PyResult<Bound<'py, SpanContext>> {
        let open_run = Mutex::new(span.is_root().then(OpenRun::begin));
        let otel = Place::take(py, &span);
        let previous = Mutex::new(previous.map(Bound::unbind));
        let live = Live { span, run, previous, otel, open_run };
        let handle = Bound::new(py, Self { state: State::Live(live) })?;
        current::make_current(&handle);
        Ok(handle)
    }

    fn not_current(py: Python<'_>, span: Span, run: Arc<RunOwner>) -> PyResult<Bound<'_, Self>> {
        let live =
            Live { span, run, previous: Mutex::default(), otel: None, open_run: Mutex::default() };
        Bound::new(py, Self { state: State::Live(live) })
    }

    /// What a provider is told of a span that begins.
    pub(crate) fn describe(py: Python<'_>, head: &callboard_core::SpanHead) -> PyResult<Py<Self>> {
        let described = Described {
            kind: head.kind.clone(),
            trace_id: head.run.trace_id.to_string(),
            core_span_id: Some(head.span_id.to_string()),
            parent_span_id: head.parent_span_id.map(|id| id.to_string()),
            timestamp: Timestamp::At(head.start_unix_ns),
            attributes: Mutex::new(head.attributes.to_vec()),
            ended: OnceLock::new(),
        };
        Py::new(py, Self { state: State::Described(Box::new(described)) })
    }

    /// A span that nothing is recorded of, as there is no run that it could be in.
    pub(crate) fn nowhere(
        py: Python<'_>,
        kind: SpanKind,
        attributes: Vec<Attribute>,
    ) -> PyResult<Py<Self>> {
        let described = Described {
            kind,
            trace_id: NO_TRACE.to_owned(),
            core_span_id: None,
            parent_span_id: None,
            timestamp: Timestamp::Given(None),
            attributes: Mutex::new(attributes),
            ended: OnceLock::new(),
        };
        Py::new(py, Self { state: State::Described(Box::new(described)) })
    }

    /// Says when and how the span ended, of which a provider is told.
    pub(crate) fn describe_end(&self, end_unix_ns: UnixNanos, status: &Status) {
        if let State::Described(described) = &self.state {
            // It ends once.
            let _ = described.ended.set((end_unix_ns, status.clone()));
        }
    }

    fn end_described(&self) -> Option<&(UnixNanos, Status)> {
        match &self.state {
            State::Live(_) => None,
            State::Described(described) => described.ended.get(),
        }
    }

    fn live(&self) -> Option<&Live> {
        match &self.state {
            State::Live(live) => Some(live),
            State::Described(_) => None,
        }
    }

    pub(crate) fn span(&self) -> Option<&Span> {
        self.live().map(|live| &live.span)
    }

    pub(crate) fn run(&self) -> Option<&Arc<RunOwner>> {
        self.live().map(|live| &live.run)
    }

    pub(crate) fn policy(&self) -> Option<&ContentPolicy> {
        self.live().and_then(|live| live.run.policy())
    }

    pub(crate) fn is_open(&self) -> bool {
        self.span().is_some_and(|span| !span.is_ended())
    }

    pub(crate) fn previous<'py>(&self, py: Python<'py>) -> Option<Bound<'py, SpanContext>> {
        let slot = lock(&self.live()?.previous);
        slot.as_ref().map(|previous| previous.bind(py).clone())
    }

    pub(crate) fn append(&self, key: callboard_core::Key, value: callboard_core::Given<'_>) {
        match &self.state {
            State::Live(live) => live.span.set_attribute(key, value),
            State::Described(described) => {
                if let Ok(mut attributes) = described.attributes.lock() {
                    attributes.push((key, value.into()));
                }
            }
        }
    }

    /// Whether what the run uses is counted against a budget.
    pub(crate) fn has_budget(&self, py: Python<'_>) -> bool {
        self.live().is_some_and(|live| live.run.manager.get().has_budget(py))
    }

    /// Sets an attribute as the run's rules have it recorded.
    pub(crate) fn set(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) {
        let key = value::key(key);
        let given = given_under(self.policy(), &key, value);
        self.append(key, given);
    }

    /// See `messages`.
    pub(crate) fn history(
        &self,
        owner: &Bound<'_, PyAny>,
        messages: &Bound<'_, PyAny>,
        rewrite: Option<&Bound<'_, PyAny>>,
    ) -> Context {
        let recording = Recording { policy: self.policy(), rewrite };
        match self.live() {
            Some(live) => live.run.histories.context(owner, messages, recording),
            None => Histories::new(owner.py()).context(owner, messages, recording),
        }
    }

    fn all_attributes(&self) -> Vec<Attribute> {
        match &self.state {
            State::Live(live) => live.span.attributes(),
            State::Described(described) => {
                described.attributes.lock().map(|known| known.clone()).unwrap_or_default()
            }
        }
    }

    fn kind_of(&self) -> &SpanKind {
        match &self.state {
            State::Live(live) => live.span.kind(),
            State::Described(described) => &described.kind,
        }
    }
}

#[pymethods]
impl SpanContext {
    #[new]
    #[pyo3(signature = (kind, trace_id=None, timestamp=None, parent_span_id=None, attributes=None, core_span_id=None))]
    fn new(
        kind: &Bound<'_, PyAny>,
        trace_id: Option<String>,
        timestamp: Option<Py<PyAny>>,
        parent_span_id: Option<String>,
        attributes: Option<&Bound<'_, PyAny>>,
        core_span_id: Option<String>,
    ) -> Self {
        let described = Described {
            kind: kinds::span_kind(kind),
            trace_id: trace_id.unwrap_or_default(),
            core_span_id,
            parent_span_id,
            timestamp: Timestamp::Given(timestamp),
            attributes: Mutex::new(value::attributes(attributes)),
            ended: OnceLock::new(),
        };
        Self { state: State::Described(Box::new(described)) }
    }

    /// What the span covers: a `SpanKind`, or text for a kind of the program's own.
    #[getter]
    fn kind<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        kinds::span_kind_to_python(py, self.kind_of())
    }

    /// The trace's id: 32 lower-case hex digits.
    #[getter]
    fn trace_id(&self) -> String {
        match &self.state {
            State::Live(live) => live.span.trace_id().to_string(),
            State::Described(described) => described.trace_id.clone(),
        }
    }

    /// The span's id, the same in every provider: 16 lower-case hex digits.
    #[getter]
    pub(crate) fn core_span_id(&self) -> Option<String> {
        match &self.state {
            State::Live(live) => Some(live.span.span_id().to_string()),
            State::Described(described) => described.core_span_id.clone(),
        }
    }

    /// The parent's id; None for the root of a run.
    #[getter]
    fn parent_span_id(&self) -> Option<String> {
        match &self.state {
            State::Live(live) => live.span.parent_span_id().map(|id: SpanId| id.to_string()),
            State::Described(described) => described.parent_span_id.clone(),
        }
    }

    /// When the span began: a `datetime` in UTC.
    #[getter]
    fn timestamp(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match &self.state {
            State::Live(live) => datetime(py, live.span.start_unix_ns()),
            State::Described(described) => match &described.timestamp {
                Timestamp::At(unix_ns) => datetime(py, *unix_ns),
                Timestamp::Given(given) => {
                    Ok(given.as_ref().map_or_else(|| py.None(), |time| time.clone_ref(py)))
                }
            },
        }
    }

    /// When the span ended: a `datetime` in UTC. Told to providers; None before, and on a program's own handle.
    #[getter]
    fn ended_at(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.end_described().map(|(end_unix_ns, _)| datetime(py, *end_unix_ns)).transpose()
    }

    /// Why the span failed, which may be empty; None where it did not. Told to providers at its end, as `ended_at` is.
    #[getter]
    fn error(&self) -> Option<&str> {
        match self.end_described() {
            Some((_, Status::Error { message })) => Some(message.as_str()),
            _ => None,
        }
    }

    /// Everything set on the span so far, as a new dict.
    #[getter]
    fn attributes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        attributes_to_python(py, &self.all_attributes())
    }

    /// The name of the run that the span is in; empty where there is none.
    #[getter]
    fn run_name(&self) -> String {
        self.span().map_or_else(String::new, |span| span.run().name.to_string())
    }

    /// The manager that recorded the span; None where it belongs to no run here.
    #[getter]
    fn manager(&self, py: Python<'_>) -> Option<Py<InstrumentationManager>> {
        self.live().map(|live| live.run.manager.clone_ref(py))
    }

    /// Whether the span has ended, or never was one of a run here.
    #[getter]
    fn ended(&self) -> bool {
        !self.is_open()
    }

    /// The id of the root of the run that the span is in; None where it belongs to no run here.
    #[getter]
    fn _run_id(&self) -> Option<String> {
        self.span().map(|span| span.run().root_span_id.to_string())
    }

    /// What was current when this span became current.
    #[getter]
    fn _previous<'py>(&self, py: Python<'py>) -> Option<Bound<'py, SpanContext>> {
        self.previous(py)
    }

    /// Whether some span of the run was activated: made current elsewhere than where it began.
    #[getter]
    fn _is_carried(&self) -> bool {
        self.run().is_some_and(|run| run.is_carried.load(Ordering::Relaxed))
    }

    /// Starts a span within this one. With `current` it is the current span of this context until it ends. With `start_ns`, a
    /// reading of `clock_ns()`, it began then.
    #[pyo3(signature = (kind, attributes=None, *, current=true, start_ns=None))]
    fn start_child<'py>(
        &self,
        kind: &Bound<'py, PyAny>,
        attributes: Option<&Bound<'py, PyAny>>,
        current: bool,
        start_ns: Option<u64>,
    ) -> PyResult<Bound<'py, SpanContext>> {
        let py = kind.py();
        let kind = kinds::span_kind(kind);
        let Some(live) = self.live() else {
            let attributes = value::attributes(attributes);
            return Ok(Self::nowhere(py, kind, attributes)?.into_bound(py));
        };
        let child = with_attributes(attributes, live.run.policy(), |given| match start_ns {
            None => live.span.start_child(kind, given),
            Some(start_ns) => live.span.start_past_child(kind, given, start_ns),
        });
        if current {
            Self::make_current(py, child, live.run.clone(), current_span(py))
        } else {
            Self::not_current(py, child, live.run.clone())
        }
    }

    /// Records a span within this one that is over already. Times are readings of `clock_ns()`.
    fn add_brief_child(
        &self,
        kind: &Bound<'_, PyAny>,
        attributes: Option<&Bound<'_, PyAny>>,
        start_ns: u64,
        end_ns: u64,
    ) {
        if let Some(span) = self.span().filter(|span| !span.is_ended()) {
            let kind = kinds::span_kind(kind);
            with_attributes(attributes, self.policy(), |given| {
                span.add_past_child(kind, given, start_ns, end_ns);
            });
        }
    }

    /// Sets an attribute; a later value replaces an earlier one.
    fn set_attribute(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) {
        self.set(key, value);
    }

    /// Sets every entry of a dict.
    fn set_attributes(&self, attributes: &Bound<'_, PyAny>) {
        match &self.state {
            State::Live(live) => {
                with_attributes(Some(attributes), live.run.policy(), |given| {
                    live.span.set_attributes(given);
                });
            }
            State::Described(described) => {
                let given = value::attributes(Some(attributes));
                if let Ok(mut attributes) = described.attributes.lock() {
                    attributes.extend(given);
                }
            }
        }
    }

    /// Whether a value was set under this key.
    fn has_attribute(&self, key: &Bound<'_, PyAny>) -> bool {
        let name = value::key(key);
        match &self.state {
            State::Live(live) => live.span.attribute(&name).is_some(),
            State::Described(_) => {
                callboard_core::value::find(&self.all_attributes(), &name).is_some()
            }
        }
    }

    /// Records that something happened in this span, now.
    #[pyo3(signature = (kind, attributes=None))]
    fn record_event(&self, kind: &Bound<'_, PyAny>, attributes: Option<&Bound<'_, PyAny>>) {
        if let Some(span) = self.span() {
            let kind = kinds::event_kind(kind);
            with_attributes(attributes, self.policy(), |given| span.record_event(kind, given));
        }
    }

    /// Records an exception, and that the span failed.
    fn record_exception(&self, error: &Bound<'_, PyAny>) {
        match error.cast::<PyBaseException>() {
            Ok(error) => self.fail(error),
            Err(_) => self.set_error(error),
        }
    }

    /// Says that the span failed, and why, where there is no exception to tell of it.
    fn set_error(&self, message: &Bound<'_, PyAny>) {
        if let Some(span) = self.span() {
            let text = bounded(text_of(message));
            let message = match self.policy() {
                Some(policy) => policy.error(message.py(), text),
                None => text,
            };
            span.set_status(Status::Error { message });
        }
    }

    /// Ends the span, in whatever thread; an exception given is recorded first, unless it is only how a program or a
    /// generator is left. Where this span, or one within it, is the current one, what was current before it is again.
    #[pyo3(signature = (error=None))]
    pub(crate) fn end(slf: &Bound<'_, Self>, error: Option<&Bound<'_, PyAny>>) {
        if let Some(error) = error.filter(|error| !exception::is_way_out(error)) {
            slf.get().record_exception(error);
        }
        slf.get().finish(slf, stored(slf.py()));
    }

    /// A history of message dicts as one value, to be set as an attribute. `owner` (hashable) says whose history it is:
    /// successive lists of one owner share what they have in common. `rewrite` takes a message whose content is a list of
    /// parts, and gives the one that is recorded instead; it must give the same for the same.
    #[pyo3(signature = (owner, messages, rewrite=None))]
    fn messages(
        &self,
        owner: &Bound<'_, PyAny>,
        messages: &Bound<'_, PyAny>,
        rewrite: Option<&Bound<'_, PyAny>>,
    ) -> Messages {
        Messages { context: self.history(owner, messages, rewrite) }
    }

    /// A context manager that makes this span current where it is entered, and restores what was before. It does not
    /// end the span: it carries it into another thread or callback.
    fn activate(slf: Bound<'_, Self>) -> Activation {
        if let Some(run) = slf.get().run() {
            run.is_carried.store(true, Ordering::Relaxed);
        }
        Activation::new(slf)
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __exit__(
        slf: &Bound<'_, Self>,
        _class: Option<&Bound<'_, PyType>>,
        error: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) {
        Self::end(slf, error);
    }

    fn __repr__(&self) -> String {
        let id = self.core_span_id().unwrap_or_else(|| "-".into());
        format!(
            "SpanContext(kind='{}', trace_id='{}', core_span_id='{id}')",
            self.kind_of(),
            self.trace_id()
        )
    }
}

/// How a span ends.
impl SpanContext {
    /// Ends the span. `current` is what is current here: where that is this span, or one within it, what was current
    /// before is again.
    pub(crate) fn finish(&self, this: &Bound<'_, Self>, current: Option<Bound<'_, Self>>) {
        let Some(live) = self.live().filter(|live| !live.span.is_ended()) else { return };
        live.span.end();
        let py = this.py();
        if live.span.parent_span_id() == Some(live.span.run().root_span_id) {
            live.run.manager.get().settle(py);
        }
        if let Some(current) = current {
            leave(this, &current);
        }
        if live.span.is_root() {
            live.run.histories.clear(py);
            drop(taken(&live.open_run));
        }
    }

    fn fail(&self, error: &Bound<'_, PyBaseException>) {
        if let Some(span) = self.span().filter(|span| !span.is_ended()) {
            let (class, message, stack) = exception::texts(error, self.policy());
            span.record_exception(class, message, stack);
        }
    }

    /// Makes current for the OpenTelemetry API what was before this span.
    pub(crate) fn detach_otel(&self, py: Python<'_>) {
        if let Some(place) = self.live().and_then(|live| live.otel.as_ref()) {
            place.leave(py);
        }
    }

    /// A context of the OpenTelemetry API's with this span in it; none where it did not begin right within that.
    pub(crate) fn otel_context<'py>(
        &self,
        around: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let placed = self.live().and_then(|live| Some((live.otel.as_ref()?, &live.span)));
        placed.map_or(Ok(None), |(place, span)| place.context(around, span))
    }
}

/// A reading of the clock that spans are timed with, in nanoseconds.
#[pyfunction]
pub(crate) fn clock_ns() -> u64 {
    SystemClock.monotonic_ns()
}

/// The nearest span around this moment that `manager` records: two managers in one context do not mix.
pub(crate) fn current_span_of<'py>(
    py: Python<'py>,
    manager: &Bound<'py, InstrumentationManager>,
) -> Option<Bound<'py, SpanContext>> {
    nearest_of(manager, current_span(py))
}

/// Of `candidate` and the open spans that were current before it, the first that `manager` records.
pub(crate) fn nearest_of<'py>(
    manager: &Bound<'py, InstrumentationManager>,
    mut candidate: Option<Bound<'py, SpanContext>>,
) -> Option<Bound<'py, SpanContext>> {
    while let Some(span) = candidate {
        if span.get().run().is_some_and(|run| run.manager.is(manager)) {
            return Some(span);
        }
        candidate = open_before(span);
    }
    None
}

pub(crate) fn datetime(py: Python<'_>, unix_ns: u64) -> PyResult<Py<PyAny>> {
    let module = py.import("datetime")?;
    let utc = module.getattr("timezone")?.getattr("utc")?;
    let microseconds = (unix_ns / 1000) as f64 / 1e6;
    Ok(module.getattr("datetime")?.call_method1("fromtimestamp", (microseconds, utc))?.unbind())
}
