//! The exporter as a provider: records in, requests out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use callboard_core::id::IdMap;
use callboard_core::{
    ProviderResult, Record, Respawn, SpanEnded, SpanHead, SpanId, TelemetryProvider, Value,
};

use crate::assemble::Assembler;
use crate::batch::{Batch, Envelope};
use crate::config::ResolvedConfig;
use crate::delivery::Delivery;
use crate::encode::Encoder;
use crate::resource;
use crate::semantics;
use crate::statistics::StatisticsHandle;
use crate::transport;
use crate::wire;

/// Sends every span that ends to an OpenTelemetry collector, under the ids that all providers know it by.
///
/// Spans wait for company for [`schedule_delay`](ResolvedConfig::schedule_delay), or until they fill a request. A span
/// that is still open at the shutdown was not finished and is not sent. After a flush the collector has what it would
/// take within [`export_timeout`](ResolvedConfig::export_timeout).
///
/// ```no_run
/// use callboard_core::{InstrumentationManager, ManagerConfig};
/// use callboard_otlp::{ExporterConfig, OpenTelemetryProvider, config::process_environment};
///
/// let config = ExporterConfig {
///     collector_endpoint: Some("http://localhost:4318/v1/traces".into()),
///     service_name: Some("comedians".into()),
///     ..ExporterConfig::default()
/// };
/// let provider = OpenTelemetryProvider::new(config.resolve(&process_environment)?);
/// let statistics = provider.stats();
///
/// let manager = InstrumentationManager::new(ManagerConfig::default());
/// manager.register(Box::new(provider));
/// manager.start_run("A workflow", []).end();
/// manager.shutdown(std::time::Duration::from_secs(10));
/// println!("{} spans sent", statistics.get().sent);
/// # Ok::<(), callboard_otlp::ConfigError>(())
/// ```
pub struct OpenTelemetryProvider {
    config: ResolvedConfig,
    statistics: StatisticsHandle,
    assembler: Assembler,
    /// The sessions of the runs that have one, by the root's id.
    sessions: IdMap<SpanId, Value>,
    encoder: Encoder,
    encoded: Vec<u8>,
    /// What waits for company.
    batch: Batch,
    batch_since: Instant,
    /// What its spans may have together.
    max_batch_bytes: usize,
    delivery: Delivery,
}

/// A request has room for this much of spans at the least, however long the resource is.
const LEAST_BATCH_BYTES: usize = 4 << 10;

/// The most runs at a time whose sessions are remembered.
const MOST_SESSIONS: usize = 4096;

impl OpenTelemetryProvider {
    /// An exporter for this collector. It connects when it has something to send.
    pub fn new(config: ResolvedConfig) -> Self {
        Self::counting_in(config, StatisticsHandle::default())
    }

    /// Reads what became of the spans, also once the exporter was handed to a manager.
    pub fn stats(&self) -> StatisticsHandle {
        self.statistics.clone()
    }

    /// An exporter that counts in `statistics`, beside whatever else counts there.
    pub fn counting_in(config: ResolvedConfig, statistics: StatisticsHandle) -> Self {
        const SPAN_HEADER: usize = 11;
        let envelope = Envelope::new(&config.resource);
        let max_batch_bytes = config.max_export_batch_bytes.saturating_sub(envelope.bytes());
        let max_batch_bytes = max_batch_bytes.max(LEAST_BATCH_BYTES);
        let assembler =
            Assembler::new(config.max_open_bytes, config.limits.span_events, statistics.clone());
        let transport = transport::connect(&config);
        Self {
            encoder: Encoder::new(&config, max_batch_bytes - SPAN_HEADER),
            delivery: Delivery::new(&config, envelope, transport, statistics.clone()),
            assembler,
            sessions: IdMap::default(),
            encoded: Vec::new(),
            batch: Batch::default(),
            batch_since: Instant::now(),
            max_batch_bytes,
            statistics,
            config,
        }
    }

    fn started(&mut self, span: &SpanHead) {
        if span.is_root()
            && self.sessions.len() < MOST_SESSIONS
            && let Some(session) = semantics::session(span)
        {
            self.sessions.insert(span.span_id, session.clone());
        }
    }

    fn ended(&mut self, ended: &SpanEnded) {
        let gathered = self.assembler.end(&ended.span);
        let root = ended.span.run.root_span_id;
        let session = self.sessions.get(&root);
        if self.encoder.span(&mut self.encoded, ended, &gathered, session) {
            self.add_encoded();
        } else {
            self.delivery.too_large();
        }
        self.assembler.reuse(gathered);
        if ended.span.is_root() {
            self.sessions.remove(&root);
            self.encoder.forget(root);
        }
    }

    fn add_encoded(&mut self) {
        if self.batch.bytes() + wire::bytes_len(self.encoded.len()) > self.max_batch_bytes {
            self.close_batch();
        }
        if self.batch.is_empty() {
            self.batch_since = Instant::now();
        }
        self.batch.push(&self.encoded);
        if self.batch.spans() >= self.config.max_export_batch_size {
            self.close_batch();
        }
    }

    fn close_batch(&mut self) {
        if !self.batch.is_empty() {
            let next = Batch::like(&self.batch);
            self.delivery.add(std::mem::replace(&mut self.batch, next));
        }
    }

    /// Sends what is due: full batches, one that has waited long enough, and what is to be tried again by now.
    fn send_due(&mut self) {
        if self.batch_since.elapsed() >= self.config.schedule_delay {
            self.close_batch();
        }
        self.delivery.send_due();
    }

    fn flush_all(&mut self) -> bool {
        self.close_batch();
        self.delivery.flush(Instant::now() + self.config.export_timeout)
    }
}

impl TelemetryProvider for OpenTelemetryProvider {
    fn name(&self) -> &str {
        "OpenTelemetryProvider"
    }

    fn on_records(&mut self, batch: &[Record]) -> ProviderResult {
        if self.config.disabled {
            return Ok(());
        }
        for record in batch {
            match record {
                Record::SpanStarted(span) => self.started(span),
                Record::SpanChanged(changed) => self.assembler.change(changed),
                Record::Event(event) => self.assembler.event(event),
                Record::SpanEnded(ended) => self.ended(ended),
                _ => {}
            }
        }
        self.send_due();
        Ok(())
    }

    /// What could not be delivered in time is kept for later.
    fn flush(&mut self) -> ProviderResult {
        self.flush_all();
        Ok(())
    }

    /// What could not be delivered by now is let go of, counted and told.
    fn shutdown(&mut self) -> ProviderResult {
        if !self.flush_all() {
            self.delivery.abandon();
        }
        Ok(())
    }

    fn tick_interval(&self) -> Option<Duration> {
        const LONGEST: Duration = Duration::from_secs(1);
        const SHORTEST: Duration = Duration::from_millis(1);
        let wanted = self.config.schedule_delay.min(self.config.retry_initial_delay);
        Some(wanted.clamp(SHORTEST, LONGEST))
    }

    fn is_patient(&self) -> bool {
        true
    }

    fn tick(&mut self) -> ProviderResult {
        self.send_due();
        Ok(())
    }

    fn respawn(&self) -> Option<Respawn> {
        let (config, statistics) = (self.config.clone(), self.statistics.clone());
        Some(Arc::new(move || {
            let mut config = config.clone();
            if config.chose_instance_id {
                resource::renew_instance_id(&mut config.resource);
            }
            statistics.reset();
            Box::new(Self::counting_in(config, statistics.clone()))
        }))
    }
}
