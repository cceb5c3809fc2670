//! Waiting for what was recorded: each barrier waits for what it says, and nobody waits for himself.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use callboard_core::testing::MemoryProvider;
use callboard_core::{Delivery, PipelineConfig, ProviderResult, Record, TelemetryProvider};

use crate::probe::{Gate, LONG, Probe, count, counted, manager};

#[test]
fn a_flush_comes_after_what_was_recorded_and_again_when_asked_again() {
    let manager = manager(PipelineConfig::default());
    let probe = Probe::new("probe");
    let calls = probe.calls();
    manager.register(Box::new(probe));
    let run = manager.start_run("test", vec![]);
    count(&run, 0);
    assert!(manager.flush(LONG));
    assert!(manager.flush(LONG));
    count(&run, 1);
    assert!(manager.flush(LONG));
    assert_eq!(calls.all(), ["records 2", "flush", "flush", "records 1", "flush"]);
}

#[test]
fn a_wait_may_be_as_long_as_can_be_said() {
    let manager = manager(PipelineConfig::default());
    let id = manager.register(Box::new(MemoryProvider::default()));
    let run = manager.start_run("test", vec![]);
    assert!(manager.wait_delivered(id, Duration::MAX));
    assert!(manager.flush(Duration::MAX));
    drop(run);
    assert!(manager.shutdown(Duration::MAX));
}

#[test]
fn waiting_for_one_provider_does_not_wait_for_another() {
    let manager = manager(PipelineConfig::default());
    let gate = Gate::default();
    let held = gate.clone();
    let stuck = Probe::new("stuck").doing(move |_| {
        held.pass();
        Ok(())
    });
    manager.register(Box::new(stuck));
    let memory = MemoryProvider::default();
    let quick = manager.register(Box::new(memory.clone()));
    let run = manager.start_run("test", vec![]);
    for number in 0..100 {
        count(&run, number);
        assert!(manager.wait_delivered(quick, LONG));
        assert_eq!(counted(&memory.records()).last(), Some(&number));
    }
    gate.open();
    assert!(manager.flush(LONG));
}

#[test]
fn shutdown_comes_last_and_once() {
    let manager = manager(PipelineConfig::default());
    let probes = [Probe::new("own thread"), Probe::new("inline").inline()];
    let calls = probes.each_ref().map(Probe::calls);
    for probe in probes {
        manager.register(Box::new(probe));
    }
    let run = manager.start_run("test", vec![]);
    assert!(manager.shutdown(LONG));
    assert!(manager.shutdown(LONG));
    count(&run, 0);
    assert!(manager.flush(LONG));
    drop(run);
    drop(manager);
    for calls in calls {
        assert_eq!(calls.all(), ["records 1", "shutdown"]);
    }
}

#[test]
fn what_is_recorded_after_the_shutdown_is_counted_as_dropped() {
    let manager = manager(PipelineConfig::default());
    manager.register(Box::new(MemoryProvider::default()));
    let run = manager.start_run("test", vec![]);
    assert!(manager.shutdown(LONG));
    count(&run, 0);
    let statistics = manager.statistics();
    assert_eq!((statistics.recorded, statistics.dropped), (2, 1));
}

#[test]
fn a_manager_that_is_let_go_of_still_delivers() {
    let manager = manager(PipelineConfig::default());
    let probe = Probe::new("probe");
    let calls = probe.calls();
    manager.register(Box::new(probe));
    let run = manager.start_run("test", vec![]);
    run.end();
    drop(manager);
    calls.wait_for("shutdown");
    assert_eq!(calls.all(), ["records 2", "shutdown"]);
}

#[test]
fn a_provider_that_waits_for_its_own_manager_does_not_wait() {
    for inline in [false, true] {
        let manager = manager(PipelineConfig::default());
        let own = manager.clone();
        let waited = Arc::new(Mutex::new(None));
        let noted = waited.clone();
        let probe = Probe::new("waiting").doing(move |_| {
            let begin = Instant::now();
            own.flush(LONG);
            own.statistics();
            *noted.lock().unwrap() = Some(begin.elapsed());
            Ok(())
        });
        manager.register(Box::new(if inline { probe.inline() } else { probe }));
        let run = manager.start_run("test", vec![]);
        assert!(manager.flush(LONG));
        run.end();
        let waited = waited.lock().unwrap().expect("it was called");
        assert!(waited < LONG / 2, "{waited:?}");
        assert!(manager.shutdown(LONG));
    }
}

#[test]
fn a_provider_is_told_how_its_readers_can_wait() {
    #[derive(Clone, Default)]
    struct Told(MemoryProvider, Arc<Mutex<Option<Delivery>>>);
    impl TelemetryProvider for Told {
        fn name(&self) -> &str {
            "told"
        }
        fn registered(&mut self, delivery: Delivery) {
            *self.1.lock().unwrap() = Some(delivery);
        }
        fn on_records(&mut self, batch: &[Record]) -> ProviderResult {
            self.0.on_records(batch)
        }
    }
    let manager = manager(PipelineConfig::default());
    let told = Told::default();
    manager.register(Box::new(told.clone()));
    let delivery = told.1.lock().unwrap().clone().expect("it is told at once");
    let run = manager.start_run("test", vec![]);
    count(&run, 7);
    assert!(delivery.wait(LONG));
    assert_eq!(counted(&told.0.records()), [7]);
    count(&run, 8);
    drop((run, manager));
    assert!(delivery.wait(LONG));
    assert_eq!(counted(&told.0.records()), [7, 8]);
}

#[test]
fn a_provider_that_wants_ticks_gets_them_while_nothing_is_recorded() {
    let manager = manager(PipelineConfig::default());
    let probe = Probe::new("ticking").ticking(Duration::from_millis(1));
    let calls = probe.calls();
    manager.register(Box::new(probe));
    let run = manager.start_run("test", vec![]);
    assert!(manager.flush(LONG));
    calls.wait_for("tick");
    drop(run);
}
