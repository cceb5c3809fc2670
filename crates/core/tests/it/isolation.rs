//! A provider that fails, panics or never returns harms neither the others nor the program.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use callboard_core::testing::MemoryProvider;
use callboard_core::{
    InstrumentationManager, ManagerConfig, PipelineConfig, ProviderError, ProviderResult, Record,
    RecordProcessor, TelemetryProvider,
};

use crate::probe::{Gate, LONG, Probe, count, counted, manager};

/// Delivers three batches to `faulty` and to a provider before and one after it; gives what `faulty` failed at.
fn beside(faulty: Probe) -> u64 {
    let manager = manager(PipelineConfig::default());
    let others = [(); 2].map(|()| MemoryProvider::default());
    manager.register(Box::new(others[0].clone()));
    let calls = faulty.calls();
    manager.register(Box::new(faulty));
    manager.register(Box::new(others[1].clone()));
    let run = manager.start_run("test", vec![]);
    for number in 0..3 {
        count(&run, number);
        assert!(manager.flush(LONG));
    }
    drop(run);
    assert!(manager.shutdown(LONG));
    for other in others {
        assert_eq!(counted(&other.records()), [0, 1, 2]);
    }
    assert_eq!(calls.all().last().map(String::as_str), Some("shutdown"));
    let statistics = manager.statistics();
    assert_eq!(statistics.dropped, 0);
    statistics.providers[1].failures
}

fn fail(_: &[Record]) -> Result<(), ProviderError> {
    Err(ProviderError::new("no disk; make room"))
}

fn panic(_: &[Record]) -> Result<(), ProviderError> {
    panic!("a provider's own fault")
}

#[test]
fn a_failing_provider_is_called_again_and_counted() {
    // Four batches: the last is the run's end.
    assert_eq!(beside(Probe::new("failing").doing(fail)), 4);
    assert_eq!(beside(Probe::new("failing inline").inline().doing(fail)), 4);
}

#[test]
fn a_panicking_provider_is_called_again_and_counted() {
    assert_eq!(beside(Probe::new("panicking").doing(panic)), 4);
    assert_eq!(beside(Probe::new("panicking inline").inline().doing(panic)), 4);
}

#[test]
fn a_failure_is_told_once() {
    static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());
    struct Log;
    impl log::Log for Log {
        fn enabled(&self, _: &log::Metadata) -> bool {
            true
        }
        fn log(&self, record: &log::Record) {
            if record.level() <= log::Level::Warn {
                TOLD.lock().unwrap().push(record.args().to_string());
            }
        }
        fn flush(&self) {}
    }
    log::set_logger(&Log).expect("no other test logs");
    log::set_max_level(log::LevelFilter::Trace);
    beside(Probe::new("told once").doing(fail));
    let told = TOLD.lock().unwrap();
    let told: Vec<_> = told.iter().filter(|line| line.starts_with("told once")).collect();
    assert_eq!(told, ["told once failed: no disk; make room (told once, then only counted)"]);
}

#[test]
fn a_provider_that_never_returns_holds_nobody_up() {
    let manager = manager(PipelineConfig::default());
    let gate = Gate::default();
    let held = gate.clone();
    let stuck = manager.register(Box::new(Probe::new("stuck").doing(move |_| {
        held.pass();
        Ok(())
    })));
    let memory = MemoryProvider::default();
    let other = manager.register(Box::new(memory.clone()));
    let run = manager.start_run("test", vec![]);
    for number in 0..3 {
        count(&run, number);
        assert!(manager.wait_delivered(other, LONG));
        gate.wait_for_somebody();
    }
    assert_eq!(counted(&memory.records()), [0, 1, 2]);
    let short = Duration::from_millis(1);
    assert!(!manager.wait_delivered(stuck, short));
    assert!(!manager.flush(short));
    assert!(!manager.shutdown(short));
    gate.open();
    assert!(manager.shutdown(LONG));
    assert_eq!(manager.statistics().providers[0].delivered, 4);
}

