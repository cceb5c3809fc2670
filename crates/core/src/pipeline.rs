//! The pipeline: one bounded queue, one thread that polls it, and a lane for each provider.
//!
//! ```text
//! program ─ push ─▶ queue ─ every few ms ─▶ processors ─▶ lane: inline provider
//! threads           (bytes)    (one thread)             ├▶ lane ─▶ own thread ─▶ provider that waits
//!                                                       └▶ lane ─▶ own thread ─▶ the user's provider
//! ```
//!
//! - The program's threads only push: a lock that is held for nanoseconds, and no wake-up unless much waits.
//! - Everything is bounded in bytes. Above three quarters of a bound message bodies go first, so that structure and cost
//!   still fit; at the bound whole records go. Both are counted.
//! - What becomes a record is numbered when it is pushed; a barrier waits for a number to have been delivered, or flushed, by a lane.

mod batch;
mod lane;
mod queue;
mod runs;
mod sheet;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use self::batch::Batch;
use self::lane::Lane;
use self::queue::{Buffers, prepare};
pub(crate) use self::queue::{Happening, RunNumber, SpanReference};
use self::runs::Runs;
use crate::fork;
use crate::given::Recordable;
use crate::provider::{ProcessorFactory, RecordProcessor, TelemetryProvider};
use crate::record::{Record, drop_bodies};
use crate::span::RunHead;
use crate::threads::{self, Priority, on_callboard_thread};
use crate::time::UnixNanos;
use crate::value::{Attribute, Key};

/// The bounds and the pace of a pipeline.
#[derive(Clone, Debug)]
pub struct PipelineConfig {
    /// The most bytes that all records may hold which some provider has yet to take. Default: 64 MiB.
    pub queue_bytes: usize,
    /// The most bytes that may wait for one provider, so that a slow one leaves room for the others. Default: 32 MiB.
    pub provider_queue_bytes: usize,
    /// How often the queue is looked at while there is something to record. Default: 50 ms.
    pub poll_interval: Duration,
    /// How often it is looked at when nothing was recorded for a while. Default: 100 ms.
    pub idle_poll_interval: Duration,
}

impl Default for PipelineConfig {
    fn default() -> Self {
        Self {
            queue_bytes: 64 << 20,
            provider_queue_bytes: 32 << 20,
            poll_interval: Duration::from_millis(50),
            idle_poll_interval: Duration::from_millis(100),
        }
    }
}

/// So many bytes are not left to wait for the next look: they would take memory that has yet to be paged in, and spill
/// from the processor's cache before they are looked at.
const WAKING_BYTES: usize = 256 << 10;

/// What a pipeline has counted since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Records that the program made.
    pub recorded: u64,
    /// Of these, the ones dropped because the queue was full.
    pub dropped: u64,
    /// Message bodies that were let go of while their records were kept.
    pub bodies_dropped: u64,
    /// The same, provider by provider, in the order of their registration.
    pub providers: Vec<ProviderStatistics>,
}

/// What a pipeline has counted for one provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderStatistics {
    /// The provider's name.
    pub name: String,
    /// Records that it was handed.
    pub delivered: u64,
    /// Records that it was not handed because its own queue was full.
    pub dropped: u64,
    /// Calls of it that failed or panicked.
    pub failures: u64,
}

/// Names a provider's registration with a manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProviderId(u64);

/// Waits for what one provider is owed. It keeps neither the manager nor the provider alive.
#[derive(Clone, Debug)]
pub struct Delivery {
    pipeline: Weak<Pipeline>,
    provider: ProviderId,
}

impl Delivery {
    /// Waits until the provider was handed everything recorded so far; false when `timeout` passed before. On one of
    /// callboard's own threads, and once there is nothing left to deliver, it does not wait.
    pub fn wait(&self, timeout: Duration) -> bool {
        self.pipeline
            .upgrade()
            .is_none_or(|pipeline| pipeline.wait_delivered(self.provider, timeout))
    }

    /// Whether nothing will be delivered any more, as the manager and all its spans are gone.
    pub fn is_over(&self) -> bool {
        self.pipeline.strong_count() == 0
    }
}

