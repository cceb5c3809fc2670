//! A lane: the way of the records to one provider, and the wall between that provider and everything else.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::{Batch, Pipeline, PipelineConfig, ProviderId, ProviderStatistics, lock};
use crate::provider::{Placement, ProviderError, ProviderResult, Respawn, TelemetryProvider};
use crate::threads::{self, Priority};

pub(crate) struct Lane {
    pub(crate) id: ProviderId,
    respawn: Option<Respawn>,
    /// Whether the provider is a forked child's copy of its parent's.
    is_inherited: bool,
    name: String,
    placement: Placement,
    tick_interval: Option<Duration>,
    /// Records wait for the next tick, unless somebody waits for them or they are many.
    is_patient: bool,
    queue_bytes: usize,
    bodies_dropped: Arc<AtomicU64>,
    state: Mutex<State>,
    /// Tells the provider's thread of work, and those who wait of work done.
    changed: Condvar,
    /// The provider, until its thread takes it; an inline one stays here.
    provider: Mutex<Option<Box<dyn TelemetryProvider>>>,
}

/// Numbers are those of entries; see the pipeline's documentation.
#[derive(Default)]
struct State {
    pending: VecDeque<Arc<Batch>>,
    pending_bytes: usize,
    /// What came up to this number has been offered.
    offered: u64,
    /// What came up to this number has been delivered, or dropped.
    delivered: u64,
    /// Somebody waits until what came up to this number has been delivered.
    awaited: u64,
    flush_wanted: u64,
    flushed: u64,
    /// It was waited for in vain as the program left something, and has not caught up since.
    is_given_up: bool,
    closing: bool,
    closed: bool,
    delivered_records: u64,
    dropped_records: u64,
    failures: u64,
}

/// So many bytes do not wait for a tick.
const PATIENCE_BYTES: usize = 1 << 20;

impl Lane {
    pub(crate) fn new(
        id: ProviderId,
        provider: Box<dyn TelemetryProvider>,
        config: &PipelineConfig,
        bodies_dropped: &Arc<AtomicU64>,
    ) -> Arc<Self> {
        Arc::new(Self::with(id, provider, config, bodies_dropped))
    }

    /// The lane of a forked child, to a provider made anew; none where the provider cannot be.
    pub(crate) fn inherited(&self, config: &PipelineConfig) -> Option<Arc<Self>> {
        let provider = (self.respawn.as_ref()?)();
        let lane = Self::with(self.id, provider, config, &self.bodies_dropped);
        Some(Arc::new(Self { is_inherited: true, ..lane }))
    }

    fn with(
        id: ProviderId,
        provider: Box<dyn TelemetryProvider>,
        config: &PipelineConfig,
        bodies_dropped: &Arc<AtomicU64>,
    ) -> Self {
        Self {
            id,
            respawn: provider.respawn(),
            is_inherited: false,
            name: provider.name().to_owned(),
            placement: provider.placement(),
            tick_interval: provider.tick_interval(),
            is_patient: provider.is_patient() && provider.tick_interval().is_some(),
            queue_bytes: config.provider_queue_bytes,
            bodies_dropped: bodies_dropped.clone(),
            state: Mutex::default(),
            changed: Condvar::new(),
            provider: Mutex::new(Some(provider)),
        }
    }

    /// Nothing up to this number is for the provider.
    pub(crate) fn begin_after(&self, number: u64) {
        let mut state = lock(&self.state);
        (state.offered, state.delivered, state.flushed) = (number, number, number);
    }

    pub(crate) fn is_inline(&self) -> bool {
        self.placement == Placement::Inline
    }

    /// Takes a batch for the provider, as far as there is room for it.
    pub(crate) fn offer(&self, batch: &Arc<Batch>) {
        let mut state = lock(&self.state);
        if state.closed || batch.through <= state.offered {
            return;
        }
        state.offered = batch.through;
        match self.make_room(batch, state.pending_bytes) {
            Some(batch) => {
                state.pending_bytes += batch.bytes;
                state.pending.push_back(batch);
            }
            None => state.dropped_records += batch.records.len() as u64,
        }
        let is_due = self.is_due(&state);
        drop(state);
        if is_due {
            self.changed.notify_all();
        }
    }

