//! What a program may do to a span, and what providers see of it.

use std::sync::Arc;

use callboard_core::testing::{MemoryProvider, deterministic_manager};
use callboard_core::{
    Context, EndedBy, EventKind, PipelineConfig, Record, RemoteParent, Span, SpanKind, Status,
    Value, current_span, keys,
};

use crate::probe::LONG;

/// The transcript of what `program` does in a run.
fn transcript(program: impl FnOnce(Span)) -> String {
    let (memory, transcript) = recorded(program);
    drop(memory);
    transcript
}

fn recorded(program: impl FnOnce(Span)) -> (MemoryProvider, String) {
    let manager = deterministic_manager();
    let memory = MemoryProvider::default();
    manager.register(Box::new(memory.clone()));
    program(manager.start_run("test", vec![("workflow.id".into(), "123".into())]));
    assert!(manager.flush(LONG));
    let transcript = memory.transcript();
    (memory, transcript)
}

#[test]
fn a_span_from_start_to_end() {
    let transcript = transcript(|run| {
        let chat =
            run.start_child(SpanKind::Chat, vec![(keys::AGENT_SENDER.into(), "jack".into())]);
        chat.set_attribute("set", 1_i64);
        chat.set_attribute("set", 2_i64);
        chat.record_event(EventKind::AgentSendMsg, vec![(keys::SILENT.into(), false.into())]);
        chat.set_attribute("late", f64::NAN);
        chat.end();
        run.end();
    });
    insta::assert_snapshot!(transcript, @r#"
    0000000000000001 start workflow in - at 1767225600001000000 workflow.id="123"
    0000000000000002 start chat in 0000000000000001 at 1767225600002000000 ag2.agent.sender="jack"
    0000000000000002 change set=1 set=2
    0000000000000002 event agent_send_msg at 1767225600003000000 ag2.silent=false
    0000000000000002 change late="NaN"
    0000000000000002 end at 1767225600004000000
    0000000000000001 end at 1767225600005000000
    "#);
}

#[test]
fn a_span_that_ended_stays_as_it_is() {
    let transcript = transcript(|run| {
        let span = run.start_child(SpanKind::Reply, vec![]);
        span.end();
        span.end();
        span.set_attribute("after", true);
        span.record_event(EventKind::Cost, vec![]);
        span.record_exception("E".into(), "after".into(), "".into());
        assert!(span.is_ended());
        assert_eq!(span.attribute("after"), None);
        run.end();
    });
    insta::assert_snapshot!(transcript, @r#"
    0000000000000001 start workflow in - at 1767225600001000000 workflow.id="123"
    0000000000000002 start reply in 0000000000000001 at 1767225600002000000
    0000000000000002 end at 1767225600003000000
    0000000000000001 end at 1767225600004000000
    "#);
}

#[test]
fn a_span_ends_in_another_thread_and_only_once() {
    let (memory, _) = recorded(|run| {
        let span = run.start_child(SpanKind::ToolCall, vec![]);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| span.end());
            }
        });
        run.end();
    });
    let ends = memory.records().into_iter().filter_map(|record| match record {
        Record::SpanEnded(ended) => Some((ended.span.kind.clone(), ended.ended_by)),
        _ => None,
    });
    let by_program = |kind| (kind, EndedBy::Program);
    let expected = [SpanKind::ToolCall, SpanKind::Workflow].map(by_program);
    assert_eq!(ends.collect::<Vec<_>>(), expected);
}

