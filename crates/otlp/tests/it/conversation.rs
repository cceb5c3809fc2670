//! A scripted conversation of two agents, and all that a collector receives of it.

use std::fmt::Write;

use callboard_core::testing::TEST_EPOCH_UNIX_NS;
use callboard_core::{Context, EventKind, InstrumentationManager, Span, SpanKind, Status, Value};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::trace::v1 as span;

use crate::collector::{Collector, PATIENCE};
use crate::program::{attributes, config, exporting, map, said};

/// Jack asks, Emma looks something up and answers; then the program counts on a run that is not there.
fn converse(manager: &InstrumentationManager) {
    let outer = manager.start_run("Outer", vec![]);
    let run = manager.start_run(
        "Two agents",
        attributes([
            ("workflow.id", "123".into()),
            ("session.id", "evening".into()),
            ("callboard.outer.trace_id", outer.trace_id().to_string().into()),
            ("callboard.outer.span_id", outer.span_id().to_string().into()),
        ]),
    );
    let chat = run.start_child(
        SpanKind::Chat,
        attributes([
            ("ag2.chat_function", "initiate_chat".into()),
            ("ag2.agent.sender", "jack".into()),
            ("ag2.agent.recipient", "emma".into()),
        ]),
    );
    chat.record_event(
        EventKind::AgentSendMsg,
        attributes([
            ("ag2.agent.sender", "jack".into()),
            ("ag2.agent.recipient", "emma".into()),
            ("ag2.message", "What is 1 + 1?".into()),
            ("ag2.silent", false.into()),
        ]),
    );
    let reply = chat.start_child(
        SpanKind::Reply,
        attributes([("ag2.agent.sender", "jack".into()), ("ag2.agent.recipient", "emma".into())]),
    );
    let asked = said(&Context::empty(), "user", "What is 1 + 1?");
    call_model(&reply, &asked);
    call_tool(&reply);
    reply.set_attributes(attributes([("ag2.reply", "2".into())]));
    reply.end();
    chat.set_attribute("ag2.chat_result.chat_history", Value::from(said(&asked, "assistant", "2")));
    chat.end();
    let failed = run.start_child(SpanKind::from_value("counting"), vec![]);
    failed.record_exception("KeyError".into(), "'run'".into(), "Traceback".into());
    failed.end();
    run.start_child(SpanKind::Summary, vec![]).set_status(Status::Ok);
    run.start_child(SpanKind::Round, vec![("ag2.agent.name".into(), Value::Null)]).end();
    run.end();
}

fn call_model(reply: &Span, messages: &Context) {
    let call = reply.start_child(
        SpanKind::LlmCall,
        attributes([
            ("gen_ai.agent.name", "emma".into()),
            ("gen_ai.request.model", "gpt-4o-mini".into()),
            ("gen_ai.input.messages", messages.clone().into()),
            ("gen_ai.response.id", Value::Null),
        ]),
    );
    call.set_attributes(attributes([
        ("gen_ai.usage.input_tokens", 9_i64.into()),
        ("gen_ai.response.finish_reasons", vec![Value::from("stop")].into()),
    ]));
    call.record_event(
        EventKind::Cost,
        attributes([
            ("ag2.cost", 0.000_25.into()),
            ("ag2.cost_type", "LLM".into()),
            ("ag2.llm.provider", "openai".into()),
            ("ag2.llm.input_tokens", 8_i64.into()),
            ("ag2.llm.output_tokens", 3_i64.into()),
        ]),
    );
    call.end();
}

fn call_tool(reply: &Span) {
    let call = reply.start_child(
        SpanKind::ToolCall,
        attributes([
            ("gen_ai.agent.name", "emma".into()),
            ("gen_ai.tool.name", "add".into()),
            ("gen_ai.tool.call.arguments", map([("a", 1_i64.into()), ("b", 1_i64.into())])),
        ]),
    );
    call.set_attribute("gen_ai.tool.call.result", 2_i64);
    call.end();
}

fn exported(protocol: &str) -> ExportTraceServiceRequest {
    let collector = Collector::taking();
    let mut config = config(&collector);
    config.protocol = Some(protocol.into());
    let (manager, _) = exporting(config);
    converse(&manager);
    assert!(manager.flush(PATIENCE));
    let received = collector.received();
    assert_eq!(received.len(), 1);
    received[0].decoded()
}

/// All of it, a line each.
fn transcript(request: &ExportTraceServiceRequest) -> String {
    let mut text = String::new();
    for resource in &request.resource_spans {
        text.push_str("resource\n");
        let mut attributes = resource.resource.clone().unwrap().attributes;
        attributes.retain(|attribute| attribute.key != "telemetry.sdk.version");
        write_attributes(&mut text, 2, &attributes);
        for scope in &resource.scope_spans {
            let named = scope.scope.as_ref().unwrap();
            assert_eq!(named.version, env!("CARGO_PKG_VERSION"));
            writeln!(text, "scope {}", named.name).unwrap();
            scope.spans.iter().for_each(|span| write_span(&mut text, span));
        }
    }
    text
}

fn write_span(text: &mut String, span: &span::Span) {
    let ids = format!("{} in {}", hex(&span.span_id), hex(&span.parent_span_id));
    writeln!(text, "\nspan {:?} {ids} of {}", span.name, hex(&span.trace_id)).unwrap();
    let (start, end) =
        (since_epoch(span.start_time_unix_nano), since_epoch(span.end_time_unix_nano));
    writeln!(text, "  {:?} {start} to {end}, flags {:#x}", span.kind(), span.flags).unwrap();
    if let Some(status) = &span.status {
        writeln!(text, "  {:?} {:?}", status.code(), status.message).unwrap();
    }
    write_attributes(text, 2, &span.attributes);
    for event in &span.events {
        writeln!(text, "  event {:?} {}", event.name, since_epoch(event.time_unix_nano)).unwrap();
        write_attributes(text, 4, &event.attributes);
    }
    for link in &span.links {
        writeln!(text, "  link {} of {}", hex(&link.span_id), hex(&link.trace_id)).unwrap();
    }
}

fn write_attributes(text: &mut String, indent: usize, attributes: &[KeyValue]) {
    for attribute in attributes {
        let value = attribute.value.as_ref().unwrap().value.as_ref().unwrap();
        let value = match value {
            AnyValue::ArrayValue(array) => {
                let values = array.values.iter().map(|value| value.value.as_ref().unwrap());
                format!("{:?}", values.collect::<Vec<_>>())
            }
            plain => format!("{plain:?}"),
        };
        writeln!(text, "{:indent$}{} = {value}", "", attribute.key).unwrap();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn since_epoch(time_unix_ns: u64) -> String {
    format!("{} ms", (time_unix_ns - TEST_EPOCH_UNIX_NS) / 1_000_000)
}

#[test]
fn a_whole_export() {
    insta::assert_snapshot!(transcript(&exported("http")));
}

#[test]
fn json_says_the_same() {
    assert_eq!(exported("http/json"), exported("http/protobuf"));
}
