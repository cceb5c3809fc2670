//! Where a collector listens.

use std::fmt;
use std::net::IpAddr;

use ureq::http::Uri;

use super::environment::Environment;
use super::{ConfigError, Protocol};

/// The address of a collector: with a scheme, `http` or `https`, and a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Uri);

const ARGUMENT: &str = "collector_endpoint";

impl Endpoint {
    /// The endpoint of the argument, else of the environment, else this machine at the protocol's usual port.
    pub(crate) fn resolve(
        argument: Option<&str>,
        insecure: Option<bool>,
        protocol: Protocol,
        env: &Environment<'_>,
    ) -> Result<Self, ConfigError> {
        let (text, source_name) = match (argument, env.otlp("ENDPOINT"), protocol) {
            (Some(text), _, _) => (text.trim().to_owned(), ARGUMENT),
            (None, Some((text, name)), _) => (text.trim().to_owned(), name),
            (None, None, Protocol::Grpc) => ("http://localhost:4317".to_owned(), ARGUMENT),
            (None, None, _) => ("http://localhost:4318/v1/traces".to_owned(), ARGUMENT),
        };
        if protocol == Protocol::Grpc {
            return Self::grpc(&text, insecure.or_else(|| env.otlp_flag("INSECURE")), source_name);
        }
        let is_base = source_name == "OTEL_EXPORTER_OTLP_ENDPOINT";
        let full = if is_base { format!("{}/v1/traces", text.trim_end_matches('/')) } else { text };
        Self::parse(&full, source_name, "/v1/traces")
    }

    /// Without a scheme, TLS is spoken unless the caller says otherwise, as OpenTelemetry has it; to this machine, plain
    /// text, as no certificate names it.
    fn grpc(
        text: &str,
        insecure: Option<bool>,
        source_name: &'static str,
    ) -> Result<Self, ConfigError> {
        if text.contains("://") {
            return Self::parse(text, source_name, "");
        }
        let plain = Self::parse(&format!("http://{text}"), source_name, "")?;
        if insecure.unwrap_or_else(|| plain.is_loopback()) {
            Ok(plain)
        } else {
            Self::parse(&format!("https://{text}"), source_name, "")
        }
    }

    fn parse(text: &str, source_name: &'static str, path: &str) -> Result<Self, ConfigError> {
        let refused = |fix: String| {
            let endpoint = text.to_owned();
            Err(ConfigError::Endpoint { endpoint, source_name, fix })
        };
        let example = || format!("write a whole address, such as http://localhost:4318{path}");
        if !text.contains("://") {
            let full = format!("http://{text}");
            return refused(match full.parse::<Uri>() {
                Ok(uri) if uri.path() == "/" => format!("it has no scheme, write {full}{path}"),
                Ok(_) => format!("it has no scheme, write {full}"),
                Err(_) => example(),
            });
        }
        let Ok(uri) = text.parse::<Uri>() else { return refused(example()) };
        match uri.scheme_str() {
            Some("http" | "https") if !uri.host().unwrap_or_default().is_empty() => Ok(Self(uri)),
            Some("http" | "https") | None => refused(example()),
            Some(other) => refused(format!("its scheme is {other}, where http or https is needed")),
        }
    }

    /// Its host.
    pub fn host(&self) -> &str {
        self.0.host().unwrap_or_default()
    }

    /// Whether TLS is spoken.
    pub fn is_tls(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    /// Whether it is this machine.
    pub fn is_loopback(&self) -> bool {
        let host = self.host().trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || host.ends_with(".localhost")
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Whether it says no more than a host: what an HTTP endpoint should not do.
    pub fn has_no_path(&self) -> bool {
        matches!(self.0.path(), "" | "/")
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }
}

impl fmt::Display for Endpoint {
    /// Without a user's name and password, should it have them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.0.scheme_str().unwrap_or("http");
        let authority = self.0.authority().map_or("", |authority| authority.as_str());
        let host = authority.rsplit('@').next().unwrap_or_default();
        let path = if self.has_no_path() { "" } else { self.0.path() };
        write!(f, "{scheme}://{host}{path}")
    }
}