#[test]
fn a_provider_that_was_waited_for_in_vain_is_given_up_until_it_has_caught_up() {
    let manager = manager(PipelineConfig::default());
    let gate = Gate::default();
    let held = gate.clone();
    manager.register(Box::new(Probe::new("stuck").doing(move |_| {
        held.pass();
        Ok(())
    })));
    let memory = MemoryProvider::default();
    manager.register(Box::new(memory.clone()));
    let run = manager.start_run("test", vec![]);
    count(&run, 0);
    // Long enough for the other one.
    assert!(!manager.flush_or_give_up(Duration::from_millis(500)));
    count(&run, 1);
    // Neither waits for it, however long it may; both wait for the other one.
    assert!(!manager.flush_or_give_up(Duration::MAX));
    assert_eq!(counted(&memory.records()), [0, 1]);
    gate.open();
    assert!(manager.flush(LONG));
    count(&run, 2);
    assert!(manager.flush_or_give_up(LONG), "it has caught up");
    drop(run);
    assert!(manager.shutdown_or_give_up(LONG));
    let delivered = manager
        .statistics()
        .providers
        .into_iter()
        .map(|provider| provider.delivered)
        .collect::<Vec<_>>();
    assert_eq!(delivered[0], delivered[1], "nothing is lost");
}

#[test]
fn a_processor_that_panics_costs_nothing_but_its_own_work() {
    struct Panicking;
    impl RecordProcessor for Panicking {
        fn process(&mut self, _: &mut Vec<Record>) {
            panic!("a processor's own fault");
        }
    }
    let manager = InstrumentationManager::new(ManagerConfig {
        processors: Arc::new(|| vec![Box::new(Panicking)]),
        ..ManagerConfig::default()
    });
    let memory = MemoryProvider::default();
    manager.register(Box::new(memory.clone()));
    let run = manager.start_run("test", vec![]);
    for number in 0..3 {
        count(&run, number);
        assert!(manager.flush(LONG));
    }
    assert_eq!(counted(&memory.records()), [0, 1, 2]);
}

/// Linux has a nice value for each thread.
#[cfg(target_os = "linux")]
#[test]
fn a_provider_that_is_patient_leaves_a_busy_machine_to_the_program() {
    const NICEST: i32 = 19;

    /// Tells how nice its thread is.
    struct Telling(bool, std::sync::mpsc::Sender<i32>);
    impl TelemetryProvider for Telling {
        fn name(&self) -> &str {
            "telling"
        }
        fn on_records(&mut self, _: &[Record]) -> ProviderResult {
            let nice = rustix::process::getpriority_process(Some(rustix::thread::gettid()));
            self.1.send(nice.unwrap()).unwrap();
            Ok(())
        }
        fn tick_interval(&self) -> Option<Duration> {
            Some(Duration::from_secs(3600))
        }
        fn is_patient(&self) -> bool {
            self.0
        }
    }
    let nice_of = |is_patient| {
        let manager = manager(PipelineConfig::default());
        let (told, hear) = std::sync::mpsc::channel();
        manager.register(Box::new(Telling(is_patient, told)));
        manager.start_run("test", vec![]).end();
        assert!(manager.flush(LONG));
        hear.recv().unwrap()
    };
    let this = Some(rustix::thread::gettid());
    let own = rustix::process::getpriority_process(this).unwrap();
    assert_eq!(nice_of(false), own, "somebody may wait for it");
    assert_eq!(nice_of(true), NICEST.min(own + 10));
    // A program of low priority; it is this test's thread only.
    rustix::process::setpriority_process(this, NICEST.min(own + 5)).unwrap();
    assert_eq!(nice_of(true), NICEST.min(own + 15));
    rustix::process::setpriority_process(this, NICEST).unwrap();
    assert_eq!(nice_of(true), NICEST, "it is never above the program's");
}
