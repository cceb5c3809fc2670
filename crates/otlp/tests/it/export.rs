//! What makes a request, and when it is made.

use std::time::Duration;

use callboard_core::{
    EventKind, InstrumentationManager, ManagerConfig, Placement, ProviderResult, Record,
    RemoteParent, SpanKind, TelemetryProvider,
};
use callboard_otlp::{ExporterConfig, OpenTelemetryProvider};

use crate::collector::{Collector, PATIENCE};
use crate::program::{
    attributes, config, config_for, exporting, find, no_environment, record_runs, text, wait_until,
};

#[test]
fn a_run_reaches_the_collector_under_the_ids_that_its_program_knows() {
    let collector = Collector::taking();
    let (manager, statistics) = exporting(config(&collector));
    let run = manager.start_run("A workflow", vec![]);
    let chat = run.start_child(SpanKind::Chat, vec![]);
    run.end();
    assert!(manager.flush(PATIENCE));
    let received = collector.received();
    assert_eq!(received[0].path, "/v1/traces");
    assert_eq!(received[0].header("content-type"), Some("application/x-protobuf"));
    let spans = received[0].spans();
    assert_eq!(spans[0].span_id, chat.span_id().to_bytes());
    assert_eq!(spans[0].parent_span_id, run.span_id().to_bytes());
    assert_eq!(spans[1].trace_id, run.trace_id().to_bytes());
    assert_eq!(text(&spans[1].attributes, "ag2.trace.id"), run.trace_id().to_string());
    assert_eq!(text(&spans[1].attributes, "ag2.span.core_span_id"), run.span_id().to_string());
    assert_eq!(statistics.get().sent, 2);
}

#[test]
fn a_run_that_another_program_began_says_whose_child_it_is() {
    let collector = Collector::taking();
    let (manager, _) = exporting(config(&collector));
    let parent: RemoteParent =
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().unwrap();
    let run = manager.start_run_within(Some(parent), "A workflow", vec![]);
    run.start_child(SpanKind::Chat, vec![]);
    run.end();
    assert!(manager.flush(PATIENCE));
    let spans = collector.received()[0].spans();
    assert_eq!(spans[1].name, "A workflow");
    assert_eq!(spans[1].trace_id, parent.trace_id.to_bytes());
    assert_eq!(spans[1].parent_span_id, parent.span_id.to_bytes());
    assert_eq!((spans[0].flags, spans[1].flags), (0x101, 0x301));
}

#[test]
fn headers_and_compression() {
    let collector = Collector::taking();
    let (manager, _) = exporting(ExporterConfig {
        headers: Some(vec![("Authorization".into(), "Bearer x".into())]),
        compression: Some("gzip".into()),
        ..config(&collector)
    });
    assert!(record_runs(&manager, 1));
    let received = collector.received();
    assert_eq!(received[0].header("authorization"), Some("Bearer x"));
    assert_eq!(received[0].header("content-encoding"), Some("gzip"));
    assert_eq!(received[0].spans().len(), 1);
}

#[test]
fn a_connection_is_kept() {
    let collector = Collector::taking();
    let (manager, _) = exporting(config(&collector));
    for _ in 0..3 {
        assert!(record_runs(&manager, 1));
    }
    let connections: Vec<_> = collector.received().iter().map(|one| one.connection).collect();
    assert_eq!(connections, [0, 0, 0]);
}

#[test]
fn a_proxy_of_the_environment_is_used() {
    // It answers as a proxy, which opens the way, and then as the collector behind it.
    let proxy = Collector::taking();
    let address = proxy.endpoint().replace("/v1/traces", "");
    let environment = |name: &str| (name == "HTTP_PROXY").then(|| address.clone());
    let config = config_for("http://collector.test/v1/traces".into());
    let provider = OpenTelemetryProvider::new(config.resolve(&environment).unwrap());
    let manager = InstrumentationManager::new(ManagerConfig::default());
    manager.register(Box::new(provider));
    assert!(record_runs(&manager, 1));
    let paths: Vec<_> = proxy.received().iter().map(|one| one.path.clone()).collect();
    assert_eq!(paths, ["collector.test:80", "/v1/traces"]);
}

#[test]
fn a_full_batch_does_not_wait() {
    let collector = Collector::taking();
    let (manager, _) =
        exporting(ExporterConfig { max_export_batch_size: Some(2), ..config(&collector) });
    for _ in 0..4 {
        manager.start_run("A workflow", vec![]).end();
    }
    let sizes: Vec<_> = collector.wait_for(2).iter().map(|one| one.spans().len()).collect();
    assert_eq!(sizes, [2, 2]);
}

#[test]
fn a_batch_ends_before_it_would_be_too_large() {
    let collector = Collector::taking();
    let (manager, statistics) =
        exporting(ExporterConfig { max_export_batch_bytes: Some(8 << 10), ..config(&collector) });
    for _ in 0..20 {
        manager.start_run("A workflow", attributes([("body", "x".repeat(1500).into())])).end();
    }
    assert!(manager.flush(PATIENCE));
    let received = collector.received();
    assert!(received.iter().all(|one| one.body.len() <= 8 << 10));
    assert_eq!(received.iter().map(|one| one.spans().len()).collect::<Vec<_>>(), [4; 5]);
    assert_eq!(statistics.get().sent, 20);
}

