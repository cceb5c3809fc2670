//! What each message cost over its life: who carried it how often, and that the shares are what was billed.

use callboard::{
    Attribute, Context, CostTrackerProvider, EventKind, InstrumentationManager, Message,
    MessageCost, Money, Prices, Span, SpanKind, Value, keys,
};
use proptest::prelude::*;

use crate::recording::{self, map, text};

fn tracked() -> (InstrumentationManager, CostTrackerProvider) {
    let manager = recording::manager(Prices::default());
    let costs = CostTrackerProvider::default();
    manager.register(Box::new(costs.clone()));
    (manager, costs)
}

fn message(role: &str, content: &str) -> Value {
    map(&[("role", text(role)), ("content", text(content))])
}

fn named(name: &str, content: &str) -> Value {
    map(&[("role", "user".into()), ("name", text(name)), ("content", text(content))])
}

fn result(call: &str, content: &str) -> Value {
    map(&[("role", "tool".into()), ("tool_call_id", text(call)), ("content", text(content))])
}

fn tool_call(id: &str, name: &str) -> Value {
    let function = map(&[("name", text(name)), ("arguments", "{}".into())]);
    let call = map(&[("id", text(id)), ("type", "function".into()), ("function", function)]);
    map(&[
        ("role", "assistant".into()),
        ("content", Value::Null),
        ("tool_calls", vec![call].into()),
    ])
}

fn answered(content: &str) -> Value {
    let part = map(&[("type", "text".into()), ("content", text(content))]);
    vec![map(&[("role", "assistant".into()), ("parts", vec![part].into())])].into()
}

fn context(messages: &[Value]) -> Context {
    messages
        .iter()
        .fold(Context::empty(), |context, message| context.push(Message::new(message.clone())))
}

/// A call of a model, as a hook records one: its history, what was billed in picodollars for input and output, its answer.
struct Call<'a> {
    agent: &'a str,
    history: Context,
    tokens: (i64, i64),
    billed: (i64, i64),
    says: Option<&'a str>,
    more: Vec<Attribute>,
}

impl Default for Call<'_> {
    fn default() -> Self {
        let (tokens, billed) = ((0, 0), (0, 0));
        Self { agent: "emma", history: Context::empty(), tokens, billed, says: None, more: vec![] }
    }
}

fn usd(picodollars: i64) -> Value {
    Money::from_picodollars(picodollars.into()).usd().into()
}

fn make(parent: &Span, call: Call<'_>) {
    let mut attributes = vec![
        ("gen_ai.agent.name".into(), text(call.agent)),
        ("gen_ai.input.messages".into(), Value::Messages(call.history)),
    ];
    attributes.extend(call.more);
    let span = parent.start_child(SpanKind::LlmCall, attributes);
    let cost = vec![
        (keys::COST.into(), usd(call.billed.0 + call.billed.1)),
        (keys::COST_INPUT.into(), usd(call.billed.0)),
        (keys::LLM_INPUT_TOKENS.into(), call.tokens.0.into()),
        (keys::LLM_OUTPUT_TOKENS.into(), call.tokens.1.into()),
    ];
    span.record_event(EventKind::Cost, cost);
    if let Some(says) = call.says {
        span.set_attribute("gen_ai.output.messages", answered(says));
    }
    span.end();
}

