//! Providers for the tests: one that can be told what to do and that notes each call, and a gate to hold it up at.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use callboard_core::testing::{CountingIds, SteppingClock};
use callboard_core::threads::on_callboard_thread;
use callboard_core::{
    Event, EventKind, InstrumentationManager, ManagerConfig, PipelineConfig, Placement,
    ProviderResult, Record, Span, TelemetryProvider,
};

/// So long a test waits for what must come; it is not reached when all is well.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// A manager that looks at its queue only when it is told to: by a barrier, or because the queue is half full.
pub(crate) fn manager(pipeline: PipelineConfig) -> InstrumentationManager {
    let never = Duration::from_secs(3600);
    InstrumentationManager::new(ManagerConfig {
        pipeline: PipelineConfig { poll_interval: never, idle_poll_interval: never, ..pipeline },
        ids: Arc::new(CountingIds::default()),
        clock: SteppingClock::new(1_000_000),
        ..ManagerConfig::default()
    })
}

/// Waits until it is so.
pub(crate) fn eventually(is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < LONG, "it never came to be");
        std::thread::yield_now();
    }
}

type OnRecords = Box<dyn FnMut(&[Record]) -> ProviderResult + Send>;

/// A provider that notes each call of it, and does with records what the test says.
pub(crate) struct Probe {
    name: &'static str,
    placement: Placement,
    tick_interval: Option<Duration>,
    on_records: OnRecords,
    calls: Calls,
}

/// The calls of a probe, in order: `records 3`, `tick`, `flush`, `shutdown`.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Calls {
    fn note(&self, call: impl Into<String>) {
        assert!(on_callboard_thread(), "every call comes from one of callboard's threads");
        self.0.0.lock().unwrap().push(call.into());
        self.0.1.notify_all();
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.0.lock().unwrap().clone()
    }

    /// Waits until there has been such a call.
    pub(crate) fn wait_for(&self, call: &str) {
        let calls = self.0.0.lock().unwrap();
        let missing = |calls: &mut Vec<String>| !calls.iter().any(|noted| noted == call);
        let waited = self.0.1.wait_timeout_while(calls, LONG, missing).unwrap();
        assert!(!waited.1.timed_out(), "no {call}: {:?}", waited.0);
    }
}

impl Probe {
    /// A probe with a thread of its own that is content with everything.
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            placement: Placement::OwnThread,
            tick_interval: None,
            on_records: Box::new(|_| Ok(())),
            calls: Calls::default(),
        }
    }

    pub(crate) fn inline(self) -> Self {
        Self { placement: Placement::Inline, ..self }
    }

    pub(crate) fn ticking(self, tick_interval: Duration) -> Self {
        Self { tick_interval: Some(tick_interval), ..self }
    }

    pub(crate) fn doing(
        self,
        on_records: impl FnMut(&[Record]) -> ProviderResult + Send + 'static,
    ) -> Self {
        Self { on_records: Box::new(on_records), ..self }
    }

    pub(crate) fn calls(&self) -> Calls {
        self.calls.clone()
    }
}

impl TelemetryProvider for Probe {
    fn name(&self) -> &str {
        self.name
    }

    fn on_records(&mut self, batch: &[Record]) -> ProviderResult {
        let done = (self.on_records)(batch);
        self.calls.note(format!("records {}", batch.len()));
        done
    }

    fn flush(&mut self) -> ProviderResult {
        self.calls.note("flush");
        Ok(())
    }

    fn shutdown(&mut self) -> ProviderResult {
        self.calls.note("shutdown");
        Ok(())
    }

    fn placement(&self) -> Placement {
        self.placement
    }

    fn tick_interval(&self) -> Option<Duration> {
        self.tick_interval
    }

    fn tick(&mut self) -> ProviderResult {
        self.calls.note("tick");
        Ok(())
    }
}

/// Holds up whoever passes, until it is opened.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Default)]
struct GateState {
    is_open: bool,
    has_come: bool,
}

impl Gate {
    pub(crate) fn pass(&self) {
        let mut state = self.0.0.lock().unwrap();
        state.has_come = true;
        self.0.1.notify_all();
        drop(self.0.1.wait_while(state, |state| !state.is_open));
    }

    /// Waits until somebody is held up.
    pub(crate) fn wait_for_somebody(&self) {
        let state = self.0.0.lock().unwrap();
        let waited = self.0.1.wait_timeout_while(state, LONG, |state| !state.has_come).unwrap();
        assert!(!waited.1.timed_out(), "nobody came to the gate");
    }

    pub(crate) fn open(&self) {
        self.0.0.lock().unwrap().is_open = true;
        self.0.1.notify_all();
    }
}

/// The events among these records.
pub(crate) fn events(records: &[Record]) -> Vec<Event> {
    let event = |record: &Record| match record {
        Record::Event(event) => Some(event.clone()),
        _ => None,
    };
    records.iter().filter_map(event).collect()
}

/// Records an event whose particulars are this number.
pub(crate) fn count(span: &Span, number: i64) {
    span.record_event(EventKind::from_value("counted"), vec![("number".into(), number.into())]);
}

/// The numbers of the counted events among these records.
pub(crate) fn counted(records: &[Record]) -> Vec<i64> {
    let number = |event: Event| event.attribute("number")?.as_i64();
    events(records).into_iter().filter_map(number).collect()
}