#[derive(Default)]
struct Queue {
    buffers: Buffers,
    /// What was pushed before the last provider was registered, and is yet to be looked at. A batch is for a provider
    /// as a whole or not at all.
    earlier: VecDeque<Earlier>,
    /// The number of the last entry pushed that a record comes of.
    last: u64,
    /// The thread is to look at the queue now.
    kicked: bool,
    /// The thread is to finish.
    stopping: bool,
    /// The thread is to come to rest, for a fork.
    pausing: bool,
    /// The thread is at rest.
    resting: bool,
}

/// Where a happening finds room, its attributes laid down already.
struct Room<'a> {
    queue: MutexGuard<'a, Queue>,
    attribute_count: u16,
    /// Nothing else waits: the thread may not have been started yet.
    is_first: bool,
    wants_waking: bool,
}

struct Earlier {
    buffers: Buffers,
    /// The number of its last entry.
    last: u64,
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").field("config", &self.config).finish_non_exhaustive()
    }
}

/// See the module's documentation.
pub struct Pipeline {
    this: Weak<Pipeline>,
    config: PipelineConfig,
    processors: ProcessorFactory,
    queue: Mutex<Queue>,
    /// Wakes the thread, and whoever waits for it to rest.
    wake: Condvar,
    /// Wakes the thread from its rest. Nothing else does: awake for an instant it would hold the queue, during a fork too.
    resumed: Condvar,
    lanes: Mutex<Vec<Arc<Lane>>>,
    /// Lanes whose provider was deregistered and has yet to shut down, on a thread of callboard's.
    leaving: Mutex<Vec<Arc<Lane>>>,
    next_provider: AtomicU64,
    runs: Mutex<Runs>,
    /// What the batches hold that some lane has yet to let go of.
    held_bytes: Arc<AtomicUsize>,
    /// The fork generation whose thread is running, plus one; zero without a thread.
    worker: AtomicU32,
    /// In a forked child: some lock here was held at the fork, by a thread that the child does not have, so nothing here is
    /// touched any more.
    is_lost: AtomicBool,
    dropped: AtomicU64,
    bodies_dropped: Arc<AtomicU64>,
}

/// The lock's content, also after a panic: every update below leaves it whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The moment up to which to wait. A time that no clock reaches is cut to one that nobody lives to see.
fn deadline_after(timeout: Duration) -> Instant {
    const LONG: Duration = Duration::from_secs(1 << 32);
    Instant::now() + timeout.min(LONG)
}

/// Whether it holds for each. Each is waited for, also after one was in vain.
fn all(lanes: &[Arc<Lane>], wait: impl Fn(&Lane) -> bool) -> bool {
    lanes.iter().filter(|lane| !wait(lane)).count() == 0
}

impl Pipeline {
    pub(crate) fn new(config: PipelineConfig, processors: ProcessorFactory) -> Arc<Self> {
        let pipeline = Arc::new_cyclic(|this| Self {
            this: this.clone(),
            config,
            processors,
            queue: Mutex::default(),
            wake: Condvar::new(),
            resumed: Condvar::new(),
            lanes: Mutex::default(),
            leaving: Mutex::default(),
            next_provider: AtomicU64::new(0),
            runs: Mutex::default(),
            held_bytes: Arc::default(),
            worker: AtomicU32::new(0),
            is_lost: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            bodies_dropped: Arc::default(),
        });
        fork::watch(&pipeline);
        pipeline
    }

    /// Makes a run known; `handles` is alive while something can be recorded in it.
    pub(crate) fn add_run(&self, head: Arc<RunHead>, handles: Weak<()>) -> RunNumber {
        if self.is_lost() { RunNumber::MAX } else { lock(&self.runs).add(head, handles) }
    }

    /// Puts what happened to a span into the queue. It never waits for a provider.
    ///
    /// Once in the processor's cache, for all that is recorded of a span.
    #[inline(never)]
    pub(crate) fn push<V: Recordable>(
        &self,
        span: SpanReference,
        time_unix_ns: UnixNanos,
        happening: Happening,
        attributes: &mut [(Key, V)],
    ) {
        if let Some(mut room) = self.make_room(attributes, happening.is_record()) {
            room.queue.buffers.push(span, time_unix_ns, happening, room.attribute_count);
            self.pushed(room);
        }
    }

