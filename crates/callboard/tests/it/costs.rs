//! The cost tracker: what counts, how it is shared out, and that every sum is the total.

use std::sync::mpsc;
use std::time::Duration;

use callboard::{
    CostTrackerConfig, CostTrackerProvider, EventKind, InstrumentationManager, Money, Prices,
    ProviderResult, Record, Share, Span, SpanKind, TelemetryProvider, Value, keys,
};
use proptest::prelude::*;

use crate::recording::{self, model_call, text, with};

fn tracked() -> (InstrumentationManager, CostTrackerProvider) {
    let manager = recording::manager(Prices::default());
    let costs = CostTrackerProvider::default();
    manager.register(Box::new(costs.clone()));
    (manager, costs)
}

fn chat(parent: &Span, kind: SpanKind, sender: &str, recipient: &str) -> Span {
    let attributes = vec![
        (keys::AGENT_SENDER.into(), text(sender)),
        (keys::AGENT_RECIPIENT.into(), text(recipient)),
    ];
    parent.start_child(kind, attributes)
}

fn spend(span: &Span, usd: impl Into<Value>) {
    span.record_event(EventKind::Cost, vec![(keys::COST.into(), usd.into())]);
}

fn shown(shares: &[Share]) -> String {
    let line = |share: &Share| format!("{}, {} of {}", share.name, share.cost, share.events);
    shares.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn two_model_calls_read_inside_the_run() {
    let (manager, costs) = tracked();
    assert_eq!((costs.total_cost(), costs.cost_history().len()), (0.0, 0));
    let run = manager.start_run("test", vec![]);
    for (input, output) in [(100, 60), (60, 15)] {
        let call = model_call("openai", "gpt-4o-mini-2024-07-18", input, output);
        run.record_event(EventKind::Cost, with(call, keys::AGENT_NAME, "emma"));
    }
    assert_eq!(format!("{:.6}", costs.total_cost()), "0.000069");
    let history = costs.cost_history();
    let entries = history.iter().map(|entry| Value::from(entry.clone()).to_json());
    insta::assert_snapshot!(entries.collect::<Vec<_>>().join("\n"), @r#"
    {"ag2.cost_type":"LLM","ag2.llm.provider":"openai","ag2.llm.model":"gpt-4o-mini-2024-07-18","ag2.llm.input_tokens":100,"ag2.llm.output_tokens":60,"ag2.agent.name":"emma","ag2.cost":0.000051,"callboard.cost.source":"genai-prices"}
    {"ag2.cost_type":"LLM","ag2.llm.provider":"openai","ag2.llm.model":"gpt-4o-mini-2024-07-18","ag2.llm.input_tokens":60,"ag2.llm.output_tokens":15,"ag2.agent.name":"emma","ag2.cost":0.000018,"callboard.cost.source":"genai-prices"}
    "#);
}

#[test]
fn whatever_has_a_numeric_cost_counts() {
    let (manager, costs) = tracked();
    let run = manager.start_run("test", vec![]);
    spend(&run, 0.5);
    spend(&run, 2_i64);
    spend(&run, 0.0);
    for no_cost in [Value::Null, true.into(), "1.5".into(), f64::NAN.into(), f64::INFINITY.into()] {
        spend(&run, no_cost);
    }
    run.record_event(EventKind::ConsolePrint, vec![(keys::COST.into(), 8.0.into())]);
    let search = vec![(keys::COST_TYPE.into(), "search".into()), (keys::COST.into(), 0.25.into())];
    run.record_event(EventKind::Cost, search);
    assert_eq!(costs.total_cost(), 2.75);
    assert_eq!(costs.cost_history().len(), 4);
    insta::assert_snapshot!(shown(&costs.cost_by_model()), @"
    (no model), $2.500000 of 3
    (search), $0.250000 of 1
    ");
}

#[test]
fn a_cost_belongs_to_the_nearest_chat_and_to_who_replies() {
    let (manager, costs) = tracked();
    let run = manager.start_run("test", vec![]);
    spend(&run, 0.001);
    for usd in [0.01, 0.02] {
        let chat = chat(&run, SpanKind::Chat, "jack", "emma");
        // Whoever replies is the recipient of a reply.
        let reply = self::chat(&chat, SpanKind::Reply, "jack", "emma");
        let call = reply.start_child(SpanKind::LlmCall, vec![]);
        spend(&call, usd);
        let nested = self::chat(&reply, SpanKind::NestedChat, "emma", "critic");
        spend(&self::chat(&nested, SpanKind::Reply, "emma", "critic"), 0.1);
        nested.end();
        // A child that starts after its parent's end.
        reply.end();
        spend(&reply.start_child(SpanKind::LlmCall, vec![]), 0.000_5);
    }
    let group = chat(&run, SpanKind::GroupChat, "chat_manager", "");
    let named = vec![(keys::COST.into(), 1.0.into()), (keys::AGENT_NAME.into(), "bob".into())];
    group.record_event(EventKind::Cost, named);
    insta::assert_snapshot!(shown(&costs.cost_by_chat()), @"
    chat_manager (group chat), $1.000000 of 1
    emma → critic (nested chat), $0.100000 of 1
    emma → critic (nested chat) (2), $0.100000 of 1
    jack → emma (2), $0.020500 of 2
    jack → emma, $0.010500 of 2
    (outside any chat), $0.001000 of 1
    ");
    insta::assert_snapshot!(shown(&costs.cost_by_agent()), @"
    bob, $1.000000 of 1
    critic, $0.200000 of 2
    emma, $0.031000 of 4
    (no agent), $0.001000 of 1
    ");
    insta::assert_snapshot!(costs.report(), @"
    Cost: $1.232000 (8 cost events)

    agent                 cost    events     tokens in    tokens out
    bob              $1.000000         1             0             0
    critic           $0.200000         2             0             0
    emma             $0.031000         4             0             0
    (no agent)       $0.001000         1             0             0

    model                 cost    events     tokens in    tokens out
    (no model)       $1.232000         8             0             0

    chat                                       cost    events     tokens in    tokens out
    chat_manager (group chat)             $1.000000         1             0             0
    emma → critic (nested chat)           $0.100000         1             0             0
    emma → critic (nested chat) (2)       $0.100000         1             0             0
    jack → emma (2)                       $0.020500         2             0             0
    jack → emma                           $0.010500         2             0             0
    (outside any chat)                    $0.001000         1             0             0
    ");
}

#[test]
fn what_has_no_price_and_what_was_saved_is_told_beside_the_total() {
    let (manager, costs) = tracked();
    let run = manager.start_run("test", vec![]);
    for _ in 0..3 {
        let call = model_call("local", "my-model", 1_000, 100);
        run.record_event(EventKind::Cost, with(call, keys::COST_FRAMEWORK, 0.0));
    }
    let hit = with(model_call("openai", "gpt-4o-mini", 1_000, 1_000), keys::COST_CACHED, true);
    run.record_event(EventKind::Cost, hit);
    let unpriced: Vec<_> = costs
        .unpriced()
        .iter()
        .map(|of| (of.model.clone(), of.calls, of.input_tokens, of.output_tokens))
        .collect();
    assert_eq!(unpriced, [("my-model".to_owned(), 3, 3_000, 300)]);
    assert_eq!(costs.saved(), 0.000_75);
    assert_eq!((costs.total_cost(), costs.cost_history().len()), (0.0, 0));
    assert_eq!(costs.summary().cached_calls, 1);
}

#[test]
fn a_bounded_history_loses_entries_and_no_sum() {
    let manager = recording::manager(Prices::default());
    let costs = CostTrackerProvider::new(CostTrackerConfig { history_entries: 2 });
    manager.register(Box::new(costs.clone()));
    let run = manager.start_run("test", vec![]);
    for usd in [0.1, 0.2, 0.3] {
        spend(&run, usd);
    }
    let kept: Vec<_> = costs.cost_history().into_iter().map(|entry| entry[0].1.clone()).collect();
    assert_eq!(kept, [Value::Double(0.2), Value::Double(0.3)]);
    assert_eq!((costs.total_cost(), costs.history_dropped()), (0.6, 1));
}

#[test]
fn a_history_of_large_entries_is_bounded_in_bytes() {
    let (manager, costs) = tracked();
    let run = manager.start_run("test", vec![]);
    for _ in 0..10 {
        let cost = vec![(keys::COST.into(), 0.5.into())];
        run.record_event(EventKind::Cost, with(cost, "note", "x".repeat(10 << 20)));
        assert!(manager.flush(Duration::from_secs(20)));
    }
    assert_eq!((costs.cost_history().len(), costs.history_dropped()), (6, 4));
    assert_eq!(costs.total_cost(), 5.0);
}

#[test]
fn names_without_end_are_one_share_beyond_a_bound() {
    let (manager, costs) = tracked();
    let run = manager.start_run("test", vec![]);
    for number in 0..10_050 {
        let name = format!("{number:>300}");
        let cost = vec![
            (keys::COST.into(), 0.000_001.into()),
            (keys::AGENT_NAME.into(), name.into()),
            (keys::LLM_MODEL.into(), format!("model {number}").into()),
        ];
        let chat = chat(&run, SpanKind::Chat, &number.to_string(), "x");
        chat.record_event(EventKind::Cost, cost);
    }
    let summary = costs.summary();
    for shares in [&summary.by_model, &summary.by_chat] {
        assert_eq!(shares.len(), 10_001);
        assert_eq!((shares[0].name.as_str(), shares[0].events), ("(others)", 50));
        assert_eq!(shares.iter().map(|share| share.cost).sum::<Money>(), summary.total);
    }
    // These begin alike for longer than a name is told.
    assert_eq!(summary.by_agent.len(), 1);
    assert_eq!(summary.by_agent[0].cost, summary.total);
}

#[test]
fn one_tracker_for_two_managers_reads_what_both_recorded() {
    let costs = CostTrackerProvider::default();
    let managers = [(); 2].map(|()| recording::manager(Prices::default()));
    for manager in &managers {
        manager.register(Box::new(costs.clone()));
    }
    for (manager, total) in managers.iter().zip([0.5, 1.0]) {
        spend(&manager.start_run("test", vec![]), 0.5);
        assert_eq!(costs.total_cost(), total);
    }
}

#[test]
fn what_was_recorded_is_read_after_the_manager_is_gone() {
    let (manager, costs) = tracked();
    spend(&manager.start_run("test", vec![]), 0.5);
    drop(manager);
    assert_eq!(costs.total_cost(), 0.5);
}

#[test]
fn another_provider_may_read_the_tracker_without_waiting_for_itself() {
    struct Reader(CostTrackerProvider, mpsc::Sender<f64>);
    impl TelemetryProvider for Reader {
        fn name(&self) -> &str {
            "reader"
        }
        fn on_records(&mut self, _batch: &[Record]) -> ProviderResult {
            let _ = self.1.send(self.0.total_cost());
            Ok(())
        }
        fn placement(&self) -> callboard::Placement {
            callboard::Placement::Inline
        }
    }
    let (manager, costs) = tracked();
    let (sender, totals) = mpsc::channel();
    manager.register(Box::new(Reader(costs, sender)));
    spend(&manager.start_run("test", vec![]), 0.5);
    let read = totals.recv_timeout(Duration::from_secs(4));
    assert_eq!(read, Ok(0.5), "waiting for itself takes five seconds");
}

/// A step of a random program: where it starts a span, of what kind, whose, and what it spends there.
#[derive(Clone, Debug)]
struct Step {
    parent: usize,
    kind: SpanKind,
    agents: (usize, usize),
    cost: Option<f64>,
    is_named: bool,
    ends: Option<usize>,
}

fn step() -> impl Strategy<Value = Step> {
    let kinds = [
        SpanKind::Chat,
        SpanKind::NestedChat,
        SpanKind::GroupChat,
        SpanKind::Reply,
        SpanKind::Round,
    ];
    let cost = prop::option::of(prop_oneof![0.0..1e-3_f64, -1.0..1e6_f64, Just(1e300)]);
    let ends = prop::option::of(0..40_usize);
    let kind = prop::sample::select(kinds.to_vec());
    (0..40_usize, kind, (0..4_usize, 0..4_usize), cost, any::<bool>(), ends).prop_map(
        |(parent, kind, agents, cost, is_named, ends)| Step {
            parent,
            kind,
            agents,
            cost,
            is_named,
            ends,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_shares_of_agents_models_and_chats_are_the_total_exactly(
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let (manager, costs) = tracked();
        let mut spans = vec![manager.start_run("test", vec![])];
        for step in &steps {
            let name = |agent: usize| format!("agent {agent}");
            let (from, to) = (name(step.agents.0), name(step.agents.1));
            let parent = &spans[step.parent % spans.len()];
            let span = chat(parent, step.kind.clone(), &from, &to);
            if let Some(usd) = step.cost {
                let mut cost = vec![(keys::COST.into(), usd.into())];
                cost.extend(step.is_named.then(|| (keys::AGENT_NAME.into(), from.into())));
                span.record_event(EventKind::Cost, cost);
            }
            spans.push(span);
            if let Some(ends) = step.ends {
                spans[1 + ends % (spans.len() - 1)].end();
            }
        }
        let summary = costs.summary();
        let expected = steps.iter().filter_map(|step| Money::from_usd(step.cost?));
        prop_assert_eq!(summary.total, expected.sum());
        for shares in [&summary.by_agent, &summary.by_model, &summary.by_chat] {
            prop_assert_eq!(shares.iter().map(|share| share.cost).sum::<Money>(), summary.total);
            let events: u64 = shares.iter().map(|share| share.events).sum();
            prop_assert_eq!(events, summary.events);
        }
    }
}