fn shown(messages: &[MessageCost]) -> String {
    let line = |message: &MessageCost| {
        let text = message.text.as_deref().unwrap_or("-");
        let (cost, sent) = (message.cost().picodollars(), message.input_cost.picodollars());
        format!(
            "{message} | {text} | {} in, {} out | {sent} of {cost}",
            message.input_tokens, message.output_tokens
        )
    };
    messages.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_tools_result_that_is_sent_again_and_again() {
    let (manager, costs) = tracked();
    let run = manager.start_run("Research", []);
    let page = "The page says very much. ".repeat(40);
    let mut history = context(&[
        message("system", "You are emma."),
        message("user", "What does it say?"),
        tool_call("call-1", "read_page"),
        result("call-1", &page),
    ]);
    for turn in 0..4 {
        let says = format!("Answer {turn}.");
        let history_now = history.clone();
        let call = Call {
            history: history_now,
            tokens: (400, 10),
            billed: (4_000, 400),
            ..Call::default()
        };
        make(&run, Call { says: Some(&says), ..call });
        history = history.push(Message::new(message("assistant", &says)));
        history = history.push(Message::new(message("user", &format!("And {turn}?"))));
    }
    insta::assert_snapshot!(shown(&costs.cost_by_message(3)), @"
    a result of read_page, sent 4 times: about 79 % of the run (an estimate) | The page says very much. The page says very much. The page says very much. The page says very much. ... | 1386 in, 0 out | 13857 of 13857
    a message of emma, sent 3 times: about 4 % of the run (an estimate) | Answer 0. | 25 in, 10 out | 250 of 650
    a message of emma, sent 2 times: about 3 % of the run (an estimate) | Answer 1. | 16 in, 10 out | 164 of 564
    ");
    assert_eq!(costs.cost_by_message(usize::MAX).len(), 4 + 4 + 3);
    insta::assert_snapshot!(costs.report().lines().nth(1).unwrap(), @"Dearest message: a result of read_page, sent 4 times: about 79 % of the run (an estimate)");
}

#[test]
fn what_several_agents_have_in_their_histories_is_one_message() {
    let (manager, costs) = tracked();
    let run = manager.start_run("Chat", []);
    let ana = context(&[message("system", "You are ana."), named("ben", "Hello, ana.")]);
    make(
        &run,
        Call {
            agent: "ana",
            history: ana,
            billed: (100, 50),
            says: Some("Hello, ben."),
            ..Call::default()
        },
    );
    let ben = context(&[
        message("system", "You are ben."),
        message("assistant", "Hello, ana."),
        named("ana", "Hello, ben."),
    ]);
    make(
        &run,
        Call { agent: "ben", history: ben, billed: (150, 50), says: Some("OK"), ..Call::default() },
    );
    insta::assert_snapshot!(shown(&costs.cost_by_message(9)), @"
    a message of ben, sent 2 times: about 28 % of the run (an estimate) | Hello, ana. | 0 in, 0 out | 99 of 99
    a message of ana, sent once: about 28 % of the run (an estimate) | Hello, ben. | 0 in, 0 out | 49 of 99
    the system message of ana, sent once: about 15 % of the run (an estimate) | You are ana. | 0 in, 0 out | 51 of 51
    the system message of ben, sent once: about 15 % of the run (an estimate) | You are ben. | 0 in, 0 out | 51 of 51
    a message of ben, never sent: about 14 % of the run (an estimate) | OK | 0 in, 0 out | 0 of 50
    ");
}

#[test]
fn the_same_words_twice_in_a_history_are_two_messages() {
    let (manager, costs) = tracked();
    let run = manager.start_run("Chat", []);
    let words = ["OK", "OK", "OK"].map(|words| message("user", words));
    for length in 1..=3 {
        let history = context(&words[..length]);
        make(&run, Call { history, billed: (length as i64 * 100, 0), ..Call::default() });
    }
    let calls: Vec<_> = costs.cost_by_message(9).iter().map(|message| message.calls).collect();
    assert_eq!(calls, [3, 2, 1]);
}

#[test]
fn tools_answers_that_were_not_recorded_and_images_have_their_share() {
    let (manager, costs) = tracked();
    let run = manager.start_run("Chat", []);
    let function = map(&[("name", "look".into()), ("description", text(&"x".repeat(400)))]);
    let tools = vec![map(&[("type", "function".into()), ("function", function)])];
    let image = map(&[("type", "image_url".into()), ("image_url", "https://example.org/".into())]);
    let history = context(&[map(&[("role", "user".into()), ("content", vec![image].into())])]);
    let more = vec![("gen_ai.tool.definitions".into(), tools.into())];
    make(
        &run,
        Call { history, more, billed: (1_000, 300), tokens: (10_000, 7), ..Call::default() },
    );
    insta::assert_snapshot!(shown(&costs.cost_by_message(9)), @"
    a message (user), sent once: about 69 % of the run (an estimate) | [image] | 8962 in, 0 out | 896 of 896
    a message of emma, never sent: about 23 % of the run (an estimate) | - | 0 in, 7 out | 0 of 300
    the tools' definitions of emma, sent once: about 8 % of the run (an estimate) | look | 1038 in, 0 out | 104 of 104
    ");
}

#[test]
fn messages_that_are_not_recorded_have_a_role_and_a_length() {
    let (manager, costs) = tracked();
    let run = manager.start_run("Chat", []);
    let tool = run.start_child(
        SpanKind::ToolCall,
        [
            ("gen_ai.tool.call.id".into(), "call-1".into()),
            ("gen_ai.tool.name".into(), "look".into()),
        ],
    );
    tool.end();
    let body = map(&[("role", "tool".into()), ("tool_call_id", "call-1".into())]);
    let history = context(&[map(&[("role", "system".into())])]).push(Message::shortened(body, 984));
    make(&run, Call { history, billed: (1_016, 5), tokens: (254, 1), ..Call::default() });
    insta::assert_snapshot!(shown(&costs.cost_by_message(9)), @"
    a result of look, sent once: about 98 % of the run (an estimate) | - | 250 in, 0 out | 1000 of 1000
    the system message of emma, sent once: about 2 % of the run (an estimate) | - | 4 in, 0 out | 16 of 16
    a message of emma, never sent: about 0 % of the run (an estimate) | - | 0 in, 1 out | 0 of 5
    ");
}

#[test]
fn what_is_no_model_call_or_has_no_history_is_no_messages_cost() {
    let (manager, costs) = tracked();
    let run = manager.start_run("Chat", []);
    run.record_event(EventKind::Cost, [(keys::COST.into(), 0.5.into())]);
    let call =
        run.start_child(SpanKind::LlmCall, [("gen_ai.input.messages".into(), "dropped".into())]);
    call.record_event(EventKind::Cost, [(keys::COST.into(), 0.25.into())]);
    call.end();
    let cached = run.start_child(
        SpanKind::LlmCall,
        vec![("gen_ai.input.messages".into(), Value::Messages(context(&[message("user", "Hi.")])))],
    );
    cached.record_event(EventKind::Cost, [(keys::COST_CACHED.into(), true.into())]);
    cached.end();
    let messages = costs.cost_by_message(9);
    assert_eq!(messages.len(), 1);
    assert_eq!((messages[0].calls, messages[0].cost(), messages[0].share), (0, Money::ZERO, 0.0));
}

#[test]
fn calls_without_a_price_are_told_by_their_tokens() {
    let (manager, costs) = tracked();
    let run = manager.start_run("Chat", []);
    let history = context(&[message("user", "short"), message("user", &"long ".repeat(50))]);
    let attributes = vec![("gen_ai.input.messages".into(), Value::Messages(history))];
    let call = run.start_child(SpanKind::LlmCall, attributes);
    call.record_event(EventKind::Cost, recording::model_call("local", "my-model", 1_000, 100));
    call.end();
    let tokens: Vec<_> =
        costs.cost_by_message(9).iter().map(|one| (one.input_tokens, one.output_tokens)).collect();
    assert_eq!(tokens, [(927, 0), (0, 100), (73, 0)]);
}

#[test]
fn each_message_of_a_long_conversation_is_kept_once() {
    let (manager, costs) = tracked();
    let run = manager.start_run("Long", []);
    let mut history = Context::empty();
    for number in 0..1_000 {
        history = history.push(Message::new(message("user", &format!("message {number}"))));
        let history = history.clone();
        make(
            &run,
            Call { history, billed: (1_000 + number, 0), tokens: (number, 0), ..Call::default() },
        );
    }
    assert_eq!(costs.cost_by_message(1)[0].calls, 1_000);
    let messages = costs.cost_by_message(usize::MAX);
    assert_eq!(messages.len(), 1_000);
    assert_eq!(messages.iter().map(|one| one.calls).sum::<u64>(), 1_000 * 1_001 / 2);
}

#[test]
fn so_many_messages_are_kept_and_the_oldest_runs_go_first() {
    let (manager, costs) = tracked();
    let long = |length: usize| {
        (0..length).fold(Context::empty(), |history, number| {
            history.push(Message::new(message("user", &format!("message {number}"))))
        })
    };
    for (name, length) in [("one", 90_000), ("two", 90_000), ("three", 90_000), ("four", 300_000)] {
        let run = manager.start_run(name, []);
        make(&run, Call { history: long(length), billed: (1_000_000, 0), ..Call::default() });
        run.end();
    }
    let messages = costs.cost_by_message(usize::MAX);
    let mut runs: Vec<_> = messages.iter().map(|message| message.run.as_str()).collect();
    runs.sort_unstable();
    runs.dedup();
    assert_eq!((runs, messages.len()), (vec!["three", "two"], 180_000));
    assert_eq!(costs.total().picodollars(), 4_000_000, "sums lose nothing");
}

/// A call in a random run: which earlier history it goes on from, with which messages, whose, and what was billed.
type Step = (usize, Vec<usize>, usize, (i64, i64), (i64, i64), Option<usize>);

fn step() -> impl Strategy<Value = Step> {
    let billed = (0..2_000_000_000_000_i64, 0..1_000_000_i64);
    let tokens = (0..1_000_000_i64, 0..1_000_i64);
    let words = prop::collection::vec(0..6_usize, 1..4);
    (0..40_usize, words, 0..3_usize, billed, tokens, prop::option::of(0..6_usize))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_messages_cost_is_what_was_billed_exactly(steps in prop::collection::vec(step(), 1..40)) {
        let (manager, costs) = tracked();
        let run = manager.start_run("Random", []);
        let said = |words: usize| format!("{words}").repeat(words * words * 100 + 1);
        let mut histories = vec![Context::empty()];
        for (from, words, agent, billed, tokens, says) in &steps {
            let mut history = histories[from % histories.len()].clone();
            for words in words {
                history = history.push(Message::new(message("user", &said(*words))));
            }
            histories.push(history.clone());
            let (agent, says) = (format!("agent {agent}"), says.map(said));
            let (billed, tokens) = (*billed, *tokens);
            make(&run, Call { agent: &agent, history, tokens, billed, says: says.as_deref(), more: vec![] });
        }
        let messages = costs.cost_by_message(usize::MAX);
        let sum = |of: fn(&Step) -> i64| steps.iter().map(|step| i128::from(of(step))).sum::<i128>();
        let input: Money = messages.iter().map(|one| one.input_cost).sum();
        let output: Money = messages.iter().map(|one| one.output_cost).sum();
        prop_assert_eq!(input.picodollars(), sum(|step| step.3.0));
        prop_assert_eq!(output.picodollars(), sum(|step| step.3.1));
        prop_assert_eq!(input + output, costs.total());
        let tokens: u64 = messages.iter().map(|one| one.input_tokens).sum();
        prop_assert_eq!(i128::from(tokens), sum(|step| step.4.0));
        let tokens: u64 = messages.iter().map(|one| one.output_tokens).sum();
        prop_assert_eq!(i128::from(tokens), sum(|step| step.4.1));
        let calls = messages.iter().map(|one| one.calls).max();
        prop_assert!(calls <= Some(steps.len() as u64), "no message is carried twice by one call");
        let whole: f64 = messages.iter().map(|one| one.share).sum();
        prop_assert!((whole - 1.0).abs() < 1e-6 || costs.total() == Money::ZERO, "{}", whole);
    }
}
