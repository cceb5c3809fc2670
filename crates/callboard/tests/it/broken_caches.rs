//! Calls that send again what the service can no longer take from its prompt cache, and what was changed between them.

use callboard::detectors::{FINDING_KIND, FINDING_SPANS, FINDING_TEXT};
use callboard::testing::MemoryProvider;
use callboard::{
    Attribute, Context, EventKind, Message, Prices, Record, Span, SpanKind, Status, Value, keys,
};

use crate::recording::{manager, map, text};

/// What is found in a run: sentences, and the particulars as `change at index (role), tokens`.
fn found(record: impl FnOnce(&Span)) -> String {
    let manager = manager(Prices::default());
    let provider = MemoryProvider::default();
    manager.register(Box::new(provider.clone()));
    let run = manager.start_run("test", []);
    record(&run);
    run.end();
    assert!(manager.flush(std::time::Duration::from_secs(10)));
    let told = provider.records().into_iter().filter_map(|record| match record {
        Record::Event(event) if event.kind.as_str() == "finding" => {
            let attribute = |key: &str| event.attribute(key).cloned().unwrap_or_default();
            if attribute(FINDING_KIND).as_str() != Some("broken_prompt_cache") {
                return None;
            }
            let spans = attribute(FINDING_SPANS);
            let spans = spans.as_list().expect("it names its evidence");
            assert_eq!(spans.len(), 2);
            assert_eq!(spans[1].as_str(), Some(event.span.span_id.to_string().as_str()));
            let more = ["change", "index", "role", "tokens"]
                .map(|key| attribute(&format!("callboard.finding.{key}")).to_json());
            Some(format!("{}\n{}", attribute(FINDING_TEXT).as_str()?, more.join(" ")))
        }
        _ => None,
    });
    told.collect::<Vec<_>>().join("\n")
}

/// A call of ann's model with messages written `role:words`, by default the user's.
fn ask(parent: &Span, messages: &[&str]) {
    ask_with(parent, messages, vec![("gen_ai.agent.name".into(), "ann".into())], 0);
}

fn ask_with(parent: &Span, messages: &[&str], mut attributes: Vec<Attribute>, tokens: i64) {
    let history = messages.iter().fold(Context::empty(), |history, message| {
        let (role, words) = message.split_once(':').unwrap_or(("user", message));
        let body = map(&[("role", text(role)), ("content", text(words))]);
        history.push(Message::new(body))
    });
    attributes.push(("gen_ai.input.messages".into(), Value::Messages(history)));
    let call = parent.start_child(SpanKind::LlmCall, attributes);
    call.record_event(EventKind::Cost, [(keys::LLM_INPUT_TOKENS.into(), tokens.into())]);
    call.end();
}

fn chat(parent: &Span) -> Span {
    parent.start_child(SpanKind::Chat, [])
}

fn two_calls(first: &[&str], second: &[&str]) -> String {
    found(|run| {
        let chat = chat(run);
        ask(&chat, first);
        ask(&chat, second);
    })
}