    /// Whether the provider's thread has something to do before its next tick.
    fn is_due(&self, state: &State) -> bool {
        let flush_is_due =
            state.flush_wanted > state.flushed && state.delivered >= state.flush_wanted;
        let has_records = state.delivered != state.offered;
        let may_wait = self.is_patient
            && state.pending_bytes < PATIENCE_BYTES
            && state.awaited.max(state.flush_wanted) <= state.delivered;
        state.closing || flush_is_due || (has_records && !may_wait)
    }

    /// The batch as it fits beside the bytes that are `waiting`: whole, without its bodies, or not at all. Where nothing
    /// is waiting, anything fits.
    fn make_room(&self, batch: &Arc<Batch>, waiting: usize) -> Option<Arc<Batch>> {
        if waiting == 0 || waiting + batch.bytes <= self.queue_bytes / 4 * 3 {
            return Some(batch.clone());
        }
        let (lighter, bodies) = batch.without_bodies();
        if waiting + lighter.bytes > self.queue_bytes {
            return None;
        }
        self.bodies_dropped.fetch_add(bodies as u64, Ordering::Relaxed);
        Some(Arc::new(lighter))
    }

    /// Starts the provider's thread, if it has not been. While the thread lives so does the pipeline, for those who wait
    /// for the provider through it.
    pub(crate) fn start_thread(self: &Arc<Self>, pipeline: Weak<Pipeline>) {
        let Some(provider) = lock(&self.provider).take() else {
            return;
        };
        let (lane, pipeline) = (self.clone(), pipeline.upgrade());
        // What may wait for a tick may wait for the program's threads too.
        let priority = if self.is_patient { Priority::Low } else { Priority::Usual };
        let work = move || {
            lane.run(provider);
            drop(pipeline);
        };
        if let Err(error) = threads::spawn(format!("callboard {}", self.name), priority, work) {
            log::warn!("{} gets nothing, as no thread could be started: {error}", self.name);
            self.finish();
        }
    }

    /// Does an inline provider's work, on the pipeline's thread.
    pub(crate) fn work_off_inline(&self) {
        let mut slot = lock(&self.provider);
        if let Some(provider) = slot.as_deref_mut()
            && self.work_off(provider)
        {
            *slot = None;
        }
    }

    fn run(&self, mut provider: Box<dyn TelemetryProvider>) {
        while !self.work_off(provider.as_mut()) {
            if self.wait_for_work() {
                self.guard(|| provider.tick());
            }
        }
        // A provider that panics as it is let go of harms nobody.
        let _ = catch_unwind(AssertUnwindSafe(move || drop(provider)));
    }

    /// Delivers what is pending, flushes if that is wanted, shuts down if it is time: then true.
    fn work_off(&self, provider: &mut dyn TelemetryProvider) -> bool {
        while let Some(batch) = self.next_batch() {
            if !batch.records.is_empty() {
                self.guard(|| provider.on_records(&batch.records));
            }
            self.done_with(&batch);
        }
        let (wanted, closing) = {
            let state = lock(&self.state);
            let due = state.flush_wanted > state.flushed && state.delivered >= state.flush_wanted;
            (due.then_some(state.flush_wanted), state.closing)
        };
        if let Some(wanted) = wanted {
            if !self.is_idle_copy() {
                self.guard(|| provider.flush());
            }
            let mut state = lock(&self.state);
            state.flushed = wanted;
            state.is_given_up = false;
            drop(state);
            self.changed.notify_all();
        }
        if closing {
            if !self.is_idle_copy() {
                self.guard(|| provider.shutdown());
            }
            self.finish();
        }
        closing
    }

    /// Whether it is a copy that was handed nothing: what it holds back is its parent's to pass on.
    fn is_idle_copy(&self) -> bool {
        self.is_inherited && lock(&self.state).delivered_records == 0
    }

    fn next_batch(&self) -> Option<Arc<Batch>> {
        let mut state = lock(&self.state);
        let batch = state.pending.pop_front();
        if batch.is_none() {
            state.delivered = state.offered;
            drop(state);
            self.changed.notify_all();
        }
        batch
    }

    fn done_with(&self, batch: &Batch) {
        let mut state = lock(&self.state);
        state.pending_bytes = state.pending_bytes.saturating_sub(batch.bytes);
        state.delivered = batch.through;
        state.delivered_records += batch.records.len() as u64;
        drop(state);
        self.changed.notify_all();
    }

