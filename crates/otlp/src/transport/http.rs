//! OTLP over HTTP: a POST a request, as protobuf or as JSON, over a connection that is kept.

use std::borrow::Cow;
use std::io::Write;
use std::time::{Duration, SystemTime};

use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use ureq::http::{HeaderMap, Response, StatusCode, header};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig};
use ureq::{Agent, Body, Proxy};

use super::{Outcome, Transport, USER_AGENT, broken, taken, timed_out};
use crate::config::{Compression, Endpoint, Protocol, ResolvedConfig, TlsFiles};

pub(super) struct HttpTransport {
    agent: Agent,
    endpoint: Endpoint,
    headers: Vec<(String, String)>,
    is_json: bool,
    compression: Compression,
}

/// The most bytes of an answer that are read.
const MOST_ANSWER_BYTES: u64 = 64 << 10;

/// The most characters of a refusal that are told.
const MOST_REASON_CHARS: usize = 500;

impl HttpTransport {
    pub(super) fn new(config: &ResolvedConfig) -> Self {
        let proxy = config.proxy.as_deref().and_then(|proxy| match Proxy::new(proxy) {
            Ok(proxy) => Some(proxy),
            Err(error) => {
                log::warn!("the environment's proxy is not used, as it is no address: {error}");
                None
            }
        });
        // A redirect is not followed: it could lead the spans, and the headers with them, to somebody else.
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(USER_AGENT)
            .proxy(proxy)
            .tls_config(tls_config(&config.tls))
            .build();
        Self {
            agent: agent.into(),
            endpoint: config.endpoint.clone(),
            headers: config.headers.clone(),
            is_json: config.protocol == Protocol::HttpJson,
            compression: config.compression,
        }
    }

    fn post(&self, body: &[u8], timeout: Duration) -> Result<Response<Body>, ureq::Error> {
        let content_type = if self.is_json { "application/json" } else { "application/x-protobuf" };
        let mut request = self
            .agent
            .post(self.endpoint.uri())
            .config()
            .timeout_global(Some(timeout))
            .build()
            .header(header::CONTENT_TYPE, content_type);
        if self.compression == Compression::Gzip {
            request = request.header(header::CONTENT_ENCODING, "gzip");
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.send(body)
    }

    fn outcome(&self, mut response: Response<Body>) -> Outcome {
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        // An answer that breaks off while it is read says what its status says.
        let answer = response.body_mut().with_config().limit(MOST_ANSWER_BYTES).read_to_vec();
        let answer = answer.unwrap_or_default();
        if status.is_success() {
            return taken(self.decoded(&answer));
        }
        let reason = self.reason(status, &headers, &answer);
        match status {
            StatusCode::PAYLOAD_TOO_LARGE => Outcome::TooLarge(reason),
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => {
                Outcome::NotNow { reason, wait: retry_after(&headers, SystemTime::now()) }
            }
            _ => Outcome::Refused(reason),
        }
    }

    /// The answer's particulars. One that cannot be read has none: the status said that the spans were taken.
    fn decoded(&self, answer: &[u8]) -> ExportTraceServiceResponse {
        if self.is_json {
            decoded_json(answer).unwrap_or_default()
        } else {
            ExportTraceServiceResponse::decode(answer).unwrap_or_default()
        }
    }

    fn reason(&self, status: StatusCode, headers: &HeaderMap, answer: &[u8]) -> String {
        let mut reason = status.to_string();
        if let Some(place) = headers.get(header::LOCATION).filter(|_| status.is_redirection()) {
            let place = String::from_utf8_lossy(place.as_bytes());
            return format!("{reason}: a redirect to {place}, which is not followed");
        }
        if let Some(text) = said(answer) {
            reason.push_str(": ");
            reason.extend(text.chars().take(MOST_REASON_CHARS));
        }
        if status == StatusCode::NOT_FOUND && self.endpoint.has_no_path() {
            reason.push_str(" (the endpoint is used as given: should it end in /v1/traces?)");
        }
        reason
    }
}

impl Transport for HttpTransport {
    fn send(&mut self, request: &[u8], timeout: Duration) -> Outcome {
        let mut body = Cow::Borrowed(request);
        if self.is_json {
            body = match json(&body) {
                Ok(json) => json.into(),
                Err(error) => return Outcome::Refused(error),
            };
        }
        if self.compression == Compression::Gzip {
            body = gzip(&body).into();
        }
        match self.post(&body, timeout) {
            Ok(response) => self.outcome(response),
            Err(ureq::Error::Timeout(_)) => timed_out(timeout),
            Err(error) => broken(error.to_string(), self.endpoint.is_tls()),
        }
    }
}

/// An answer in JSON, whose whole numbers may be texts, as OTLP has them.
fn decoded_json(answer: &[u8]) -> Option<ExportTraceServiceResponse> {
    let answer: serde_json::Value = serde_json::from_slice(answer).ok()?;
    let partial = answer.get("partialSuccess")?;
    let rejected = partial.get("rejectedSpans").cloned().unwrap_or_default();
    let message = partial.get("errorMessage").and_then(|message| message.as_str());
    let partial_success = ExportTracePartialSuccess {
        rejected_spans: rejected.as_i64().or_else(|| rejected.as_str()?.parse().ok()).unwrap_or(0),
        error_message: message.unwrap_or_default().to_owned(),
    };
    Some(ExportTraceServiceResponse { partial_success: Some(partial_success) })
}

/// The request as OTLP's JSON.
fn json(request: &[u8]) -> Result<Vec<u8>, String> {
    let request = ExportTraceServiceRequest::decode(request).map_err(|error| error.to_string())?;
    serde_json::to_vec(&request).map_err(|error| error.to_string())
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let room = Vec::with_capacity(body.len() / 4);
    let mut encoder = GzEncoder::new(room, flate2::Compression::fast());
    encoder
        .write_all(body)
        .and_then(|()| encoder.finish())
        .expect("writing into memory does not fail")
}

/// What a refusal says: a `google.rpc.Status`, or any text.
fn said(answer: &[u8]) -> Option<String> {
    let is_text = |text: &str| !text.is_empty() && !text.contains(char::is_control);
    if let Some(text) = str::from_utf8(answer).ok().map(str::trim).filter(|text| is_text(text)) {
        return Some(text.to_owned());
    }
    let status = super::RpcStatus::decode(answer).ok()?;
    Some(status.message).filter(|text| is_text(text))
}

/// How long the collector asks to be spared: `Retry-After` in seconds, or as a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = httpdate::parse_http_date(text).ok()?;
            Some(date.duration_since(now).unwrap_or_default())
        }
    }
}