#[test]
fn a_system_message_that_was_changed() {
    let told = two_calls(
        &["system:It is 9:00.", "Hello.", "assistant:Hi."],
        &["system:It is 9:01.", "Hello.", "assistant:Hi.", "How are you?"],
    );
    insta::assert_snapshot!(told, @r#"
    between two calls of ann, the system message was changed: about 3 tokens that the first had sent were sent again past the prompt cache
    "system_message" 0 "system" 3
    "#);
    let added = two_calls(
        &["Hello.", "assistant:Hi."],
        &["system:Be kind.", "Hello.", "assistant:Hi.", "x"],
    );
    insta::assert_snapshot!(added, @r#"
    between two calls of ann, the system message was added: about 3 tokens that the first had sent were sent again past the prompt cache
    "system_message" 0 "system" 3
    "#);
    let removed = two_calls(&["system:Be kind.", "Hello."], &["Hello.", "assistant:Hi.", "x"]);
    insta::assert_snapshot!(removed, @r#"
    between two calls of ann, the system message was removed: about 2 tokens that the first had sent were sent again past the prompt cache
    "system_message" 0 "system" 2
    "#);
}

#[test]
fn messages_that_were_removed_from_the_beginning() {
    let told = two_calls(
        &["system:s", "one", "two", "three", "four"],
        &["system:s", "three", "four", "five", "six"],
    );
    insta::assert_snapshot!(told, @r#"
    between two calls of ann, 2 messages from message 2 (user) on were removed: about 3 tokens that the first had sent were sent again past the prompt cache
    "removed" 1 "user" 3
    "#);
}

#[test]
fn a_message_that_was_changed_or_inserted() {
    let before = ["system:s", "one", "tool:a long result", "two", "three"];
    let changed = two_calls(&before, &["system:s", "one", "tool:cut", "two", "three", "four"]);
    insta::assert_snapshot!(changed, @r#"
    between two calls of ann, message 3 (tool) was changed: about 2 tokens that the first had sent were sent again past the prompt cache
    "changed" 2 "tool" 2
    "#);
    let inserted = two_calls(
        &before,
        &["system:s", "memory", "one", "tool:a long result", "two", "three", "four"],
    );
    insta::assert_snapshot!(inserted, @r#"
    between two calls of ann, message 2 (user) was inserted: about 6 tokens that the first had sent were sent again past the prompt cache
    "inserted" 1 "user" 6
    "#);
}

#[test]
fn tools_that_were_changed() {
    let tools = |names: &[&str]| -> Vec<Attribute> {
        let tool = |name: &&str| map(&[("function", map(&[("name", text(name))]))]);
        let tools: Vec<_> = names.iter().map(tool).collect();
        vec![
            ("gen_ai.agent.name".into(), "ann".into()),
            ("gen_ai.tool.definitions".into(), tools.into()),
        ]
    };
    let told = |first: &[&str], second: &[&str]| {
        found(|run| {
            let chat = chat(run);
            ask_with(&chat, &["system:s", "one"], tools(first), 0);
            ask_with(&chat, &["system:s", "one", "two"], tools(second), 0);
        })
    };
    insta::assert_snapshot!(told(&["look", "find"], &["find", "go"]), @r#"
    between two calls of ann, the tools were changed (added go; removed look): about 1 token that the first had sent was sent again past the prompt cache
    "tools" 0 "tools" 1
    "#);
    insta::assert_snapshot!(told(&["look", "find"], &["find", "look"]), @r#"
    between two calls of ann, the tools were changed (their order): about 1 token that the first had sent was sent again past the prompt cache
    "tools" 0 "tools" 1
    "#);
    assert_eq!(told(&["look"], &["look"]), "");
}

#[test]
fn the_tokens_are_a_part_of_what_the_service_counted() {
    let ann = || vec![("gen_ai.agent.name".into(), "ann".into())];
    let told = found(|run| {
        let chat = chat(run);
        ask_with(&chat, &["system:ab", "123456", "end"], ann(), 10);
        // The second message is half of all that is sent.
        ask_with(&chat, &["system:cd", "123456", "1234"], ann(), 1_000);
    });
    insta::assert_snapshot!(told, @r#"
    between two calls of ann, the system message was changed: about 500 tokens that the first had sent were sent again past the prompt cache
    "system_message" 0 "system" 500
    "#);
}

#[test]
fn each_change_of_an_agent_is_told_once() {
    let told = found(|run| {
        let chat = chat(run);
        for turn in 0..5 {
            ask(&chat, &[&format!("system:It is {turn}."), "one", "two", "three"]);
        }
    });
    assert_eq!(told.lines().count(), 2);
}

#[test]
fn a_conversation_that_goes_on_breaks_nothing() {
    let nothing = |first: &[&str], second: &[&str]| assert_eq!(two_calls(first, second), "");
    nothing(&["system:s", "one"], &["system:s", "one", "two", "three"]);
    nothing(&["system:s", "one"], &["system:s", "one"]);
    // It went back: what is sent is in the cache.
    nothing(&["system:s", "one", "two", "three"], &["system:s", "one"]);
    // A last message that gives way to others, as an instruction for one call does.
    nothing(&["system:s", "one", "Now choose."], &["system:s", "one", "two", "Now choose."]);
    // Nothing of it is sent again.
    nothing(&["system:s", "one", "two", "three"], &["system:s", "four", "five", "six"]);
}

#[test]
fn another_chat_agent_or_model_is_another_conversation() {
    let (first, second) = (["system:a", "one", "two"], ["system:b", "one", "two", "three"]);
    let told = found(|run| {
        ask(&chat(run), &first);
        ask(&chat(run), &second);
        let chat = chat(run);
        let agent = |name| vec![("gen_ai.agent.name".into(), text(name))];
        ask_with(&chat, &first, agent("ben"), 0);
        ask_with(&chat, &second, agent("cal"), 0);
        let model = |name| vec![("gen_ai.request.model".into(), text(name))];
        ask_with(&chat, &first, model("small"), 0);
        ask_with(&chat, &second, model("large"), 0);
        ask(&chat, &first);
        ask(&chat.start_child(SpanKind::Summary, []), &second);
    });
    assert_eq!(told, "");
}

#[test]
fn the_frameworks_own_agents_are_left_alone() {
    let told = found(|run| {
        let chat = chat(run);
        for system in ["system:a", "system:b"] {
            let internal = vec![(keys::AGENT_INTERNAL.into(), true.into())];
            ask_with(&chat, &[system, "one", "two"], internal, 0);
        }
    });
    assert_eq!(told, "");
}

#[test]
fn outside_a_chat_a_few_words_in_common_are_no_conversation() {
    let told = found(|run| {
        ask(run, &["system:s", "Translate tree.", "assistant:Baum", "Thanks."]);
        ask(run, &["system:s", "Translate house.", "assistant:Haus", "Thanks."]);
    });
    assert_eq!(told, "");
    let told = found(|run| {
        ask(run, &["system:s", "one", "two", "three"]);
        ask(run, &["system:t", "one", "two", "three", "four"]);
    });
    assert_eq!(told.lines().count(), 2);
}

#[test]
fn what_no_service_has_seen_is_in_no_cache() {
    let history = |words: &str| {
        let body = map(&[("role", "system".into()), ("content", text(words))]);
        let rest = ["one", "two"].map(|words| Message::new(map(&[("content", text(words))])));
        let history = Context::empty().push(Message::new(body));
        let history = rest.into_iter().fold(history, |history, message| history.push(message));
        vec![("gen_ai.input.messages".into(), Value::Messages(history))]
    };
    let told = found(|run| {
        let chat = chat(run);
        let failed = chat.start_child(SpanKind::LlmCall, history("a"));
        failed.set_status(Status::Error { message: "no answer".into() });
        failed.end();
        let cached = chat.start_child(SpanKind::LlmCall, history("b"));
        cached.record_event(EventKind::Cost, [(keys::COST_CACHED.into(), true.into())]);
        cached.end();
        chat.start_child(SpanKind::LlmCall, history("c")).end();
    });
    assert_eq!(told, "");
}
