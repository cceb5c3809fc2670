//! Spans to any OpenTelemetry collector: the one crate of callboard that knows protobuf.
//!
//! It knows how callboard's spans are named elsewhere and how OTLP is spoken. It never makes ids, prices nothing and keeps
//! nothing that was delivered. In reading order:
//!
//! - [`ExporterConfig`] is what a program says; with what the `OTEL_*` variables say it becomes a [`ResolvedConfig`].
//! - [`OpenTelemetryProvider`] is the exporter, a [`TelemetryProvider`](callboard_core::TelemetryProvider).
//! - [`ExportStatistics`] tells what became of the spans.
//!
//! ```text
//! records ─▶ assemble ─▶ encode ─────────────▶ batch ─▶ delivery ─▶ transport ─▶ collector
//!            (a span's   (semantics, history,  (count,  (retry,     (http, grpc)
//!             parts)      limits, wire)         bytes)   back-off)
//! ```

pub mod config;
pub mod provider;
pub mod statistics;

#[cfg(test)]
mod arbitrary;
mod assemble;
mod batch;
mod delivery;
mod encode;
mod genai;
mod history;
mod resource;
mod semantics;
mod transport;
mod wire;

pub use config::{
    Compression, ConfigError, Endpoint, ExporterConfig, History, Limits, Protocol, ResolvedConfig,
};
pub use provider::OpenTelemetryProvider;
pub use statistics::{ExportStatistics, StatisticsHandle};
