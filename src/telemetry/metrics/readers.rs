//! The two ways out: a page that Prometheus reads, always, and a push over OTLP, unless that is
//! turned off.

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{Instrument, PeriodicReader, SdkMeterProvider, Stream};
use prometheus::{Registry, TextEncoder};

use crate::telemetry::names;
use crate::telemetry::names::metrics as list;
use crate::telemetry::settings::TelemetrySettings;

/// Series of a metric at most, beyond which the SDK puts all into one; its own default.
const MAX_SERIES: usize = 2_000;
/// Series of a metric for each tenant, beyond what may come together.
const SERIES_PER_TENANT: usize = 64;

/// What the page is made of.
#[derive(Clone, Debug, Default)]
pub(in crate::telemetry) struct Page(Registry);

impl Page {
    /// The page as it is now.
    pub(in crate::telemetry) fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.0.gather())
    }
}

/// Makes what measures, and what shows it. Without telemetry nothing reads, so nothing is kept.
pub(in crate::telemetry) fn provider(
    settings: &TelemetrySettings,
    resource: Resource,
    push: Option<PeriodicReader<impl PushMetricExporter + 'static>>,
) -> (SdkMeterProvider, Page) {
    let page = Page::default();
    let max_series = MAX_SERIES.max((settings.metrics.max_tenants + 1) * SERIES_PER_TENANT);
    let by_tenant = move |instrument: &Instrument| {
        let metric = list::ALL
            .iter()
            .find(|metric| metric.key == instrument.name())?;
        let has_tenants = metric.attributes.contains(&names::TENANT_ID);
        has_tenants.then(|| {
            Stream::builder()
                .with_cardinality_limit(max_series)
                .build()
                .ok()
        })?
    };
    let mut builder = SdkMeterProvider::builder()
        .with_resource(resource)
        .with_view(by_tenant);
    if !settings.is_disabled {
        let reader = opentelemetry_prometheus::exporter()
            .with_registry(page.0.clone())
            .scope_info_enabled(false);
        builder = builder.with_reader(
            reader
                .build()
                .expect("a new registry takes every collector"),
        );
    }
    if let Some(reader) = push {
        builder = builder.with_reader(reader);
    }
    (builder.build(), page)
}
