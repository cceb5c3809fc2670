//! What the detectors find, and what they leave alone.

use callboard::testing::MemoryProvider;
use callboard::{EventKind, Prices, Record, Span, SpanKind, Value, keys};

use crate::recording::{manager, map, say, text};

/// The findings of a run: `kind: text`, and how many spans each names.
fn findings(record: impl FnOnce(&Span)) -> Vec<(String, usize)> {
    let manager = manager(Prices::default());
    let provider = MemoryProvider::default();
    manager.register(Box::new(provider.clone()));
    let run = manager.start_run("test", []);
    record(&run);
    run.end();
    assert!(manager.flush(std::time::Duration::from_secs(10)));
    let records = provider.records();
    let mut ended = Vec::new();
    let mut found = Vec::new();
    for record in &records {
        match record {
            Record::Event(event) if event.kind.as_str() == "finding" => {
                assert!(!ended.contains(&event.span.span_id), "its span has not ended yet");
                let told = |key| event.attribute(key).and_then(Value::as_str).unwrap_or_default();
                let kind = told(callboard::detectors::FINDING_KIND);
                let words = told(callboard::detectors::FINDING_TEXT);
                let Some(Value::List(spans)) = event.attribute(callboard::detectors::FINDING_SPANS)
                else {
                    panic!("a finding names its evidence")
                };
                let known = |id: &Value| {
                    let id = id.as_str().unwrap_or_default();
                    records.iter().any(|record| record.span().span_id.to_string() == id)
                };
                assert!(spans.iter().all(known), "{spans:?}");
                found.push((format!("{kind}: {words}"), spans.len()));
            }
            Record::SpanEnded(span) => ended.push(span.span.span_id),
            _ => {}
        }
    }
    found
}

fn one(found: &str, spans: usize) -> Vec<(String, usize)> {
    vec![(found.to_owned(), spans)]
}

#[test]
fn two_agents_that_say_the_same_to_each_other() {
    let found = findings(|run| {
        for _ in 0..5 {
            say(run, "jack", "emma", "After you.");
            say(run, "emma", "jack", map(&[("content", "No, after you.".into())]));
        }
    });
    let told = "ping_pong: jack and emma say the same to each other again and again";
    assert_eq!(found, one(told, 4));
}

#[test]
fn two_speakers_of_a_group_that_do() {
    let found = findings(|run| {
        for words in ["one", "two", "one", "two"] {
            say(run, if words == "one" { "jack" } else { "emma" }, "manager", words);
        }
    });
    let told = "ping_pong: jack and emma say the same to each other again and again";
    assert_eq!(found, one(told, 4));
}

#[test]
fn agents_that_say_something_else_each_time_are_left_alone() {
    let found = findings(|run| {
        for number in 0..9 {
            say(run, "jack", "emma", format!("question {number}"));
            say(run, "emma", "jack", "Yes.");
        }
        say(run, "emma", "jack", "");
        say(run, "jack", "emma", "");
        say(run, "emma", "jack", "");
        say(run, "jack", "emma", "");
    });
    assert_eq!(found, []);
}

fn call(run: &Span, name: &'static str, arguments: impl Into<Value>) {
    let span = run.start_child(SpanKind::ToolCall, []);
    let attributes: Vec<_> = vec![
        ("ag2.function.name".into(), name.into()),
        ("ag2.function.arguments".into(), arguments.into()),
    ];
    span.record_event(EventKind::ToolExecution, attributes);
    span.end();
}

