//! The handle of a span: how a program says what happens in a run.
//!
//! Recording does as little as it can on the program's thread: an id, a clock reading, a push into the queue. A handle
//! keeps what is set on it and hands it over with the span's next event or its end, not attribute by attribute.
//! Nothing here fails, whatever the program does: a call that makes no sense (ending twice, say) does nothing.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

use slab::Slab;

use crate::event::EventKind;
use crate::fork;
use crate::id::{IdSource, SpanId, TraceId};
use crate::keys;
use crate::pipeline::{Happening, Pipeline, RunNumber, SpanReference, lock};
use crate::span::{EndedBy, RunHead, SpanKind, Status};
use crate::time::{RunClock, UnixNanos};
use crate::value::{Attribute, Key, Text, Value, find};

/// The handle of a span. Clones are the same span. It ends once: by a call, with its run, or when its last handle is
/// dropped (the latter two are marked with [`keys::SPAN_ENDED_BY`]).
#[derive(Clone)]
pub struct Span {
    cell: Arc<SpanCell>,
}

/// A span that may have been let go of.
#[derive(Clone)]
pub struct WeakSpan(Weak<SpanCell>);

struct SpanCell {
    run: Arc<Run>,
    span_id: SpanId,
    parent_span_id: Option<SpanId>,
    kind: SpanKind,
    start_unix_ns: UnixNanos,
    start_attributes: Vec<Attribute>,
    /// Its place among the open spans of its run.
    place: usize,
    /// The fork generation that it was started in: a forked child leaves its parent's spans alone.
    process: u32,
    ended: AtomicBool,
    changes: Mutex<Changes>,
}

/// What was set on a span since its start.
#[derive(Default)]
struct Changes {
    attributes: Vec<Attribute>,
    /// How many of them were handed over already.
    sent: usize,
    status: Status,
}

/// One workflow, as long as a handle of one of its spans lives.
struct Run {
    head: Arc<RunHead>,
    number: RunNumber,
    pipeline: Arc<Pipeline>,
    ids: Arc<dyn IdSource>,
    clock: RunClock,
    open: Mutex<Slab<Weak<SpanCell>>>,
    /// Tells the pipeline that something can still be recorded in this run.
    _handles: Arc<()>,
}

/// The most attributes that may be set on one span; what is set beyond is left out.
const MOST_CHANGES: usize = 4096;

/// Recording.
impl Span {
    /// Starts a run, and gives its root.
    pub(crate) fn start_run(
        pipeline: &Arc<Pipeline>,
        ids: &Arc<dyn IdSource>,
        clock: RunClock,
        name: Text,
        attributes: Vec<Attribute>,
    ) -> Span {
        let (trace_id, root_span_id) = (ids.trace_id(), ids.span_id());
        let head = Arc::new(RunHead { trace_id, root_span_id, name });
        let handles = Arc::new(());
        let run = Arc::new(Run {
            number: pipeline.add_run(head.clone(), Arc::downgrade(&handles)),
            head,
            pipeline: pipeline.clone(),
            ids: ids.clone(),
            clock,
            open: Mutex::default(),
            _handles: handles,
        });
        run.start(root_span_id, None, SpanKind::Workflow, attributes)
    }

    /// Starts a span within this one.
    pub fn start_child(&self, kind: SpanKind, attributes: Vec<Attribute>) -> Span {
        let run = &self.cell.run;
        run.start(run.ids.span_id(), Some(self.span_id()), kind, attributes)
    }

    /// Records a span within this one that is over already; for what takes time and says little.
    /// Both times are readings of the manager's [`Clock::monotonic_ns`](crate::Clock::monotonic_ns).
    pub fn add_past_child(
        &self,
        kind: SpanKind,
        attributes: Vec<Attribute>,
        start_monotonic_ns: u64,
        end_monotonic_ns: u64,
    ) {
        let run = &self.cell.run;
        let started = Happening::Started {
            parent: Some(self.span_id()),
            kind,
            time_unix_ns: run.clock.at(start_monotonic_ns),
        };
        let ended = Happening::Ended {
            time_unix_ns: run.clock.at(end_monotonic_ns.max(start_monotonic_ns)),
            status: Status::Unset,
            ended_by: EndedBy::Program,
        };
        let span_id = run.ids.span_id();
        run.push(span_id, &[], started, Cow::Owned(attributes));
        run.push(span_id, &[], ended, Cow::Borrowed(&[]));
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
        let room = MOST_CHANGES.saturating_sub(changes.attributes.len());
        changes.attributes.extend(attributes.into_iter().take(room));
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
        let happening = Happening::Event { kind, time_unix_ns: self.now() };
        lock(&self.cell.changes).hand_over(&self.cell, happening, attributes);
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
        if self.is_root() && !self.is_ended() {
            self.cell.run.end_open_spans();
        }
        self.cell.end(EndedBy::Program);
    }
}

