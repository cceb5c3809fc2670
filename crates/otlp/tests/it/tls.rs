//! TLS: whom the exporter trusts, and how it says who it is.

use std::io::{BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use callboard_otlp::{ConfigError, ExporterConfig};
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use crate::collector::{PATIENCE, answering_anybody, read_request, write_answer};
use crate::grpc::GrpcCollector;
use crate::program::{config_for, exporting, no_environment, record_runs};

/// An authority, and two whom it vouches for.
struct Certificates {
    directory: PathBuf,
    authority: CertifiedIssuer<'static, KeyPair>,
    server: Certified,
    client: Certified,
}

struct Certified {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Certificates {
    fn new(test: &str) -> Self {
        let mut authority = CertificateParams::new(vec![]).unwrap();
        authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let certified = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            Certified { certificate: params.signed_by(&key, &authority).unwrap(), key }
        };
        let (server, client) = (certified("localhost"), certified("client"));
        let directory =
            std::env::temp_dir().join(format!("callboard-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        Self { directory, authority, server, client }
    }

    fn file(&self, name: &str, pem: &str) -> Option<PathBuf> {
        let path = self.directory.join(name);
        std::fs::write(&path, pem).unwrap();
        Some(path)
    }

    /// An exporter that trusts the authority.
    fn trusting(&self, config: ExporterConfig) -> ExporterConfig {
        ExporterConfig { certificate: self.file("authority.pem", &self.authority.pem()), ..config }
    }

    /// And says who it is.
    fn as_client(&self, config: ExporterConfig) -> ExporterConfig {
        ExporterConfig {
            client_certificate: self.file("client.pem", &self.client.certificate.pem()),
            client_key: self.file("client.key", &self.client.key.serialize_pem()),
            ..self.trusting(config)
        }
    }

    /// A collector that asks who its client is. Gives its address and how many requests it answered.
    fn https_collector(&self) -> (String, Arc<AtomicUsize>) {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
        let key = PrivateKeyDer::try_from(self.server.key.serialize_der()).unwrap();
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![self.server.certificate.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tls, answered) = (Arc::new(tls), Arc::new(AtomicUsize::new(0)));
        let counter = answered.clone();
        // Whoever is refused gives up; the thread ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = ServerConnection::new(tls.clone()).unwrap();
                let mut stream = BufReader::new(StreamOwned::new(connection, stream.unwrap()));
                while read_request(&mut stream, 0).is_some() {
                    write_answer(stream.get_mut(), 200, &[], &[]);
                    stream.get_mut().flush().unwrap();
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        (format!("https://localhost:{port}/v1/traces"), answered)
    }

    fn grpc_collector(&self) -> GrpcCollector {
        let key = self.server.key.serialize_pem();
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(self.server.certificate.pem(), key))
            .client_ca_root(Certificate::from_pem(self.authority.pem()));
        GrpcCollector::start_with_tls(tls)
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Records a run; says whether the collector took it, and else what went wrong.
fn send(config: ExporterConfig) -> Result<(), String> {
    let (manager, statistics) = exporting(config);
    assert!(record_runs(&manager, 1));
    let counted = statistics.get();
    assert!(manager.shutdown(PATIENCE));
    if counted.sent == 1 { Ok(()) } else { Err(counted.last_error.unwrap()) }
}

#[test]
fn over_http() {
    let certificates = Certificates::new("http");
    let (endpoint, answered) = certificates.https_collector();
    assert_eq!(send(certificates.as_client(config_for(endpoint.clone()))), Ok(()));
    assert_eq!(answered.load(Ordering::Relaxed), 1);
    let stranger = send(config_for(endpoint.clone())).unwrap_err();
    assert!(stranger.contains("UnknownIssuer"), "{stranger}");
    assert!(send(certificates.trusting(config_for(endpoint))).is_err(), "it asks for a client's");
    assert_eq!(answered.load(Ordering::Relaxed), 1);
}

#[test]
fn over_grpc() {
    let certificates = Certificates::new("grpc");
    let collector = certificates.grpc_collector();
    assert_eq!(send(certificates.as_client(collector.config())), Ok(()));
    let stranger = send(collector.config()).unwrap_err();
    assert!(stranger.contains("UnknownIssuer"), "{stranger}");
    assert!(send(certificates.trusting(collector.config())).is_err(), "it asks for a client's");
    assert_eq!(collector.sizes(), [1]);
}

#[test]
fn where_no_tls_is_spoken_the_fix_is_named() {
    let plain = answering_anybody(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    for protocol in ["http", "grpc"] {
        let config = config_for(format!("https://{plain}/v1/traces"));
        let config = ExporterConfig { protocol: Some(protocol.into()), ..config };
        let error = send(config).unwrap_err();
        assert!(error.contains("is it an http:// endpoint?"), "{protocol}: {error}");
    }
}

#[test]
fn a_file_that_is_no_certificate_is_refused() {
    let certificates = Certificates::new("refused");
    let check = |config: ExporterConfig, reason: &str| {
        let error = config.resolve(&no_environment).unwrap_err();
        assert!(matches!(error, ConfigError::Certificate { .. }), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    };
    let certificate = certificates.file("text.pem", "hello");
    check(ExporterConfig { certificate, ..ExporterConfig::default() }, "no PEM section");
    let client_certificate = certificates.file("c.pem", &certificates.client.certificate.pem());
    let alone = ExporterConfig { client_certificate, ..ExporterConfig::default() };
    check(alone, "a client certificate and its key go together");
    let missing =
        ExporterConfig { certificate: Some("/nowhere.pem".into()), ..ExporterConfig::default() };
    check(missing, "No such file");
}