#[test]
fn the_same_tool_call_for_the_third_time() {
    let found = findings(|run| {
        call(run, "add", r#"{"a": 1, "b": 2}"#);
        call(run, "add", r#"{"a": 1, "b": 3}"#);
        call(run, "sub", r#"{"a": 1, "b": 2}"#);
        call(run, "add", r#"{"b":2,"a":1}"#);
        call(run, "add", map(&[("b", 2_i64.into()), ("a", 1_i64.into())]));
        call(run, "add", r#"{"a": 1, "b": 2}"#);
    });
    assert_eq!(found, one("repeated_tool_call: add was called 3 times with the same arguments", 3));
}

fn hand_off(group: &Span, from: &str, to: &str) {
    let span = group.start_child(SpanKind::SwarmOnCondition, []);
    let attributes: Vec<_> =
        vec![("ag2.swarm.source".into(), text(from)), ("ag2.agent.next_speaker".into(), text(to))];
    span.record_event(EventKind::SwarmTransition, attributes);
    span.end();
}

#[test]
fn hand_offs_that_go_round_twice() {
    let found = findings(|run| {
        for _ in 0..4 {
            hand_off(run, "ana", "ben");
            hand_off(run, "ben", "cal");
            hand_off(run, "cal", "ana");
        }
    });
    assert_eq!(found, one("hand_off_cycle: hand-offs go round: ana → ben → cal → ana", 6));
}

#[test]
fn hand_offs_to_and_fro_by_way_of_others_are_no_circle() {
    let found = findings(|run| {
        let (one, two) =
            (run.start_child(SpanKind::GroupChat, []), run.start_child(SpanKind::GroupChat, []));
        hand_off(&one, "ana", "ben");
        hand_off(&one, "ben", "ana");
        hand_off(&two, "ana", "ben");
        hand_off(&two, "ben", "ana");
        hand_off(&one, "ana", "cal");
        hand_off(&one, "cal", "ana");
        hand_off(&one, "ana", "ben");
    });
    assert_eq!(found, []);
}

/// A group chat in which these are chosen in turn; each choice and each reply costs what is given.
fn group_chat(run: &Span, chosen: &[&str], choice_usd: f64, reply_usd: f64) {
    let agents: Vec<Value> = ["ana", "ben", "cal", "_Group_Tool_Executor"].map(Value::from).into();
    let group = run.start_child(SpanKind::GroupChat, vec![("ag2.agents".into(), agents.into())]);
    for name in chosen {
        let round = group.start_child(SpanKind::Round, []);
        let selection = round.start_child(SpanKind::GroupchatSelectSpeaker, []);
        pay(&selection.start_child(SpanKind::Chat, []), choice_usd);
        selection.set_attribute("ag2.agent.selected", text(name));
        selection.end();
        pay(&round.start_child(SpanKind::Reply, []), reply_usd);
        round.end();
    }
    group.end();
}

fn pay(parent: &Span, usd: f64) {
    let call = parent.start_child(SpanKind::LlmCall, []);
    call.record_event(EventKind::Cost, [(keys::COST.into(), usd.into())]);
    call.end();
    parent.end();
}

#[test]
fn an_agent_that_is_never_chosen() {
    let told = "agent_never_chosen: cal was never chosen in 4 selections";
    assert_eq!(
        findings(|run| group_chat(run, &["ana", "ben", "ana", "ben"], 0.0, 0.1)),
        one(told, 4)
    );
    assert_eq!(
        findings(|run| group_chat(run, &["ana", "ben"], 0.0, 0.1)),
        [],
        "too few turns to tell"
    );
    assert_eq!(findings(|run| group_chat(run, &["ana", "ben", "cal"], 0.0, 0.1)), []);
}

#[test]
fn choosing_that_costs_more_than_the_work() {
    let told = "costly_selection: choosing who speaks cost $0.600000, what was said $0.300000";
    let all = ["ana", "ben", "cal"];
    assert_eq!(findings(|run| group_chat(run, &all, 0.2, 0.1)), one(told, 3));
    assert_eq!(findings(|run| group_chat(run, &all, 0.1, 0.1)), []);
}

/// Model calls of an agent whose context grows by two messages each time.
fn ask_again_and_again(run: &Span, said: &[&str]) {
    let mut context = callboard::Context::empty();
    for words in said.chunks(2) {
        for words in words {
            context = context.push(callboard::Message::new(map(&[("content", text(words))])));
        }
        let attributes: Vec<_> = vec![
            ("gen_ai.agent.name".into(), "ann".into()),
            ("gen_ai.input.messages".into(), Value::Messages(context.clone())),
        ];
        run.start_child(SpanKind::LlmCall, attributes).end();
    }
}

#[test]
fn a_context_that_grows_by_what_stood_in_it() {
    let told =
        "idle_context: what ann is asked grew over 3 calls to 8 messages, and none of it is new";
    let idle = ["Go.", "Yes?", "Go.", "Yes?", "Go.", "Yes?", "Go.", "Yes?", "Go.", "Yes?"];
    assert_eq!(findings(|run| ask_again_and_again(run, &idle)), one(told, 3));
    let busy = ["a", "b", "c", "d", "a", "e", "b", "f", "c", "g"];
    assert_eq!(findings(|run| ask_again_and_again(run, &busy)), []);
}
