//! The runs that a provider keeps apart, and how a reader names one of them.
//!
//! A provider may be registered for as long as a program lasts, so the number of runs is bounded: beyond it the oldest run
//! that has ended is forgotten, and counted.

use std::collections::{HashMap, VecDeque};

use callboard_core::{Record, RunHead, Span, SpanId, TraceId};

/// The most runs that a provider keeps apart.
pub(crate) const MOST_RUNS: usize = 10_000;

/// The identity of a run: its trace's id and its root span's. One trace may hold several runs.
pub(crate) type RunKey = (TraceId, SpanId);

/// Which run a provider is asked about.
///
/// ```
/// use callboard::{RunFilter, TraceId};
///
/// # let manager = callboard::manager();
/// let run = manager.start_run("Joke", []);
/// assert_eq!(RunFilter::from(&run), RunFilter::Run(run.trace_id(), run.span_id()));
/// assert_eq!(RunFilter::from(run.trace_id()), RunFilter::Trace(run.trace_id()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunFilter {
    /// The run with this trace id and this root span id.
    Run(TraceId, SpanId),
    /// All runs of this trace. There is one, unless runs were begun with a parent in the same trace.
    Trace(TraceId),
}

impl RunFilter {
    pub(crate) fn matches(&self, (trace_id, root_span_id): &RunKey) -> bool {
        match self {
            Self::Run(trace, root) => trace == trace_id && root == root_span_id,
            Self::Trace(trace) => trace == trace_id,
        }
    }
}

impl From<&Span> for RunFilter {
    /// The run that a span belongs to: its root or any other span.
    fn from(span: &Span) -> Self {
        Self::from(span.run())
    }
}

impl From<&RunHead> for RunFilter {
    fn from(run: &RunHead) -> Self {
        Self::Run(run.trace_id, run.root_span_id)
    }
}

impl From<TraceId> for RunFilter {
    fn from(trace_id: TraceId) -> Self {
        Self::Trace(trace_id)
    }
}

pub(crate) fn key_of(run: &RunHead) -> RunKey {
    (run.trace_id, run.root_span_id)
}

/// What is kept of each run, in the order in which the runs began.
#[derive(Debug)]
pub(crate) struct Runs<T> {
    kept: HashMap<RunKey, Kept<T>>,
    order: VecDeque<RunKey>,
    dropped: u64,
}

#[derive(Debug)]
struct Kept<T> {
    of_run: T,
    has_ended: bool,
}

impl<T> Default for Runs<T> {
    fn default() -> Self {
        Self { kept: HashMap::new(), order: VecDeque::new(), dropped: 0 }
    }
}

impl<T: Default> Runs<T> {
    /// Notes which run a record belongs to, and whether the run is over. Returns the run that had to be forgotten, if any.
    pub(crate) fn note(&mut self, record: &Record) -> Option<(RunKey, T)> {
        let span = record.span();
        match record {
            Record::SpanStarted(_) | Record::Event(_) => {
                // The provider may have been registered in the midst of a run. Once runs were forgotten, one that is not known
                // may be one of those, and is not begun again: its sums would be too low.
                let begins = matches!(record, Record::SpanStarted(_)) && span.is_root();
                let may_begin = begins || self.dropped == 0;
                if may_begin { self.begin(key_of(&span.run)) } else { None }
            }
            Record::SpanEnded(_) if span.is_root() => {
                if let Some(kept) = self.kept.get_mut(&key_of(&span.run)) {
                    kept.has_ended = true;
                }
                None
            }
            _ => None,
        }
    }

    /// Begins a run that is not known yet.
    fn begin(&mut self, run: RunKey) -> Option<(RunKey, T)> {
        if self.order.back() == Some(&run) || self.kept.contains_key(&run) {
            return None;
        }
        let forgotten = if self.order.len() >= MOST_RUNS { self.forget_oldest() } else { None };
        self.order.push_back(run);
        self.kept.insert(run, Kept { of_run: T::default(), has_ended: false });
        forgotten
    }

