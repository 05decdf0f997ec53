//! The logs part of the OTLP receiver: log records as a backend reads them, over gRPC and HTTP.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::LogsService;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use serde_json::Value;

use super::otlp_inbox::SignalInbox;
use super::otlp_spans::{hex, read_attributes, read_value};

/// Every export of log records so far.
pub(crate) type LogsInbox = SignalInbox<ExportLogsServiceRequest>;

/// A log record as a backend reads it.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedRecord {
    /// The name of the event; for a log line, its place in the source code.
    pub(crate) event_name: String,
    pub(crate) severity: String,
    pub(crate) body: Value,
    /// 32 lower-case hex digits, empty outside of any trace.
    pub(crate) trace_id: String,
    /// 16 lower-case hex digits.
    pub(crate) span_id: String,
    pub(crate) attributes: BTreeMap<String, Value>,
    pub(crate) resource: BTreeMap<String, Value>,
}

impl LogsInbox {
    /// The records of every delivery so far, in order of arrival.
    pub(crate) fn records(&self) -> Vec<ReceivedRecord> {
        self.read(read)
    }
}

#[tonic::async_trait]
impl LogsService for LogsInbox {
    async fn export(
        &self,
        request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, tonic::Status> {
        self.accept(request.into_inner());
        Ok(tonic::Response::new(ExportLogsServiceResponse::default()))
    }
}

fn read(request: &ExportLogsServiceRequest) -> Vec<ReceivedRecord> {
    let mut received = Vec::new();
    for group in &request.resource_logs {
        let resource = group
            .resource
            .as_ref()
            .map_or(&[][..], |resource| &resource.attributes);
        let resource = read_attributes("the resource", resource);
        for record in group.scope_logs.iter().flat_map(|scope| &scope.log_records) {
            received.push(ReceivedRecord {
                event_name: record.event_name.clone(),
                severity: record.severity_text.clone(),
                body: record.body.as_ref().map_or(Value::Null, read_value),
                trace_id: hex(&record.trace_id),
                span_id: hex(&record.span_id),
                attributes: read_attributes(
                    &format!("the record `{}`", record.event_name),
                    &record.attributes,
                ),
                resource: resource.clone(),
            });
        }
    }
    received
}
