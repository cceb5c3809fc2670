//! A collector that answers as a test tells it to, over plain HTTP/1.1 on a port of this machine.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

/// A test that waits longer than this has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A request as it came in.
#[derive(Clone)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Which of the connections it came on, counted from zero.
    pub(crate) connection: usize,
    pub(crate) at: Instant,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The request, unpacked and decoded.
    pub(crate) fn decoded(&self) -> ExportTraceServiceRequest {
        let mut body = Vec::new();
        match self.header("content-encoding") {
            Some("gzip") => GzDecoder::new(self.body.as_slice()).read_to_end(&mut body).unwrap(),
            _ => self.body.as_slice().read_to_end(&mut body).unwrap(),
        };
        match self.header("content-type") {
            Some("application/json") => serde_json::from_slice(&body).unwrap(),
            _ => ExportTraceServiceRequest::decode(body.as_slice()).unwrap(),
        }
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        spans_of(&self.decoded())
    }
}

/// All spans of a request.
pub(crate) fn spans_of(request: &ExportTraceServiceRequest) -> Vec<Span> {
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| scope.spans.clone()).collect()
}

/// What the collector does with a request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// Answers.
    Answer { status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8> },
    /// Closes the connection without an answer.
    HangUp,
    /// Answers, saying nothing of it, and closes the connection a moment later, as a server that is tired of it does.
    AnswerAndHangUp,
    /// Says nothing as long as the collector lives.
    Silence,
}

impl Reply {
    pub(crate) fn ok() -> Self {
        Self::status(200)
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::Answer { status, headers: Vec::new(), body: Vec::new() }
    }
}

pub(crate) struct Collector {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// The address of a server that answers anybody with these bytes, whatever they say. It ends with the test's process.
pub(crate) fn answering_anybody(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer);
        }
    });
    address
}

type Script = dyn Fn(usize, &Received) -> Reply + Send + Sync;

struct Shared {
    reply: Box<Script>,
    received: Mutex<Vec<Received>>,
    changed: Condvar,
    connections: AtomicUsize,
    closing: AtomicBool,
}

impl Collector {
    /// One that answers the request of this number, counted from zero, with what `reply` gives.
    pub(crate) fn start(reply: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), reply)
    }

    /// The same, at an address of the test's choice.
    pub(crate) fn start_at(
        address: SocketAddr,
        reply: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            reply: Box::new(reply),
            received: Mutex::default(),
            changed: Condvar::new(),
            connections: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
        });
        let accepting = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.closing.load(Ordering::Acquire) {
                    break;
                }
                let shared = accepting.clone();
                std::thread::spawn(move || shared.serve(stream.unwrap()));
            }
        });
        Self { address, shared }
    }

    /// One that takes everything.
    pub(crate) fn taking() -> Self {
        Self::start(|_, _| Reply::ok())
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}/v1/traces", self.address)
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// Waits until that many requests have come in.
    pub(crate) fn wait_for(&self, requests: usize) -> Vec<Received> {
        let received = self.shared.received.lock().unwrap();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(received, PATIENCE, |received| received.len() < requests);
        let received = waited.unwrap().0;
        assert!(received.len() >= requests, "{} requests, not {requests}", received.len());
        received.clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        let _guard = self.shared.received.lock();
        self.shared.changed.notify_all();
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) {
        let connection = self.connections.fetch_add(1, Ordering::Relaxed);
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some(request) = read_request(&mut reader, connection) {
            let number = {
                let mut received = self.received.lock().unwrap();
                received.push(request.clone());
                self.changed.notify_all();
                received.len() - 1
            };
            match (self.reply)(number, &request) {
                Reply::Answer { status, headers, body } => {
                    write_answer(&mut stream, status, &headers, &body);
                }
                Reply::HangUp => return stream.shutdown(Shutdown::Both).unwrap(),
                Reply::AnswerAndHangUp => {
                    write_answer(&mut stream, 200, &[], &[]);
                    return stream.shutdown(Shutdown::Write).unwrap();
                }
                Reply::Silence => return self.wait_for_the_end(),
            }
        }
    }

    fn wait_for_the_end(&self) {
        let received = self.received.lock().unwrap();
        let is_open = |_: &mut _| !self.closing.load(Ordering::Acquire);
        drop(self.changed.wait_timeout_while(received, PATIENCE, is_open));
    }
}

pub(crate) fn read_request(reader: &mut impl BufRead, connection: usize) -> Option<Received> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, length)| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Received { path, headers, body, connection, at: Instant::now() })
}

pub(crate) fn write_answer(
    stream: &mut impl Write,
    status: u16,
    headers: &[(&str, String)],
    body: &[u8],
) {
    let mut answer = format!("HTTP/1.1 {status} Told\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        answer.push_str(&format!("{name}: {value}\r\n"));
    }
    answer.push_str("\r\n");
    let mut answer = answer.into_bytes();
    answer.extend_from_slice(body);
    // The exporter may have gone away meanwhile.
    let _ = stream.write_all(&answer);
}
