//! A provider that is stuck: memory stays within its bounds, bodies go before structure, and everything lost is counted.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use callboard_core::record::BODY_DROPPED;
use callboard_core::testing::MemoryProvider;
use callboard_core::{
    EventKind, InstrumentationManager, PipelineConfig, ProviderId, Record, Span, SpanKind, Value,
};

use crate::probe::{Gate, LONG, Probe, events, eventually, manager};

const BODY_BYTES: usize = 4 << 10;

/// A manager with a provider that is stuck until the gate opens, and one that is not.
struct Scene {
    manager: InstrumentationManager,
    gate: Gate,
    seen_by_stuck: Arc<Mutex<Vec<Record>>>,
    quick: ProviderId,
    memory: MemoryProvider,
    run: Span,
    bodies: Vec<Weak<[u8]>>,
}

impl Scene {
    fn new(config: PipelineConfig) -> Self {
        let manager = manager(config);
        let (gate, seen_by_stuck) = (Gate::default(), Arc::new(Mutex::new(Vec::new())));
        let (held, seen) = (gate.clone(), seen_by_stuck.clone());
        let stuck = Probe::new("stuck").doing(move |batch| {
            held.pass();
            seen.lock().unwrap().extend_from_slice(batch);
            Ok(())
        });
        manager.register(Box::new(stuck));
        let memory = MemoryProvider::default();
        let quick = manager.register(Box::new(memory.clone()));
        let run = manager.start_run("test", vec![]);
        Self { manager, gate, seen_by_stuck, quick, memory, run, bodies: vec![] }
    }

    /// Records spans with a large body each; they are one batch.
    fn record(&mut self, spans: usize) {
        for _ in 0..spans {
            let body: Arc<[u8]> = vec![0; BODY_BYTES].into();
            self.bodies.push(Arc::downgrade(&body));
            let span = self.run.start_child(SpanKind::Reply, vec![]);
            let attributes = vec![("body".into(), Value::Bytes(body)), ("n".into(), 1_i64.into())];
            span.record_event(EventKind::AgentSendMsg, attributes);
            span.end();
        }
    }

    fn deliver(&self) {
        assert!(self.manager.wait_delivered(self.quick, LONG));
    }

    fn bytes_in_bodies(&self) -> usize {
        self.bodies.iter().filter(|body| body.strong_count() > 0).count() * BODY_BYTES
    }

    /// Opens the gate and gives what the stuck provider was handed after all.
    fn finish(&self) -> Vec<Record> {
        self.gate.open();
        assert!(self.manager.flush(LONG));
        std::mem::take(&mut self.seen_by_stuck.lock().unwrap())
    }
}

fn kept_and_dropped_bodies(records: &[Record]) -> (usize, usize) {
    let events = events(records);
    let is_dropped = |value: &&Value| value.as_str() == Some(BODY_DROPPED);
    let dropped =
        events.iter().filter_map(|event| event.attribute("body")).filter(is_dropped).count();
    (events.len() - dropped, dropped)
}

#[test]
fn bodies_go_first_and_the_structure_stays() {
    let config = PipelineConfig {
        queue_bytes: 4 << 20,
        provider_queue_bytes: 512 << 10,
        ..PipelineConfig::default()
    };
    let mut scene = Scene::new(config);
    for _ in 0..30 {
        scene.record(10);
        scene.deliver();
    }
    let statistics = scene.manager.statistics();
    assert_eq!((statistics.recorded, statistics.dropped), (1 + 30 * 30, 0));
    assert_eq!(statistics.providers[0].dropped, 0);
    let records = scene.finish();
    assert_eq!(records.len(), 1 + 30 * 30, "not a start, an event or an end is lost");
    let (kept, dropped) = kept_and_dropped_bodies(&records);
    assert!(kept > 60 && dropped > 150, "{kept} kept, {dropped} dropped");
    assert_eq!(statistics.bodies_dropped, dropped as u64);
    assert!(events(&records).iter().all(|event| event.attribute("n") == Some(&Value::Int(1))));
    // The other provider lost nothing.
    assert_eq!(kept_and_dropped_bodies(&scene.memory.records()), (300, 0));
}

