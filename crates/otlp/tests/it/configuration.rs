//! Arguments, environment and defaults: which of them holds, and what is refused.

use std::time::Duration;

use callboard_otlp::{Compression, ConfigError, ExporterConfig, History, Protocol, ResolvedConfig};

fn resolve(
    config: ExporterConfig,
    environment: &[(&str, &str)],
) -> Result<ResolvedConfig, ConfigError> {
    config.resolve(&|name| {
        let found = environment.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

fn from_environment(environment: &[(&str, &str)]) -> ResolvedConfig {
    resolve(ExporterConfig::default(), environment).unwrap()
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

#[test]
fn where_nothing_is_said_defaults_hold() {
    let config = from_environment(&[]);
    assert_eq!(config.endpoint.to_string(), "http://localhost:4318/v1/traces");
    assert_eq!(config.protocol, Protocol::HttpProtobuf);
    assert_eq!(config.compression, Compression::None);
    assert_eq!(config.history, History::Full);
    assert_eq!(config.timeout, Duration::from_secs(10));
    assert_eq!(config.schedule_delay, Duration::from_secs(5));
    assert_eq!(config.max_export_batch_size, 512);
    assert_eq!(config.limits.span_attributes, 128);
    assert_eq!(config.limits.span_value_length, usize::MAX);
    assert!(!config.disabled && config.headers.is_empty());
}

#[test]
fn endpoints() {
    let check = |argument: Option<&str>, environment: &[(&str, &str)], expected: &str| {
        let config = ExporterConfig {
            collector_endpoint: argument.map(str::to_owned),
            ..ExporterConfig::default()
        };
        let resolved = resolve(config, environment).unwrap();
        assert_eq!(resolved.endpoint.to_string(), expected, "{argument:?} {environment:?}");
    };
    // Over HTTP an argument, and a variable for traces, hold as they are; the general variable is a base.
    check(Some("http://a:1/x"), &[(ENDPOINT, "http://b:1")], "http://a:1/x");
    check(Some("http://a:1"), &[], "http://a:1");
    check(None, &[(ENDPOINT, "http://b:1")], "http://b:1/v1/traces");
    check(None, &[(ENDPOINT, "http://b:1/base/")], "http://b:1/base/v1/traces");
    check(None, &[(ENDPOINT, "http://b:1"), (TRACES_ENDPOINT, "http://c:1")], "http://c:1");
    check(None, &[(ENDPOINT, "http://b:1"), (TRACES_ENDPOINT, " ")], "http://b:1/v1/traces");
    // gRPC has no path, and an address may go without its scheme.
    let grpc = (PROTOCOL, "grpc");
    check(None, &[grpc], "http://localhost:4317");
    check(None, &[grpc, (ENDPOINT, "http://b:1")], "http://b:1");
    check(Some("localhost:4317"), &[grpc], "http://localhost:4317");
    check(Some("a:4317"), &[grpc], "https://a:4317");
    check(Some("a:4317"), &[grpc, ("OTEL_EXPORTER_OTLP_INSECURE", "true")], "http://a:4317");
    check(
        Some("localhost:4317"),
        &[grpc, ("OTEL_EXPORTER_OTLP_TRACES_INSECURE", "false")],
        "https://localhost:4317",
    );
    check(Some("http://user:secret@a:1/x"), &[], "http://a:1/x");
}

#[test]
fn a_variable_for_traces_beats_the_general_one_and_an_argument_both() {
    let both = [
        (PROTOCOL, "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2000"),
        (HEADERS, "a=1"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "b=2"),
        ("OTEL_SERVICE_NAME", "environment"),
    ];
    let config = from_environment(&both);
    assert_eq!(config.protocol, Protocol::HttpJson);
    assert_eq!(config.compression, Compression::Gzip);
    assert_eq!(config.timeout, Duration::from_secs(2));
    assert_eq!(config.headers, [("b".to_owned(), "2".to_owned())]);
    let argued = ExporterConfig {
        protocol: Some("http".into()),
        compression: Some("none".into()),
        timeout: Some(Duration::from_secs(3)),
        headers: Some(vec![("C".into(), "3".into())]),
        service_name: Some("argument".into()),
        ..ExporterConfig::default()
    };
    let config = resolve(argued, &both).unwrap();
    assert_eq!(config.protocol, Protocol::HttpProtobuf);
    assert_eq!(config.compression, Compression::None);
    assert_eq!(config.timeout, Duration::from_secs(3));
    assert_eq!(config.headers, [("c".to_owned(), "3".to_owned())]);
    assert!(config.resource.contains(&("service.name".into(), "argument".into())));
}

#[test]
fn headers_are_percent_decoded() {
    let config = from_environment(&[(HEADERS, "Authorization=Basic%20YTpi, x-scope = a%2Cb,,")]);
    let expected = [("authorization", "Basic YTpi"), ("x-scope", "a,b")];
    assert_eq!(config.headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn the_resource() {
    let config = ExporterConfig {
        resource_attributes: Some(vec![("team".into(), "argument".into())]),
        ..ExporterConfig::default()
    };
    let environment = [
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=listed,team=listed,place=a%20b"),
        ("OTEL_SERVICE_NAME", "named"),
    ];
    let resource = resolve(config, &environment).unwrap().resource;
    let get =
        |key: &str| resource.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    assert_eq!(get("service.name"), Some("named"));
    assert_eq!(get("team"), Some("argument"));
    assert_eq!(get("place"), Some("a b"));
    assert_eq!(get("telemetry.sdk.name"), Some("callboard"));
    assert_eq!(get("service.instance.id").map(str::len), Some(36));
    let listed = from_environment(&[("OTEL_RESOURCE_ATTRIBUTES", "service.name=listed")]);
    assert!(listed.resource.contains(&("service.name".into(), "listed".into())));
    let unknown = from_environment(&[("OTEL_RESOURCE_ATTRIBUTES", "nonsense")]);
    let name = unknown.resource.iter().find(|(name, _)| name == "service.name").unwrap();
    assert!(name.1.starts_with("unknown_service:"), "{name:?}");
}

#[test]
fn batches_and_limits() {
    let config = from_environment(&[
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "200"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "3"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "4"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "5"),
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "6"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "7"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "8"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "9"),
        ("OTEL_SDK_DISABLED", "TRUE"),
    ]);
    assert_eq!(config.schedule_delay, Duration::from_millis(100));
    assert_eq!(config.export_timeout, Duration::from_millis(200));
    assert_eq!((config.max_export_batch_size, config.max_queue_spans), (3, 4));
    let limits = config.limits;
    assert_eq!((limits.event_value_length, limits.span_value_length), (5, 6));
    assert_eq!((limits.event_attributes, limits.span_attributes, limits.span_events), (7, 8, 9));
    assert!(config.disabled);
}

#[test]
fn a_number_that_is_none_is_passed_over() {
    let config = from_environment(&[
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_BSP_SCHEDULE_DELAY", "-1"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", ""),
        ("OTEL_SDK_DISABLED", "perhaps"),
    ]);
    assert_eq!(config.timeout, Duration::from_secs(10));
    assert_eq!(config.schedule_delay, Duration::from_secs(5));
    assert_eq!(config.limits.span_attributes, 128);
    assert!(!config.disabled);
}

#[test]
fn what_is_refused_and_how_it_is_mended() {
    let check = |change: fn(&mut ExporterConfig), environment: &[(&str, &str)], expected: &str| {
        let mut config = ExporterConfig::default();
        change(&mut config);
        let error = resolve(config, environment).unwrap_err().to_string();
        assert_eq!(error, expected);
    };
    let nothing = |_: &mut ExporterConfig| {};
    check(
        |config| config.collector_endpoint = Some("not a url".into()),
        &[],
        "\"not a url\" (collector_endpoint) is no collector endpoint: write a whole address, such as http://localhost:4318/v1/traces",
    );
    check(
        |config| config.collector_endpoint = Some("localhost:4318".into()),
        &[],
        "\"localhost:4318\" (collector_endpoint) is no collector endpoint: it has no scheme, write http://localhost:4318/v1/traces",
    );
    check(
        |config| config.collector_endpoint = Some("".into()),
        &[],
        "\"\" (collector_endpoint) is no collector endpoint: write a whole address, such as http://localhost:4318/v1/traces",
    );
    check(
        nothing,
        &[(TRACES_ENDPOINT, "ftp://a/b")],
        "\"ftp://a/b\" (OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) is no collector endpoint: its scheme is ftp, where http or https is needed",
    );
    check(
        |config| config.protocol = Some("udp".into()),
        &[],
        "\"udp\" (protocol) is no OTLP protocol: use http, http/protobuf, http/json or grpc",
    );
    check(
        nothing,
        &[("OTEL_EXPORTER_OTLP_COMPRESSION", "zip")],
        "\"zip\" (OTEL_EXPORTER_OTLP_COMPRESSION) is no compression: use none or gzip",
    );
    check(
        |config| config.history = Some("some".into()),
        &[],
        "\"some\" (history) is no way to send histories: use full, new or none",
    );
    check(
        nothing,
        &[(HEADERS, "a b=secret")],
        "\"a b\" (OTEL_EXPORTER_OTLP_HEADERS) is no header: write NAME=VALUE, in printable ASCII",
    );
}