#[test]
fn what_is_let_go_of_or_left_open_is_ended_and_marked() {
    let transcript = transcript(|run| {
        drop(run.start_child(SpanKind::Chat, vec![]));
        let outer = run.start_child(SpanKind::Round, vec![]);
        let inner = outer.start_child(SpanKind::Reply, vec![]);
        run.end();
        assert!(outer.is_ended() && inner.is_ended());
    });
    insta::assert_snapshot!(transcript, @r#"
    0000000000000001 start workflow in - at 1767225600001000000 workflow.id="123"
    0000000000000002 start chat in 0000000000000001 at 1767225600002000000
    0000000000000002 change callboard.span.ended_by="dropped"
    0000000000000002 end at 1767225600003000000
    0000000000000003 start round in 0000000000000001 at 1767225600004000000
    0000000000000004 start reply in 0000000000000003 at 1767225600005000000
    0000000000000004 change callboard.span.ended_by="run_end"
    0000000000000004 end at 1767225600006000000
    0000000000000003 change callboard.span.ended_by="run_end"
    0000000000000003 end at 1767225600006000000
    0000000000000001 end at 1767225600006000000
    "#);
}

#[test]
fn a_run_goes_on_while_somebody_holds_a_span_of_it() {
    let transcript = transcript(|run| {
        let child = run.start_child(SpanKind::Chat, vec![]);
        drop(run);
        child.set_attribute("still", "there");
    });
    insta::assert_snapshot!(transcript, @r#"
    0000000000000001 start workflow in - at 1767225600001000000 workflow.id="123"
    0000000000000002 start chat in 0000000000000001 at 1767225600002000000
    0000000000000001 change callboard.span.ended_by="dropped"
    0000000000000001 end at 1767225600003000000
    0000000000000002 change still="there" callboard.span.ended_by="dropped"
    0000000000000002 end at 1767225600004000000
    "#);
}

#[test]
fn an_exception_is_an_event_and_the_spans_status() {
    let transcript = transcript(|run| {
        run.record_exception("ValueError".into(), "no such joke".into(), "line 1".into());
        run.end();
    });
    insta::assert_snapshot!(transcript, @r#"
    0000000000000001 start workflow in - at 1767225600001000000 workflow.id="123"
    0000000000000001 event exception at 1767225600002000000 exception.type="ValueError" exception.message="no such joke" exception.stacktrace="line 1"
    0000000000000001 end error "no such joke" at 1767225600003000000
    "#);
}

#[test]
fn a_later_word_on_how_it_went_replaces_an_earlier_one() {
    let transcript = transcript(|run| {
        run.set_status(Status::Error { message: "first".into() });
        run.set_status(Status::Ok);
        run.end();
    });
    insta::assert_snapshot!(transcript, @r#"
    0000000000000001 start workflow in - at 1767225600001000000 workflow.id="123"
    0000000000000001 end ok at 1767225600002000000
    "#);
}

#[test]
fn a_past_child_is_a_span_with_the_times_it_was_given() {
    let transcript = transcript(|run| {
        let name = vec![("ag2.reply_function".into(), "check_termination".into())];
        run.add_past_child(SpanKind::ReplyFunction, name, 5_000_000, 7_000_000);
        run.add_past_child(SpanKind::ReplyFunction, vec![], 9_000_000, 8_000_000);
        run.start_past_child(SpanKind::Reply, [], 500_000).end();
        run.end();
    });
    insta::assert_snapshot!(transcript, @r#"
    0000000000000001 start workflow in - at 1767225600001000000 workflow.id="123"
    0000000000000002 start reply_function in 0000000000000001 at 1767225600005000000 ag2.reply_function="check_termination"
    0000000000000002 end at 1767225600007000000
    0000000000000003 start reply_function in 0000000000000001 at 1767225600009000000
    0000000000000003 end at 1767225600009000000
    0000000000000004 start reply in 0000000000000001 at 1767225600000500000
    0000000000000004 end at 1767225600002000000
    0000000000000001 end at 1767225600003000000
    "#);
}

#[test]
fn attributes_are_read_back_wherever_they_are_on_their_way() {
    let manager = crate::probe::manager(PipelineConfig::default());
    let run = manager.start_run("test", vec![]);
    let chat = run.start_child(SpanKind::Chat, vec![("at".into(), "start".into())]);
    let other = run.start_child(SpanKind::Chat, vec![("at".into(), "other".into())]);
    let read = |span: &Span| {
        let attributes = span.attributes();
        attributes
            .iter()
            .map(|(key, value)| format!("{key}={}", value.to_json()))
            .collect::<Vec<_>>()
    };
    assert_eq!(read(&chat), [r#"at="start""#], "none was looked at yet");
    manager.register(Box::new(MemoryProvider::default()));
    chat.set_attribute("n", 1_i64);
    assert_eq!(read(&chat), [r#"at="start""#, "n=1"], "a registration set what came before apart");
    assert!(manager.flush(LONG));
    chat.set_attributes([("n".into(), 2_i64.into()), ("m".into(), Value::Null.into())]);
    let all = [r#"at="start""#, "n=1", "n=2", "m=null"];
    assert_eq!(read(&chat), all, "a part was taken out of the queue");
    chat.end();
    run.end();
    assert!(manager.flush(LONG));
    assert_eq!(read(&chat), all, "its run has ended too");
    assert_eq!(chat.attribute("n"), Some(Value::Int(2)));
    let marked = [r#"at="other""#, r#"callboard.span.ended_by="run_end""#];
    assert_eq!(read(&other), marked);
}

#[test]
fn what_happens_in_a_run_that_has_ended_stays_by_itself() {
    let transcript = transcript(|run| {
        let left = run.start_child(SpanKind::Chat, vec![]);
        run.end();
        left.set_attribute("after", true);
        left.record_event(EventKind::Cost, vec![]);
        left.end();
        let late = run.start_child(SpanKind::Reply, vec![]);
        assert!(left.is_ended() && !late.is_ended());
        late.set_attribute("late", true);
        late.end();
    });
    insta::assert_snapshot!(transcript, @r#"
    0000000000000001 start workflow in - at 1767225600001000000 workflow.id="123"
    0000000000000002 start chat in 0000000000000001 at 1767225600002000000
    0000000000000002 change callboard.span.ended_by="run_end"
    0000000000000002 end at 1767225600003000000
    0000000000000001 end at 1767225600003000000
    0000000000000003 start reply in 0000000000000001 at 1767225600005000000
    0000000000000003 change late=true
    0000000000000003 end at 1767225600006000000
    "#);
}

#[test]
fn attributes_without_end_are_bounded() {
    let (memory, _) = recorded(|run| {
        for number in 0..10_000_i64 {
            run.set_attribute("again", number);
        }
        run.end();
    });
    let set = memory.records().into_iter().map(|record| match record {
        Record::SpanChanged(changed) => changed.attributes.len(),
        _ => 0,
    });
    assert_eq!(set.sum::<usize>(), 4096);
}

#[test]
fn odd_values_are_recorded_as_they_are() {
    let history = Context::empty();
    let nested = (0..1_000).fold(Value::Null, |inner, _| vec![inner].into());
    let values = [
        Value::Null,
        f64::NEG_INFINITY.into(),
        u64::MAX.into(),
        "\0\u{202e}\"".into(),
        Value::Bytes(Arc::from([0_u8, 255])),
        history.into(),
        nested,
    ];
    let (memory, _) = recorded(|run| {
        for value in values.clone() {
            run.record_event(EventKind::ConsolePrint, vec![("value".into(), value)]);
        }
    });
    let seen = crate::probe::events(&memory.records())
        .into_iter()
        .map(|event| event.attribute("value").cloned());
    assert_eq!(seen.collect::<Vec<_>>(), values.map(Some));
}

#[test]
fn two_runs_at_once_do_not_mix() {
    let manager = deterministic_manager();
    let memory = MemoryProvider::default();
    manager.register(Box::new(memory.clone()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let run = manager.start_run("test", vec![]);
                let _entered = run.enter();
                for _ in 0..50 {
                    let current = current_span().expect("the run's root is entered");
                    let child = current.start_child(SpanKind::Chat, vec![]);
                    child.end();
                }
                run.end();
            });
        }
    });
    assert!(manager.flush(LONG));
    let records = memory.records();
    assert_eq!(records.len(), 4 * (2 + 2 * 50));
    for record in records {
        let span = record.span();
        let root = span.run.root_span_id;
        assert_eq!(span.parent_span_id, (span.span_id != root).then_some(root));
    }
}

#[test]
fn the_current_span_is_the_one_entered_last_on_this_thread() {
    let manager = deterministic_manager();
    let run = manager.start_run("test", vec![]);
    let is_current = |span: &Span| current_span().is_some_and(|current| current.is_same(span));
    assert!(current_span().is_none());
    let entered = run.enter();
    let child = run.start_child(SpanKind::Chat, vec![]);
    {
        let _entered = child.enter();
        assert!(is_current(&child));
        std::thread::spawn(|| assert!(current_span().is_none())).join().unwrap();
    }
    assert!(is_current(&run));
    drop(entered);
    assert!(current_span().is_none());
}

#[test]
fn a_run_that_another_program_began_is_in_that_ones_trace() {
    let manager = deterministic_manager();
    let memory = MemoryProvider::default();
    manager.register(Box::new(memory.clone()));
    let parent: RemoteParent =
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().unwrap();
    let run = manager.start_run_within(Some(parent), "test", []);
    let chat = run.start_child(SpanKind::Chat, []);
    assert!(run.is_root());
    assert_eq!((run.trace_id(), run.parent_span_id()), (parent.trace_id, Some(parent.span_id)));
    assert_eq!((chat.trace_id(), chat.parent_span_id()), (parent.trace_id, Some(run.span_id())));
    run.end();
    assert!(manager.flush(LONG));
    let first = &memory.records()[0];
    assert!(matches!(first, Record::SpanStarted(head) if head.is_root()));
    assert_eq!(first.span().parent_span_id, Some(parent.span_id));
}
