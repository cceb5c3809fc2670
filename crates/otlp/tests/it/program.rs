//! Programs that record, for the other modules.

use std::time::Duration;

use callboard_core::testing::deterministic_manager;
use callboard_core::{Attribute, InstrumentationManager, Value};
use callboard_otlp::{ExporterConfig, OpenTelemetryProvider, StatisticsHandle};

use crate::collector::{Collector, PATIENCE};

/// What tests change of the defaults: a known resource, and no waiting that is not tested.
pub(crate) fn config(collector: &Collector) -> ExporterConfig {
    ExporterConfig {
        collector_endpoint: Some(collector.endpoint()),
        service_name: Some("test".into()),
        resource_attributes: Some(vec![("service.instance.id".into(), "1".into())]),
        retry_initial_delay: Some(Duration::from_millis(2)),
        retry_max_delay: Some(Duration::from_millis(20)),
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

pub(crate) fn attributes<const N: usize>(attributes: [(&'static str, Value); N]) -> Vec<Attribute> {
    attributes.into_iter().map(|(key, value)| (key.into(), value)).collect()
}

/// Waits until `is_so`.
pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !is_so() {
        assert!(std::time::Instant::now() < deadline, "in vain: {what}");
        std::thread::yield_now();
    }
}
