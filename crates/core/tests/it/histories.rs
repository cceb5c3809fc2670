//! A conversation's history, sent to the model whole at every call, is stored once.

use std::sync::Arc;

use callboard_core::testing::{MemoryProvider, deterministic_manager};
use callboard_core::{Context, EventKind, Message, Record, Value};

use crate::probe::{LONG, events, eventually};

fn message(number: usize) -> Arc<Message> {
    Message::new(vec![("content".into(), format!("message {number} {:>500}", "").into())].into())
}

#[test]
fn a_history_that_grows_is_recorded_at_the_price_of_its_newest_message() {
    let manager = deterministic_manager();
    let memory = MemoryProvider::default();
    manager.register(Box::new(memory.clone()));
    let run = manager.start_run("test", vec![]);
    let mut history = Context::empty();
    for number in 0..1_000 {
        history = history.push(message(number));
        run.record_event(EventKind::LlmCreate, vec![("messages".into(), history.clone().into())]);
    }
    assert!(manager.flush(LONG));
    let records = memory.records();
    let seen: Vec<Context> = events(&records)
        .into_iter()
        .filter_map(|event| match event.attribute("messages") {
            Some(Value::Messages(context)) => Some(context.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(seen.len(), 1_000);
    for pair in seen.windows(2) {
        assert!(pair[1].earlier().is_some_and(|earlier| earlier.is_same(&pair[0])));
    }
    let sizes: Vec<_> = records.iter().map(Record::size_bytes).collect();
    let (early, late) = (sizes[10], sizes[1_000]);
    assert!(late < early + 16, "the tenth takes {early} bytes, the thousandth {late}");
}

#[test]
fn a_history_is_let_go_of_with_the_last_record_that_has_it() {
    let manager = deterministic_manager();
    let memory = MemoryProvider::default();
    let provider = manager.register(Box::new(memory.clone()));
    let first = message(0);
    let alive = Arc::downgrade(&first);
    let run = manager.start_run("test", vec![]);
    let history = Context::empty().push(first);
    run.record_event(EventKind::LlmCreate, vec![("messages".into(), history.into())]);
    assert!(manager.wait_delivered(provider, LONG));
    assert!(alive.upgrade().is_some());
    assert!(manager.deregister(provider));
    drop(memory);
    eventually(|| alive.upgrade().is_none());
}
