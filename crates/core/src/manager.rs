//! The manager and the handle of a span: the only way in.
//!
//! Recording does as little as it can on the program's thread: an id, a clock reading, a push into the queue. A handle
//! keeps what is set on it and hands it over with the span's next event or its end, not attribute by attribute.
//! Nothing here fails, whatever the program does: a call that makes no sense (ending twice, say) does nothing.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use crate::event::EventKind;
use crate::fork;
use crate::id::{IdSource, RandomIds, SpanId, TraceId};
use crate::keys;
use crate::pipeline::{Pipeline, PipelineConfig, ProviderId, Statistics, lock};
use crate::provider::{ProcessorFactory, TelemetryProvider};
use crate::record::{Event, Record, SpanChanged, SpanEnded};
use crate::span::{EndedBy, RunHead, SpanHead, SpanKind, Status};
use crate::time::{Clock, RunClock, SystemClock, UnixNanos};
use crate::value::{Attribute, Key, Text, Value, find};

/// How long a provider's deregistration waits for what was recorded before it.
const DEREGISTER_TIMEOUT: Duration = Duration::from_secs(5);

/// The name of a workflow that was given none.
pub const DEFAULT_WORKFLOW_NAME: &str = "AG2 Workflow";

/// Makes runs, and hands what happens in them to the registered providers. Clones are the same manager.
#[derive(Clone)]
pub struct InstrumentationManager {
    inner: Arc<Inner>,
}

struct Inner {
    pipeline: Arc<Pipeline>,
    ids: Arc<dyn IdSource>,
    clock: Arc<dyn Clock>,
}

impl Drop for Inner {
    /// What was recorded is still delivered, in the background; [`InstrumentationManager::shutdown`] waits for it.
    fn drop(&mut self) {
        self.pipeline.stop();
    }
}

/// How a manager is made: what is not set has its default.
pub struct ManagerConfig {
    /// The pipeline's bounds and pace.
    pub pipeline: PipelineConfig,
    /// What changes records before providers see them.
    pub processors: ProcessorFactory,
    /// Where ids come from.
    pub ids: Arc<dyn IdSource>,
    /// What tells the time.
    pub clock: Arc<dyn Clock>,
}

impl Default for ManagerConfig {
    fn default() -> Self {
        Self {
            pipeline: PipelineConfig::default(),
            processors: Arc::new(Vec::new),
            ids: Arc::new(RandomIds),
            clock: Arc::new(SystemClock),
        }
    }
}

impl InstrumentationManager {
    /// A manager made as `config` says, without providers.
    pub fn new(config: ManagerConfig) -> Self {
        let pipeline = Pipeline::new(config.pipeline, config.processors);
        Self { inner: Arc::new(Inner { pipeline, ids: config.ids, clock: config.clock }) }
    }

    /// Hands everything recorded from now on to `provider` too.
    pub fn register(&self, provider: Box<dyn TelemetryProvider>) -> ProviderId {
        self.inner.pipeline.register(provider)
    }

    /// Hands nothing more to the provider; it gets what was recorded before, and shuts down. False: it was not registered.
    pub fn deregister(&self, provider: ProviderId) -> bool {
        self.inner.pipeline.deregister(provider, DEREGISTER_TIMEOUT)
    }

    /// Starts a run: a new trace whose root is the WORKFLOW span returned. Its end ends every span still open in the run.
    pub fn start_run(&self, name: impl Into<Text>, attributes: Vec<Attribute>) -> Span {
        let Inner { pipeline, ids, clock } = self.inner.as_ref();
        let head =
            RunHead { trace_id: ids.trace_id(), root_span_id: ids.span_id(), name: name.into() };
        let run = Arc::new(Run {
            head: Arc::new(head),
            pipeline: pipeline.clone(),
            ids: ids.clone(),
            clock: RunClock::start(clock.clone()),
            open: Mutex::default(),
        });
        let root = run.head.root_span_id;
        run.start(root, None, SpanKind::Workflow, attributes)
    }

    /// Waits until every provider has passed on what was recorded so far; false when `timeout` passed before.
    pub fn flush(&self, timeout: Duration) -> bool {
        self.inner.pipeline.flush(timeout)
    }

    /// Waits until this provider was handed what was recorded so far; false when `timeout` passed before. On one of
    /// callboard's own threads it does not wait.
    pub fn wait_delivered(&self, provider: ProviderId, timeout: Duration) -> bool {
        self.inner.pipeline.wait_delivered(provider, timeout)
    }

    /// Delivers what is left and shuts the providers down; nothing is recorded afterwards. False when `timeout` passed
    /// before all had finished; they go on in the background.
    pub fn shutdown(&self, timeout: Duration) -> bool {
        self.inner.pipeline.shutdown(timeout)
    }

    /// What was recorded, delivered and dropped so far.
    pub fn statistics(&self) -> Statistics {
        self.inner.pipeline.statistics()
    }

    /// A reference that does not keep the manager alive.
    pub fn downgrade(&self) -> WeakManager {
        WeakManager(Arc::downgrade(&self.inner))
    }

