//! What the detectors find, and what they leave alone.

use callboard::testing::MemoryProvider;
use callboard::{EventKind, Prices, Record, Span, SpanKind, Value, keys};

use crate::recording::{manager, map, say, say_so, text};

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

fn group(run: &Span, manager: Option<&str>) -> Span {
    let manager = manager.map(|name| ("gen_ai.agent.name".into(), text(name)));
    run.start_child(SpanKind::GroupChat, Vec::from_iter(manager))
}

#[test]
fn two_speakers_of_a_group_that_do() {
    let told = "ping_pong: jack and emma say the same to each other again and again";
    for silent in [false, true] {
        let found = findings(|run| {
            let group = group(run, Some("manager"));
            for (by, other) in [("jack", "emma"), ("emma", "jack")].repeat(2) {
                let round = group.start_child(SpanKind::Round, []);
                say_so(&round, by, "manager", by, silent);
                say_so(&round, "manager", other, by, true);
                say_so(&round, "manager", "cal", by, true);
                round.end();
            }
            group.end();
        });
        assert_eq!(found, one(told, 4), "{silent}");
    }
    let found = findings(|run| {
        let group = group(run, None);
        for (by, other) in [("jack", "emma"), ("emma", "jack")].repeat(2) {
            say(&group, by, other, by);
            say_so(&group, by, "cal", by, true);
        }
        group.end();
    });
    assert_eq!(found, one(told, 4), "nobody manages it");
}

#[test]
fn two_agents_that_speak_to_a_third_or_in_chats_of_their_own_are_left_alone() {
    let found = findings(|run| {
        for round in 0..4 {
            for agent in ["ann", "ben"] {
                let chat = run.start_child(SpanKind::Chat, []);
                say(&chat, "boss", agent, format!("Review {round}"));
                say(&chat, agent, "boss", "APPROVED");
                chat.end();
            }
            let chat = run.start_child(SpanKind::Chat, []);
            say(&chat, "boss", "cal", "Ready?");
            say(&chat, "cal", "boss", "Yes.");
            chat.end();
        }
    });
    assert_eq!(found, []);
}