#[test]
fn a_span_does_not_wait_for_ever_for_company() {
    let collector = Collector::taking();
    let (manager, _) = exporting(ExporterConfig {
        schedule_delay: Some(Duration::from_millis(10)),
        ..config(&collector)
    });
    manager.start_run("A workflow", vec![]).end();
    assert_eq!(collector.wait_for(1)[0].spans().len(), 1);
}

#[test]
fn a_span_that_is_open_at_the_end_is_not_sent() {
    let collector = Collector::taking();
    let (manager, statistics) = exporting(config(&collector));
    let run = manager.start_run("A workflow", vec![]);
    run.start_child(SpanKind::Chat, vec![]).end();
    run.record_event(EventKind::ConsolePrint, vec![]);
    assert!(manager.shutdown(PATIENCE));
    let spans = collector.received()[0].spans();
    assert_eq!(spans.iter().map(|span| span.name.as_str()).collect::<Vec<_>>(), ["chat"]);
    assert_eq!(statistics.get().sent, 1);
}

#[test]
fn a_span_whose_program_left_it_open_says_so() {
    let collector = Collector::taking();
    let (manager, _) = exporting(config(&collector));
    let run = manager.start_run("A workflow", vec![]);
    let _open = run.start_child(SpanKind::Chat, vec![]);
    run.end();
    assert!(manager.flush(PATIENCE));
    let spans = collector.received()[0].spans();
    assert_eq!(text(&spans[0].attributes, "callboard.span.ended_by"), "run_end");
    assert!(find(&spans[1].attributes, "callboard.span.ended_by").is_none());
}

/// Hands an exporter all but what a full queue might have dropped: the starts.
struct WithoutStarts(OpenTelemetryProvider);

impl TelemetryProvider for WithoutStarts {
    fn name(&self) -> &str {
        "without starts"
    }

    fn on_records(&mut self, batch: &[Record]) -> ProviderResult {
        let is_start = |record: &&Record| matches!(record, Record::SpanStarted(_));
        let rest: Vec<_> = batch.iter().filter(|record| !is_start(record)).cloned().collect();
        self.0.on_records(&rest)
    }

    fn flush(&mut self) -> ProviderResult {
        self.0.flush()
    }

    fn placement(&self) -> Placement {
        self.0.placement()
    }
}

#[test]
fn a_span_whose_start_was_dropped_is_whole() {
    let collector = Collector::taking();
    let exporter = OpenTelemetryProvider::new(config(&collector).resolve(&no_environment).unwrap());
    let manager = InstrumentationManager::new(ManagerConfig::default());
    manager.register(Box::new(WithoutStarts(exporter)));
    let run = manager.start_run("A workflow", attributes([("known", "at the start".into())]));
    run.set_attribute("known.later", true);
    run.record_event(EventKind::ConsolePrint, vec![]);
    run.end();
    assert!(manager.flush(PATIENCE));
    let span = &collector.received()[0].spans()[0];
    assert_eq!(span.name, "A workflow");
    assert_eq!(text(&span.attributes, "known"), "at the start");
    assert!(find(&span.attributes, "known.later").is_some());
    assert_eq!(span.events.len(), 1);
    assert!(span.start_time_unix_nano > 0);
}

#[test]
fn a_disabled_exporter_sends_nothing() {
    let collector = Collector::taking();
    let disabled = |name: &str| (name == "OTEL_SDK_DISABLED").then(|| "true".to_owned());
    let provider = OpenTelemetryProvider::new(config(&collector).resolve(&disabled).unwrap());
    let statistics = provider.stats();
    let manager = InstrumentationManager::new(ManagerConfig::default());
    manager.register(Box::new(provider));
    assert!(record_runs(&manager, 1));
    assert!(manager.shutdown(PATIENCE));
    assert!(collector.received().is_empty());
    assert_eq!(statistics.get().sent, 0);
}

#[test]
fn an_exporter_made_anew_for_a_fork_counts_anew_and_is_another_instance() {
    let collector = Collector::taking();
    let mut config = config(&collector);
    config.resource_attributes = None;
    let provider = OpenTelemetryProvider::new(config.resolve(&no_environment).unwrap());
    let (statistics, respawn) = (provider.stats(), provider.respawn().unwrap());
    let manager = InstrumentationManager::new(ManagerConfig::default());
    manager.register(Box::new(provider));
    assert!(record_runs(&manager, 2));
    assert_eq!(statistics.get().sent, 2);
    let child = respawn();
    assert_eq!(statistics.get().sent, 0);
    manager.register(child);
    assert!(record_runs(&manager, 1));
    wait_until("both send", || collector.received().len() == 3);
    let instances: Vec<_> = collector
        .received()
        .iter()
        .map(|one| {
            let resource = one.decoded().resource_spans[0].resource.clone().unwrap();
            text(&resource.attributes, "service.instance.id").to_owned()
        })
        .collect();
    assert_eq!(instances.iter().collect::<std::collections::HashSet<_>>().len(), 2);
}
