//! OTLP over gRPC, against a server of tonic's.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use callboard_otlp::ExporterConfig;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tokio::sync::oneshot;
use tonic::codec::CompressionEncoding;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Code, Request, Response, Status};

use crate::collector::{PATIENCE, spans_of};
use crate::program::{config_for, exporting, record_runs, wait_until};

/// Answers with what is next in its script, then with a plain yes.
#[derive(Clone, Default)]
struct Scripted {
    script: Arc<Mutex<VecDeque<Result<ExportTraceServiceResponse, Status>>>>,
    received: Arc<Mutex<Vec<Request<ExportTraceServiceRequest>>>>,
}

#[tonic::async_trait]
impl TraceService for Scripted {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.received.lock().unwrap().push(request);
        let next = self.script.lock().unwrap().pop_front();
        next.unwrap_or_else(|| Ok(ExportTraceServiceResponse::default())).map(Response::new)
    }
}

pub(crate) struct GrpcCollector {
    endpoint: String,
    service: Scripted,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl GrpcCollector {
    fn start(script: Vec<Result<ExportTraceServiceResponse, Status>>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let service =
            Scripted { script: Arc::new(Mutex::new(script.into())), ..Scripted::default() };
        Self::serve(listener, service, None)
    }

    pub(crate) fn start_with_tls(tls: ServerTlsConfig) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Self::serve(listener, Scripted::default(), Some(tls))
    }

    fn serve(
        listener: std::net::TcpListener,
        service: Scripted,
        tls: Option<ServerTlsConfig>,
    ) -> Self {
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let endpoint = match &tls {
            None => format!("http://{address}"),
            Some(_) => format!("https://localhost:{}", address.port()),
        };
        let mut server = Server::builder();
        if let Some(tls) = tls {
            server = server.tls_config(tls).unwrap();
        }
        let (stop, stopped) = oneshot::channel::<()>();
        let served = TraceServiceServer::new(service.clone())
            .accept_compressed(CompressionEncoding::Gzip)
            .max_decoding_message_size(100_000);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let incoming = TcpIncoming::from(listener);
                let server = server.add_service(served);
                let stopped = async { drop(stopped.await) };
                tokio::select! {
                    result = server.serve_with_incoming(incoming) => result.unwrap(),
                    () = stopped => {}
                }
            });
        });
        Self { endpoint, service, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn config(&self) -> ExporterConfig {
        ExporterConfig { protocol: Some("grpc".into()), ..config_for(self.endpoint.clone()) }
    }

    pub(crate) fn sizes(&self) -> Vec<usize> {
        let received = self.service.received.lock().unwrap();
        received.iter().map(|request| spans_of(request.get_ref()).len()).collect()
    }
}

impl Drop for GrpcCollector {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

#[test]
fn spans_headers_and_compression() {
    for compression in ["none", "gzip"] {
        let collector = GrpcCollector::start(vec![]);
        let (manager, statistics) = exporting(ExporterConfig {
            headers: Some(vec![("X-Tenant".into(), "a".into())]),
            compression: Some(compression.into()),
            ..collector.config()
        });
        assert!(record_runs(&manager, 2));
        assert!(record_runs(&manager, 1));
        assert_eq!(collector.sizes(), [2, 1]);
        assert_eq!(statistics.get().sent, 3);
        let received = collector.service.received.lock().unwrap();
        let metadata = received[0].metadata();
        assert_eq!(metadata.get("x-tenant").unwrap(), "a");
        let encoding = metadata.get("grpc-encoding").map(|encoding| encoding.to_str().unwrap());
        assert_eq!(encoding.unwrap_or("none"), compression);
    }
}

#[test]
fn what_may_be_tried_again_is_and_a_refusal_is_final() {
    let collector = GrpcCollector::start(vec![
        Err(Status::unavailable("starting")),
        Ok(ExportTraceServiceResponse::default()),
        Err(Status::unauthenticated("who are you?")),
        Err(Status::resource_exhausted("over quota")),
    ]);
    let (manager, statistics) = exporting(collector.config());
    for _ in 0..4 {
        assert!(record_runs(&manager, 1));
    }
    let counted = statistics.get();
    assert_eq!((counted.sent, counted.refused, counted.retries), (2, 2, 1));
    assert!(counted.last_error.unwrap().contains("over quota"));
}

/// A status with `google.rpc.RetryInfo`, as bytes that say: wait for so many nanoseconds.
fn exhausted_for(nanos: u64) -> Status {
    let mut duration = vec![0x10];
    prost::encoding::encode_varint(nanos, &mut duration);
    let field = |tag: u8, content: &[u8]| {
        [&[tag << 3 | 2, u8::try_from(content.len()).unwrap()], content].concat()
    };
    let info = field(1, &duration);
    let any = [field(1, b"type.googleapis.com/google.rpc.RetryInfo"), field(2, &info)].concat();
    let details = field(3, &any);
    Status::with_details(Code::ResourceExhausted, "slowly", details.into())
}

#[test]
fn a_collector_that_asks_to_be_spared_is() {
    let wait = Duration::from_millis(300);
    let collector = GrpcCollector::start(vec![Err(exhausted_for(wait.as_nanos() as u64))]);
    let (manager, statistics) = exporting(collector.config());
    let start = std::time::Instant::now();
    assert!(record_runs(&manager, 1));
    assert!(start.elapsed() >= wait);
    assert_eq!((statistics.get().sent, statistics.get().retries), (1, 1));
}

#[test]
fn a_partial_success_is_told() {
    let collector = GrpcCollector::start(vec![Ok(ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans: 1,
            error_message: "too old".into(),
        }),
    })]);
    let (manager, statistics) = exporting(collector.config());
    assert!(record_runs(&manager, 3));
    assert_eq!((statistics.get().sent, statistics.get().refused), (2, 1));
}

#[test]
fn a_request_too_large_is_split() {
    let collector = GrpcCollector::start(vec![]);
    let (manager, statistics) = exporting(collector.config());
    for _ in 0..4 {
        let body = vec![("body".into(), "x".repeat(40_000).into())];
        manager.start_run("A workflow", body).end();
    }
    assert!(manager.flush(PATIENCE));
    assert_eq!(collector.sizes(), [2, 2]);
    assert_eq!(statistics.get().sent, 4);
}

#[test]
fn nobody_listens_and_then_somebody_does() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (manager, statistics) = exporting(ExporterConfig {
        protocol: Some("grpc".into()),
        ..config_for(address.to_string())
    });
    assert!(record_runs(&manager, 2));
    let counted = statistics.get();
    assert_eq!((counted.sent, counted.dropped), (0, 0));
    assert!(counted.last_error.unwrap().contains("refused"));
    let listener = std::net::TcpListener::bind(address).unwrap();
    let collector = GrpcCollector::serve(listener, Scripted::default(), None);
    wait_until("all were sent", || statistics.get().sent == 2);
    assert_eq!(collector.sizes(), [2]);
}

#[test]
fn a_server_that_starts_anew_is_found_again() {
    let collector = GrpcCollector::start(vec![]);
    let (manager, statistics) = exporting(collector.config());
    assert!(record_runs(&manager, 1));
    let address = collector.endpoint.trim_start_matches("http://").to_owned();
    drop(collector);
    let listener = std::net::TcpListener::bind(address).unwrap();
    let collector = GrpcCollector::serve(listener, Scripted::default(), None);
    assert!(record_runs(&manager, 1));
    assert_eq!(statistics.get().sent, 2);
    assert_eq!(collector.sizes(), [1]);
}
