//! What the exporter is told: by its maker, else by the standard `OTEL_*` variables, else by OpenTelemetry's defaults.
//!
//! Sources of the rules: the OTLP exporter, SDK environment variable and batch span processor pages of OpenTelemetry's
//! specification, 1.5x. An argument beats a variable, a `_TRACES_` variable the general one, and an empty variable is none.

mod endpoint;
pub(crate) mod environment;

use std::path::PathBuf;
use std::time::Duration;

pub use self::endpoint::Endpoint;
use self::environment::Environment;
use crate::resource;

/// What a program may say; what it leaves out comes from the environment.
#[derive(Clone, Debug, Default)]
pub struct ExporterConfig {
    /// Where the collector listens. For HTTP the full address, used as given; for gRPC with or without a scheme.
    pub collector_endpoint: Option<String>,
    /// The resource's `service.name`.
    pub service_name: Option<String>,
    /// `http` (also written `http/protobuf`), `http/json` or `grpc`.
    pub protocol: Option<String>,
    /// Sent with each request, such as an authorisation. Replaces the variables' headers as a whole.
    pub headers: Option<Vec<(String, String)>>,
    /// The most time that one request may take. Default: 10 s.
    pub timeout: Option<Duration>,
    /// `none` or `gzip`.
    pub compression: Option<String>,
    /// A PEM file of the authorities that may vouch for the collector.
    pub certificate: Option<PathBuf>,
    /// A PEM file with the client's own certificate chain, for mutual TLS.
    pub client_certificate: Option<PathBuf>,
    /// A PEM file with the key to `client_certificate`.
    pub client_key: Option<PathBuf>,
    /// Whether a gRPC endpoint without a scheme is spoken to in plain text. Default: where it is this machine.
    pub insecure: Option<bool>,
    /// How histories of messages are sent: `full`, `new` or `none`; see [`History`].
    pub history: Option<String>,
    /// The most bytes of a history in one attribute; its oldest messages are left out beyond. Default: 256 KiB.
    pub history_max_bytes: Option<usize>,
    /// More attributes of the resource; they beat `OTEL_RESOURCE_ATTRIBUTES`.
    pub resource_attributes: Option<Vec<(String, String)>>,
    /// How long a span waits for others to go with it. Default: 5 s.
    pub schedule_delay: Option<Duration>,
    /// The most time that a flush, and the last sending at shutdown, may take. Default: 30 s.
    pub export_timeout: Option<Duration>,
    /// The most spans in one request. Default: 512.
    pub max_export_batch_size: Option<usize>,
    /// The most bytes in one request, before compression. Default: 3.5 MiB, as gRPC servers take 4 MiB.
    pub max_export_batch_bytes: Option<usize>,
    /// The most bytes of spans that wait to be sent. Default: 32 MiB.
    pub max_queue_bytes: Option<usize>,
    /// The most bytes of parts of spans that have not ended. Default: 32 MiB.
    pub max_open_bytes: Option<usize>,
    /// The first wait before a batch is tried again; it doubles with each failure. Default: 500 ms.
    pub retry_initial_delay: Option<Duration>,
    /// The longest such wait that the exporter chooses by itself. Default: 30 s.
    pub retry_max_delay: Option<Duration>,
    /// The longest text of an attribute, in characters. Default: no limit but the batch's.
    pub attribute_value_length_limit: Option<usize>,
    /// The most attributes that a program may set on one span. Default: 128.
    pub span_attribute_count_limit: Option<usize>,
    /// The most events of one span. Default: 1,000, where OpenTelemetry has 128: a chat has an event a message.
    pub span_event_count_limit: Option<usize>,
    /// The most attributes of one event. Default: 128.
    pub event_attribute_count_limit: Option<usize>,
}

/// What holds once arguments, environment and defaults are put together.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ResolvedConfig {
    /// `OTEL_SDK_DISABLED`: nothing is exported.
    pub disabled: bool,
    /// How the collector is spoken to.
    pub protocol: Protocol,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Sent with each request; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The most time that one request may take.
    pub timeout: Duration,
    /// How requests are compressed.
    pub compression: Compression,
    /// The keys and certificates of TLS.
    pub tls: TlsFiles,
    /// The proxy, for HTTP.
    pub proxy: Option<String>,
    /// How histories are sent.
    pub history: History,
    /// The most bytes of a history in one attribute.
    pub history_max_bytes: usize,
    /// Who sends the spans.
    pub resource: Vec<(String, String)>,
    /// Whether `service.instance.id` is the exporter's own choice, to be made anew in a forked child.
    pub(crate) chose_instance_id: bool,
    /// How long a span waits for others.
    pub schedule_delay: Duration,
    /// The most time of a flush.
    pub export_timeout: Duration,
    /// The most spans in one request.
    pub max_export_batch_size: usize,
    /// The most bytes in one request.
    pub max_export_batch_bytes: usize,
    /// The most bytes that wait to be sent.
    pub max_queue_bytes: usize,
    /// The most spans that wait to be sent, where `OTEL_BSP_MAX_QUEUE_SIZE` says so.
    pub max_queue_spans: usize,
    /// The most bytes of parts of open spans.
    pub max_open_bytes: usize,
    /// The first wait before a batch is tried again.
    pub retry_initial_delay: Duration,
    /// The longest such wait.
    pub retry_max_delay: Duration,
    /// How much of a span is sent.
    pub limits: Limits,
}

