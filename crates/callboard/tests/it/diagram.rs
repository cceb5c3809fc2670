//! The diagram's text: who and what it shows, and how it is shortened.

use callboard::{
    DiagramOptions, EventKind, MermaidConfig, MermaidDiagramProvider, Prices, Span, SpanKind,
    Value, keys,
};

use crate::recording::{self, map, say, text};

/// The diagram of what `conversation` records.
fn draw(config: MermaidConfig, conversation: impl FnOnce(&Span)) -> MermaidDiagramProvider {
    let manager = recording::manager(Prices::default());
    let diagram = MermaidDiagramProvider::new(config);
    manager.register(Box::new(diagram.clone()));
    conversation(&manager.start_run("test", vec![]));
    diagram
}

fn with_options(options: DiagramOptions) -> MermaidConfig {
    MermaidConfig { diagram: options, ..MermaidConfig::default() }
}

#[test]
fn the_published_sample() {
    let diagram = draw(MermaidConfig::default(), |run| {
        say(run, "jack", "emma", "Emma, tell me a joke about goldfish and peanut butter.");
        let joke = "Why did the goldfish bring peanut butter to the fish party? To spread the fun!";
        say(run, "emma", "jack", map(&[("content", joke.into()), ("role", "assistant".into())]));
        say(run, "jack", "emma", map(&[("content", "FINISH".into())]));
    });
    assert_eq!(
        diagram.generate_sequence_diagram(),
        "sequenceDiagram
    participant jack
    participant emma
    jack->>emma: Emma, tell me a joke about goldfish and peanut but...
    emma->>jack: Why did the goldfish bring peanut butter to the fi...
    jack->>emma: FINISH"
    );
    let times: Vec<_> = diagram.interactions().iter().map(|said| said.time_unix_ns).collect();
    assert!(times.is_sorted() && times.len() == 3);
    assert_eq!(diagram.participants(), ["jack", "emma"]);
}

