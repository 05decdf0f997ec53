//! The push of metrics over OTLP, by the exporter of opentelemetry-otlp. Nothing is queued when a
//! push fails, because the next one holds the totals again; with delta temporality a failed push is
//! lost. Failures are logged once per outage.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::{
    Compression, HttpExporterBuilderSet, MetricExporter, MetricExporterBuilder,
    NoExporterBuilderSet, Protocol as OtlpProtocol, TonicExporterBuilderSet, WithExportConfig,
    WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, Temporality};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use tokio::runtime::Runtime;

use crate::telemetry::export::outage::Outage;
use crate::telemetry::export::transport::{HttpTls, TransportError, grpc_tls};
use crate::telemetry::settings::{ExporterSettings, MetricSettings, Protocol};

/// What the operator can do about a failure: the end of the line that [`Outage::note`] logs.
const ADVICE: &str = ", and /metrics still shows them. Name a backend that accepts them in \
    OTEL_EXPORTER_OTLP_METRICS_ENDPOINT, or turn the push off with OTEL_METRICS_EXPORTER=none";

/// The exporter of metrics.
#[derive(Debug)]
pub(crate) struct Pusher {
    exporter: MetricExporter,
    outage: Outage,
}

impl Pusher {
    /// Builds the exporter; must be called inside the runtime that runs it.
    fn build(
        settings: &ExporterSettings,
        temporality: Temporality,
    ) -> Result<Self, TransportError> {
        let builder = MetricExporter::builder().with_temporality(temporality);
        let built = match settings.protocol {
            Protocol::Grpc => over_grpc(builder, settings)?.build(),
            Protocol::HttpProtobuf => over_http(builder, settings)?.build(),
        };
        let shown = settings.shown_endpoint.clone();
        Ok(Self {
            exporter: built.map_err(|error| TransportError::Metrics(shown, error))?,
            outage: Outage::new("metrics", ADVICE, settings.shown_endpoint.clone()),
        })
    }
}

/// Pushes metrics at an interval, from a thread of its own.
pub(crate) type Push = PeriodicReader<Pusher>;

/// Starts the push on a runtime, which must not be the application's. Returns nothing if metrics
/// are not pushed.
///
/// # Errors
/// When the exporter cannot be built.
pub(crate) fn push(
    settings: &MetricSettings,
    runtime: &Runtime,
) -> Result<Option<Push>, TransportError> {
    let Some(exporter) = &settings.exporter else {
        return Ok(None);
    };
    let _entered = runtime.enter();
    let pusher = Pusher::build(exporter, settings.temporality)?;
    Ok(Some(
        PeriodicReader::builder(pusher)
            .with_interval(settings.interval)
            .build(),
    ))
}

fn over_grpc(
    builder: MetricExporterBuilder<NoExporterBuilderSet>,
    settings: &ExporterSettings,
) -> Result<MetricExporterBuilder<TonicExporterBuilderSet>, TransportError> {
    let mut builder = builder
        .with_tonic()
        .with_endpoint(&settings.endpoint)
        .with_timeout(settings.timeout)
        .with_metadata(MetadataMap::from_headers(settings.headers.clone()));
    if settings.endpoint.starts_with("https:") {
        builder = builder.with_tls_config(grpc_tls(&settings.tls)?);
    }
    if settings.gzip {
        builder = builder.with_compression(Compression::Gzip);
    }
    Ok(builder)
}

fn over_http(
    builder: MetricExporterBuilder<NoExporterBuilderSet>,
    settings: &ExporterSettings,
) -> Result<MetricExporterBuilder<HttpExporterBuilderSet>, TransportError> {
    let HttpTls { trusted, identity } = HttpTls::read(settings)?;
    // A redirect turns the POST into a GET, whose success would count as a delivery.
    let mut client = reqwest::blocking::Client::builder()
        .redirect(Policy::none())
        .timeout(settings.timeout);
    if let Some(trusted) = trusted {
        client = client.tls_certs_only(trusted);
    }
    if let Some(identity) = identity {
        client = client.identity(identity);
    }
    // Building a blocking client inside a runtime panics, so another thread builds it.
    let client = thread::scope(|scope| scope.spawn(|| client.build()).join());
    let client = client.expect("building a client returns its errors and does not panic");
    let client =
        client.map_err(|error| TransportError::Http(settings.shown_endpoint.clone(), error))?;
    let header = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.to_string(), value.to_str().ok()?.to_owned()))
    };
    let headers: HashMap<String, String> = settings.headers.iter().filter_map(header).collect();
    let mut builder = builder
        .with_http()
        .with_protocol(OtlpProtocol::HttpBinary)
        .with_endpoint(&settings.endpoint)
        .with_timeout(settings.timeout)
        .with_headers(headers)
        .with_http_client(client);
    if settings.gzip {
        builder = builder.with_compression(Compression::Gzip);
    }
    Ok(builder)
}

impl PushMetricExporter for Pusher {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.exporter.export(metrics).await;
        self.outage.note(&result);
        result
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
