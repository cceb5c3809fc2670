//! One provider, several runs: each is read by itself, and the costs of all together.

use callboard::{
    CostTrackerProvider, DiagramOptions, EventKind, InstrumentationManager, MermaidConfig,
    MermaidDiagramProvider, Money, Prices, RunFilter, Span, SpanKind, TraceId, keys,
};

use crate::recording::{self, model_call, say, text, with};

fn watched() -> (InstrumentationManager, CostTrackerProvider, MermaidDiagramProvider) {
    let manager = recording::manager(Prices::default());
    let (costs, diagram) = (CostTrackerProvider::default(), MermaidDiagramProvider::default());
    manager.register(Box::new(costs.clone()));
    manager.register(Box::new(diagram.clone()));
    (manager, costs, diagram)
}

/// A run in which an agent says something, at this cost.
fn a_run(manager: &InstrumentationManager, agent: &str, usd: f64) -> Span {
    let run = manager.start_run("test", []);
    let chat = run.start_child(
        SpanKind::Chat,
        vec![
            (keys::AGENT_SENDER.into(), text(agent)),
            (keys::AGENT_RECIPIENT.into(), text("emma")),
        ],
    );
    say(&chat, agent, "emma", format!("I am {agent}."));
    let cost = with(model_call("openai", "gpt-4o-mini", 10, 1), keys::COST_CONFIGURED, usd);
    chat.record_event(EventKind::Cost, with(cost, keys::AGENT_NAME, text(agent)));
    chat.end();
    run
}

fn whole() -> DiagramOptions {
    DiagramOptions::default()
}

fn arrows(diagram: &str) -> Vec<&str> {
    let lines = diagram.lines().map(str::trim);
    lines.filter(|line| line.contains("->>") || line.contains("no longer")).collect()
}

#[test]
fn a_diagram_is_one_runs() {
    let (manager, _, diagram) = watched();
    let (one, two) = (a_run(&manager, "jack", 0.0), a_run(&manager, "bob", 0.0));
    say(&one, "jack", "emma", "And again.");
    one.end();
    assert_eq!(arrows(&diagram.generate_sequence_diagram()), ["bob->>emma: I am bob."]);
    let first = ["jack->>emma: I am jack.", "jack->>emma: And again."];
    assert_eq!(arrows(&diagram.draw_run(&one, &whole()).unwrap()), first);
    assert_eq!(arrows(&diagram.draw_run(one.trace_id(), &whole()).unwrap()), first);
    let child = two.start_child(SpanKind::Round, []);
    assert_eq!(
        diagram.draw_run(&child, &whole()).as_deref(),
        Some(diagram.generate_sequence_diagram().as_str())
    );
    let shortened = DiagramOptions { fold: false, max_messages: Some(1) };
    assert_eq!(arrows(&diagram.draw_run(&one, &shortened).unwrap()), first[..1]);
    assert_eq!(diagram.interactions().len(), 3, "of all runs");
    assert_eq!(diagram.interactions_of_run(&two).map(|said| said.len()), Some(1));
    assert_eq!(diagram.participants(), ["jack", "emma", "bob"]);
    assert_eq!(diagram.draw_run(TraceId::from_int(u128::MAX), &whole()), None);
}

#[test]
fn the_last_run_is_the_one_that_began_last() {
    let (manager, _, diagram) = watched();
    let first = a_run(&manager, "jack", 0.0);
    a_run(&manager, "bob", 0.0).end();
    say(&first, "jack", "emma", "I go on.");
    assert_eq!(arrows(&diagram.generate_sequence_diagram()), ["bob->>emma: I am bob."]);
    let _quiet = manager.start_run("test", []);
    assert_eq!(diagram.generate_sequence_diagram(), "sequenceDiagram", "nothing was said in it");
}

#[test]
fn the_oldest_messages_of_all_runs_go_first_and_are_counted_by_run() {
    let manager = recording::manager(Prices::default());
    let diagram =
        MermaidDiagramProvider::new(MermaidConfig { kept_messages: 3, ..MermaidConfig::default() });
    manager.register(Box::new(diagram.clone()));
    let runs = ["one", "two"].map(|name| {
        let run = manager.start_run("test", []);
        for number in 1..=3 {
            say(&run, "jack", "emma", format!("{name} {number}"));
        }
        run
    });
    let drawn = |run: &Span| diagram.draw_run(run, &whole()).unwrap();
    assert_eq!(drawn(&runs[0]), "sequenceDiagram\n    %% 3 earlier messages are no longer kept");
    assert_eq!(arrows(&drawn(&runs[1])).len(), 3);
    say(&runs[1], "jack", "emma", "two 4");
    assert_eq!(
        arrows(&drawn(&runs[1])),
        [
            "Note over jack,emma: 1 earlier message is no longer kept",
            "jack->>emma: two 2",
            "jack->>emma: two 3",
            "jack->>emma: two 4"
        ]
    );
    assert_eq!(diagram.interactions().len(), 3);
}

