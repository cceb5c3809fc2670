//! For tests: a provider that keeps what it is handed, and a clock and ids that give the same in every run.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::id::{IdSource, SpanId, TraceId};
use crate::manager::{InstrumentationManager, ManagerConfig};
use crate::pipeline::lock;
use crate::provider::{Placement, ProviderResult, Respawn, TelemetryProvider};
use crate::record::Record;
use crate::span::Status;
use crate::time::{Clock, UnixNanos};
use crate::value::Attribute;

/// Keeps every record. Clones share what they keep, so that one can be registered and another read.
#[derive(Clone, Default)]
pub struct MemoryProvider {
    records: Arc<Mutex<Vec<Record>>>,
}

impl MemoryProvider {
    /// What it was handed so far. Flush the manager first.
    pub fn records(&self) -> Vec<Record> {
        lock(&self.records).clone()
    }

    /// The records as text, a line each: for snapshots.
    pub fn transcript(&self) -> String {
        let mut text = String::new();
        for record in lock(&self.records).iter() {
            write_record(&mut text, record);
        }
        text
    }
}

impl TelemetryProvider for MemoryProvider {
    fn name(&self) -> &str {
        "memory"
    }

    fn on_records(&mut self, batch: &[Record]) -> ProviderResult {
        lock(&self.records).extend_from_slice(batch);
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

fn write_record(text: &mut String, record: &Record) {
    let span = record.span();
    let line = match record {
        Record::SpanStarted(span) => {
            let parent = span.parent_span_id.map_or("-".into(), |id| id.to_string());
            format!("start {} in {parent} at {}", span.kind, span.start_unix_ns)
        }
        Record::SpanChanged(_) => "change".into(),
        Record::Event(event) => format!("event {} at {}", event.kind, event.time_unix_ns),
        Record::SpanEnded(ended) => match &ended.status {
            Status::Unset => format!("end at {}", ended.end_unix_ns),
            Status::Ok => format!("end ok at {}", ended.end_unix_ns),
            Status::Error { message } => format!("end error {message:?} at {}", ended.end_unix_ns),
        },
    };
    let attributes: &[Attribute] = match record {
        Record::SpanStarted(span) => &span.attributes,
        Record::SpanChanged(changed) => &changed.attributes,
        Record::Event(event) => &event.attributes,
        Record::SpanEnded(_) => &[],
    };
    let _ = write!(text, "{} {line}", span.span_id);
    for (key, value) in attributes {
        let _ = write!(text, " {key}={}", value.to_json());
    }
    text.push('\n');
}

/// A clock that moves on by a fixed step at each reading.
#[derive(Debug)]
pub struct SteppingClock {
    readings: AtomicU64,
    step_ns: u64,
}

/// The wall-clock time at which a [`SteppingClock`] begins: 2026-01-01T00:00:00Z.
pub const TEST_EPOCH_UNIX_NS: UnixNanos = 1_767_225_600_000_000_000;

impl SteppingClock {
    /// A clock that stands at [`TEST_EPOCH_UNIX_NS`] and moves on by `step_ns` at each reading.
    pub fn new(step_ns: u64) -> Arc<Self> {
        Arc::new(Self { readings: AtomicU64::new(0), step_ns })
    }
}

impl Clock for SteppingClock {
    fn monotonic_ns(&self) -> u64 {
        self.readings.fetch_add(1, Ordering::Relaxed) * self.step_ns
    }

    fn unix_ns(&self) -> UnixNanos {
        TEST_EPOCH_UNIX_NS
    }
}

/// Ids that count from one.
#[derive(Debug, Default)]
pub struct CountingIds {
    traces: AtomicU64,
    spans: AtomicU64,
}

impl IdSource for CountingIds {
    fn trace_id(&self) -> TraceId {
        TraceId::from_int(u128::from(self.traces.fetch_add(1, Ordering::Relaxed)) + 1)
    }

    fn span_id(&self) -> SpanId {
        SpanId::from_int(self.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// A manager with counted ids and a clock that moves on by a millisecond at each reading.
pub fn deterministic_manager() -> InstrumentationManager {
    InstrumentationManager::new(ManagerConfig {
        ids: Arc::new(CountingIds::default()),
        clock: SteppingClock::new(1_000_000),
        ..ManagerConfig::default()
    })
}
