//! The provider that adds up what things cost, and what its readers see.

use std::sync::Arc;

use callboard_core::{
    Attribute, Delivery, Placement, ProviderResult, Record, Respawn, TelemetryProvider,
};

use super::books::{CostSummary, Share, Unpriced};
use super::ledger::Ledger;
use super::messages::MessageCost;
use super::money::Money;
use super::report;
use crate::providers::readers::{Kept, Reading};
use crate::providers::runs::RunFilter;

/// How a cost tracker is made: what is not set has its default.
#[derive(Clone, Debug)]
pub struct CostTrackerConfig {
    /// The most entries that the history holds, within 64 MiB; the oldest go first, and are counted. Sums never lose
    /// anything. Default: 100,000, which hold about 50 MB.
    pub history_entries: usize,
}

impl Default for CostTrackerConfig {
    fn default() -> Self {
        Self { history_entries: 100_000 }
    }
}

/// Adds up what things cost. Clones share their books: register one and read another.
///
/// Every COST event with an `ag2.cost` that is a finite number counts, whoever recorded it and whatever it was for.
/// All sums are over all runs, unless a run is named: see [`summary_of_run`](CostTrackerProvider::summary_of_run).
///
/// Reading first waits, for five seconds at the most, until what the reader recorded has arrived.
///
/// ```
/// use callboard::{CostTrackerProvider, EventKind, keys};
///
/// let manager = callboard::manager();
/// let costs = CostTrackerProvider::default();
/// manager.register(Box::new(costs.clone()));
///
/// let run = manager.start_run("My Workflow", []);
/// run.record_event(
///     EventKind::Cost,
///     [
///         (keys::COST_TYPE.into(), "LLM".into()),
///         (keys::LLM_PROVIDER.into(), "openai".into()),
///         (keys::LLM_MODEL.into(), "gpt-4o-mini".into()),
///         (keys::LLM_INPUT_TOKENS.into(), 1_000_i64.into()),
///         (keys::LLM_OUTPUT_TOKENS.into(), 100_i64.into()),
///     ],
/// );
/// assert_eq!(costs.total_cost(), 0.000_21);
/// assert_eq!(costs.cost_by_model()[0].name, "gpt-4o-mini");
/// ```
#[derive(Clone, Debug)]
pub struct CostTrackerProvider {
    books: Arc<Kept<Ledger>>,
}

impl Default for CostTrackerProvider {
    fn default() -> Self {
        Self::new(CostTrackerConfig::default())
    }
}

impl CostTrackerProvider {
    /// A tracker made as `config` says.
    pub fn new(config: CostTrackerConfig) -> Self {
        Self { books: Arc::new(Kept::new(Ledger::new(config.history_entries))) }
    }

    /// What everything cost so far, in US dollars.
    pub fn total_cost(&self) -> f64 {
        self.total().usd()
    }

    /// What everything cost so far.
    pub fn total(&self) -> Money {
        self.read().total()
    }

    /// The attributes of each event that counts, in the order of recording. Of callboard's own attributes it has
    /// `callboard.cost.source` alone.
    pub fn cost_history(&self) -> Vec<Vec<Attribute>> {
        self.read().history()
    }

    /// How many entries the history has lost to its bounds.
    pub fn history_dropped(&self) -> u64 {
        self.read().history_dropped()
    }

    /// What each agent cost, the dearest first; adds up to the total, exactly.
    pub fn cost_by_agent(&self) -> Vec<Share> {
        self.summary().by_agent
    }

    /// What each model cost, the dearest first; adds up to the total, exactly. A cost that is no model's stands under
    /// its `ag2.cost_type` in brackets.
    pub fn cost_by_model(&self) -> Vec<Share> {
        self.summary().by_model
    }

    /// What each chat cost, the dearest first; adds up to the total, exactly. A cost belongs to the nearest chat, nested
    /// chat or group chat around it. Chats of the same agents are numbered: `jack → emma`, `jack → emma (2)`.
    pub fn cost_by_chat(&self) -> Vec<Share> {
        self.summary().by_chat
    }

    /// What messages cost over their lives, the dearest first, `limit` of them at the most. See [`MessageCost`] for what is an
    /// estimate in it.
    ///
    /// The costs of sending them add up to what was billed for the input of all calls whose history was recorded, and those of
    /// making them to what was billed for the output. 200,000 messages of histories are kept; the oldest runs go first.
    pub fn cost_by_message(&self, limit: usize) -> Vec<MessageCost> {
        self.read().messages(limit)
    }

