//! A collector that is away, slow, full, confused: what becomes of the spans, and how long it takes.

use std::net::TcpListener;
use std::time::{Duration, Instant, SystemTime};

use callboard_otlp::ExporterConfig;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;

use crate::collector::{Collector, PATIENCE, Reply, answering_anybody};
use crate::program::{attributes, config, config_for, exporting, record_runs, wait_until};

/// An address of this machine where nobody listens.
fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/v1/traces", listener.local_addr().unwrap())
}

/// A collector that answers its first request so, and takes all others.
fn at_first(reply: Reply) -> Collector {
    Collector::start(move |number, _| if number == 0 { reply.clone() } else { Reply::ok() })
}

fn answer(status: u16, headers: Vec<(&'static str, String)>) -> Reply {
    Reply::Answer { status, headers, body: Vec::new() }
}

#[test]
fn nobody_listens() {
    let (manager, statistics) = exporting(config_for(nowhere()));
    assert!(record_runs(&manager, 3), "a flush gives up in time");
    let counted = statistics.get();
    assert_eq!((counted.sent, counted.dropped), (0, 0), "they are kept for later");
    assert!(counted.retries >= 2, "{counted:?}");
    assert!(counted.last_error.unwrap().contains("wait to be tried again"));
    assert!(manager.shutdown(PATIENCE));
    assert_eq!(statistics.get().dropped, 3);
}

#[test]
fn a_collector_that_comes_late_gets_all() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (manager, statistics) = exporting(config_for(format!("http://{address}/v1/traces")));
    assert!(record_runs(&manager, 3));
    assert_eq!(statistics.get().sent, 0);
    let collector = Collector::start_at(address, |_, _| Reply::ok());
    wait_until("all were sent", || statistics.get().sent == 3);
    assert_eq!(collector.received().len(), 1);
}

#[test]
fn memory_stays_within_its_bound_while_nobody_listens() {
    let (manager, statistics) = exporting(ExporterConfig {
        max_queue_bytes: Some(100_000),
        max_export_batch_bytes: Some(20_000),
        ..config_for(nowhere())
    });
    for _ in 0..100 {
        manager.start_run("A workflow", attributes([("body", "x".repeat(4000).into())])).end();
    }
    assert!(manager.flush(PATIENCE));
    let dropped = statistics.get().dropped;
    assert!((75..=85).contains(&dropped), "{dropped} of 100 spans of 4 kB, with room for 100 kB");
    assert!(manager.shutdown(PATIENCE));
    assert_eq!(statistics.get().dropped, 100);
}

#[test]
fn a_slow_collector_costs_no_more_than_the_time_allowed() {
    let collector = Collector::start(|_, _| Reply::Silence);
    let (manager, statistics) = exporting(ExporterConfig {
        timeout: Some(Duration::from_millis(200)),
        export_timeout: Some(Duration::from_millis(600)),
        ..config(&collector)
    });
    manager.start_run("A workflow", vec![]).end();
    let start = Instant::now();
    assert!(manager.shutdown(PATIENCE));
    assert!(start.elapsed() < PATIENCE / 2);
    let counted = statistics.get();
    assert_eq!((counted.sent, counted.dropped), (0, 1));
    collector.wait_for(1);
}

#[test]
fn a_refusal_is_final() {
    for status in [301, 400, 401, 404, 500, 501] {
        let collector = at_first(Reply::Answer {
            status,
            headers: vec![("location", "http://127.0.0.1:1/".into())],
            body: b"no such tenant".to_vec(),
        });
        let (manager, statistics) = exporting(config(&collector));
        assert!(record_runs(&manager, 2));
        assert!(record_runs(&manager, 1));
        let counted = statistics.get();
        assert_eq!((counted.refused, counted.sent, counted.retries), (2, 1, 0), "{status}");
        let reason = counted.last_error.unwrap();
        assert!(reason.contains(&status.to_string()), "{reason}");
        assert_eq!(reason.contains("no such tenant"), status >= 400, "{reason}");
    }
}

#[test]
fn what_may_be_tried_again_is() {
    for status in [429, 502, 503, 504] {
        let collector = at_first(Reply::status(status));
        let (manager, statistics) = exporting(config(&collector));
        assert!(record_runs(&manager, 1));
        let counted = statistics.get();
        assert_eq!((counted.sent, counted.retries), (1, 1), "{status}");
        assert_eq!(collector.received().len(), 2);
    }
}