    /// Lays down the attributes of a happening, unless there is no room for both.
    fn make_room<V: Recordable>(
        &self,
        attributes: &mut [(Key, V)],
        is_record: bool,
    ) -> Option<Room<'_>> {
        if self.is_lost() {
            return None;
        }
        let mut bytes = prepare(attributes, is_record);
        let mut queue = lock(&self.queue);
        let held_by_lanes = self.held_bytes.load(Ordering::Relaxed);
        let held = queue.held_bytes() + held_by_lanes;
        if held + bytes > self.config.queue_bytes / 4 * 3 {
            let bodies = drop_bodies(attributes);
            self.bodies_dropped.fetch_add(bodies as u64, Ordering::Relaxed);
            bytes = prepare(attributes, is_record);
        }
        if held + bytes > self.config.queue_bytes || queue.stopping {
            self.dropped.fetch_add(u64::from(is_record), Ordering::Relaxed);
            return None;
        }
        let is_first = queue.buffers.is_empty();
        queue.last += u64::from(is_record);
        queue.buffers.bytes += bytes;
        let attribute_count = queue.buffers.lay(attributes);
        // What a stuck provider holds is room that the queue does not have.
        let room = self.config.queue_bytes.saturating_sub(held_by_lanes);
        let wants_waking = queue.bytes() > WAKING_BYTES.min(room / 4) && !queue.kicked;
        queue.kicked |= wants_waking;
        Some(Room { queue, attribute_count, is_first, wants_waking })
    }

    fn pushed(&self, room: Room<'_>) {
        drop(room.queue);
        if room.wants_waking {
            self.wake.notify_all();
        }
        if room.is_first {
            self.ensure_worker();
        }
    }

    /// What was set on a span so far, at its start and since, in order.
    pub(crate) fn attributes_of(&self, span: SpanReference) -> Vec<Attribute> {
        if self.is_lost() {
            return Vec::new();
        }
        let (queue, runs) = (lock(&self.queue), lock(&self.runs));
        let mut attributes = runs.attributes_of(span);
        for earlier in &queue.earlier {
            attributes.extend(earlier.buffers.attributes_of(span));
        }
        attributes.extend(queue.buffers.attributes_of(span));
        attributes
    }

    pub(crate) fn register(&self, mut provider: Box<dyn TelemetryProvider>) -> ProviderId {
        let id = ProviderId(self.next_provider.fetch_add(1, Ordering::Relaxed));
        provider.registered(Delivery { pipeline: self.this.clone(), provider: id });
        let lane = Lane::new(id, provider, &self.config, &self.bodies_dropped);
        if self.is_lost() {
            return id;
        }
        // Held from before the boundary is read, so that no batch beyond it is handed to the lanes without this one.
        let mut lanes = lock(&self.lanes);
        let mut queue = lock(&self.queue);
        queue.set_apart();
        lane.begin_after(queue.last);
        if queue.stopping {
            lane.finish();
        }
        drop(queue);
        lanes.push(lane);
        id
    }

    /// Delivers to the provider what was recorded so far, within `timeout`, and then lets it shut down in its own time.
    pub(crate) fn deregister(&self, id: ProviderId, timeout: Duration) -> bool {
        self.wait_delivered(id, timeout);
        let _no_fork = fork::hold_off();
        let Some(lane) = self.lane(id) else {
            return false;
        };
        lock(&self.lanes).retain(|other| other.id != id);
        lane.close();
        lock(&self.leaving).push(lane);
        self.kick();
        true
    }

    /// Waits until the provider was handed everything recorded so far; false when `timeout` passed before.
    pub(crate) fn wait_delivered(&self, id: ProviderId, timeout: Duration) -> bool {
        let no_fork = fork::hold_off();
        let Some(lane) = self.lane(id) else {
            return true;
        };
        let through = lock(&self.queue).last;
        if lane.has_delivered(through) || on_callboard_thread() {
            return true;
        }
        self.kick();
        drop(no_fork);
        lane.wait_delivered(through, deadline_after(timeout))
    }

    /// Waits until every provider was handed everything recorded so far and has passed it on; false when `timeout`
    /// passed before.
    pub(crate) fn flush(&self, timeout: Duration) -> bool {
        let deadline = deadline_after(timeout);
        let (through, lanes) = self.begin_flush();
        all(&lanes, |lane| lane.wait_flushed(through, deadline))
    }

    /// As [`flush`](Self::flush), for the end of something. A provider that is not done in time is given up: until it has
    /// caught up, this and [`shutdown_or_give_up`](Self::shutdown_or_give_up) do not wait for it.
    pub(crate) fn flush_or_give_up(&self, timeout: Duration) -> bool {
        let deadline = deadline_after(timeout);
        let (through, lanes) = self.begin_flush();
        all(&lanes, |lane| lane.flush_or_give_up(through, deadline))
    }

    /// Has every provider pass on what was recorded up to a number; gives that, and who is to be waited for.
    fn begin_flush(&self) -> (u64, Vec<Arc<Lane>>) {
        if on_callboard_thread() || self.is_lost() {
            return (0, Vec::new());
        }
        let no_fork = fork::hold_off();
        let through = lock(&self.queue).last;
        let lanes = lock(&self.lanes).clone();
        for lane in &lanes {
            lane.want_flush(through);
        }
        self.kick();
        drop(no_fork);
        (through, lanes)
    }

    /// Lets the thread deliver what is left and the providers shut down, without waiting for either.
    pub(crate) fn stop(&self) {
        if self.is_lost() {
            return;
        }
        lock(&self.queue).stopping = true;
        self.kick();
    }

    /// [`stop`](Self::stop), and waits until it is done; false when `timeout` passed before.
    pub(crate) fn shutdown(&self, timeout: Duration) -> bool {
        let deadline = deadline_after(timeout);
        all(&self.begin_shutdown(), |lane| lane.wait_closed(deadline))
    }

    /// As [`shutdown`](Self::shutdown), and as [`flush_or_give_up`](Self::flush_or_give_up).
    pub(crate) fn shutdown_or_give_up(&self, timeout: Duration) -> bool {
        let deadline = deadline_after(timeout);
        all(&self.begin_shutdown(), |lane| lane.close_or_give_up(deadline))
    }

    /// [`stop`](Self::stop); gives who is to be waited for.
    fn begin_shutdown(&self) -> Vec<Arc<Lane>> {
        if self.is_lost() {
            return Vec::new();
        }
        let no_fork = fork::hold_off();
        let lanes = lock(&self.lanes).clone();
        self.stop();
        drop(no_fork);
        if on_callboard_thread() { Vec::new() } else { lanes }
    }

    pub(crate) fn statistics(&self) -> Statistics {
        if self.is_lost() {
            return Statistics::default();
        }
        let dropped = self.dropped.load(Ordering::Relaxed);
        let recorded = {
            let (queue, runs) = (lock(&self.queue), lock(&self.runs));
            runs.records + queue.records() + dropped
        };
        Statistics {
            recorded,
            dropped,
            bodies_dropped: self.bodies_dropped.load(Ordering::Relaxed),
            providers: lock(&self.lanes).iter().map(|lane| lane.statistics()).collect(),
        }
    }

    fn lane(&self, id: ProviderId) -> Option<Arc<Lane>> {
        if self.is_lost() {
            return None;
        }
        lock(&self.lanes).iter().find(|lane| lane.id == id).cloned()
    }

    fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    fn kick(&self) {
        lock(&self.queue).kicked = true;
        self.wake.notify_all();
        self.ensure_worker();
    }
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.buffers.is_empty() && self.earlier.is_empty()
    }

    /// What waits in it takes as records.
    fn bytes(&self) -> usize {
        let earlier = self.earlier.iter().map(|earlier| earlier.buffers.bytes);
        earlier.sum::<usize>() + self.buffers.bytes
    }

    /// What all of it holds: it counts twice while it waits, as the records are made before the pages are let go of.
    fn held_bytes(&self) -> usize {
        let earlier = self.earlier.iter().map(|earlier| earlier.buffers.held_bytes());
        earlier.sum::<usize>() + self.buffers.held_bytes()
    }

    /// How many records wait, changes in a row counted one by one.
    fn records(&self) -> u64 {
        let earlier = self.earlier.iter().map(|earlier| earlier.buffers.records());
        earlier.sum::<u64>() + self.buffers.records()
    }

    /// Keeps what was pushed so far apart from what will be.
    fn set_apart(&mut self) {
        if !self.buffers.is_empty() {
            let (buffers, last) = (std::mem::take(&mut self.buffers), self.last);
            self.earlier.push_back(Earlier { buffers, last });
        }
    }

    /// Takes the oldest of what was set apart, or else all there is; gives the number of its last entry. What is put in
    /// its place is used again.
    fn take(&mut self, buffers: &mut Buffers) -> Option<u64> {
        let last = match self.earlier.pop_front() {
            Some(earlier) => {
                *buffers = earlier.buffers;
                earlier.last
            }
            None => {
                self.kicked = false;
                std::mem::swap(&mut self.buffers, buffers);
                self.last
            }
        };
        (!buffers.is_empty()).then_some(last)
    }
}

