//! The ledger: each cost is entered into the books of all runs and into those of its own run.

use std::collections::VecDeque;

use callboard_core::value::attributes_size_bytes;
use callboard_core::{Attribute, Event, EventKind, Record, keys};

use super::books::{Books, CostSummary, cost_of, is_true};
use super::lives::Lives;
use super::messages::{MessageCost, dearest_messages};
use super::money::Money;
use super::places::Places;
use super::prices::Tokens;
use crate::providers::runs::{RunFilter, RunKey, Runs, key_of};

/// The books of all runs together have so many shares at the most, about 20 MB. Beyond, those of the oldest run that ended are
/// forgotten.
const MOST_RUN_SHARES: usize = 100_000;

/// The history holds so many bytes at the most, however few entries these are.
const MOST_HISTORY_BYTES: usize = 64 << 20;

/// What the tracker keeps.
#[derive(Debug)]
pub(super) struct Ledger {
    places: Places,
    /// The sums over all runs, which lose nothing.
    all: Books,
    runs: Runs<Books>,
    /// How many shares the books of the runs have, and may have.
    run_shares: usize,
    most_run_shares: usize,
    lives: Lives,
    history: VecDeque<Entry>,
    history_bytes: usize,
    history_entries: usize,
    history_dropped: u64,
}

/// A cost event that counts, in the history.
#[derive(Debug)]
struct Entry {
    run: RunKey,
    attributes: Box<[Attribute]>,
}

impl Ledger {
    pub(super) fn new(history_entries: usize) -> Self {
        Self {
            places: Places::default(),
            all: Books::default(),
            runs: Runs::default(),
            run_shares: 0,
            most_run_shares: MOST_RUN_SHARES,
            lives: Lives::default(),
            history: VecDeque::new(),
            history_bytes: 0,
            history_entries,
            history_dropped: 0,
        }
    }

    pub(super) fn enter(&mut self, record: &Record) {
        if let Some((_, forgotten)) = self.runs.note(record) {
            self.run_shares -= forgotten.shares();
        }
        if let Record::SpanStarted(span) = record {
            self.places.span_started(span);
        }
        self.lives.enter(record, &self.places);
        match record {
            Record::SpanEnded(ended) => self.places.span_ended(&ended.span),
            Record::Event(event) if event.kind == EventKind::Cost => self.enter_cost(event),
            _ => {}
        }
    }

    fn enter_cost(&mut self, event: &Event) {
        let tokens = Tokens::told(&event.attributes).unwrap_or_default();
        let place = self.places.of(&event.span);
        self.all.enter(event, &place, tokens);
        if let Some(books) = self.runs.get_mut(&key_of(&event.span.run)) {
            self.run_shares -= books.shares();
            books.enter(event, &place, tokens);
            self.run_shares += books.shares();
        }
        while self.run_shares > self.most_run_shares
            && self.runs.len() > 1
            && let Some((_, forgotten)) = self.runs.forget_oldest()
        {
            self.run_shares -= forgotten.shares();
        }
        if let Some(cost) = cost_of(event) {
            self.keep(event);
            self.lives.pay(event, cost, tokens);
        } else if is_true(event, keys::COST_UNPRICED) {
            self.lives.pay(event, Money::ZERO, tokens);
        }
    }

    fn keep(&mut self, event: &Event) {
        let told = event.attributes.iter().filter(|(key, _)| is_told(key));
        let entry = Entry { run: key_of(&event.span.run), attributes: told.cloned().collect() };
        self.history_bytes += entry.size_bytes();
        self.history.push_back(entry);
        while (self.history.len() > self.history_entries || self.history_bytes > MOST_HISTORY_BYTES)
            && let Some(oldest) = self.history.pop_front()
        {
            self.history_bytes -= oldest.size_bytes();
            self.history_dropped += 1;
        }
    }

    pub(super) fn total(&self) -> Money {
        self.all.total
    }

    pub(super) fn history(&self) -> Vec<Vec<Attribute>> {
        self.history.iter().map(|entry| entry.attributes.to_vec()).collect()
    }

    pub(super) fn history_dropped(&self) -> u64 {
        self.history_dropped
    }

    pub(super) fn runs_dropped(&self) -> u64 {
        self.runs.dropped()
    }

    pub(super) fn messages(&self, limit: usize) -> Vec<MessageCost> {
        dearest_messages(self.lives.runs(), limit)
    }

    pub(super) fn summary(&self) -> CostSummary {
        self.all.summary()
    }

    /// The same three of the runs that are asked for; none where none of them is known.
    pub(super) fn history_of(&self, run: RunFilter) -> Option<Vec<Vec<Attribute>>> {
        self.runs.find(run)?;
        let entries = self.history.iter().filter(|entry| run.matches(&entry.run));
        Some(entries.map(|entry| entry.attributes.to_vec()).collect())
    }

    pub(super) fn messages_of(&self, run: RunFilter, limit: usize) -> Option<Vec<MessageCost>> {
        self.runs.find(run)?;
        Some(dearest_messages(self.lives.runs_of(run), limit))
    }

    pub(super) fn summary_of(&self, run: RunFilter) -> Option<CostSummary> {
        let mut books = self.runs.find(run)?.into_iter().filter_map(|run| self.runs.get(&run));
        let first = books.next()?.clone();
        Some(books.fold(first, Books::with).summary())
    }
}

impl Entry {
    fn size_bytes(&self) -> usize {
        attributes_size_bytes(&self.attributes)
    }
}

/// What the history tells: the draft's keys and the program's own, and of callboard's own where the price is from.
fn is_told(key: &str) -> bool {
    !key.starts_with("callboard.") || key == keys::COST_SOURCE
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use callboard_core::testing::MemoryProvider;
    use callboard_core::{InstrumentationManager, ManagerConfig, Span};

    use super::*;

    #[test]
    fn the_shares_of_many_runs_stay_within_their_bound() {
        let manager = InstrumentationManager::new(ManagerConfig::default());
        let memory = MemoryProvider::default();
        manager.register(Box::new(memory.clone()));
        let spend = |run: &Span, agents: usize| {
            for agent in 0..agents {
                let agent = (keys::AGENT_NAME.into(), format!("agent {agent}").into());
                run.record_event(EventKind::Cost, vec![(keys::COST.into(), 0.25.into()), agent]);
            }
        };
        let runs: Vec<_> = (0..4).map(|_| manager.start_run("test", [])).collect();
        for (run, agents) in runs.iter().zip([5, 5, 5, 40]) {
            spend(run, agents);
        }
        assert!(manager.flush(std::time::Duration::from_secs(10)));
        let mut ledger = Ledger { most_run_shares: 20, ..Ledger::new(100) };
        for record in memory.records() {
            ledger.enter(&record);
        }
        assert_eq!(ledger.total().usd(), 55.0 * 0.25, "sums over all runs lose nothing");
        assert_eq!(ledger.runs_dropped(), 3);
        let known: Vec<_> =
            runs.iter().map(|run| ledger.summary_of(run.into()).map(|it| it.events)).collect();
        assert_eq!(
            known,
            [None, None, None, Some(40)],
            "the last one is kept, however many it has"
        );
        spend(&runs[0], 1);
        assert!(manager.flush(std::time::Duration::from_secs(10)));
        let late = memory.records().pop().map(Arc::new).expect("it was recorded");
        ledger.enter(&late);
        assert_eq!(ledger.summary_of((&runs[0]).into()), None, "its sums would be too low");
    }
}