#[test]
fn a_collector_that_asks_to_be_spared_is() {
    const WAIT: Duration = Duration::from_secs(1);
    let check = |retry_after: String| {
        let collector = at_first(answer(429, vec![("retry-after", retry_after)]));
        let (manager, statistics) = exporting(config(&collector));
        assert!(record_runs(&manager, 1));
        let received = collector.received();
        assert!(received[1].at - received[0].at >= WAIT * 9 / 10);
        assert_eq!(statistics.get().sent, 1);
    };
    check("1".into());
    // A date has no fractions of a second.
    check(httpdate::fmt_http_date(SystemTime::now() + 2 * WAIT));
}

#[test]
fn a_flush_does_not_wait_for_a_time_beyond_its_own() {
    let collector = at_first(answer(503, vec![("retry-after", "3600".into())]));
    let (manager, statistics) = exporting(config(&collector));
    let start = Instant::now();
    assert!(record_runs(&manager, 1));
    assert!(record_runs(&manager, 1));
    assert!(start.elapsed() < PATIENCE / 2);
    assert_eq!(collector.received().len(), 1, "nor does it break in on the collector");
    assert!(manager.shutdown(PATIENCE));
    assert_eq!(statistics.get().dropped, 2);
}

#[test]
fn a_connection_that_breaks_is_opened_again() {
    let collector = Collector::start(|number, _| match number {
        0 => Reply::AnswerAndHangUp,
        1 | 3 => Reply::HangUp,
        _ => Reply::ok(),
    });
    let (manager, statistics) = exporting(config(&collector));
    for _ in 0..3 {
        assert!(record_runs(&manager, 1));
    }
    assert_eq!(statistics.get().sent, 3);
    assert_eq!(collector.received().len(), 5);
}

#[test]
fn a_batch_too_large_is_split() {
    let collector = Collector::start(|_, request| {
        Reply::status(if request.spans().len() > 2 { 413 } else { 200 })
    });
    let (manager, statistics) = exporting(config(&collector));
    assert!(record_runs(&manager, 7));
    let sizes: Vec<_> = collector.received().iter().map(|one| one.spans().len()).collect();
    assert_eq!(sizes, [7, 3, 1, 2, 4, 2, 2]);
    assert_eq!(statistics.get().sent, 7);
}

#[test]
fn a_span_too_large_for_the_collector_goes_alone() {
    let collector = Collector::start(|_, request| {
        let is_large = request.spans().iter().any(|span| span.name == "Large");
        Reply::status(if is_large { 413 } else { 200 })
    });
    let (manager, statistics) = exporting(config(&collector));
    for name in ["Small", "Large", "Small"] {
        manager.start_run(name, vec![]).end();
    }
    assert!(manager.flush(PATIENCE));
    let counted = statistics.get();
    assert_eq!((counted.sent, counted.refused), (2, 1));
}

#[test]
fn a_partial_success_is_told() {
    let response = ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans: 2,
            error_message: "too old".into(),
        }),
    };
    let json = br#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}"#;
    for (protocol, body) in [("http", response.encode_to_vec()), ("http/json", json.to_vec())] {
        let collector = at_first(Reply::Answer { status: 200, headers: Vec::new(), body });
        let (manager, statistics) =
            exporting(ExporterConfig { protocol: Some(protocol.into()), ..config(&collector) });
        assert!(record_runs(&manager, 3));
        let counted = statistics.get();
        assert_eq!((counted.sent, counted.refused, counted.retries), (1, 2, 0), "{protocol}");
        assert_eq!(counted.last_error.unwrap(), "2 of 3 spans were refused: too old");
    }
}

#[test]
fn an_answer_that_is_none_is_no_success() {
    let address = answering_anybody(b"SSH-2.0-OpenSSH\r\n\r\n");
    let (manager, statistics) = exporting(config_for(format!("http://{address}/v1/traces")));
    assert!(record_runs(&manager, 1));
    let counted = statistics.get();
    assert_eq!((counted.sent, counted.refused), (0, 0));
    assert!(counted.retries > 0);
}