/// The thread.
impl Pipeline {
    fn ensure_worker(&self) {
        let wanted = fork::generation() + 1;
        if self.worker.load(Ordering::Relaxed) == wanted
            || self.worker.swap(wanted, Ordering::AcqRel) == wanted
        {
            return;
        }
        let Some(pipeline) = self.this.upgrade() else {
            return;
        };
        let work = move || pipeline.work();
        if let Err(error) = threads::spawn("callboard".into(), Priority::Usual, work) {
            log::warn!("nothing is recorded, as no thread could be started: {error}");
            self.rest_for_good();
        }
    }

    fn work(&self) {
        let mut worker = Worker::new(&self.config, (self.processors)());
        loop {
            let (batch, stopping) = self.next_batch(&mut worker);
            let lanes = lock(&self.lanes).clone();
            for lane in &lanes {
                self.hand_over(lane, batch.as_ref());
            }
            for lane in std::mem::take(&mut *lock(&self.leaving)) {
                self.hand_over(&lane, None);
            }
            if stopping && batch.is_none() {
                self.close(&lanes);
                self.rest_for_good();
                return;
            }
        }
    }

    /// Waits for its turn, takes what is in the queue, makes records of it and lets the processors see them.
    fn next_batch(&self, worker: &mut Worker) -> (Option<Arc<Batch>>, bool) {
        let mut queue = self.wait_for_turn(&mut worker.pace);
        let stopping = queue.stopping;
        let Some(last) = queue.take(&mut worker.buffers) else {
            drop(queue);
            if worker.pace.is_idle() {
                worker.buffers.let_go();
                worker.held = None;
            }
            return (None, stopping);
        };
        let (bytes, is_all) = (worker.buffers.bytes, queue.is_empty());
        // Held without a gap, so that the program never sees room that there is not.
        worker.held = Some(self.hold(last, worker.buffers.held_bytes()));
        let mut runs = lock(&self.runs);
        drop(queue);
        let mut records = runs.assemble(&mut worker.buffers, worker.most_pages);
        if is_all {
            runs.forget_old();
        }
        drop(runs);
        worker.process(&mut records);
        let batch = Batch::new(records, last, bytes, self.held_bytes.clone());
        worker.held = Some(self.hold(last, worker.buffers.held_bytes()));
        (Some(Arc::new(batch)), stopping)
    }

