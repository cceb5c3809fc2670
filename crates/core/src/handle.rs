//! The handle of a span: how a program says what happens in a run.
//!
//! Recording does as little as it can on the program's thread: an id, a clock reading, a push into the queue. A handle
//! keeps nothing of what is recorded through it; who asks for a span's attributes is answered by the pipeline.
//! Nothing here fails, whatever the program does: a call that makes no sense (ending twice, say) does nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use crate::event::EventKind;
use crate::fork;
use crate::given::{Attributes, Given, Recordable};
use crate::id::{IdSource, SpanId, TraceId};
use crate::keys;
use crate::parent::RemoteParent;
use crate::pipeline::{Happening, Pipeline, RunNumber, SpanReference};
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
    reference: SpanReference,
    parent_span_id: Option<SpanId>,
    kind: SpanKind,
    start_unix_ns: UnixNanos,
    /// The fork generation that it was started in: a forked child leaves its parent's spans alone.
    process: u32,
    /// It was started when its run had ended, and goes on by itself.
    is_late: bool,
    ended: AtomicBool,
}

/// One workflow, as long as a handle of one of its spans lives.
struct Run {
    head: Arc<RunHead>,
    number: RunNumber,
    pipeline: Arc<Pipeline>,
    ids: Arc<dyn IdSource>,
    clock: RunClock,
    /// The program ended its root, and with it whatever was open.
    ended: AtomicBool,
    /// Tells the pipeline that something can still be recorded in this run.
    _handles: Arc<()>,
}

/// Recording.
impl Span {
    /// Starts a run, and gives its root. With a `parent` it is a part of that one's trace.
    pub(crate) fn start_run(
        pipeline: &Arc<Pipeline>,
        ids: &Arc<dyn IdSource>,
        clock: RunClock,
        parent: Option<RemoteParent>,
        name: Text,
        mut attributes: impl Attributes,
    ) -> Span {
        let trace_id = parent.map_or_else(|| ids.trace_id(), |parent| parent.trace_id);
        let root_span_id = ids.span_id();
        let parent_span_id = parent.map(|parent| parent.span_id);
        let head = Arc::new(RunHead { trace_id, root_span_id, parent_span_id, name });
        let handles = Arc::new(());
        let run = Arc::new(Run {
            number: pipeline.add_run(head.clone(), Arc::downgrade(&handles)),
            head,
            pipeline: pipeline.clone(),
            ids: ids.clone(),
            clock,
            ended: AtomicBool::new(false),
            _handles: handles,
        });
        run.start(root_span_id, parent_span_id, SpanKind::Workflow, attributes.as_mut())
    }

    /// Starts a span within this one.
    pub fn start_child(&self, kind: SpanKind, mut attributes: impl Attributes) -> Span {
        let run = &self.cell.run;
        run.start(run.ids.span_id(), Some(self.span_id()), kind, attributes.as_mut())
    }

    /// Starts a span within this one that began a while ago, as it shows only now; `start_monotonic_ns` is a reading of the
    /// manager's [`Clock::monotonic_ns`](crate::Clock::monotonic_ns).
    pub fn start_past_child(
        &self,
        kind: SpanKind,
        mut attributes: impl Attributes,
        start_monotonic_ns: u64,
    ) -> Span {
        let run = &self.cell.run;
        let start_unix_ns = run.clock.at(start_monotonic_ns);
        let parent = Some(self.span_id());
        run.start_at(run.ids.span_id(), parent, kind, attributes.as_mut(), start_unix_ns)
    }

    /// Records a span within this one that is over already; for what takes time and says little.
    /// Both times are readings of the manager's [`Clock::monotonic_ns`](crate::Clock::monotonic_ns).
    pub fn add_past_child(
        &self,
        kind: SpanKind,
        mut attributes: impl Attributes,
        start_monotonic_ns: u64,
        end_monotonic_ns: u64,
    ) {
        let run = &self.cell.run;
        let span = SpanReference { run: run.number, span_id: run.ids.span_id() };
        let started = Happening::Started { parent: Some(self.span_id()), kind };
        let start_unix_ns = run.clock.at(start_monotonic_ns);
        let end_unix_ns = run.clock.at(end_monotonic_ns.max(start_monotonic_ns));
        run.push(span, start_unix_ns, started, attributes.as_mut());
        run.push(span, end_unix_ns, Happening::Ended(EndedBy::Program), nothing());
        run.push(span, end_unix_ns, Happening::Released, nothing());
    }

