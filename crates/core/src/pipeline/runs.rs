//! The runs in which something can still happen, and how records are made of what happened in them.

use std::sync::{Arc, Weak};

use super::queue::{Buffers, Entry, Happening, RunNumber, SpanReference};
use crate::id::{IdMap, SpanId};
use crate::keys;
use crate::record::{Event, Record, SpanChanged, SpanEnded};
use crate::span::{EndedBy, RunHead, SpanHead, SpanKind, Status};
use crate::time::UnixNanos;
use crate::value::Attribute;

/// The runs in which something can still happen.
#[derive(Default)]
pub(crate) struct Runs {
    by_number: IdMap<RunNumber, KnownRun>,
    next_number: RunNumber,
    /// How many records were made so far.
    pub(crate) records: u64,
}

struct KnownRun {
    head: Arc<RunHead>,
    /// Alive while there is a handle through which something can be recorded in the run.
    handles: Weak<()>,
    /// Seen without a handle: what was recorded before that is taken yet, and then the run is forgotten.
    is_leaving: bool,
    /// Its WORKFLOW span has ended, and with it whatever was open.
    has_ended: bool,
    /// Those that somebody holds a handle of.
    spans: IdMap<SpanId, KnownSpan>,
}

struct KnownSpan {
    head: Arc<SpanHead>,
    /// What was set since its start.
    changed: Vec<Attribute>,
    status: Status,
    is_open: bool,
}

/// The most attributes that may be set on one span after its start; what is set beyond is left out.
const MOST_CHANGES: usize = 4096;

/// The kind of a span whose start was dropped because the queue was full.
const START_DROPPED: &str = "start_dropped";

impl Runs {
    pub(crate) fn add(&mut self, head: Arc<RunHead>, handles: Weak<()>) -> RunNumber {
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        let spans = IdMap::default();
        let run = KnownRun { head, handles, is_leaving: false, has_ended: false, spans };
        self.by_number.insert(number, run);
        number
    }

    /// The records of what lies in the buffers, in order; these keep so many pages at the most.
    pub(crate) fn assemble(&mut self, buffers: &mut Buffers, most_kept: usize) -> Vec<Record> {
        let mut records = Vec::with_capacity(buffers.records() as usize);
        buffers.drain(most_kept, |entry, attributes| {
            if let Some(run) = self.by_number.get_mut(&entry.span.run) {
                run.take(entry, attributes, &mut records);
            }
        });
        self.records += records.len() as u64;
        records
    }

    /// What was set on a span, at its start and since, as far as it was taken out of the queue.
    pub(crate) fn attributes_of(&self, span: SpanReference) -> Vec<Attribute> {
        let run = self.by_number.get(&span.run);
        run.and_then(|run| run.spans.get(&span.span_id)).map_or_else(Vec::new, |known| {
            known.head.attributes.iter().chain(&known.changed).cloned().collect()
        })
    }

    /// Forgets the runs that have had no handle since the last call. To be called only where the queue was taken whole:
    /// what was recorded in them before lies in it.
    pub(crate) fn forget_old(&mut self) {
        self.by_number.retain(|_, run| {
            let stays = !run.is_leaving;
            run.is_leaving = run.handles.strong_count() == 0;
            stays
        });
    }
}

impl KnownRun {
    /// Makes records of an entry. What happens to a span after its end is nothing.
    fn take(&mut self, entry: Entry, attributes: Vec<Attribute>, records: &mut Vec<Record>) {
        let (span_id, time_unix_ns) = (entry.span.span_id, entry.time_unix_ns);
        match entry.happening {
            Happening::Started { parent, kind } => {
                let span = KnownSpan::new(Arc::new(SpanHead {
                    run: self.head.clone(),
                    span_id,
                    parent_span_id: parent,
                    kind,
                    start_unix_ns: time_unix_ns,
                    attributes: attributes.into(),
                }));
                records.push(Record::SpanStarted(span.head.clone()));
                self.spans.insert(span_id, span);
            }
            Happening::Changed => {
                if let Some(span) = self.open(span_id, time_unix_ns) {
                    span.change(attributes, records);
                }
            }
            Happening::Went(status) => {
                if let Some(span) = self.open(span_id, time_unix_ns) {
                    span.status = status;
                }
            }
            Happening::Event { kind } => {
                if let Some(span) = self.open(span_id, time_unix_ns) {
                    let span = span.head.clone();
                    records.push(Record::Event(Event { span, kind, time_unix_ns, attributes }));
                }
            }
            Happening::Ended(ended_by) => {
                if span_id == self.head.root_span_id && ended_by == EndedBy::Program {
                    self.end_open_spans(time_unix_ns, records);
                }
                if let Some(span) = self.open(span_id, time_unix_ns) {
                    span.end(time_unix_ns, ended_by, records);
                }
            }
            Happening::Released => drop(self.spans.remove(&span_id)),
        }
    }

    /// The span, unless it has ended. One that is not known is one whose start was dropped.
    fn open(&mut self, span_id: SpanId, seen_at: UnixNanos) -> Option<&mut KnownSpan> {
        let Self { head, has_ended, spans, .. } = self;
        if *has_ended && !spans.contains_key(&span_id) {
            return None;
        }
        let span = spans.entry(span_id).or_insert_with(|| {
            let is_root = span_id == head.root_span_id;
            KnownSpan::new(Arc::new(SpanHead {
                parent_span_id: if is_root { head.parent_span_id } else { Some(head.root_span_id) },
                run: head.clone(),
                span_id,
                kind: SpanKind::from_value(START_DROPPED),
                start_unix_ns: seen_at,
                attributes: Box::default(),
            }))
        });
        span.is_open.then_some(span)
    }

    /// Ends whatever is still open but the root, the latest first.
    fn end_open_spans(&mut self, time_unix_ns: UnixNanos, records: &mut Vec<Record>) {
        self.has_ended = true;
        let root = self.head.root_span_id;
        let is_left = |span: &&mut KnownSpan| span.is_open && span.head.span_id != root;
        let mut left: Vec<_> = self.spans.values_mut().filter(is_left).collect();
        left.sort_by_key(|span| std::cmp::Reverse((span.head.start_unix_ns, span.head.span_id)));
        for span in left {
            span.end(time_unix_ns, EndedBy::RunEnd, records);
        }
    }
}

impl KnownSpan {
    fn new(head: Arc<SpanHead>) -> Self {
        Self { head, changed: Vec::new(), status: Status::Unset, is_open: true }
    }

    /// Several changes in a row are one.
    fn change(&mut self, mut attributes: Vec<Attribute>, records: &mut Vec<Record>) {
        attributes.truncate(MOST_CHANGES.saturating_sub(self.changed.len()));
        if attributes.is_empty() {
            return;
        }
        self.changed.extend_from_slice(&attributes);
        match records.last_mut() {
            Some(Record::SpanChanged(last)) if Arc::ptr_eq(&last.span, &self.head) => {
                last.attributes.extend(attributes);
            }
            _ => {
                let span = self.head.clone();
                records.push(Record::SpanChanged(SpanChanged { span, attributes }));
            }
        }
    }

    fn end(&mut self, end_unix_ns: UnixNanos, ended_by: EndedBy, records: &mut Vec<Record>) {
        if let Some(mark) = ended_by.mark() {
            self.change(vec![(keys::SPAN_ENDED_BY.into(), mark.into())], records);
        }
        self.is_open = false;
        let (span, status) = (self.head.clone(), std::mem::take(&mut self.status));
        records.push(Record::SpanEnded(SpanEnded { span, end_unix_ns, status, ended_by }));
    }
}
