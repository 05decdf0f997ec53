//! The OTLP exporters of both signals, set up from the same settings. Endpoint, headers and compression are left to the
//! exporter, which reads their variables itself.

use std::path::Path;

use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig, Identity as TlsIdentity};
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, Protocol as OtlpProtocol, RetryPolicy, SpanExporter, WithExportConfig,
    WithHttpConfig, WithTonicConfig,
};

use crate::telemetry::settings::{ExporterSettings, Protocol, TlsFiles};

/// An exporter cannot be set up as the variables ask.
#[derive(Debug, thiserror::Error)]
pub enum ExporterError {
    /// The exporter cannot be built.
    #[error("the OTLP exporter for {endpoint} cannot be built")]
    Build {
        /// Where it was to deliver.
        endpoint: String,
        /// Why not.
        #[source]
        source: ExporterBuildError,
    },
    /// A certificate or key cannot be read.
    #[error("{0} cannot be read; name a PEM file")]
    TlsFile(String, #[source] std::io::Error),
    /// A certificate or key is none.
    #[error("the certificates and keys of OTEL_EXPORTER_OTLP_* cannot be used")]
    Tls(#[source] reqwest::Error),
}

/// The exporter of spans. Over gRPC it belongs to the runtime that is entered now.
pub(super) fn span_exporter(settings: &ExporterSettings) -> Result<SpanExporter, ExporterError> {
    match settings.protocol {
        Protocol::Grpc => over_grpc(SpanExporter::builder().with_tonic(), settings)?.build(),
        Protocol::HttpProtobuf => over_http(SpanExporter::builder().with_http(), settings)?.build(),
    }
    .map_err(|source| unbuilt(settings, source))
}

/// The exporter of metrics. Over gRPC it belongs to the runtime that is entered now. What was not delivered is part of
/// the next delivery, so nothing is tried twice.
pub(super) fn metric_exporter(settings: &ExporterSettings) -> Result<MetricExporter, ExporterError> {
    let builder = MetricExporter::builder();
    let once = RetryPolicy::disabled();
    match settings.protocol {
        Protocol::Grpc => over_grpc(builder.with_tonic().with_retry_policy(once), settings)?.build(),
        Protocol::HttpProtobuf => over_http(builder.with_http().with_retry_policy(once), settings)?.build(),
    }
    .map_err(|source| unbuilt(settings, source))
}

fn over_grpc<B: WithExportConfig + WithTonicConfig>(
    mut builder: B,
    settings: &ExporterSettings,
) -> Result<B, ExporterError> {
    let TlsFiles { certificate, client_certificate, client_key } = &settings.tls;
    if let Some(timeout) = settings.timeout {
        builder = builder.with_timeout(timeout);
    }
    if certificate.is_some() || client_certificate.is_some() {
        let mut tls = ClientTlsConfig::new();
        tls = match certificate {
            Some(file) => tls.ca_certificate(Certificate::from_pem(read(file)?)),
            None => tls.with_enabled_roots(),
        };
        if let (Some(certificate), Some(key)) = (client_certificate, client_key) {
            tls = tls.identity(TlsIdentity::from_pem(read(certificate)?, read(key)?));
        }
        builder = builder.with_tls_config(tls);
    }
    Ok(builder)
}

fn over_http<B: WithExportConfig + WithHttpConfig>(
    builder: B,
    settings: &ExporterSettings,
) -> Result<B, ExporterError> {
    let TlsFiles { certificate, client_certificate, client_key } = &settings.tls;
    let mut builder = builder.with_protocol(OtlpProtocol::HttpBinary);
    if let Some(timeout) = settings.timeout {
        builder = builder.with_timeout(timeout);
    }
    if certificate.is_some() || client_certificate.is_some() {
        let mut client = reqwest::blocking::Client::builder();
        if let Some(file) = certificate {
            let trusted = reqwest::Certificate::from_pem_bundle(&read(file)?).map_err(ExporterError::Tls)?;
            client = client.tls_certs_only(trusted);
        }
        if let (Some(certificate), Some(key)) = (client_certificate, client_key) {
            let pem = [read(certificate)?, read(key)?].concat();
            client = client.identity(reqwest::Identity::from_pem(&pem).map_err(ExporterError::Tls)?);
        }
        builder = builder.with_http_client(client.build().map_err(ExporterError::Tls)?);
    }
    Ok(builder)
}

fn unbuilt(settings: &ExporterSettings, source: ExporterBuildError) -> ExporterError {
    ExporterError::Build { endpoint: settings.endpoint.clone(), source }
}

fn read(file: &Path) -> Result<Vec<u8>, ExporterError> {
    std::fs::read(file).map_err(|error| ExporterError::TlsFile(file.display().to_string(), error))
}