    /// Forgets the oldest run that has ended; where none has, the oldest one.
    pub(crate) fn forget_oldest(&mut self) -> Option<(RunKey, T)> {
        let has_ended = |run: &RunKey| self.kept.get(run).is_some_and(|kept| kept.has_ended);
        let oldest = self.order.iter().position(has_ended).unwrap_or(0);
        let run = self.order.remove(oldest)?;
        self.dropped += 1;
        self.kept.remove(&run).map(|kept| (run, kept.of_run))
    }

    pub(crate) fn get_mut(&mut self, run: &RunKey) -> Option<&mut T> {
        self.kept.get_mut(run).map(|kept| &mut kept.of_run)
    }
}

impl<T> Runs<T> {
    /// How many runs are kept.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// How many runs are no longer kept.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The run that began last.
    pub(crate) fn last(&self) -> Option<RunKey> {
        self.order.back().copied()
    }

    pub(crate) fn get(&self, run: &RunKey) -> Option<&T> {
        self.kept.get(run).map(|kept| &kept.of_run)
    }

    /// The runs that are asked for, in the order in which they began; none where none of them is kept.
    pub(crate) fn find(&self, filter: RunFilter) -> Option<Vec<RunKey>> {
        let found = match filter {
            RunFilter::Run(trace_id, root_span_id) => {
                let run = (trace_id, root_span_id);
                Vec::from_iter(self.kept.contains_key(&run).then_some(run))
            }
            RunFilter::Trace(_) => {
                self.order.iter().filter(|run| filter.matches(run)).copied().collect()
            }
        };
        (!found.is_empty()).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use callboard_core::{EndedBy, SpanEnded, SpanHead, SpanKind, Status};

    use super::*;

    fn run(number: u64) -> RunKey {
        (TraceId::from_int(number.into()), SpanId::from_int(number))
    }

    fn head(number: u64, span: u64) -> Arc<SpanHead> {
        let (trace_id, root_span_id) = run(number);
        let name = "test".into();
        Arc::new(SpanHead {
            run: Arc::new(RunHead { trace_id, root_span_id, parent_span_id: None, name }),
            span_id: SpanId::from_int(span),
            parent_span_id: None,
            kind: SpanKind::Workflow,
            start_unix_ns: 0,
            attributes: Box::default(),
        })
    }

    fn started(number: u64) -> Record {
        Record::SpanStarted(head(number, number))
    }

    fn ended(number: u64) -> Record {
        let (span, status) = (head(number, number), Status::Unset);
        Record::SpanEnded(SpanEnded { span, end_unix_ns: 0, status, ended_by: EndedBy::Program })
    }

    #[test]
    fn the_oldest_run_that_ended_is_forgotten_first() {
        let mut runs = Runs::<()>::default();
        let most = MOST_RUNS as u64;
        for number in 1..=most {
            assert!(runs.note(&started(number)).is_none());
        }
        runs.note(&ended(7));
        assert_eq!(runs.note(&started(most + 1)), Some((run(7), ())));
        assert_eq!(runs.note(&started(most + 2)), Some((run(1), ())), "none of the others ended");
        assert_eq!((runs.len(), runs.dropped(), runs.last()), (MOST_RUNS, 2, Some(run(most + 2))));
        assert!(runs.note(&Record::SpanStarted(head(1, 99))).is_none());
        assert!(runs.get(&run(1)).is_none(), "it is in progress, and its sums would be too low");
    }

    #[test]
    fn a_trace_may_hold_several_runs() {
        let mut runs = Runs::<u8>::default();
        let trace = TraceId::from_int(5);
        for root in [1, 2] {
            let span = head(5, root);
            let head = RunHead {
                trace_id: trace,
                root_span_id: span.span_id,
                parent_span_id: None,
                name: "".into(),
            };
            let span = SpanHead {
                run: Arc::new(head),
                attributes: Box::default(),
                kind: SpanKind::Workflow,
                ..*span
            };
            runs.note(&Record::SpanStarted(Arc::new(span)));
        }
        assert_eq!(runs.find(RunFilter::from(trace)).map(|found| found.len()), Some(2));
        let one = RunFilter::Run(trace, SpanId::from_int(2));
        assert_eq!(runs.find(one), Some(vec![(trace, SpanId::from_int(2))]));
        assert_eq!(runs.find(RunFilter::Trace(TraceId::from_int(6))), None);
    }
}