#[test]
fn only_what_is_said_not_to_be_silent_is_drawn() {
    let diagram = draw(MermaidConfig::default(), |run| {
        for (index, silent) in
            [None, Some(true.into()), Some(false.into()), Some(Value::Null), Some("false".into())]
                .into_iter()
                .enumerate()
        {
            let mut attributes = vec![
                (keys::AGENT_SENDER.into(), "a".into()),
                (keys::AGENT_RECIPIENT.into(), "b".into()),
                (keys::MESSAGE.into(), index.into()),
            ];
            attributes.extend(silent.map(|silent: Value| (keys::SILENT.into(), silent)));
            run.record_event(EventKind::AgentSendMsg, attributes);
        }
        run.record_event(EventKind::ConsolePrint, vec![(keys::SILENT.into(), false.into())]);
    });
    insta::assert_snapshot!(diagram.generate_sequence_diagram(), @"
    sequenceDiagram
        participant a
        participant b
        a->>b: 2
        a->>b: 3
    ");
}

#[test]
fn the_frameworks_own_agents_stand_last() {
    let diagram = draw(MermaidConfig::default(), |run| {
        say(run, "checking_agent", "speaker_selection_agent", "who?");
        say(run, "speaker_selection_agent", "checking_agent", "emma");
        say(run, "manager", "emma", "go on");
    });
    insta::assert_snapshot!(diagram.generate_sequence_diagram(), @"
    sequenceDiagram
        participant manager
        participant emma
        participant checking_agent
        participant speaker_selection_agent
        checking_agent->>speaker_selection_agent: who?
        speaker_selection_agent->>checking_agent: emma
        manager->>emma: go on
    ");
}

#[test]
fn tools_are_named_in_calls_and_answers() {
    let diagram = draw(MermaidConfig::default(), |run| {
        let call = |id: &str, name: &'static str| {
            map(&[("id", text(id)), ("function", map(&[("name", name.into())]))])
        };
        let calls = vec![call("call_1", "add"), call("call_2", "multiply")];
        say(run, "emma", "tools", map(&[("tool_calls", calls.into()), ("content", "".into())]));
        let answer = |id: &str, content: &'static str| {
            map(&[("tool_call_id", text(id)), ("content", content.into())])
        };
        let long = "the product of all the numbers that were handed over";
        let answers = vec![answer("call_1", "5"), answer("call_2", long), answer("call_9", "?")];
        say(run, "tools", "emma", map(&[("tool_responses", answers.into())]));
    });
    insta::assert_snapshot!(diagram.generate_sequence_diagram(), @"
    sequenceDiagram
        participant emma
        participant tools
        emma->>tools: Tool Call(s) -> add, multiply
        tools->>emma: Tool Response(s): add -> 5, multiply -> the product of all the numbers that were handed ov..., ... -> ?
    ");
}

#[test]
fn rounds_become_loops() {
    let options = DiagramOptions { fold: true, max_messages: None };
    let diagram = draw(with_options(options), |run| {
        say(run, "jack", "emma", "Start.");
        for number in 1..=3 {
            say(run, "emma", "bob", format!("Joke {number}"));
            say(run, "bob", "emma", "Ha!");
        }
        say(run, "emma", "jack", "Done.");
    });
    insta::assert_snapshot!(diagram.generate_sequence_diagram(), @"
    sequenceDiagram
        participant jack
        participant emma
        participant bob
        jack->>emma: Start.
        loop 3 times
            emma->>bob: Joke 1 (and 2 more)
            bob->>emma: Ha!
        end
        emma->>jack: Done.
    ");
    let whole = diagram.draw(&DiagramOptions::default());
    assert_eq!(whole.lines().count(), 1 + 3 + 8);
}

#[test]
fn the_middle_of_a_long_conversation_is_left_out() {
    let options = DiagramOptions { fold: false, max_messages: Some(5) };
    let diagram = draw(with_options(options), |run| {
        for number in 1..=100 {
            say(run, "jack", "emma", number.to_string());
        }
    });
    insta::assert_snapshot!(diagram.generate_sequence_diagram(), @"
    sequenceDiagram
        participant jack
        participant emma
        jack->>emma: 1
        jack->>emma: 2
        jack->>emma: 3
        Note over jack,emma: 95 messages left out
        jack->>emma: 99
        jack->>emma: 100
    ");
}

#[test]
fn a_diagram_says_what_it_no_longer_knows() {
    let config = MermaidConfig { kept_messages: 2, ..MermaidConfig::default() };
    let diagram = draw(config, |run| {
        for number in 1..=5 {
            say(run, "jack", "emma", number.to_string());
        }
    });
    insta::assert_snapshot!(diagram.generate_sequence_diagram(), @"
    sequenceDiagram
        participant jack
        participant emma
        Note over jack,emma: 3 earlier messages are no longer kept
        jack->>emma: 4
        jack->>emma: 5
    ");
}

#[test]
fn names_of_any_length_are_bounded_and_told_apart() {
    let long = |end: &str| format!("{}{end}", "x".repeat(200));
    let diagram = draw(MermaidConfig::default(), |run| {
        say(run, &long("1"), &long("2"), "hi");
        say(run, &"y".repeat(10 << 20), &long("1"), "ho");
    });
    assert_eq!(diagram.participants().len(), 3);
    assert!(diagram.participants().iter().all(|name| name.len() <= 1_003));
    assert!(diagram.generate_sequence_diagram().lines().all(|line| line.len() < 150));
}

#[test]
fn html_is_escaped_text() {
    let diagram = draw(MermaidConfig::default(), |run| {
        say(run, "<script>alert(1)</script>", "emma", "</pre><img src=x onerror=alert(2)>");
    });
    insta::assert_snapshot!(diagram.to_html(), @r#"
    <pre class="mermaid">sequenceDiagram
        participant A1 as #60;script&gt;alert(1)#60;/script&gt;
        participant emma
        A1-&gt;&gt;emma: #60;/pre&gt;#60;img src=x onerror=alert(2)&gt;</pre>
    "#);
}

#[test]
fn nothing_said_is_a_diagram_too() {
    let diagram = draw(MermaidConfig::default(), |_| ());
    assert_eq!(diagram.generate_sequence_diagram(), "sequenceDiagram");
    assert_eq!(diagram.participants(), [""; 0]);
}

fn agents(span_kind: SpanKind, parent: &Span, from: &str, to: &str, message: Option<&str>) -> Span {
    let mut attributes: Vec<_> =
        vec![(keys::AGENT_SENDER.into(), text(from)), (keys::AGENT_RECIPIENT.into(), text(to))];
    attributes.extend(message.map(|words| ("ag2.chat.initial_message".into(), text(words))));
    parent.start_child(span_kind, attributes)
}

#[test]
fn an_agent_that_another_one_has_as_a_tool() {
    let diagram = draw(MermaidConfig::default(), |run| {
        say(run, "user", "ann", "How many?");
        let tool = run.start_child(SpanKind::ToolCall, []);
        let task =
            agents(SpanKind::NestedChat, &tool, "ann", "bob", Some("Count; them: <b>#1</b>"));
        let reply = agents(SpanKind::Reply, &task, "ann", "bob", None);
        say(&reply, "bob", "cal", "Help me.");
        reply.end();
        task.set_attribute("ag2.chat_result.summary", "It is three.");
        task.end();
        let task = agents(SpanKind::NestedChat, &tool, "ann", "dan", Some("Check it."));
        task.set_status(callboard::Status::Error { message: "out of time".into() });
        task.end();
        tool.end();
        say(run, "ann", "user", "Three.");
    });
    insta::assert_snapshot!(diagram.generate_sequence_diagram(), @"
    sequenceDiagram
        participant user
        participant ann
        participant bob
        participant cal
        participant dan
        user->>ann: How many?
        ann->>bob: Count#59; them: #60;b>#35;1#60;/b>
        bob->>cal: Help me.
        bob->>ann: It is three.
        ann->>dan: Check it.
        dan->>ann: Error: out of time
        ann->>user: Three.
    ");
}

#[test]
fn an_agent_that_a_tools_function_asks() {
    let diagram = draw(MermaidConfig::default(), |run| {
        let tool = run.start_child(
            SpanKind::ToolCall,
            [
                ("gen_ai.agent.name".into(), "executor".into()),
                (keys::TOOL_CALLER.into(), "ann".into()),
            ],
        );
        let question = map(&[("role", "user".into()), ("content", "Why?".into())]);
        let reply = tool.start_child(
            SpanKind::Reply,
            vec![
                (keys::AGENT_RECIPIENT.into(), "bob".into()),
                ("ag2.messages.start".into(), Value::from(vec![question])),
            ],
        );
        reply.set_attribute("ag2.reply", map(&[("content", "Because.".into())]));
        reply.end();
        tool.end();
        agents(SpanKind::Reply, run, "ann", "bob", None).end();
    });
    insta::assert_snapshot!(diagram.generate_sequence_diagram(), @"
    sequenceDiagram
        participant ann
        participant bob
        ann->>bob: Why?
        bob->>ann: Because.
    ");
}

#[test]
fn nested_chats_of_messages_are_drawn_by_these() {
    let diagram = draw(MermaidConfig::default(), |run| {
        let nested = agents(SpanKind::NestedChat, run, "boss", "ana", None);
        say(&nested, "ana", "pam", "Check it.");
        say(&nested, "pam", "ana", "Fine.");
        nested.set_attribute("ag2.chat_result.summary", "Fine.");
        nested.end();
    });
    insta::assert_snapshot!(diagram.generate_sequence_diagram(), @"
    sequenceDiagram
        participant ana
        participant pam
        ana->>pam: Check it.
        pam->>ana: Fine.
    ");
}