    /// Whether the two are the same manager.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

/// A manager that may be gone.
#[derive(Clone)]
pub struct WeakManager(Weak<Inner>);

impl WeakManager {
    /// The manager, while it exists.
    pub fn upgrade(&self) -> Option<InstrumentationManager> {
        self.0.upgrade().map(|inner| InstrumentationManager { inner })
    }
}

/// One workflow, as long as a handle of one of its spans lives.
struct Run {
    head: Arc<RunHead>,
    pipeline: Arc<Pipeline>,
    ids: Arc<dyn IdSource>,
    clock: RunClock,
    open: Mutex<HashMap<SpanId, Weak<SpanCell>, BuildHasherDefault<IdHasher>>>,
}

impl Run {
    fn start(
        self: &Arc<Self>,
        span_id: SpanId,
        parent_span_id: Option<SpanId>,
        kind: SpanKind,
        attributes: Vec<Attribute>,
    ) -> Span {
        let head = Arc::new(SpanHead {
            run: self.head.clone(),
            span_id,
            parent_span_id,
            kind,
            start_unix_ns: self.clock.now(),
            attributes: attributes.into(),
        });
        self.pipeline.push([Record::SpanStarted(head.clone())]);
        let cell = Arc::new(SpanCell {
            head,
            run: self.clone(),
            process: fork::generation(),
            ended: AtomicBool::new(false),
            changes: Mutex::default(),
        });
        lock(&self.open).insert(span_id, Arc::downgrade(&cell));
        Span { cell }
    }

    /// Ends what is still open, the latest first.
    fn end_open_spans(&self) {
        let mut open: Vec<_> = lock(&self.open).values().filter_map(Weak::upgrade).collect();
        open.sort_by_key(|cell| std::cmp::Reverse((cell.head.start_unix_ns, cell.head.span_id)));
        for cell in open.iter().filter(|cell| !cell.head.is_root()) {
            cell.end(EndedBy::RunEnd);
        }
    }
}

/// The handle of a span. Clones are the same span. It ends once: by a call, with its run, or when its last handle is
/// dropped (the latter two are marked with [`keys::SPAN_ENDED_BY`]).
#[derive(Clone)]
pub struct Span {
    cell: Arc<SpanCell>,
}

/// A span that may have been let go of.
#[derive(Clone)]
pub struct WeakSpan(Weak<SpanCell>);

impl WeakSpan {
    /// The span, while somebody holds it.
    pub fn upgrade(&self) -> Option<Span> {
        self.0.upgrade().map(|cell| Span { cell })
    }
}

struct SpanCell {
    head: Arc<SpanHead>,
    run: Arc<Run>,
    /// The fork generation that it was started in: a forked child leaves its parent's spans alone.
    process: u32,
    ended: AtomicBool,
    changes: Mutex<Changes>,
}

/// What was set on a span since its start.
#[derive(Default)]
struct Changes {
    unsent: Vec<Attribute>,
    /// What was handed over already, in order.
    sent: Vec<Arc<Vec<Attribute>>>,
    status: Status,
}

impl Changes {
    fn sent(&self) -> impl DoubleEndedIterator<Item = &Attribute> {
        self.sent.iter().flat_map(|attributes| attributes.iter())
    }
}

/// The most attributes that may be set on one span; what is set beyond is left out.
const MOST_CHANGES: usize = 4096;

impl Span {
    /// Starts a span within this one.
    pub fn start_child(&self, kind: SpanKind, attributes: Vec<Attribute>) -> Span {
        let run = &self.cell.run;
        run.start(run.ids.span_id(), Some(self.span_id()), kind, attributes)
    }

    /// Records a span within this one that is over already; for what takes time and says little.
    /// Both times are readings of the manager's [`Clock::monotonic_ns`].
    pub fn add_past_child(
        &self,
        kind: SpanKind,
        attributes: Vec<Attribute>,
        start_monotonic_ns: u64,
        end_monotonic_ns: u64,
    ) {
        let run = &self.cell.run;
        let head = Arc::new(SpanHead {
            run: run.head.clone(),
            span_id: run.ids.span_id(),
            parent_span_id: Some(self.span_id()),
            kind,
            start_unix_ns: run.clock.at(start_monotonic_ns),
            attributes: attributes.into(),
        });
        let ended = SpanEnded {
            span: head.clone(),
            end_unix_ns: run.clock.at(end_monotonic_ns.max(start_monotonic_ns)),
            status: Status::Unset,
            ended_by: EndedBy::Program,
        };
        run.pipeline.push([Record::SpanStarted(head), Record::SpanEnded(ended)]);
    }

    /// Sets an attribute; a later value replaces an earlier one. After the span's end it does nothing.
    pub fn set_attribute(&self, key: impl Into<Key>, value: impl Into<Value>) {
        self.set_attributes([(key.into(), value.into())]);
    }