/// How a collector is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Protobuf in HTTP requests.
    HttpProtobuf,
    /// JSON in HTTP requests.
    HttpJson,
    /// gRPC.
    Grpc,
}

/// How requests are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// With gzip.
    Gzip,
}

/// How a history of messages is sent, which the program sends to the model whole at each call. What is left out is
/// counted on the span: `callboard.history.omitted`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// Whole, within the bytes allowed: the oldest messages go first.
    Full,
    /// Only what the run has not sent before under the same attribute.
    New,
    /// Not at all.
    None,
}

/// Certificates and keys, as PEM text.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct TlsFiles {
    /// The authorities that may vouch for the collector.
    pub certificate: Option<Vec<u8>>,
    /// The client's own chain and its key.
    pub client: Option<(Vec<u8>, Vec<u8>)>,
}

impl std::fmt::Debug for TlsFiles {
    /// Without the keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsFiles")
            .field("certificate", &self.certificate.is_some())
            .field("client", &self.client.is_some())
            .finish()
    }
}

/// How much of a span is sent. Lengths are in characters, as OpenTelemetry counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of a text on a span.
    pub span_value_length: usize,
    /// Of a text on an event.
    pub event_value_length: usize,
    /// Attributes that the program set on a span.
    pub span_attributes: usize,
    /// Events of a span.
    pub span_events: usize,
    /// Attributes of an event.
    pub event_attributes: usize,
}

/// Why an exporter cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The endpoint is no address.
    #[error("{endpoint:?} ({source_name}) is no collector endpoint: {fix}")]
    Endpoint {
        /// What was given.
        endpoint: String,
        /// Where it was given.
        source_name: &'static str,
        /// What to write instead.
        fix: String,
    },
    /// A word that stands for nothing.
    #[error("{value:?} ({source_name}) is no {what}: use {choices}")]
    UnknownWord {
        /// What was given.
        value: String,
        /// Where it was given.
        source_name: &'static str,
        /// What it should have been.
        what: &'static str,
        /// The words there are.
        choices: &'static str,
    },
    /// The protocol is known, but this build leaves it out.
    #[error(
        "this build of callboard-otlp cannot speak grpc: enable its feature `grpc`, or use http"
    )]
    NoGrpc,
    /// A header that HTTP does not allow.
    #[error("{header:?} ({source_name}) is no header: write NAME=VALUE, in printable ASCII")]
    Header {
        /// Its name, or all of it where there is none. Never its value, which may be secret.
        header: String,
        /// Where it was given.
        source_name: &'static str,
    },
    /// A certificate or key that cannot be used.
    #[error("{path} ({source_name}) cannot be used for TLS: {reason}")]
    Certificate {
        /// The file.
        path: String,
        /// Where it was given.
        source_name: &'static str,
        /// Why not.
        reason: String,
    },
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

