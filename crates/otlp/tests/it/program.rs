//! Programs that record, for the other modules.

use std::time::Duration;

use callboard_core::testing::deterministic_manager;
use callboard_core::{Attribute, Context, InstrumentationManager, Message, Value};
use callboard_otlp::{ExporterConfig, OpenTelemetryProvider, StatisticsHandle};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;

use crate::collector::{Collector, PATIENCE};

/// What tests change of the defaults: a known resource, no waiting that is not tested.
pub(crate) fn config(collector: &Collector) -> ExporterConfig {
    config_for(collector.endpoint())
}

pub(crate) fn config_for(endpoint: String) -> ExporterConfig {
    ExporterConfig {
        collector_endpoint: Some(endpoint),
        service_name: Some("test".into()),
        resource_attributes: Some(vec![("service.instance.id".into(), "1".into())]),
        retry_initial_delay: Some(Duration::from_millis(2)),
        retry_max_delay: Some(Duration::from_millis(8)),
        schedule_delay: Some(Duration::from_secs(3600)),
        export_timeout: Some(PATIENCE),
        ..ExporterConfig::default()
    }
}

pub(crate) fn no_environment(_name: &str) -> Option<String> {
    None
}

/// A manager with an exporter made like this.
pub(crate) fn exporting(config: ExporterConfig) -> (InstrumentationManager, StatisticsHandle) {
    let provider = OpenTelemetryProvider::new(config.resolve(&no_environment).unwrap());
    let statistics = provider.stats();
    let manager = deterministic_manager();
    manager.register(Box::new(provider));
    (manager, statistics)
}

/// Records runs of a span each and flushes; false when that took too long.
pub(crate) fn record_runs(manager: &InstrumentationManager, count: usize) -> bool {
    for _ in 0..count {
        manager.start_run("A workflow", vec![]).end();
    }
    manager.flush(PATIENCE)
}

pub(crate) fn attributes<const N: usize>(attributes: [(&'static str, Value); N]) -> Vec<Attribute> {
    attributes.into_iter().map(|(key, value)| (key.into(), value)).collect()
}

pub(crate) fn map<const N: usize>(entries: [(&'static str, Value); N]) -> Value {
    attributes(entries).into()
}

/// The history with one more message.
pub(crate) fn said(history: &Context, role: &'static str, content: &str) -> Context {
    let body = map([("role", role.into()), ("content", content.to_owned().into())]);
    history.push(Message::new(body))
}

/// The attribute's value, where it is there.
pub(crate) fn find<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a AnyValue> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    found.value.as_ref().and_then(|value| value.value.as_ref())
}

/// The attribute's text; empty where it is none.
pub(crate) fn text<'a>(attributes: &'a [KeyValue], key: &str) -> &'a str {
    match find(attributes, key) {
        Some(AnyValue::StringValue(text)) => text,
        _ => "",
    }
}

pub(crate) fn number(attributes: &[KeyValue], key: &str) -> Option<i64> {
    match find(attributes, key) {
        Some(AnyValue::IntValue(number)) => Some(*number),
        _ => None,
    }
}

/// Waits until `is_so`.
pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !is_so() {
        assert!(std::time::Instant::now() < deadline, "in vain: {what}");
        std::thread::yield_now();
    }
}
