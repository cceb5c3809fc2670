//! A provider gets what is recorded while it is registered: nothing from before, nothing from after.

use std::sync::Arc;
use std::time::Duration;

use callboard_core::testing::MemoryProvider;
use callboard_core::{
    InstrumentationManager, ManagerConfig, PipelineConfig, Placement, ProviderResult, Record,
    RecordProcessor, Span, SpanKind, TelemetryProvider,
};

use crate::probe::{LONG, Probe, count, counted, manager};

#[test]
fn one_that_comes_late_gets_what_is_recorded_from_then_on() {
    let manager = manager(PipelineConfig::default());
    let (early, late) = (MemoryProvider::default(), MemoryProvider::default());
    manager.register(Box::new(early.clone()));
    let run = manager.start_run("test", vec![]);
    let chat = run.start_child(SpanKind::Chat, vec![("name".into(), "jack".into())]);
    count(&chat, 0);
    // Nothing has been looked at yet: the boundary is within one batch.
    manager.register(Box::new(late.clone()));
    count(&chat, 1);
    assert!(manager.flush(LONG));
    count(&chat, 2);
    assert!(manager.flush(LONG));
    assert_eq!(counted(&early.records()), [0, 1, 2]);
    assert_eq!(counted(&late.records()), [1, 2]);
    // It has not seen the span's start, but an event has its span with it.
    let records = late.records();
    assert_eq!(records[0].span().attribute("name").and_then(|name| name.as_str()), Some("jack"));
    let delivered: Vec<_> =
        manager.statistics().providers.iter().map(|provider| provider.delivered).collect();
    assert_eq!(delivered, [5, 2]);
}

#[test]
fn many_that_come_before_anything_is_looked_at_miss_nothing_of_a_run_that_is_over() {
    let manager = manager(PipelineConfig::default());
    let run = manager.start_run("test", []);
    let memories: Vec<_> = (0..6)
        .map(|number| {
            let memory = MemoryProvider::default();
            manager.register(Box::new(memory.clone()));
            count(&run, number);
            memory
        })
        .collect();
    run.end();
    drop(run);
    assert!(manager.flush(LONG));
    for (number, memory) in memories.iter().enumerate() {
        assert_eq!(counted(&memory.records()), (number as i64..6).collect::<Vec<_>>());
        assert!(matches!(memory.records().last(), Some(Record::SpanEnded(_))));
    }
}

#[test]
fn what_is_recorded_and_delivered_while_one_is_registered_is_not_waited_for() {
    /// Records, and has that delivered to the others, when it is asked where it belongs.
    struct Meddling(InstrumentationManager, Span);
    impl TelemetryProvider for Meddling {
        fn name(&self) -> &str {
            "meddling"
        }
        fn on_records(&mut self, _: &[Record]) -> ProviderResult {
            Ok(())
        }
        fn placement(&self) -> Placement {
            count(&self.1, 0);
            assert!(self.0.flush(LONG));
            Placement::Inline
        }
    }
    let manager = manager(PipelineConfig::default());
    let memory = MemoryProvider::default();
    manager.register(Box::new(memory.clone()));
    let run = manager.start_run("test", vec![]);
    let meddling = manager.register(Box::new(Meddling(manager.clone(), run)));
    assert_eq!(counted(&memory.records()), [0]);
    assert!(manager.wait_delivered(meddling, Duration::from_secs(1)));
}

#[test]
fn one_that_comes_when_all_was_delivered_is_up_to_date() {
    let manager = manager(PipelineConfig::default());
    let first = manager.register(Box::new(MemoryProvider::default()));
    let run = manager.start_run("test", vec![]);
    assert!(manager.wait_delivered(first, LONG));
    let probe = Probe::new("late");
    let calls = probe.calls();
    let late = manager.register(Box::new(probe));
    assert!(manager.wait_delivered(late, LONG));
    assert!(manager.flush(LONG));
    assert_eq!(calls.all(), ["flush"]);
    drop(run);
}

#[test]
fn one_that_goes_gets_what_was_recorded_and_is_shut_down() {
    let manager = manager(PipelineConfig::default());
    let probes = [Probe::new("own thread"), Probe::new("inline").inline()];
    let calls = probes.each_ref().map(Probe::calls);
    let ids = probes.map(|probe| manager.register(Box::new(probe)));
    let memory = MemoryProvider::default();
    manager.register(Box::new(memory.clone()));
    let run = manager.start_run("test", vec![]);
    count(&run, 0);
    for id in ids {
        assert!(manager.deregister(id));
        assert!(!manager.deregister(id), "it is not registered any more");
    }
    count(&run, 1);
    assert!(manager.flush(LONG));
    for calls in calls {
        calls.wait_for("shutdown");
        assert_eq!(calls.all(), ["records 2", "shutdown"]);
    }
    assert_eq!(counted(&memory.records()), [0, 1]);
    assert_eq!(manager.statistics().providers.len(), 1);
}

#[test]
fn one_that_comes_after_the_shutdown_waits_for_nothing() {
    let manager = manager(PipelineConfig::default());
    let run = manager.start_run("test", vec![]);
    manager.register(Box::new(MemoryProvider::default()));
    assert!(manager.shutdown(LONG));
    let late = manager.register(Box::new(MemoryProvider::default()));
    count(&run, 0);
    assert!(manager.wait_delivered(late, LONG));
    assert!(manager.flush(LONG));
    assert!(manager.shutdown(LONG));
}

#[test]
fn a_processor_that_adds_and_removes_records_shifts_nothing() {
    /// Doubles every event and removes every span's start.
    struct Doubling;
    impl RecordProcessor for Doubling {
        fn process(&mut self, batch: &mut Vec<Record>) {
            let records = std::mem::take(batch);
            for record in records {
                match record {
                    Record::SpanStarted(_) => {}
                    Record::Event(_) => batch.extend([record.clone(), record]),
                    other => batch.push(other),
                }
            }
        }
    }
    let manager = InstrumentationManager::new(ManagerConfig {
        processors: Arc::new(|| vec![Box::new(Doubling)]),
        ..ManagerConfig::default()
    });
    let memory = MemoryProvider::default();
    manager.register(Box::new(memory.clone()));
    let run = manager.start_run("test", vec![]);
    for number in 0..3 {
        count(&run, number);
        assert!(manager.flush(LONG));
    }
    assert_eq!(counted(&memory.records()), [0, 0, 1, 1, 2, 2]);
}
