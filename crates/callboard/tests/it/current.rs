//! The current span follows the program: through async tasks, whatever threads poll them, and across threads by hand.

use callboard::testing::{MemoryProvider, deterministic_manager};
use callboard::{Record, Span, SpanKind, current_span};
use std::time::Duration;

fn is_current(span: &Span) -> bool {
    current_span().is_some_and(|current| current.is_same(span))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_task_has_its_own_current_span() {
    let manager = deterministic_manager();
    let memory = MemoryProvider::default();
    manager.register(Box::new(memory.clone()));
    let run = manager.start_run("test", vec![]);
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let chat = run.start_child(SpanKind::Chat, vec![]);
            let inner = chat.clone();
            tokio::spawn(chat.within(async move {
                for _ in 0..20 {
                    assert!(is_current(&inner));
                    let reply = inner.start_child(SpanKind::Reply, vec![]);
                    let nested = reply.clone();
                    reply
                        .within(async move {
                            tokio::task::yield_now().await;
                            assert!(is_current(&nested));
                            nested.end();
                        })
                        .await;
                    tokio::task::yield_now().await;
                }
                inner.end();
            }))
        })
        .collect();
    for task in tasks {
        task.await.expect("no assertion fails in it");
    }
    assert!(current_span().is_none());
    assert!(manager.flush(Duration::from_secs(20)));
    let replies = memory.records().into_iter().filter_map(|record| match record {
        Record::SpanStarted(span) if span.kind == SpanKind::Reply => Some(span),
        _ => None,
    });
    let root = Some(run.span_id());
    assert!(replies.clone().all(|reply| reply.parent_span_id != root));
    assert_eq!(replies.count(), 400);
}

#[test]
fn a_task_that_panics_leaves_no_span_behind() {
    let manager = deterministic_manager();
    let run = manager.start_run("test", vec![]);
    let panicking = run.within(async { panic!("the program's own fault") });
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("it needs nothing");
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.block_on(panicking);
    }));
    assert!(caught.is_err());
    assert!(current_span().is_none());
}