/// What is known of a span.
impl Span {
    /// Its id.
    pub fn span_id(&self) -> SpanId {
        self.cell.span_id
    }

    /// Its parent's id; none for the root of a run.
    pub fn parent_span_id(&self) -> Option<SpanId> {
        self.cell.parent_span_id
    }

    /// The id of its trace.
    pub fn trace_id(&self) -> TraceId {
        self.run().trace_id
    }

    /// The run that it belongs to.
    pub fn run(&self) -> &RunHead {
        &self.cell.run.head
    }

    /// Whether it is the WORKFLOW span of its run.
    pub fn is_root(&self) -> bool {
        self.span_id() == self.run().root_span_id
    }

    /// What it covers.
    pub fn kind(&self) -> &SpanKind {
        &self.cell.kind
    }

    /// When it began.
    pub fn start_unix_ns(&self) -> UnixNanos {
        self.cell.start_unix_ns
    }

    /// The time in its run.
    pub fn now(&self) -> UnixNanos {
        self.cell.run.clock.now()
    }

    /// Whether it has ended. A parent process's span counts as ended in a forked child.
    pub fn is_ended(&self) -> bool {
        self.cell.ended.load(Ordering::Relaxed) || self.cell.process != fork::generation()
    }

    /// The latest value under `key`.
    pub fn attribute(&self, key: &str) -> Option<Value> {
        let changes = lock(&self.cell.changes);
        find(&changes.attributes, key).or_else(|| find(&self.cell.start_attributes, key)).cloned()
    }

    /// Everything set on it, in order, with the start's attributes first.
    pub fn attributes(&self) -> Vec<Attribute> {
        let changes = lock(&self.cell.changes);
        self.cell.start_attributes.iter().chain(&changes.attributes).cloned().collect()
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

impl WeakSpan {
    /// The span, while somebody holds it.
    pub fn upgrade(&self) -> Option<Span> {
        self.0.upgrade().map(|cell| Span { cell })
    }
}

impl Run {
    fn start(
        self: &Arc<Self>,
        span_id: SpanId,
        parent: Option<SpanId>,
        kind: SpanKind,
        attributes: Vec<Attribute>,
    ) -> Span {
        let time_unix_ns = self.clock.now();
        let started = Happening::Started { parent, kind: kind.clone(), time_unix_ns };
        self.push(span_id, &[], started, Cow::Borrowed(&attributes));
        let mut open = lock(&self.open);
        let vacant = open.vacant_entry();
        let cell = Arc::new(SpanCell {
            run: self.clone(),
            span_id,
            parent_span_id: parent,
            kind,
            start_unix_ns: time_unix_ns,
            start_attributes: attributes,
            place: vacant.key(),
            process: fork::generation(),
            ended: AtomicBool::new(false),
            changes: Mutex::default(),
        });
        vacant.insert(Arc::downgrade(&cell));
        Span { cell }
    }

    fn push(
        &self,
        span_id: SpanId,
        changed: &[Attribute],
        happening: Happening,
        attributes: Cow<'_, [Attribute]>,
    ) {
        let span = SpanReference { run: self.number, span_id };
        self.pipeline.push(span, changed, happening, attributes);
    }

    /// Ends what is still open, the latest first.
    fn end_open_spans(&self) {
        let mut open: Vec<_> =
            lock(&self.open).iter().filter_map(|(_, cell)| cell.upgrade()).collect();
        open.sort_by_key(|cell| std::cmp::Reverse((cell.start_unix_ns, cell.span_id)));
        for cell in open.iter().filter(|cell| cell.span_id != self.head.root_span_id) {
            cell.end(EndedBy::RunEnd);
        }
    }
}

impl SpanCell {
    fn end(&self, ended_by: EndedBy) {
        if self.process != fork::generation() || self.ended.swap(true, Ordering::AcqRel) {
            return;
        }
        lock(&self.run.open).try_remove(self.place);
        let mut changes = lock(&self.changes);
        if let Some(mark) = ended_by.mark() {
            changes.attributes.push((keys::SPAN_ENDED_BY.into(), mark.into()));
        }
        let (time_unix_ns, status) = (self.run.clock.now(), changes.status.clone());
        let ended = Happening::Ended { time_unix_ns, status, ended_by };
        changes.hand_over(self, ended, Vec::new());
    }
}

impl Drop for SpanCell {
    fn drop(&mut self) {
        self.end(EndedBy::Dropped);
    }
}

impl Changes {
    /// Hands over what was set on the span since the last time, and then what happened to it.
    fn hand_over(&mut self, cell: &SpanCell, happening: Happening, attributes: Vec<Attribute>) {
        let unsent = self.attributes.get(self.sent..).unwrap_or_default();
        cell.run.push(cell.span_id, unsent, happening, Cow::Owned(attributes));
        self.sent = self.attributes.len();
    }
}