    /// Sleeps until there is work; true when it is time for a tick instead.
    fn wait_for_work(&self) -> bool {
        let idle = |state: &mut State| !self.is_due(state);
        let state = lock(&self.state);
        match self.tick_interval {
            Some(interval) => {
                let waited = self.changed.wait_timeout_while(state, interval, idle);
                waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
            }
            None => {
                drop(self.changed.wait_while(state, idle));
                false
            }
        }
    }

    /// Calls the provider; whatever goes wrong stays here.
    fn guard(&self, call: impl FnOnce() -> ProviderResult) {
        let failure = match catch_unwind(AssertUnwindSafe(call)) {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(panic) => ProviderError::new(format!("panicked: {}", panic_text(panic.as_ref()))),
        };
        let mut state = lock(&self.state);
        state.failures += 1;
        let first = state.failures == 1;
        drop(state);
        if first {
            log::warn!("{} failed: {failure} (told once, then only counted)", self.name);
        } else {
            log::debug!("{} failed: {failure}", self.name);
        }
    }

    /// From now on nothing is expected of the provider, and nothing more is handed to it.
    pub(crate) fn finish(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.pending.clear();
        state.delivered = u64::MAX;
        state.flushed = u64::MAX;
        drop(state);
        self.changed.notify_all();
    }
}

/// What others ask of a lane.
impl Lane {
    pub(crate) fn close(&self) {
        lock(&self.state).closing = true;
        self.changed.notify_all();
    }

    pub(crate) fn want_flush(&self, through: u64) {
        let mut state = lock(&self.state);
        // A second flush with nothing recorded since still flushes: the provider may hold back what came before.
        if state.flushed == through {
            state.flushed = through.saturating_sub(1);
        }
        state.flush_wanted = state.flush_wanted.max(through);
        drop(state);
        self.changed.notify_all();
    }

    pub(crate) fn has_delivered(&self, through: u64) -> bool {
        lock(&self.state).delivered >= through
    }

    pub(crate) fn wait_delivered(&self, through: u64, deadline: Instant) -> bool {
        let mut state = lock(&self.state);
        state.awaited = state.awaited.max(through);
        drop(state);
        self.changed.notify_all();
        self.wait_until(deadline, |state| state.delivered >= through)
    }

    pub(crate) fn wait_flushed(&self, through: u64, deadline: Instant) -> bool {
        self.wait_until(deadline, |state| state.flushed >= through)
    }

    pub(crate) fn wait_closed(&self, deadline: Instant) -> bool {
        self.wait_until(deadline, |state| state.closed)
    }

    /// As [`wait_flushed`](Self::wait_flushed). A provider that is not done in time is given up: until it has caught up,
    /// this and [`close_or_give_up`](Self::close_or_give_up) do not wait for it.
    pub(crate) fn flush_or_give_up(&self, through: u64, deadline: Instant) -> bool {
        self.wait_or_give_up(deadline, |state| state.flushed >= through)
    }

    /// As [`wait_closed`](Self::wait_closed), and as [`flush_or_give_up`](Self::flush_or_give_up).
    pub(crate) fn close_or_give_up(&self, deadline: Instant) -> bool {
        self.wait_or_give_up(deadline, |state| state.closed)
    }

    fn wait_or_give_up(&self, deadline: Instant, done: impl Fn(&State) -> bool) -> bool {
        let given_up = |state: &State| state.is_given_up;
        let (mut state, _) = self.wait(deadline, |state| done(state) || given_up(state));
        let is_done = done(&state);
        state.is_given_up |= !is_done;
        is_done
    }

    fn wait_until(&self, deadline: Instant, done: impl Fn(&State) -> bool) -> bool {
        self.wait(deadline, done).1
    }

    /// The state once this holds, or when the time is over: then false.
    fn wait(
        &self,
        deadline: Instant,
        done: impl Fn(&State) -> bool,
    ) -> (MutexGuard<'_, State>, bool) {
        let left = deadline.saturating_duration_since(Instant::now());
        let waited = self.changed.wait_timeout_while(lock(&self.state), left, |state| !done(state));
        let (state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        (state, !waited.timed_out())
    }

    pub(crate) fn statistics(&self) -> ProviderStatistics {
        let state = lock(&self.state);
        ProviderStatistics {
            name: self.name.clone(),
            delivered: state.delivered_records,
            dropped: state.dropped_records,
            failures: state.failures,
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