impl ExporterConfig {
    /// Puts together what holds. `env` gives a variable of the environment: [`process_environment`] in a program.
    ///
    /// # Errors
    /// An endpoint, protocol, compression, history, header or certificate that cannot be used. A number or truth value
    /// of a variable that is none is only warned about, as OpenTelemetry has it.
    pub fn resolve(
        self,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<ResolvedConfig, ConfigError> {
        let env = Environment::new(env);
        let protocol = self.protocol(&env)?;
        let endpoint =
            Endpoint::resolve(self.collector_endpoint.as_deref(), self.insecure, protocol, &env)?;
        let (resource, chose_instance_id) = resource::describe(
            self.service_name.as_deref(),
            self.resource_attributes.as_deref().unwrap_or_default(),
            &env,
        );
        Ok(ResolvedConfig {
            disabled: env.flag("OTEL_SDK_DISABLED").unwrap_or(false),
            protocol,
            headers: self.headers(&env)?,
            timeout: self.timeout.or_else(|| env.otlp_millis("TIMEOUT")).unwrap_or(seconds(10)),
            compression: self.compression(&env)?,
            tls: self.tls(&env)?,
            proxy: env.proxy_for(&endpoint),
            endpoint,
            history: self.history()?,
            history_max_bytes: self.history_max_bytes.unwrap_or(256 * KIB),
            resource,
            chose_instance_id,
            schedule_delay: self
                .schedule_delay
                .or_else(|| env.millis("OTEL_BSP_SCHEDULE_DELAY"))
                .unwrap_or(seconds(5)),
            export_timeout: self
                .export_timeout
                .or_else(|| env.millis("OTEL_BSP_EXPORT_TIMEOUT"))
                .unwrap_or(seconds(30)),
            max_export_batch_size: self
                .max_export_batch_size
                .or_else(|| env.count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE"))
                .unwrap_or(512)
                .max(1),
            max_export_batch_bytes: self.max_export_batch_bytes.unwrap_or(7 * MIB / 2),
            max_queue_bytes: self.max_queue_bytes.unwrap_or(32 * MIB),
            max_queue_spans: env.count("OTEL_BSP_MAX_QUEUE_SIZE").unwrap_or(usize::MAX).max(1),
            max_open_bytes: self.max_open_bytes.unwrap_or(32 * MIB),
            retry_initial_delay: self.retry_initial_delay.unwrap_or(Duration::from_millis(500)),
            retry_max_delay: self.retry_max_delay.unwrap_or(seconds(30)),
            limits: self.limits(&env),
        })
    }

    fn protocol(&self, env: &Environment<'_>) -> Result<Protocol, ConfigError> {
        let (word, source_name) = env.otlp_word(self.protocol.as_deref(), "protocol", "PROTOCOL");
        match word.as_deref() {
            None | Some("http" | "http/protobuf") => Ok(Protocol::HttpProtobuf),
            Some("http/json") => Ok(Protocol::HttpJson),
            Some("grpc") if cfg!(feature = "grpc") => Ok(Protocol::Grpc),
            Some("grpc") => Err(ConfigError::NoGrpc),
            Some(other) => Err(ConfigError::UnknownWord {
                value: other.to_owned(),
                source_name,
                what: "OTLP protocol",
                choices: "http, http/protobuf, http/json or grpc",
            }),
        }
    }

    fn compression(&self, env: &Environment<'_>) -> Result<Compression, ConfigError> {
        let argument = self.compression.as_deref();
        let (word, source_name) = env.otlp_word(argument, "compression", "COMPRESSION");
        match word.as_deref() {
            None | Some("none") => Ok(Compression::None),
            Some("gzip") => Ok(Compression::Gzip),
            Some(other) => Err(ConfigError::UnknownWord {
                value: other.to_owned(),
                source_name,
                what: "compression",
                choices: "none or gzip",
            }),
        }
    }

    fn history(&self) -> Result<History, ConfigError> {
        match self.history.as_deref() {
            None | Some("full") => Ok(History::Full),
            Some("new") => Ok(History::New),
            Some("none") => Ok(History::None),
            Some(other) => Err(ConfigError::UnknownWord {
                value: other.to_owned(),
                source_name: "history",
                what: "way to send histories",
                choices: "full, new or none",
            }),
        }
    }

    fn headers(&self, env: &Environment<'_>) -> Result<Vec<(String, String)>, ConfigError> {
        match &self.headers {
            Some(headers) => environment::checked_headers(headers.iter().cloned(), "headers"),
            None => env.otlp_headers(),
        }
    }

    fn tls(&self, env: &Environment<'_>) -> Result<TlsFiles, ConfigError> {
        let read = |argument: &Option<PathBuf>, name, variable| {
            env.otlp_file(argument.as_deref(), name, variable)
        };
        let certificate = read(&self.certificate, "certificate", "CERTIFICATE")?;
        let chain = read(&self.client_certificate, "client_certificate", "CLIENT_CERTIFICATE")?;
        let key = read(&self.client_key, "client_key", "CLIENT_KEY")?;
        let client = match (chain, key) {
            (Some(chain), Some(key)) => Some((chain.pem, key.pem)),
            (None, None) => None,
            (Some(alone), None) | (None, Some(alone)) => {
                return Err(alone.refused("a client certificate and its key go together"));
            }
        };
        Ok(TlsFiles { certificate: certificate.map(|file| file.pem), client })
    }

    fn limits(&self, env: &Environment<'_>) -> Limits {
        let count = |argument: Option<usize>, names: &[&str], default| {
            argument.or_else(|| names.iter().find_map(|name| env.count(name))).unwrap_or(default)
        };
        let length = self.attribute_value_length_limit;
        const LENGTH: &str = "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT";
        const COUNT: &str = "OTEL_ATTRIBUTE_COUNT_LIMIT";
        Limits {
            span_value_length: count(
                length,
                &["OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", LENGTH],
                usize::MAX,
            ),
            event_value_length: count(length, &[LENGTH], usize::MAX),
            span_attributes: count(
                self.span_attribute_count_limit,
                &["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", COUNT],
                128,
            ),
            span_events: count(self.span_event_count_limit, &["OTEL_SPAN_EVENT_COUNT_LIMIT"], 1000),
            event_attributes: count(
                self.event_attribute_count_limit,
                &["OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", COUNT],
                128,
            ),
        }
    }
}

/// A variable of this process's environment; none where it is not set or is no Unicode.
pub fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
