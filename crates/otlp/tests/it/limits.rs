//! How much of a span is sent.

use callboard_core::{Context, EventKind, SpanKind, Text, Value};
use callboard_otlp::ExporterConfig;
use opentelemetry_proto::tonic::trace::v1::Span;

use crate::collector::{Collector, PATIENCE};
use crate::program::{attributes, config, exporting, find, map, number, said, text};

/// The one span that comes of it.
fn exported(
    change: impl FnOnce(ExporterConfig) -> ExporterConfig,
    record: impl FnOnce(&callboard_core::Span),
) -> Span {
    let collector = Collector::taking();
    let (manager, _) = exporting(change(config(&collector)));
    let run = manager.start_run("A workflow", vec![]);
    record(&run);
    run.end();
    assert!(manager.flush(PATIENCE));
    collector.received()[0].spans().remove(0)
}

#[test]
fn attributes_and_events_beyond_the_limits_are_counted() {
    let span = exported(
        |config| ExporterConfig {
            span_attribute_count_limit: Some(2),
            span_event_count_limit: Some(2),
            event_attribute_count_limit: Some(1),
            ..config
        },
        |run| {
            for (key, value) in [("a", 1_i64), ("b", 1), ("c", 1), ("a", 2), ("d", 1)] {
                run.set_attribute(key, value);
            }
            for _ in 0..5 {
                let particulars = attributes([("x", 1_i64.into()), ("y", 2_i64.into())]);
                run.record_event(EventKind::ConsolePrint, particulars);
            }
        },
    );
    assert_eq!(number(&span.attributes, "a"), Some(2), "a later value replaces an earlier one");
    assert_eq!(find(&span.attributes, "c"), None);
    assert_eq!(span.dropped_attributes_count, 2);
    assert_eq!((span.events.len(), span.dropped_events_count), (2, 3));
    assert_eq!(span.events[0].dropped_attributes_count, 1);
}

#[test]
fn a_cost_beyond_the_limit_of_events_still_counts() {
    let collector = Collector::taking();
    let (manager, _) =
        exporting(ExporterConfig { span_event_count_limit: Some(0), ..config(&collector) });
    let run = manager.start_run("A workflow", vec![]);
    let call = run.start_child(SpanKind::LlmCall, vec![]);
    for _ in 0..2 {
        call.record_event(EventKind::Cost, attributes([("ag2.cost", 0.25.into())]));
    }
    call.end();
    assert!(manager.flush(PATIENCE));
    let span = collector.received()[0].spans().remove(0);
    assert_eq!(
        find(&span.attributes, "gen_ai.usage.cost"),
        Some(&opentelemetry_proto::tonic::common::v1::any_value::Value::DoubleValue(0.5)),
    );
}

#[test]
fn texts_are_cut_between_characters() {
    let span = exported(
        |config| ExporterConfig { attribute_value_length_limit: Some(3), ..config },
        |run| {
            run.set_attribute("text", "añbcd");
            run.set_attribute("number", 12_345_i64);
            run.set_attribute("gen_ai.request.stop_sequences", vec![Value::from("abcd")]);
            run.record_event(EventKind::ConsolePrint, attributes([("text", "abcd".into())]));
        },
    );
    assert_eq!(text(&span.attributes, "text"), "añb");
    assert_eq!(number(&span.attributes, "number"), Some(12_345));
    assert_eq!(text(&span.events[0].attributes, "text"), "abc");
    let sequences = format!("{:?}", find(&span.attributes, "gen_ai.request.stop_sequences"));
    assert!(sequences.contains("\"abc\"") && sequences.contains("ArrayValue"), "{sequences}");
}

#[test]
fn a_span_larger_than_any_request_is_cut_until_it_fits() {
    let long = "x".repeat(3_000_000);
    let history = said(&Context::empty(), "user", &long);
    let span = exported(
        |config| ExporterConfig { max_export_batch_bytes: Some(100_000), ..config },
        |run| {
            run.set_attribute("short", "kept");
            run.set_attribute("text", Text::from(long.clone()));
            run.set_attribute("map", map([("text", long.clone().into())]));
            run.set_attribute("history", history);
            run.record_event(EventKind::ConsolePrint, attributes([("text", long.clone().into())]));
        },
    );
    assert_eq!(text(&span.attributes, "short"), "kept");
    assert!(text(&span.attributes, "text").len() > 1000);
    assert_eq!(span.events.len(), 1);
    assert!(find(&span.attributes, "callboard.span.truncated").is_some());
    let history: serde_json::Value =
        serde_json::from_str(text(&span.attributes, "history")).unwrap();
    assert_eq!(history[0]["role"], "user", "a history stays JSON");
}

#[test]
fn a_span_of_too_many_events_goes_without_them() {
    let span = exported(
        |config| ExporterConfig { max_export_batch_bytes: Some(8_000), ..config },
        |run| {
            for _ in 0..500 {
                run.record_event(EventKind::ConsolePrint, attributes([("text", "abc".into())]));
            }
        },
    );
    assert_eq!((span.events.len(), span.dropped_events_count), (0, 500));
}

#[test]
fn what_open_spans_gather_is_bounded() {
    let collector = Collector::taking();
    let (manager, statistics) =
        exporting(ExporterConfig { max_open_bytes: Some(100_000), ..config(&collector) });
    let run = manager.start_run("A workflow", vec![]);
    let open: Vec<_> = (0..100)
        .map(|_| {
            let chat = run.start_child(SpanKind::Chat, vec![]);
            let body = attributes([("text", "x".repeat(10_000).into())]);
            chat.record_event(EventKind::ConsolePrint, body);
            chat
        })
        .collect();
    drop(open);
    run.end();
    assert!(manager.flush(PATIENCE));
    let counted = statistics.get();
    assert!(counted.parts_dropped >= 90, "{counted:?}");
    assert_eq!(counted.sent, 101, "the spans themselves are sent");
}

#[test]
fn values_that_json_has_no_word_for() {
    for (protocol, is_text) in [("http", false), ("http/json", true)] {
        let span = exported(
            |config| ExporterConfig { protocol: Some(protocol.into()), ..config },
            |run| {
                run.set_attribute("nan", f64::NAN);
                run.set_attribute("bytes", Value::Bytes(b"hi".as_slice().into()));
                run.set_attribute("none", Value::Null);
                run.set_attribute("large", i64::MAX);
            },
        );
        assert_eq!(text(&span.attributes, "nan") == "NaN", is_text, "{protocol}");
        assert_eq!(text(&span.attributes, "bytes"), "aGk=");
        assert_eq!(number(&span.attributes, "large"), Some(i64::MAX));
        assert!(
            find(&span.attributes, "none").is_some() && text(&span.attributes, "none").is_empty()
        );
    }
}
