//! How histories of messages are sent.

use callboard_core::{Context, SpanKind, Value};
use callboard_otlp::ExporterConfig;
use opentelemetry_proto::tonic::trace::v1::Span;

use crate::collector::{Collector, PATIENCE};
use crate::program::{attributes, config, exporting, map, number, said, text};

const INPUT: &str = "gen_ai.input.messages";

/// The spans of three calls of a model with a growing history, the last of which also branches off.
fn three_calls(change: impl FnOnce(ExporterConfig) -> ExporterConfig) -> Vec<Span> {
    let collector = Collector::taking();
    let (manager, _) = exporting(change(config(&collector)));
    let run = manager.start_run("A workflow", vec![]);
    let one = said(&Context::empty(), "user", "one");
    let three = said(&said(&one, "assistant", "two"), "user", "three");
    let other = said(&one, "assistant", "other");
    for history in [one, three, other] {
        let call = attributes([
            (INPUT, history.clone().into()),
            ("ag2.messages", history.clone().into()),
            ("ag2.llm.params", map([("temperature", 1_i64.into()), ("messages", history.into())])),
        ]);
        run.start_child(SpanKind::LlmCall, call).end();
    }
    assert!(manager.flush(PATIENCE));
    collector.received()[0].spans()
}

fn contents(span: &Span, key: &str) -> Vec<String> {
    let messages: serde_json::Value = serde_json::from_str(text(&span.attributes, key)).unwrap();
    let messages = messages.get("messages").unwrap_or(&messages).as_array().unwrap().clone();
    let content = |message: &serde_json::Value| {
        let text = message.get("content").unwrap_or_else(|| &message["parts"][0]["content"]);
        text.as_str().unwrap().to_owned()
    };
    messages.iter().map(content).collect()
}

fn omitted(span: &Span) -> Option<i64> {
    number(&span.attributes, "callboard.history.omitted")
}

#[test]
fn whole() {
    let spans = three_calls(|config| config);
    for key in [INPUT, "ag2.messages", "ag2.llm.params"] {
        assert_eq!(contents(&spans[0], key), ["one"]);
        assert_eq!(contents(&spans[1], key), ["one", "two", "three"]);
        assert_eq!(contents(&spans[2], key), ["one", "other"]);
    }
    assert_eq!(
        text(&spans[0].attributes, INPUT),
        r#"[{"role":"user","parts":[{"type":"text","content":"one"}]}]"#,
    );
    assert_eq!(text(&spans[0].attributes, "ag2.messages"), r#"[{"role":"user","content":"one"}]"#);
    assert!(spans.iter().all(|span| omitted(span).is_none()));
}

#[test]
fn only_what_is_new() {
    let spans = three_calls(|config| ExporterConfig { history: Some("new".into()), ..config });
    for key in [INPUT, "ag2.messages", "ag2.llm.params"] {
        assert_eq!(contents(&spans[0], key), ["one"]);
        assert_eq!(contents(&spans[1], key), ["two", "three"]);
        assert_eq!(contents(&spans[2], key), ["one", "other"], "it grew from nothing sent before");
    }
    assert_eq!(spans.iter().map(omitted).collect::<Vec<_>>(), [None, Some(3), None]);
}

#[test]
fn not_at_all() {
    let spans = three_calls(|config| ExporterConfig { history: Some("none".into()), ..config });
    for span in &spans {
        assert_eq!(contents(span, INPUT), Vec::<String>::new());
    }
    assert_eq!(spans.iter().map(omitted).collect::<Vec<_>>(), [Some(3), Some(9), Some(6)]);
}

#[test]
fn the_oldest_messages_go_first() {
    let spans = three_calls(|config| ExporterConfig { history_max_bytes: Some(75), ..config });
    assert_eq!(contents(&spans[1], "ag2.messages"), ["two", "three"]);
    assert_eq!(contents(&spans[1], INPUT), ["three"]);
    assert_eq!(omitted(&spans[1]), Some(4));
}

#[test]
fn a_value_length_limit_leaves_a_history_json() {
    let spans =
        three_calls(|config| ExporterConfig { attribute_value_length_limit: Some(75), ..config });
    assert_eq!(contents(&spans[1], "ag2.messages"), ["two", "three"]);
}

#[test]
fn a_long_history_is_sent_as_it_is() {
    let collector = Collector::taking();
    let (manager, _) = exporting(config(&collector));
    let run = manager.start_run("A workflow", vec![]);
    let mut history = Context::empty();
    for number in 0..1000 {
        history = said(&history, "user", &format!("message {number}"));
    }
    run.set_attribute(INPUT, Value::from(history));
    run.end();
    assert!(manager.flush(PATIENCE));
    let span = collector.received()[0].spans().remove(0);
    let contents = contents(&span, INPUT);
    assert_eq!((contents.len(), contents[999].as_str()), (1000, "message 999"));
}
