//! OTLP over gRPC, on a small runtime of its own.
//!
//! The runtime has no thread: it runs while a request is made, on the thread that makes it. It is created with the first
//! request, so that nothing of it exists before a fork that the program may make.

use std::error::Error;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use prost::bytes::BufMut;
use tokio::runtime::{self, Runtime};
use tonic::client::Grpc;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::{AsciiMetadataKey, MetadataMap};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};
use ureq::http::uri::PathAndQuery;

use super::{Outcome, RpcDetail, RpcStatus, Transport, USER_AGENT, broken, taken, timed_out};
use crate::config::{Compression, ResolvedConfig, TlsFiles};

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

pub(super) struct GrpcTransport {
    uri: String,
    is_tls: bool,
    tls: TlsFiles,
    compression: Compression,
    metadata: MetadataMap,
    connection: Option<Connection>,
}

struct Connection {
    client: Grpc<Channel>,
    /// Dropped after the client, whose tasks it runs.
    runtime: Runtime,
}

impl GrpcTransport {
    pub(super) fn new(config: &ResolvedConfig) -> Self {
        let mut metadata = MetadataMap::new();
        for (name, value) in &config.headers {
            if let (Ok(name), Ok(value)) = (name.parse::<AsciiMetadataKey>(), value.parse()) {
                metadata.append(name, value);
            }
        }
        Self {
            uri: config.endpoint.uri().to_string(),
            is_tls: config.endpoint.is_tls(),
            tls: config.tls.clone(),
            compression: config.compression,
            metadata,
            connection: None,
        }
    }

    fn connect(&self) -> Result<Connection, Box<dyn Error>> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let mut endpoint = Endpoint::from_shared(self.uri.clone())?.user_agent(USER_AGENT)?;
        if self.is_tls {
            endpoint = endpoint.tls_config(tls_config(&self.tls))?;
        }
        // The channel starts tasks, and connects when the first request is made.
        let channel = {
            let _within = runtime.enter();
            endpoint.connect_lazy()
        };
        let mut client = Grpc::new(channel);
        if self.compression == Compression::Gzip {
            // The Go servers, the Collector among them, answer in the compression that they were asked in.
            client = client
                .send_compressed(CompressionEncoding::Gzip)
                .accept_compressed(CompressionEncoding::Gzip);
        }
        Ok(Connection { client, runtime })
    }
}

impl Transport for GrpcTransport {
    fn send(&mut self, request: &[u8], timeout: Duration) -> Outcome {
        let mut connection = match self.connection.take().map_or_else(|| self.connect(), Ok) {
            Ok(connection) => connection,
            Err(error) => return Outcome::Broken(with_causes(error.as_ref())),
        };
        let mut request = Request::new(request.to_vec());
        *request.metadata_mut() = self.metadata.clone();
        request.set_timeout(timeout);
        let Connection { client, runtime } = &mut connection;
        let call = async {
            client.ready().await.map_err(|error| Status::from_error(error.into()))?;
            client.unary(request, PathAndQuery::from_static(EXPORT), EncodedRequests).await
        };
        let answer = runtime.block_on(async { tokio::time::timeout(timeout, call).await });
        self.connection = Some(connection);
        match answer {
            Ok(Ok(response)) => taken(response.into_inner()),
            Ok(Err(status)) if status.source().is_some() => {
                broken(with_causes(&status), self.is_tls)
            }
            Ok(Err(status)) => outcome(&status),
            Err(_) => timed_out(timeout),
        }
    }
}

/// What a status of the collector's means, by OTLP's table of those that may be tried again.
fn outcome(status: &Status) -> Outcome {
    let reason = format!("{:?}: {}", status.code(), status.message());
    let wait = retry_delay(status.details());
    let is_size = ["too large", "larger than"].iter().any(|words| status.message().contains(words));
    match status.code() {
        Code::ResourceExhausted | Code::OutOfRange if is_size => Outcome::TooLarge(reason),
        Code::ResourceExhausted if wait.is_none() => Outcome::Refused(reason),
        Code::ResourceExhausted
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Outcome::NotNow { reason, wait },
        _ => Outcome::Refused(reason),
    }
}

/// How long the collector asks to be spared: the `google.rpc.RetryInfo` among the details of its status.
fn retry_delay(details: &[u8]) -> Option<Duration> {
    let status = RpcStatus::decode(details).ok()?;
    let is_retry_info = |detail: &&RpcDetail| detail.type_url.ends_with("/google.rpc.RetryInfo");
    let detail = status.details.iter().find(is_retry_info)?;
    let delay = RetryInfo::decode(detail.value.as_slice()).ok()?.retry_delay.unwrap_or_default();
    let (seconds, nanos) = (u64::try_from(delay.seconds).ok()?, u32::try_from(delay.nanos).ok()?);
    Some(Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos.into())))
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<ProtoDuration>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, prost::Message)]
struct ProtoDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

fn tls_config(files: &TlsFiles) -> ClientTlsConfig {
    let mut tls = ClientTlsConfig::new();
    tls = match &files.certificate {
        Some(pem) => tls.ca_certificate(Certificate::from_pem(pem)),
        None => tls.with_webpki_roots(),
    };
    match &files.client {
        Some((chain, key)) => tls.identity(Identity::from_pem(chain, key)),
        None => tls,
    }
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Requests that are encoded already.
#[derive(Default)]
struct EncodedRequests;

impl Codec for EncodedRequests {
    type Encode = Vec<u8>;
    type Decode = ExportTraceServiceResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for EncodedRequests {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, request: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(request.len());
        buffer.put_slice(&request);
        Ok(())
    }
}

impl Decoder for EncodedRequests {
    type Item = ExportTraceServiceResponse;
    type Error = Status;

    fn decode(
        &mut self,
        buffer: &mut DecodeBuf<'_>,
    ) -> Result<Option<ExportTraceServiceResponse>, Status> {
        let response = ExportTraceServiceResponse::decode(buffer);
        response.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_names_its_wait_in_the_details_of_its_status() {
        let info =
            RetryInfo { retry_delay: Some(ProtoDuration { seconds: 2, nanos: 500_000_000 }) };
        let detail = RpcDetail {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".into(),
            value: info.encode_to_vec(),
        };
        let details = RpcStatus { code: 8, message: String::new(), details: vec![detail] };
        assert_eq!(retry_delay(&details.encode_to_vec()), Some(Duration::from_millis(2500)));
        assert_eq!(retry_delay(&[]), None);
    }

    #[test]
    fn which_statuses_may_be_tried_again() {
        let check = |status: Status, expected: &str| {
            let outcome = format!("{:?}", outcome(&status));
            assert!(outcome.starts_with(expected), "{outcome}");
        };
        check(Status::unavailable("later"), "NotNow");
        check(Status::data_loss("later"), "NotNow");
        check(Status::resource_exhausted("quota"), "Refused");
        check(Status::resource_exhausted("received message larger than max"), "TooLarge");
        check(Status::out_of_range("decoded message length too large"), "TooLarge");
        check(Status::unauthenticated("who?"), "Refused");
        check(Status::unimplemented("what?"), "Refused");
    }
}