#[test]
fn the_memory_held_stays_within_the_bound() {
    let config = PipelineConfig {
        queue_bytes: 1 << 20,
        provider_queue_bytes: 8 << 20,
        ..PipelineConfig::default()
    };
    let mut scene = Scene::new(config);
    // The other provider keeps what it is handed, which here would be the test's own fault.
    assert!(scene.manager.deregister(scene.quick));
    scene.record(10);
    assert!(!scene.manager.flush(Duration::ZERO));
    scene.gate.wait_for_somebody();
    for _ in 0..200 {
        scene.record(50);
        assert!(scene.bytes_in_bodies() <= 1 << 20, "{} bytes", scene.bytes_in_bodies());
    }
    let statistics = scene.manager.statistics();
    assert!(statistics.dropped > 0 && statistics.bodies_dropped > 0, "{statistics:?}");
    let records = scene.finish();
    assert_eq!(records.len() as u64, statistics.recorded - statistics.dropped);
    assert_eq!(scene.manager.statistics().providers[0].delivered, records.len() as u64);
    drop(records);
    eventually(|| scene.bytes_in_bodies() == 0);
}

#[test]
fn records_beyond_a_providers_own_bound_are_counted() {
    let config = PipelineConfig {
        queue_bytes: 4 << 20,
        provider_queue_bytes: 16 << 10,
        ..PipelineConfig::default()
    };
    let mut scene = Scene::new(config);
    for _ in 0..100 {
        scene.record(2);
        scene.deliver();
    }
    let statistics = scene.manager.statistics();
    let records = scene.finish();
    let (stuck, quick) = (&statistics.providers[0], &statistics.providers[1]);
    assert!(stuck.dropped > 0);
    assert_eq!(records.len() as u64 + stuck.dropped, statistics.recorded);
    assert_eq!((quick.delivered, quick.dropped), (statistics.recorded, 0));
    let (_, dropped) = kept_and_dropped_bodies(&records);
    assert_eq!(statistics.bodies_dropped, dropped as u64, "only of records that were kept");
}

#[test]
fn beside_a_stuck_provider_the_queue_is_looked_at_before_it_is_full() {
    let config = PipelineConfig {
        queue_bytes: 1 << 20,
        provider_queue_bytes: 768 << 10,
        ..PipelineConfig::default()
    };
    let mut scene = Scene::new(config);
    while scene.manager.statistics().providers[0].dropped == 0 {
        scene.record(10);
        scene.deliver();
    }
    let seen = scene.memory.records().len();
    while scene.manager.statistics().dropped == 0 && scene.memory.records().len() == seen {
        scene.record(1);
    }
    eventually(|| scene.memory.records().len() > seen);
}

#[test]
fn a_span_whose_start_was_dropped_says_so() {
    let config = PipelineConfig { queue_bytes: 64 << 10, ..PipelineConfig::default() };
    let mut scene = Scene::new(config);
    scene.record(1);
    scene.deliver();
    scene.gate.wait_for_somebody();
    // What the stuck provider is at counts as held: what room there is fills up.
    let span = loop {
        let dropped = scene.manager.statistics().dropped;
        let span = scene.run.start_child(SpanKind::Chat, vec![]);
        if scene.manager.statistics().dropped > dropped {
            break span;
        }
    };
    scene.finish();
    span.end();
    scene.deliver();
    let records = scene.memory.records();
    let last = records.last().expect("the end came through");
    assert!(matches!(last, Record::SpanEnded(_)));
    assert_eq!(last.span().kind.as_str(), "start_dropped");
    assert_eq!(last.span().span_id, span.span_id());
    assert_eq!(last.span().parent_span_id, Some(scene.run.span_id()));
}
