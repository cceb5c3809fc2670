//! The queue as the program's threads write it: two flat buffers that are used again and again.
//!
//! Recording must not allocate memory that another thread frees: that costs the program more than all the rest. So what
//! is recorded is laid into the buffers as it is, and the pipeline's thread makes records of it, on its own account:
//!
//! ```text
//! entries     started(3)      changed(1)  event(2)    ended(0)      how many attributes each has
//! attributes  a, b, c,        d,          e, f                      of all entries, in order
//! ```

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::{Arc, Weak};

use crate::event::EventKind;
use crate::id::{IdHasher, SpanId};
use crate::record::{Event, Record, SpanChanged, SpanEnded};
use crate::span::{EndedBy, RunHead, SpanHead, SpanKind, Status};
use crate::time::UnixNanos;
use crate::value::{Attribute, Text, attributes_size_bytes};

/// What a queue calls a run.
pub(crate) type RunNumber = u32;

/// Which span an entry is about.
#[derive(Clone, Copy)]
pub(crate) struct SpanReference {
    pub(crate) run: RunNumber,
    pub(crate) span_id: SpanId,
}

/// What happened to a span; its attributes lie beside it.
pub(crate) enum Happening {
    Started { parent: Option<SpanId>, kind: SpanKind, time_unix_ns: UnixNanos },
    Changed,
    Event { kind: EventKind, time_unix_ns: UnixNanos },
    Ended { time_unix_ns: UnixNanos, status: Status, ended_by: EndedBy },
}

struct Entry {
    span: SpanReference,
    attribute_count: usize,
    happening: Happening,
}

/// See the module's documentation.
#[derive(Default)]
pub(crate) struct Buffers {
    entries: Vec<Entry>,
    attributes: Vec<Attribute>,
    pub(crate) bytes: usize,
}

/// About how many bytes a happening and its attributes take in the queue.
pub(crate) fn size_bytes(attributes: &[Attribute]) -> usize {
    size_of::<Entry>() + attributes_size_bytes(attributes)
}

impl Buffers {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn push(
        &mut self,
        span: SpanReference,
        happening: Happening,
        attributes: Cow<'_, [Attribute]>,
    ) {
        let attribute_count = attributes.len();
        match attributes {
            Cow::Borrowed(attributes) => self.attributes.extend_from_slice(attributes),
            Cow::Owned(mut attributes) => self.attributes.append(&mut attributes),
        }
        self.entries.push(Entry { span, attribute_count, happening });
    }
}

/// The runs in which something can still happen.
#[derive(Default)]
pub(crate) struct Runs {
    by_number: HashMap<RunNumber, KnownRun>,
    next_number: RunNumber,
}

struct KnownRun {
    head: Arc<RunHead>,
    /// Alive while there is a handle through which something can be recorded in the run.
    handles: Weak<()>,
    /// Seen without a handle: what was recorded before that is taken once more, and then the run is forgotten.
    is_leaving: bool,
}

impl Runs {
    pub(crate) fn add(&mut self, head: Arc<RunHead>, handles: Weak<()>) -> RunNumber {
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        self.by_number.insert(number, KnownRun { head, handles, is_leaving: false });
        number
    }

    /// Forgets the runs that have had no handle since the last call.
    fn forget_old(&mut self) -> bool {
        let before = self.by_number.len();
        self.by_number.retain(|_, run| {
            let stays = !run.is_leaving;
            run.is_leaving = run.handles.strong_count() == 0;
            stays
        });
        before != self.by_number.len()
    }

    fn is_known(&self, head: &Arc<RunHead>) -> bool {
        self.by_number.values().any(|run| Arc::ptr_eq(&run.head, head))
    }
}

/// Makes records of what lies in the buffers; on the pipeline's thread.
#[derive(Default)]
pub(crate) struct Assembler {
    open: HashMap<SpanId, Arc<SpanHead>, BuildHasherDefault<IdHasher>>,
}

impl Assembler {
    /// A record for each entry, in order. The buffers are empty afterwards and keep their room.
    pub(crate) fn assemble(&mut self, buffers: &mut Buffers, runs: &mut Runs) -> Vec<Record> {
        let mut records = Vec::with_capacity(buffers.entries.len());
        let mut attributes = buffers.attributes.drain(..);
        for entry in buffers.entries.drain(..) {
            let own = attributes.by_ref().take(entry.attribute_count).collect();
            if let Some(run) = runs.by_number.get(&entry.span.run) {
                records.push(self.record(entry, own, &run.head));
            }
        }
        drop(attributes);
        buffers.bytes = 0;
        if runs.forget_old() {
            self.open.retain(|_, span| runs.is_known(&span.run));
        }
        records
    }

    fn record(&mut self, entry: Entry, attributes: Vec<Attribute>, run: &Arc<RunHead>) -> Record {
        match entry.happening {
            Happening::Started { parent, kind, time_unix_ns } => {
                let head = Arc::new(SpanHead {
                    run: run.clone(),
                    span_id: entry.span.span_id,
                    parent_span_id: parent,
                    kind,
                    start_unix_ns: time_unix_ns,
                    attributes: attributes.into(),
                });
                self.open.insert(entry.span.span_id, head.clone());
                Record::SpanStarted(head)
            }
            Happening::Changed => {
                let span = self.head(run, entry.span.span_id, None);
                Record::SpanChanged(SpanChanged { span, attributes })
            }
            Happening::Event { kind, time_unix_ns } => {
                let span = self.head(run, entry.span.span_id, Some(time_unix_ns));
                Record::Event(Event { span, kind, time_unix_ns, attributes })
            }
            Happening::Ended { time_unix_ns, status, ended_by } => {
                let span = self.head(run, entry.span.span_id, Some(time_unix_ns));
                self.open.remove(&entry.span.span_id);
                Record::SpanEnded(SpanEnded { span, end_unix_ns: time_unix_ns, status, ended_by })
            }
        }
    }

    /// The span's head; where its start was dropped, one that says so.
    fn head(
        &self,
        run: &Arc<RunHead>,
        span_id: SpanId,
        seen_at: Option<UnixNanos>,
    ) -> Arc<SpanHead> {
        let known = self.open.get(&span_id).cloned();
        known.unwrap_or_else(|| {
            Arc::new(SpanHead {
                parent_span_id: (span_id != run.root_span_id).then_some(run.root_span_id),
                run: run.clone(),
                span_id,
                kind: SpanKind::Custom(Text::from_static(START_DROPPED)),
                start_unix_ns: seen_at.unwrap_or(0),
                attributes: Box::default(),
            })
        })
    }
}

/// The kind of a span whose start was dropped because the queue was full.
const START_DROPPED: &str = "start_dropped";