    /// Sets several attributes.
    pub fn set_attributes(&self, attributes: impl IntoIterator<Item = Attribute>) {
        if self.is_ended() {
            return;
        }
        let mut changes = lock(&self.cell.changes);
        let room = MOST_CHANGES.saturating_sub(changes.unsent.len() + changes.sent.len());
        changes.unsent.extend(attributes.into_iter().take(room));
    }

    /// Says how the span went. A later word replaces an earlier one.
    pub fn set_status(&self, status: Status) {
        lock(&self.cell.changes).status = status;
    }

    /// Records an event in this span. After the span's end it does nothing.
    pub fn record_event(&self, kind: EventKind, attributes: Vec<Attribute>) {
        if self.is_ended() {
            return;
        }
        let event = Record::Event(Event {
            span: self.cell.head.clone(),
            kind,
            time_unix_ns: self.cell.run.clock.now(),
            attributes,
        });
        match self.cell.take_changes() {
            None => self.cell.run.pipeline.push([event]),
            Some(changed) => self.cell.run.pipeline.push([changed, event]),
        }
    }

    /// Records an exception as OpenTelemetry has it, and that the span failed.
    pub fn record_exception(&self, class: Text, message: Text, stacktrace: Text) {
        self.set_status(Status::Error { message: message.clone() });
        let attributes = vec![
            (keys::EXCEPTION_TYPE.into(), class.into()),
            (keys::EXCEPTION_MESSAGE.into(), message.into()),
            (keys::EXCEPTION_STACKTRACE.into(), stacktrace.into()),
        ];
        self.record_event(EventKind::Exception, attributes);
    }

    /// Ends the span. The end of a WORKFLOW span first ends whatever is still open in its run.
    pub fn end(&self) {
        if self.cell.head.is_root() && !self.is_ended() {
            self.cell.run.end_open_spans();
        }
        self.cell.end(EndedBy::Program);
    }

    /// Hands over what was set and has not been handed over yet, though the span is still open.
    pub fn publish(&self) {
        if let Some(changed) = self.cell.take_changes() {
            self.cell.run.pipeline.push([changed]);
        }
    }
}

/// What is known of a span.
impl Span {
    /// Its particulars since its start.
    pub fn head(&self) -> &Arc<SpanHead> {
        &self.cell.head
    }

    /// Its id.
    pub fn span_id(&self) -> SpanId {
        self.cell.head.span_id
    }

    /// The id of its trace.
    pub fn trace_id(&self) -> TraceId {
        self.cell.head.run.trace_id
    }

    /// Whether it has ended. A parent process's span counts as ended in a forked child.
    pub fn is_ended(&self) -> bool {
        self.cell.ended.load(Ordering::Relaxed) || self.cell.process != fork::generation()
    }

    /// The latest value under `key`.
    pub fn attribute(&self, key: &str) -> Option<Value> {
        let changes = lock(&self.cell.changes);
        let sent = || changes.sent().rev().find(|(name, _)| name == key).map(|(_, value)| value);
        let changed = find(&changes.unsent, key).or_else(sent);
        changed.or_else(|| self.cell.head.attribute(key)).cloned()
    }

    /// Everything set on it, in order, with the start's attributes first.
    pub fn attributes(&self) -> Vec<Attribute> {
        let changes = lock(&self.cell.changes);
        self.cell
            .head
            .attributes
            .iter()
            .chain(changes.sent())
            .chain(&changes.unsent)
            .cloned()
            .collect()
    }

    /// The time in its run.
    pub fn now(&self) -> UnixNanos {
        self.cell.run.clock.now()
    }

    /// A reference that does not keep the span open.
    pub fn downgrade(&self) -> WeakSpan {
        WeakSpan(Arc::downgrade(&self.cell))
    }

    /// Whether the two are one span.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.cell, &other.cell)
    }
}

impl SpanCell {
    fn take_changes(&self) -> Option<Record> {
        let mut changes = lock(&self.changes);
        if changes.unsent.is_empty() {
            return None;
        }
        let attributes = Arc::new(std::mem::take(&mut changes.unsent));
        changes.sent.push(attributes.clone());
        Some(Record::SpanChanged(SpanChanged { span: self.head.clone(), attributes }))
    }

    fn end(&self, ended_by: EndedBy) {
        if self.process != fork::generation() || self.ended.swap(true, Ordering::AcqRel) {
            return;
        }
        lock(&self.run.open).remove(&self.head.span_id);
        if let Some(mark) = ended_by.mark() {
            lock(&self.changes).unsent.push((keys::SPAN_ENDED_BY.into(), mark.into()));
        }
        let changed = self.take_changes();
        let ended = Record::SpanEnded(SpanEnded {
            span: self.head.clone(),
            end_unix_ns: self.run.clock.now(),
            status: lock(&self.changes).status.clone(),
            ended_by,
        });
        match changed {
            None => self.run.pipeline.push([ended]),
            Some(changed) => self.run.pipeline.push([changed, ended]),
        }
    }
}

impl Drop for SpanCell {
    fn drop(&mut self) {
        self.end(EndedBy::Dropped);
    }
}

/// Span ids are random already.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}
