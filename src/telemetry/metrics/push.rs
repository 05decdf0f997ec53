//! An exporter of metrics that says when it begins to fail, and not with every push.

use std::time::Duration;

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;

use crate::telemetry::delivery::Delivery;

/// An exporter whose failures are told of.
#[derive(Debug)]
pub(in crate::telemetry) struct Pushing<E> {
    exporter: E,
    delivery: Delivery,
}

impl<E: PushMetricExporter> Pushing<E> {
    pub(super) fn new(exporter: E, delivery: Delivery) -> Self {
        Self { exporter, delivery }
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Pushing<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.exporter.export(metrics).await;
        self.delivery.note(&result);
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