    /// Holds so many bytes, for no record.
    fn hold(&self, through: u64, bytes: usize) -> Batch {
        Batch::new(Vec::new(), through, bytes, self.held_bytes.clone())
    }

    fn wait_for_turn(&self, pace: &mut Pace) -> MutexGuard<'_, Queue> {
        let mut queue = lock(&self.queue);
        if !queue.kicked && !queue.stopping && queue.earlier.is_empty() {
            let wait = pace.next(queue.is_empty());
            let waited = self.wake.wait_timeout(queue, wait);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        while queue.pausing {
            queue.resting = true;
            self.wake.notify_all();
            queue = self.resumed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.resting = false;
        queue
    }

    fn hand_over(&self, lane: &Arc<Lane>, batch: Option<&Arc<Batch>>) {
        if let Some(batch) = batch {
            lane.offer(batch);
        }
        if lane.is_inline() {
            lane.work_off_inline();
        } else {
            lane.start_thread(self.this.clone());
        }
    }

    fn rest_for_good(&self) {
        lock(&self.queue).resting = true;
        self.wake.notify_all();
    }

    fn close(&self, lanes: &[Arc<Lane>]) {
        for lane in lanes {
            lane.close();
            self.hand_over(lane, None);
        }
    }
}

/// Around a fork; see [`crate::fork`].
impl Pipeline {
    /// How long a fork is held up at the most for the thread to come to rest. It does so after the batch at hand, which
    /// may be as large as the queue; in a child forked earlier nobody would release what it holds.
    const PAUSE_AT_MOST: Duration = Duration::from_secs(5);

    pub(crate) fn pause(&self) {
        if self.worker.load(Ordering::Relaxed) != fork::generation() + 1 {
            return;
        }
        let mut queue = lock(&self.queue);
        queue.pausing = true;
        self.wake.notify_all();
        let rested =
            self.wake.wait_timeout_while(queue, Self::PAUSE_AT_MOST, |queue| !queue.resting);
        drop(rested);
    }