    /// The model calls that nobody knows a price for, by model; they are in no sum.
    pub fn unpriced(&self) -> Vec<Unpriced> {
        self.summary().unpriced
    }

    /// What the answers that came from a response cache would have cost, in US dollars.
    pub fn saved(&self) -> f64 {
        self.summary().saved.usd()
    }

    /// All of the above at one moment.
    pub fn summary(&self) -> CostSummary {
        self.read().summary()
    }

    /// What one run cost: `&span` for the run of any span, or a trace id. None where the run is not known: nothing of it has
    /// come to this provider, or it is no longer kept. Up to 10,000 runs are kept, which together have up to 100,000 shares;
    /// beyond, the oldest that ended goes first. The sums over all runs never lose anything.
    ///
    /// ```
    /// use callboard::{CostTrackerProvider, EventKind, keys};
    ///
    /// let manager = callboard::manager();
    /// let costs = CostTrackerProvider::default();
    /// manager.register(Box::new(costs.clone()));
    ///
    /// let runs = [0.25, 0.5].map(|usd| {
    ///     let run = manager.start_run("My Workflow", []);
    ///     run.record_event(EventKind::Cost, [(keys::COST.into(), usd.into())]);
    ///     run
    /// });
    /// assert_eq!(costs.total_cost(), 0.75);
    /// assert_eq!(costs.summary_of_run(&runs[1]).map(|run| run.total.usd()), Some(0.5));
    /// ```
    pub fn summary_of_run(&self, run: impl Into<RunFilter>) -> Option<CostSummary> {
        self.read().summary_of(run.into())
    }

    /// The [history](Self::cost_history) of one run. None where the run is not known.
    pub fn cost_history_of_run(&self, run: impl Into<RunFilter>) -> Option<Vec<Vec<Attribute>>> {
        self.read().history_of(run.into())
    }

    /// What [messages](Self::cost_by_message) of one run cost. None where the run is not known.
    pub fn cost_by_message_of_run(
        &self,
        run: impl Into<RunFilter>,
        limit: usize,
    ) -> Option<Vec<MessageCost>> {
        self.read().messages_of(run.into(), limit)
    }

    /// The [report](Self::report) on one run. None where the run is not known.
    pub fn report_of_run(&self, run: impl Into<RunFilter>) -> Option<String> {
        let (ledger, run) = (self.read(), run.into());
        let messages = ledger.messages_of(run, report::MOST_MESSAGES)?;
        Some(report::to_text(&ledger.summary_of(run)?, &messages))
    }

    /// How many runs are no longer kept apart. What they cost is in all sums over all runs.
    pub fn runs_dropped(&self) -> u64 {
        self.read().runs_dropped()
    }

    /// The summary as a table in plain text, for a terminal.
    pub fn report(&self) -> String {
        let (summary, messages) = self.whole();
        report::to_text(&summary, &messages)
    }

    /// The summary and the dearest messages as an HTML fragment, for a notebook. All names and texts in it are escaped.
    pub fn to_html(&self) -> String {
        let (summary, messages) = self.whole();
        report::to_html(&summary, &messages)
    }

    fn whole(&self) -> (CostSummary, Vec<MessageCost>) {
        let ledger = self.read();
        (ledger.summary(), ledger.messages(report::MOST_MESSAGES))
    }

    /// The books, with everything in them that the caller recorded.
    fn read(&self) -> Reading<'_, Ledger> {
        self.books.read()
    }
}

impl TelemetryProvider for CostTrackerProvider {
    fn name(&self) -> &str {
        "CostTrackerProvider"
    }

    fn registered(&mut self, delivery: Delivery) {
        self.books.owe(delivery);
    }

    fn on_records(&mut self, batch: &[Record]) -> ProviderResult {
        let mut ledger = self.books.write();
        for record in batch {
            ledger.enter(record);
        }
        Ok(())
    }

    fn placement(&self) -> Placement {
        Placement::Inline
    }

    fn respawn(&self) -> Option<Respawn> {
        let provider = self.clone();
        Some(Arc::new(move || Box::new(provider.clone())))
    }
}
