//! How metrics leave the process: on a page for Prometheus, which is always served, and by a push
//! over OTLP, which can be turned off.

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{Instrument, PeriodicReader, SdkMeterProvider, Stream};
use prometheus::{Registry, TextEncoder};

use crate::telemetry::names;
use crate::telemetry::names::metrics;
use crate::telemetry::settings::TelemetrySettings;

/// Upper limit on the series of a metric, beyond which the SDK folds values into one overflow
/// series. This is the SDK's own default.
const MAX_SERIES: usize = 2_000;
/// Series of a metric for each tenant: more than its other attributes have combinations in
/// practice.
const SERIES_PER_TENANT: usize = 64;

/// The registry from which the page is written.
#[derive(Clone, Debug, Default)]
pub(in crate::telemetry) struct Page(Registry);

impl Page {
    /// The page with the values of this moment.
    pub(in crate::telemetry) fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.0.gather())
    }
}

/// Builds the meter provider, and the page it fills. With telemetry disabled it has no reader, so it
/// keeps no values.
pub(in crate::telemetry) fn provider(
    settings: &TelemetrySettings,
    resource: Resource,
    push: Option<PeriodicReader<impl PushMetricExporter + 'static>>,
) -> (SdkMeterProvider, Page) {
    let page = Page::default();
    let max_series = MAX_SERIES.max((settings.metrics.max_tenants + 1) * SERIES_PER_TENANT);
    let by_tenant = move |instrument: &Instrument| {
        let metric = metrics::ALL
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
                .expect("a new registry accepts every collector"),
        );
    }
    if let Some(reader) = push {
        builder = builder.with_reader(reader);
    }
    (builder.build(), page)
}