#[test]
fn costs_are_of_all_runs_or_of_one() {
    let (manager, costs, _) = watched();
    let (one, two) = (a_run(&manager, "jack", 0.25), a_run(&manager, "bob", 0.5));
    for (key, value) in [(keys::COST_UNPRICED, true), (keys::COST_CACHED, true)] {
        two.record_event(EventKind::Cost, with(model_call("mine", "my-model", 7, 3), key, value));
    }
    assert_eq!((costs.total_cost(), costs.cost_by_agent().len()), (0.75, 2));
    let of_one = costs.summary_of_run(&one).unwrap();
    assert_eq!((of_one.total.usd(), of_one.events, of_one.unpriced.len()), (0.25, 1, 0));
    assert_eq!(of_one.by_agent[0].name, "jack");
    assert_eq!(of_one.by_chat[0].name, "jack → emma");
    let of_two = costs.summary_of_run(two.trace_id()).unwrap();
    assert_eq!((of_two.total.usd(), of_two.cached_calls), (0.5, 1));
    assert_eq!((of_two.unpriced[0].model.as_str(), of_two.unpriced[0].calls), ("my-model", 1));
    assert_eq!(costs.cost_history_of_run(&one).map(|history| history.len()), Some(1));
    assert!(costs.report_of_run(&two).unwrap().starts_with("Cost: $0.500000 (1 cost event)"));
    assert_eq!(costs.cost_by_message_of_run(&one, 9), Some(vec![]), "no history was recorded");
    let unknown = RunFilter::from(TraceId::from_int(u128::MAX));
    assert_eq!(costs.summary_of_run(unknown), None);
    assert_eq!(costs.cost_by_message_of_run(unknown, 9), None);
    assert_eq!(costs.cost_history_of_run(unknown), None);
    assert_eq!(costs.report_of_run(unknown), None);
    let quiet = manager.start_run("test", []);
    assert_eq!(costs.summary_of_run(&quiet), Some(Default::default()), "it cost nothing so far");
}

#[test]
fn messages_of_one_run() {
    let (manager, costs, _) = watched();
    let runs = ["Hello.", "Goodbye."].map(|words| {
        let run = manager.start_run("test", []);
        let body = recording::map(&[("role", "user".into()), ("content", text(words))]);
        let history = callboard::Context::empty().push(callboard::Message::new(body));
        let history = ("gen_ai.input.messages".into(), callboard::Value::Messages(history));
        let call = run.start_child(SpanKind::LlmCall, vec![history]);
        call.record_event(EventKind::Cost, model_call("openai", "gpt-4o-mini", 1_000, 0));
        call.end();
        run
    });
    assert_eq!(costs.cost_by_message(9).len(), 2);
    let messages = costs.cost_by_message_of_run(&runs[1], 9).unwrap();
    let texts: Vec<_> = messages.iter().map(|message| message.text.as_deref()).collect();
    assert_eq!(texts, [Some("Goodbye.")]);
    assert_eq!(
        (messages[0].share, messages[0].input_cost),
        (1.0, Money::from_usd(0.00015).unwrap())
    );
}

#[test]
fn all_runs_of_a_trace_add_up() {
    let (manager, costs, diagram) = watched();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().unwrap();
    let runs = [("jack", 0.25), ("jack", 0.5)].map(|(agent, usd)| {
        let run = manager.start_run_within(Some(parent), "test", []);
        say(&run, agent, "emma", "Hi.");
        let cost = with(vec![(keys::COST.into(), usd.into())], keys::AGENT_NAME, text(agent));
        run.record_event(EventKind::Cost, cost);
        run
    });
    assert_eq!(runs[0].trace_id(), runs[1].trace_id());
    let of_trace = costs.summary_of_run(runs[0].trace_id()).unwrap();
    assert_eq!((of_trace.total.usd(), of_trace.by_agent.len()), (0.75, 1));
    assert_eq!(of_trace.by_agent[0].cost, of_trace.total);
    assert_eq!(costs.summary_of_run(&runs[1]).unwrap().total.usd(), 0.5);
    assert_eq!(arrows(&diagram.draw_run(runs[0].trace_id(), &whole()).unwrap()).len(), 2);
    assert_eq!(arrows(&diagram.draw_run(&runs[0], &whole()).unwrap()).len(), 1);
}