fn tls_config(files: &TlsFiles) -> TlsConfig {
    let mut tls = TlsConfig::builder();
    if let Some(pem) = &files.certificate {
        tls = tls.root_certs(RootCerts::new_with_certs(&certificates(pem)));
    }
    let client = files.client.as_ref();
    if let Some((chain, key)) = client.and_then(|(chain, key)| Some((chain, private_key(key)?))) {
        tls = tls.client_cert(Some(ClientCert::new_with_certs(&certificates(chain), key)));
    }
    tls.build()
}

fn certificates(pem: &[u8]) -> Vec<Certificate<'static>> {
    let items = ureq::tls::parse_pem(pem).filter_map(Result::ok);
    items
        .filter_map(|item| match item {
            PemItem::Certificate(certificate) => Some(certificate),
            _ => None,
        })
        .collect()
}

fn private_key(pem: &[u8]) -> Option<PrivateKey<'static>> {
    PrivateKey::from_pem(pem).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_names_its_wait_in_seconds_or_as_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let check = |text: &str, expected| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, text.parse().unwrap());
            assert_eq!(retry_after(&headers, now), expected, "{text}");
        };
        check("7", Some(Duration::from_secs(7)));
        check("Sun, 06 Nov 1994 08:49:42 GMT", Some(Duration::from_secs(5)));
        check("Sun, 06 Nov 1994 08:49:30 GMT", Some(Duration::ZERO));
        check("soon", None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn a_refusal_is_told_in_its_own_words() {
        let status =
            super::super::RpcStatus { code: 3, message: "no such tenant".into(), details: vec![] };
        assert_eq!(said(&status.encode_to_vec()).as_deref(), Some("no such tenant"));
        assert_eq!(said(b" quota \n").as_deref(), Some("quota"));
        assert_eq!(said(b""), None);
        assert_eq!(said(&[0xff, 0xfe]), None);
    }
}
