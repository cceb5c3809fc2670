//! `OpenTelemetryProvider`, as Python sees it.

use std::path::PathBuf;

use callboard::TelemetryProvider;
use callboard_otlp::config::process_environment;
use callboard_otlp::{ExporterConfig, ResolvedConfig, StatisticsHandle};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arguments::{count, seconds};
use crate::value::text_of;

/// Sends spans to any OpenTelemetry collector, Jaeger included, over OTLP.
///
/// What is left out comes from the standard `OTEL_*` environment variables; an argument beats the environment. Sending
/// happens on a thread of callboard's own, in batches, with retries.
///
/// Args:
///     collector_endpoint: where the collector listens. With "http" the full address, used as given:
///         "http://localhost:4318/v1/traces". With "grpc" with or without a scheme: "localhost:4317".
///     service_name: the resource's `service.name`.
///     protocol: "http" (protobuf over HTTP), "http/json" or "grpc".
///     headers: sent with each request, such as an authorisation.
///     timeout: the most seconds that one request may take. Default: 10.
///     compression: "none" (the default) or "gzip".
///     history: how histories of messages are sent: "full" (within `history_max_bytes`), "new" (only messages not sent
///         before) or "none".
///     history_max_bytes: the most bytes of a history in one attribute; the oldest messages are left out beyond.
///     certificate, client_certificate, client_key: PEM files for TLS.
///     insecure: whether a gRPC endpoint without a scheme is spoken to in plain text.
///     resource_attributes: more attributes of the resource.
///     schedule_delay: how many seconds a span waits for others to go with it. Default: 5.
///     max_export_batch_bytes: the most bytes in one request, before compression.
///     max_queue_bytes: the most bytes of spans that wait to be sent; the oldest are dropped beyond, and counted.
///
/// Raises:
///     ValueError: an argument, or a variable in its place, cannot be used; the message names the fix.
#[pyclass(module = "callboard", subclass, frozen, weakref)]
pub(crate) struct OpenTelemetryProvider {
    config: ResolvedConfig,
    statistics: StatisticsHandle,
}

#[pymethods]
impl OpenTelemetryProvider {
    #[new]
    #[pyo3(signature = (collector_endpoint=None, service_name=None, protocol=None, *, headers=None, timeout=None,
        compression=None, history=None, history_max_bytes=None, certificate=None, client_certificate=None,
        client_key=None, insecure=None, resource_attributes=None, schedule_delay=None, max_export_batch_bytes=None,
        max_queue_bytes=None))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of a Python constructor")]
    fn new(
        collector_endpoint: Option<String>,
        service_name: Option<String>,
        protocol: Option<String>,
        headers: Option<&Bound<'_, PyDict>>,
        timeout: Option<f64>,
        compression: Option<String>,
        history: Option<String>,
        history_max_bytes: Option<i128>,
        certificate: Option<PathBuf>,
        client_certificate: Option<PathBuf>,
        client_key: Option<PathBuf>,
        insecure: Option<bool>,
        resource_attributes: Option<&Bound<'_, PyDict>>,
        schedule_delay: Option<f64>,
        max_export_batch_bytes: Option<i128>,
        max_queue_bytes: Option<i128>,
    ) -> PyResult<Self> {
        let config = ExporterConfig {
            collector_endpoint,
            service_name,
            protocol,
            headers: headers.map(pairs),
            timeout: seconds("timeout", timeout)?,
            compression,
            history,
            history_max_bytes: count("history_max_bytes", history_max_bytes)?,
            certificate,
            client_certificate,
            client_key,
            insecure,
            resource_attributes: Some(resource(resource_attributes)),
            schedule_delay: seconds("schedule_delay", schedule_delay)?,
            max_export_batch_bytes: count("max_export_batch_bytes", max_export_batch_bytes)?,
            max_queue_bytes: count("max_queue_bytes", max_queue_bytes)?,
            ..ExporterConfig::default()
        };
        let config = config
            .resolve(&process_environment)
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self { config, statistics: StatisticsHandle::default() })
    }

    /// What became of the spans: `sent`, `refused`, `dropped`, `retries`, and what went wrong last, `last_error`.
    fn statistics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counted = self.statistics.get();
        let statistics = PyDict::new(py);
        statistics.set_item("sent", counted.sent)?;
        statistics.set_item("refused", counted.refused)?;
        statistics.set_item("dropped", counted.dropped)?;
        statistics.set_item("parts_dropped", counted.parts_dropped)?;
        statistics.set_item("retries", counted.retries)?;
        statistics.set_item("last_error", counted.last_error)?;
        Ok(statistics)
    }

    fn __repr__(&self) -> String {
        format!("<OpenTelemetryProvider: {:?} to {}>", self.config.protocol, self.config.endpoint)
    }
}

impl OpenTelemetryProvider {
    /// An exporter, for one registration.
    pub(crate) fn sink(&self) -> Box<dyn TelemetryProvider> {
        let config = self.config.clone();
        Box::new(callboard_otlp::OpenTelemetryProvider::counting_in(
            config,
            self.statistics.clone(),
        ))
    }
}

/// What the program says of itself, and that it speaks Python.
fn resource(given: Option<&Bound<'_, PyDict>>) -> Vec<(String, String)> {
    let language = ("telemetry.sdk.language".to_owned(), "python".to_owned());
    std::iter::once(language).chain(given.map(pairs).unwrap_or_default()).collect()
}

fn pairs(given: &Bound<'_, PyDict>) -> Vec<(String, String)> {
    given.iter().map(|(name, value)| (text_of(&name), text_of(&value))).collect()
}
