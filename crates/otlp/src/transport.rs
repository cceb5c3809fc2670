//! How a request reaches the collector, and what its answer means.

#[cfg(feature = "grpc")]
mod grpc;
mod http;

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;

use crate::config::{Protocol, ResolvedConfig};

/// What became of a request.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    /// The collector took the spans, or all but some of them.
    Taken {
        rejected_spans: u64,
        /// What it has to say, if anything.
        message: Option<String>,
    },
    /// It will never take them.
    Refused(String),
    /// They are too much for one request.
    TooLarge(String),
    /// It may take them later: not before it says, where it does.
    NotNow { reason: String, wait: Option<Duration> },
    /// There was no connection, or it broke.
    Broken(String),
    /// There was no answer in time.
    TimedOut(String),
}

/// Sends requests, one at a time.
pub(crate) trait Transport: Send {
    /// Sends an encoded `ExportTraceServiceRequest`, within `timeout`.
    fn send(&mut self, request: &[u8], timeout: Duration) -> Outcome;
}

/// The transport that the configuration asks for. It opens its first connection when it sends.
pub(crate) fn connect(config: &ResolvedConfig) -> Box<dyn Transport> {
    match config.protocol {
        #[cfg(feature = "grpc")]
        Protocol::Grpc => Box::new(grpc::GrpcTransport::new(config)),
        #[cfg(not(feature = "grpc"))]
        Protocol::Grpc => unreachable!("the configuration refuses what this build leaves out"),
        Protocol::HttpProtobuf | Protocol::HttpJson => Box::new(http::HttpTransport::new(config)),
    }
}

/// What an answer that says yes says besides.
fn taken(response: ExportTraceServiceResponse) -> Outcome {
    let partial = response.partial_success.unwrap_or_default();
    let message = Some(partial.error_message).filter(|message| !message.is_empty());
    let rejected_spans = u64::try_from(partial.rejected_spans).unwrap_or(0);
    Outcome::Taken { rejected_spans, message }
}

/// The outcome of a request without an answer.
fn broken(reason: String, is_tls: bool) -> Outcome {
    let is_no_tls = is_tls && reason.contains("InvalidContentType");
    let hint = if is_no_tls { " (no TLS is spoken there: is it an http:// endpoint?)" } else { "" };
    Outcome::Broken(reason + hint)
}

fn timed_out(timeout: Duration) -> Outcome {
    Outcome::TimedOut(format!("no answer within {timeout:?}"))
}

/// What a client calls itself.
const USER_AGENT: &str = concat!("callboard-otlp/", env!("CARGO_PKG_VERSION"));

/// `google.rpc.Status`: how a collector says, in protobuf, why it refuses.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<RpcDetail>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcDetail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}