    /// Sets an attribute; a later value replaces an earlier one. After the span's end it does nothing.
    pub fn set_attribute<'a>(&self, key: impl Into<Key>, value: impl Into<Given<'a>>) {
        self.change(&mut [(key.into(), value.into())]);
    }

    /// Sets several attributes.
    pub fn set_attributes(&self, mut attributes: impl Attributes) {
        let attributes = attributes.as_mut();
        if !attributes.is_empty() {
            self.change(attributes);
        }
    }

    fn change(&self, attributes: &mut [(Key, impl Recordable)]) {
        if !self.is_ended() {
            self.cell.push(self.cell.start_unix_ns, Happening::Changed, attributes);
        }
    }

    /// Says how the span went. A later word replaces an earlier one. After the span's end it does nothing.
    pub fn set_status(&self, status: Status) {
        if !self.is_ended() {
            let went = Happening::Went(status);
            self.cell.push(self.cell.start_unix_ns, went, nothing());
        }
    }

    /// Records an event in this span. After the span's end it does nothing.
    pub fn record_event(&self, kind: EventKind, mut attributes: impl Attributes) {
        if !self.is_ended() {
            let event = Happening::Event { kind };
            self.cell.push(self.now(), event, attributes.as_mut());
        }
    }

    /// Records an exception as OpenTelemetry has it, and that the span failed.
    pub fn record_exception(&self, class: Text, message: Text, stacktrace: Text) {
        self.set_status(Status::Error { message: message.clone() });
        let attributes = [
            (keys::EXCEPTION_TYPE.into(), class.into()),
            (keys::EXCEPTION_MESSAGE.into(), message.into()),
            (keys::EXCEPTION_STACKTRACE.into(), stacktrace.into()),
        ];
        self.record_event(EventKind::Exception, attributes);
    }

    /// Ends the span. The end of a WORKFLOW span first ends whatever is still open in its run.
    pub fn end(&self) {
        if self.is_root() {
            self.cell.run.ended.store(true, Ordering::Relaxed);
        }
        self.cell.end(EndedBy::Program);
    }
}

/// What is known of a span.
impl Span {
    /// Its id.
    pub fn span_id(&self) -> SpanId {
        self.cell.reference.span_id
    }

    /// Its parent's id. The root of a run has none, or one that is a span of another program.
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
        let cell = &self.cell;
        let ended_with_its_run = cell.run.ended.load(Ordering::Relaxed) && !cell.is_late;
        cell.ended.load(Ordering::Relaxed) || ended_with_its_run || cell.is_of_parent_process()
    }

    /// The latest value under `key`; see [`attributes`](Self::attributes).
    pub fn attribute(&self, key: &str) -> Option<Value> {
        find(&self.attributes(), key).cloned()
    }

    /// Everything set on it, in order, with the start's attributes first. They are looked for where they are on their way
    /// to the providers, so this is slow beside recording.
    pub fn attributes(&self) -> Vec<Attribute> {
        self.cell.run.pipeline.attributes_of(self.cell.reference)
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
        attributes: &mut [(Key, impl Recordable)],
    ) -> Span {
        self.start_at(span_id, parent, kind, attributes, self.clock.now())
    }

    #[inline]
    fn start_at(
        self: &Arc<Self>,
        span_id: SpanId,
        parent: Option<SpanId>,
        kind: SpanKind,
        attributes: &mut [(Key, impl Recordable)],
        start_unix_ns: UnixNanos,
    ) -> Span {
        let reference = SpanReference { run: self.number, span_id };
        let is_late = self.ended.load(Ordering::Relaxed);
        let started = Happening::Started { parent, kind: kind.clone() };
        self.push(reference, start_unix_ns, started, attributes);
        let cell = Arc::new(SpanCell {
            run: self.clone(),
            reference,
            parent_span_id: parent,
            kind,
            start_unix_ns,
            process: fork::generation(),
            is_late,
            ended: AtomicBool::new(false),
        });
        Span { cell }
    }

    #[inline]
    fn push(
        &self,
        span: SpanReference,
        time_unix_ns: UnixNanos,
        happening: Happening,
        attributes: &mut [(Key, impl Recordable)],
    ) {
        self.pipeline.push(span, time_unix_ns, happening, attributes);
    }
}

impl SpanCell {
    #[inline]
    fn push(
        &self,
        time_unix_ns: UnixNanos,
        happening: Happening,
        attributes: &mut [(Key, impl Recordable)],
    ) {
        self.run.push(self.reference, time_unix_ns, happening, attributes);
    }

    fn is_of_parent_process(&self) -> bool {
        self.process != fork::generation()
    }

    fn end(&self, ended_by: EndedBy) {
        if !self.is_of_parent_process() && !self.ended.swap(true, Ordering::AcqRel) {
            self.push(self.run.clock.now(), Happening::Ended(ended_by), nothing());
        }
    }
}

impl Drop for SpanCell {
    fn drop(&mut self) {
        self.end(EndedBy::Dropped);
        if !self.is_of_parent_process() {
            self.push(self.start_unix_ns, Happening::Released, nothing());
        }
    }
}

/// No attributes.
fn nothing() -> &'static mut [(Key, Given<'static>)] {
    &mut []
}
