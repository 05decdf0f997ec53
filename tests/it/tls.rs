//! TLS to a backend whose certificate comes from a private authority, and which requires client
//! certificates.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use expense_agent::telemetry::provider::Telemetry;
use opentelemetry::Context;
use opentelemetry::trace::{Tracer, TracerProvider};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

use crate::harness::otlp_receiver::Inbox;
use crate::harness::{pseudonyms, telemetry_settings};

/// Writes a certificate and its key into a folder, signed by an authority.
fn issue(folder: &Path, name: &str, issuer: &Issuer<'_, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, issuer)
        .unwrap();
    std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn client_and_server_certificates_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    std::fs::write(path("ca.pem"), authority.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(authority, key);
    issue(folder.path(), "server", &issuer);
    issue(folder.path(), "client", &issuer);

    let read = |name: &str| std::fs::read(path(name)).unwrap();
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(read("server.pem"), read("server.key")))
        .client_ca_root(Certificate::from_pem(read("ca.pem")));
    let incoming = TcpIncoming::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let endpoint = format!("localhost:{}", incoming.local_addr().unwrap().port());
    let inbox = Inbox::default();
    let server = Server::builder()
        .tls_config(tls)
        .unwrap()
        .add_routes(inbox.routes());
    tokio::spawn(server.serve_with_incoming(incoming));

    let (ca, certificate, key) = (path("ca.pem"), path("client.pem"), path("client.key"));
    let variables = [
        // An endpoint without a scheme means TLS.
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", ca.as_str()),
        (
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
            certificate.as_str(),
        ),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", key.as_str()),
    ];
    // Without the authority's certificate the client refuses the server; without a client
    // certificate the server refuses the client.
    for (n_variables, n_spans) in [(1, 0), (2, 0), (4, 1)] {
        let telemetry =
            Telemetry::start(&telemetry_settings(&variables[..n_variables]), pseudonyms()).unwrap();
        telemetry
            .tracer_provider()
            .tracer("test")
            .start_with_context("span", &Context::new());
        tokio::task::spawn_blocking(|| telemetry.shutdown())
            .await
            .unwrap();
        assert_eq!(inbox.spans().len(), n_spans, "{n_variables} variables");
    }
}

#[test]
fn a_file_without_a_certificate_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let path = file.to_str().unwrap();
    // A private key instead of a certificate.
    std::fs::write(&file, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    for protocol in ["grpc", "http/protobuf"] {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://localhost:4317"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", path),
        ];
        let error = Telemetry::start(&telemetry_settings(&variables), pseudonyms()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{path} cannot be read; name a PEM file"),
            "{protocol}"
        );
        assert_eq!(
            error.source().unwrap().to_string(),
            "it contains no certificate",
            "{protocol}"
        );
    }
}