    pub(crate) fn resume(&self) {
        lock(&self.queue).pausing = false;
        self.resumed.notify_all();
    }

    /// Starts anew in a forked child. Whatever a thread of the parent's may hold is left alone and never freed.
    pub(crate) fn restart_in_child(&self) {
        let (Ok(mut queue), Ok(mut lanes), Ok(mut leaving), Ok(_runs)) = (
            self.queue.try_lock(),
            self.lanes.try_lock(),
            self.leaving.try_lock(),
            self.runs.try_lock(),
        ) else {
            return self.is_lost.store(true, Ordering::Relaxed);
        };
        let (last, stopping) = (queue.last, queue.stopping);
        let fresh = Queue { last, stopping, ..Queue::default() };
        std::mem::forget(std::mem::replace(&mut *queue, fresh));
        std::mem::forget(std::mem::take(&mut *leaving));
        let parents = std::mem::take(&mut *lanes);
        for lane in &parents {
            lanes.extend(lane.inherited(&self.config));
        }
        for lane in lanes.iter() {
            lane.begin_after(last);
        }
        std::mem::forget(parents);
        self.held_bytes.store(0, Ordering::Relaxed);
        self.worker.store(0, Ordering::Relaxed);
    }
}

/// What the thread keeps between two batches.
struct Worker {
    pace: Pace,
    /// Changes places with the queue's buffers.
    buffers: Buffers,
    /// What these hold.
    held: Option<Batch>,
    /// How many pages to keep in them at the most.
    most_pages: usize,
    processors: Vec<Box<dyn RecordProcessor>>,
    /// A processor's panic was told.
    has_told: bool,
}

impl Worker {
    fn new(config: &PipelineConfig, processors: Vec<Box<dyn RecordProcessor>>) -> Self {
        Self {
            pace: Pace::new(config),
            buffers: Buffers::default(),
            held: None,
            most_pages: Buffers::most_kept(config.queue_bytes),
            processors,
            has_told: false,
        }
    }

    /// Lets each processor see the records. One that panics has done its work as far as it came.
    fn process(&mut self, records: &mut Vec<Record>) {
        for processor in &mut self.processors {
            let done = catch_unwind(AssertUnwindSafe(|| processor.process(records)));
            if done.is_err() && !std::mem::replace(&mut self.has_told, true) {
                log::warn!("a processor of records panicked (told once)");
            }
        }
    }
}

/// How long the thread waits between two looks at the queue: longer when nothing was recorded for a while.
struct Pace {
    busy: Duration,
    idle: Duration,
    empty_looks: u32,
}

impl Pace {
    /// After how many looks at an empty queue the pace slows down.
    const PATIENCE: u32 = 40;

    fn new(config: &PipelineConfig) -> Self {
        Self { busy: config.poll_interval, idle: config.idle_poll_interval, empty_looks: 0 }
    }

    fn next(&mut self, queue_is_empty: bool) -> Duration {
        self.empty_looks = if queue_is_empty { self.empty_looks.saturating_add(1) } else { 0 };
        if self.is_idle() { self.idle } else { self.busy }
    }

    /// Whether nothing was recorded for a while.
    fn is_idle(&self) -> bool {
        self.empty_looks > Self::PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::{InstrumentationManager, ManagerConfig};
    use crate::span::SpanKind;
    use crate::testing::MemoryProvider;

    #[test]
    fn a_lock_that_was_held_at_a_fork_makes_the_childs_pipeline_idle_and_not_stuck() {
        let manager = InstrumentationManager::new(ManagerConfig::default());
        let id = manager.register(Box::new(MemoryProvider::default()));
        let run = manager.start_run("parent's", []);
        let pipeline = manager.pipeline();
        let _held = (lock(&pipeline.runs), lock(&pipeline.lanes));
        pipeline.restart_in_child();
        run.start_child(SpanKind::Chat, []).set_attribute("key", 1_i64);
        manager.start_run("child's", []).end();
        manager.register(Box::new(MemoryProvider::default()));
        assert!(!manager.deregister(id));
        assert!(manager.wait_delivered(id, Duration::MAX));
        assert!(manager.flush(Duration::MAX));
        assert_eq!(manager.statistics(), Statistics::default());
        assert!(manager.shutdown(Duration::MAX));
    }
}