#[test]
fn a_silent_chat_is_listened_to_and_a_frameworks_own_is_not() {
    let chat_of = |run: &Span, internal: bool| {
        let chat =
            run.start_child(SpanKind::Chat, vec![(keys::AGENT_INTERNAL.into(), internal.into())]);
        for (by, to) in [("jack", "emma"), ("emma", "jack")].repeat(3) {
            say_so(&chat, by, to, by, true);
        }
        chat.end();
    };
    let told = "ping_pong: jack and emma say the same to each other again and again";
    assert_eq!(findings(|run| chat_of(run, false)), one(told, 4));
    assert_eq!(findings(|run| chat_of(run, true)), []);
    let replayed = |run: &Span| {
        for (by, to) in [("jack", "manager"), ("manager", "jack")].repeat(3) {
            say_so(run, by, to, by, true);
        }
    };
    assert_eq!(findings(replayed), [], "silent, and in no chat");
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

#[test]
fn the_same_tool_call_by_different_agents_is_none_of_its_kind() {
    let found = findings(|run| {
        for agent in ["ann", "ben", "cal"] {
            let span = run
                .start_child(SpanKind::ToolCall, vec![("gen_ai.agent.name".into(), text(agent))]);
            span.record_event(
                EventKind::ToolExecution,
                [("ag2.function.name".into(), "look".into())],
            );
            span.end();
        }
    });
    assert_eq!(found, []);
}

/// Chats of this kind, one after the other, in each of which a tool is called so many times with the same arguments.
fn chats_of_calls(run: &Span, kind: SpanKind, calls: &[usize]) {
    for times in calls {
        let chat = run.start_child(kind.clone(), []);
        let reply = chat.start_child(SpanKind::Reply, []);
        for _ in 0..*times {
            call(&reply, "look", "{}");
        }
        reply.end();
        chat.end();
    }
}

#[test]
fn the_same_tool_call_in_separate_chats_is_no_repetition() {
    let told = "repeated_tool_call: look was called 3 times with the same arguments";
    for kind in [SpanKind::Chat, SpanKind::GroupChat, SpanKind::NestedChat, SpanKind::Reply] {
        let in_chats = |calls: &[usize]| findings(|run| chats_of_calls(run, kind.clone(), calls));
        assert_eq!(in_chats(&[1, 1, 1, 2, 2]), [], "{kind:?}");
        assert_eq!(in_chats(&[1, 3, 2]), one(told, 3), "{kind:?}");
        assert_eq!(in_chats(&[3, 4]), [one(told, 3), one(told, 3)].concat(), "{kind:?}");
    }
}

#[test]
fn a_tool_is_called_by_who_asks_for_it() {
    let calls = |run: &Span, callers: &[&str]| {
        let group = run.start_child(SpanKind::GroupChat, []);
        for name in callers {
            let attributes = vec![
                ("gen_ai.agent.name".into(), "executor".into()),
                (keys::TOOL_CALLER.into(), text(name)),
            ];
            let span = group.start_child(SpanKind::ToolCall, attributes);
            let name = ("ag2.function.name".into(), "look".into());
            span.record_event(EventKind::ToolExecution, [name]);
            span.end();
        }
        group.end();
    };
    assert_eq!(findings(|run| calls(run, &["ana", "ben", "cal", "ana", "ben"])), []);
    let told = "repeated_tool_call: look was called 3 times with the same arguments";
    assert_eq!(findings(|run| calls(run, &["ana", "ben", "ana", "ana"])), one(told, 3));
}

fn hand_off(group: &Span, from: &str, to: &str) {
    hand_off_by(group, from, to, "ON_CONDITION");
}

fn hand_off_by(group: &Span, from: &str, to: &str, rule: &'static str) {
    let span = group.start_child(SpanKind::SwarmOnCondition, []);
    hand_off_in(&span, from, to, rule);
    span.end();
}

fn hand_off_in(span: &Span, from: &str, to: &str, rule: &'static str) {
    let attributes: Vec<_> = vec![
        ("ag2.swarm.source".into(), text(from)),
        ("ag2.agent.next_speaker".into(), text(to)),
        ("ag2.transition_reason".into(), rule.into()),
    ];
    span.record_event(EventKind::SwarmTransition, attributes);
}

/// A group chat with a round for each of these hand-offs, which are events in the rounds.
fn rounds_of(run: &Span, hand_offs: &[(&str, &str)], rule: &'static str) {
    let group = run.start_child(SpanKind::GroupChat, []);
    for (from, to) in hand_offs {
        let round = group.start_child(SpanKind::Round, []);
        hand_off_in(&round, from, to, rule);
        round.end();
    }
    group.end();
}

#[test]
fn a_circle_of_hand_offs_without_spans() {
    let circle = [("ana", "ben"), ("ben", "ana")].repeat(2);
    let told = "hand_off_cycle: hand-offs go round: ana → ben → ana";
    assert_eq!(findings(|run| rounds_of(run, &circle, "REPLY_RESULT")), one(told, 4));
    assert_eq!(findings(|run| rounds_of(run, &circle, "AFTER_WORK")), [], "nobody decided it");
    let halves = |run: &Span| {
        for half in circle.chunks(2) {
            rounds_of(run, half, "REPLY_RESULT");
        }
    };
    assert_eq!(findings(halves), [], "each group chat has half of it");
    let without_rounds = |run: &Span| {
        let channel = run.start_child(SpanKind::GroupChat, []);
        for (from, to) in &circle {
            hand_off_in(&channel, from, to, "REPLY_RESULT");
        }
        channel.end();
    };
    assert_eq!(findings(without_rounds), one(told, 1), "all of them are in one span");
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
fn turns_in_a_fixed_order_are_no_circle() {
    let rounds = |run: &Span, last: &'static str| {
        for _ in 0..4 {
            hand_off_by(run, "ana", "ben", "AFTER_WORK");
            hand_off_by(run, "ben", "ana", last);
        }
    };
    assert_eq!(findings(|run| rounds(run, "AFTER_WORK")), []);
    let told = "hand_off_cycle: hand-offs go round: ana → ben → ana";
    assert_eq!(findings(|run| rounds(run, "REPLY_RESULT")), one(told, 4));
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

/// A group chat in which these are chosen in turn; each choice and each reply costs what is given, or is unpriced.
/// It ends at its round limit.
fn group_chat(run: &Span, chosen: &[&str], choice_usd: Option<f64>, reply_usd: Option<f64>) {
    group_chat_of(
        run,
        &["ana", "ben", "_cal"],
        chosen,
        choice_usd,
        reply_usd,
        "Max rounds reached",
    );
}

fn group_chat_of(
    run: &Span,
    agents: &[&str],
    chosen: &[&str],
    choice_usd: Option<f64>,
    reply_usd: Option<f64>,
    termination: &'static str,
) {
    let names =
        |names: &[&str]| Value::from(names.iter().map(|name| text(name)).collect::<Vec<_>>());
    let attributes = vec![
        ("ag2.agents".into(), names(&[agents, &["executor", "opener"]].concat())),
        ("callboard.groupchat.internal_agents".into(), names(&["executor"])),
        ("callboard.groupchat.opened_by".into(), "opener".into()),
    ];
    let group = run.start_child(SpanKind::GroupChat, attributes);
    for name in chosen {
        let round = group.start_child(SpanKind::Round, []);
        let selection = round.start_child(SpanKind::GroupchatSelectSpeaker, []);
        pay(&selection.start_child(SpanKind::Chat, []), choice_usd);
        selection.set_attribute("ag2.agent.selected", text(name));
        selection.end();
        pay(&round.start_child(SpanKind::Reply, []), reply_usd);
        round.end();
    }
    group.set_attribute("ag2.groupchat.termination", termination);
    group.end();
}

fn pay(parent: &Span, usd: Option<f64>) {
    let call = parent.start_child(SpanKind::LlmCall, []);
    let attribute = match usd {
        Some(usd) => (keys::COST.into(), usd.into()),
        None => (keys::COST_UNPRICED.into(), true.into()),
    };
    call.record_event(EventKind::Cost, [attribute]);
    call.end();
    parent.end();
}

#[test]
fn an_agent_that_is_never_chosen() {
    let told = "agent_never_chosen: _cal was never chosen in 4 selections";
    let chosen = |names: &[&str]| findings(|run| group_chat(run, names, Some(0.0), Some(0.1)));
    assert_eq!(chosen(&["ana", "ben", "ana", "ben"]), one(told, 4));
    assert_eq!(chosen(&["ana", "ben"]), [], "too few turns to tell");
    assert_eq!(chosen(&["ana", "ben", "_cal", "ana"]), []);
}

#[test]
fn an_agent_that_a_group_without_a_limit_did_not_need() {
    let ended = |termination| {
        findings(|run| {
            let chosen = ["ana", "ben", "ana", "ben"];
            group_chat_of(run, &["ana", "ben", "_cal"], &chosen, Some(0.0), Some(0.1), termination);
        })
    };
    for reason in ["No reply", "No eligible speaker", "Termination message"] {
        assert_eq!(ended(reason), [], "{reason}");
    }
    assert_eq!(ended("Max rounds reached").len(), 1);
}

#[test]
fn one_or_several_in_a_sentence() {
    let said = |agents: &[&str], chosen: &[&str]| {
        findings(|run| {
            group_chat_of(run, agents, chosen, Some(0.0), Some(0.1), "Max rounds reached");
        })
    };
    let several = "agent_never_chosen: ben, cal were never chosen in 4 selections";
    assert_eq!(said(&["ana", "ben", "cal"], &["ana"; 4]), one(several, 4));
    let single = "agent_never_chosen: ben was never chosen in 2 selections";
    assert_eq!(said(&["ben"], &["opener"; 2]), one(single, 2));
}

#[test]
fn choosing_that_costs_more_than_the_work() {
    let told = "costly_selection: choosing who speaks cost $0.600000, what was said $0.300000";
    let all = ["ana", "ben", "_cal"];
    let cost = |choice, reply| findings(|run| group_chat(run, &all, choice, reply));
    assert_eq!(cost(Some(0.2), Some(0.1)), one(told, 3));
    assert_eq!(cost(Some(0.1), Some(0.1)), []);
    assert_eq!(cost(Some(0.2), None), [], "nobody knows what the work cost");
    assert_eq!(cost(None, Some(0.1)), [], "nor what choosing did");
}

#[test]
fn work_in_a_group_within_is_work() {
    let found = findings(|run| {
        let group = group(run, None);
        let round = group.start_child(SpanKind::Round, []);
        pay(&round.start_child(SpanKind::GroupchatSelectSpeaker, []), Some(0.2));
        let reply = round.start_child(SpanKind::Reply, []);
        group_chat(&reply, &["ana"], Some(0.0), Some(0.3));
        reply.end();
        round.end();
        group.end();
    });
    assert_eq!(found, []);
    let told = "costly_selection: choosing who speaks cost $0.300000, what was said $0.200000";
    let found = findings(|run| {
        let group = group(run, None);
        let choice = group.start_child(SpanKind::GroupchatSelectSpeaker, []);
        group_chat(&choice, &["ana"], Some(0.0), Some(0.3));
        choice.end();
        pay(&group.start_child(SpanKind::Reply, []), Some(0.2));
        group.end();
    });
    assert_eq!(found, one(told, 1), "as a group that helps to choose is choosing");
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

/// Model calls of an agent that calls a tool with these arguments, one after the other, and is told `ok` each time.
fn call_tools(run: &Span, arguments: &[&str]) {
    let mut context = callboard::Context::empty();
    for (index, arguments) in arguments.iter().enumerate() {
        let function = map(&[("name", "write".into()), ("arguments", text(arguments))]);
        let call = map(&[("id", text(&format!("call_{index}"))), ("function", function)]);
        let asks = map(&[("content", "".into()), ("tool_calls", vec![call].into())]);
        let answer = map(&[("role", "tool".into()), ("content", "ok".into())]);
        for message in [asks, answer] {
            context = context.push(callboard::Message::new(message));
        }
        let history = ("gen_ai.input.messages".into(), Value::Messages(context.clone()));
        run.start_child(SpanKind::LlmCall, vec![history]).end();
    }
}

#[test]
fn a_tool_that_is_called_with_other_arguments_is_something_new() {
    assert_eq!(findings(|run| call_tools(run, &["a", "b", "c", "d", "e"])), []);
    let told = "idle_context: what a model is asked grew over 3 calls to 8 messages, and none of it is new";
    assert_eq!(findings(|run| call_tools(run, &["a", "a", "a", "a", "a"])), one(told, 3));
}
