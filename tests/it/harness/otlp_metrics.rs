//! The metrics part of the OTLP receiver: metrics as a backend reads them, over gRPC and HTTP.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::MetricsService;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use serde_json::Value;

use super::otlp_inbox::SignalInbox;
use super::otlp_spans::read_attributes;

/// Every export of metrics so far.
pub(crate) type MetricsInbox = SignalInbox<ExportMetricsServiceRequest>;

/// A metric as a backend reads it.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedMetric {
    pub(crate) name: String,
    pub(crate) unit: String,
    /// The attributes of each series, with its value; for a histogram, the number of its values.
    pub(crate) series: Vec<(BTreeMap<String, Value>, u64)>,
    pub(crate) resource: BTreeMap<String, Value>,
}

impl MetricsInbox {
    /// The metrics of every push so far, the last push last.
    pub(crate) fn metrics(&self) -> Vec<ReceivedMetric> {
        self.read(read)
    }
}

#[tonic::async_trait]
impl MetricsService for MetricsInbox {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, tonic::Status> {
        self.accept(request.into_inner());
        Ok(tonic::Response::new(ExportMetricsServiceResponse::default()))
    }
}

fn read(request: &ExportMetricsServiceRequest) -> Vec<ReceivedMetric> {
    let mut received = Vec::new();
    for group in &request.resource_metrics {
        let resource = group
            .resource
            .as_ref()
            .map_or(&[][..], |resource| &resource.attributes);
        let resource = read_attributes("the resource", resource);
        for metric in group.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            let owner = format!("the metric `{}`", metric.name);
            let (name, unit) = (metric.name.clone(), metric.unit.clone());
            let attributes = |attributes| read_attributes(&owner, attributes);
            let series = match metric.data.as_ref().expect("a metric has data") {
                Data::Sum(sum) => {
                    let points = sum.data_points.iter();
                    points
                        .map(|point| (attributes(&point.attributes), whole(point.value.as_ref())))
                        .collect()
                }
                Data::Gauge(gauge) => {
                    let points = gauge.data_points.iter();
                    points
                        .map(|point| (attributes(&point.attributes), whole(point.value.as_ref())))
                        .collect()
                }
                Data::Histogram(histogram) => {
                    let points = histogram.data_points.iter();
                    points
                        .map(|point| (attributes(&point.attributes), point.count))
                        .collect()
                }
                other => panic!("the service sends no metrics of this type: {other:?}"),
            };
            received.push(ReceivedMetric {
                name,
                unit,
                series,
                resource: resource.clone(),
            });
        }
    }
    received
}

/// The value as a whole number; 0 for floating-point values, which are amounts of money.
fn whole(value: Option<&opentelemetry_proto::tonic::metrics::v1::number_data_point::Value>) -> u64 {
    use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
    match value {
        Some(Number::AsInt(number)) => u64::try_from(*number).expect("counts are not negative"),
        _ => 0,
    }
}
