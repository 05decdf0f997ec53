//! All telemetry of a service that makes one decision: spans and log records over OTLP, and its log.

use serde_json::json;

use super::binary::Service;
use super::fake_openai::{FakeOpenAi, Reply};
use super::otlp_logs::ReceivedRecord;
use super::otlp_receiver::OtlpReceiver;
use super::otlp_spans::ReceivedSpan;
use super::replies::{advice_because, category};

/// The telemetry of a service that decided on one flight.
pub(crate) struct Sent {
    pub(crate) spans: Vec<ReceivedSpan>,
    pub(crate) records: Vec<ReceivedRecord>,
    pub(crate) log: String,
}

impl Sent {
    /// The span of that name, the first if there are several.
    pub(crate) fn span(&self, name: &str) -> &ReceivedSpan {
        self.spans
            .iter()
            .find(|span| span.name == name)
            .unwrap_or_else(|| panic!("no span {name}"))
    }

    /// The records of that name in a span.
    pub(crate) fn records_in(&self, span: &ReceivedSpan, name: &str) -> Vec<&ReceivedRecord> {
        let is_in = |record: &&ReceivedRecord| {
            record.span_id == span.span_id && record.trace_id == span.trace_id
        };
        self.records
            .iter()
            .filter(is_in)
            .filter(|record| record.event_name == name)
            .collect()
    }

    /// The attribute keys of all spans.
    pub(crate) fn keys(&self) -> Vec<&str> {
        self.spans
            .iter()
            .flat_map(|span| span.attributes.keys())
            .map(String::as_str)
            .collect()
    }
}

/// Starts a service with these arguments and variables, lets it decide, and stops it.
pub(crate) async fn sent(
    arguments: &[&str],
    variables: &[(&str, &str)],
    replies: Vec<Reply>,
) -> Sent {
    let (receiver, fake) = (OtlpReceiver::spawn().await, FakeOpenAi::spawn().await);
    fake.script(replies);
    let over_http = variables.contains(&("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"));
    let endpoint = if over_http {
        receiver.http_endpoint()
    } else {
        receiver.grpc_endpoint()
    };
    let base_url = fake.base_url();
    let own = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OPENAI_BASE_URL", &base_url),
        ("EXPENSE_AGENT_MODEL_API", "openai"),
    ];
    // The harness turns log records off; an empty variable restores the service's default.
    let service = Service::start(
        arguments,
        &[&own[..], &[("OTEL_LOGS_EXPORTER", "")], variables].concat(),
    )
    .await;
    let flight = json!({"transaction": "Flight to Chicago", "amount": "650.00", "date": "2026-03-14", "user_id": "ana"});
    assert_eq!(service.post(flight).await.0, 201);
    let (ended, log) = service.stop().await;
    assert!(ended.success(), "{log}");
    Sent {
        spans: receiver.spans(),
        records: receiver.records(),
        log,
    }
}

/// The replies of a model that classifies the flight as a meal, so that it is denied for the wrong
/// reason.
pub(crate) fn wrong_category() -> Vec<Reply> {
    vec![
        category("meals"),
        advice_because("denied", "By the day cap.", &["meals-day-cap"]),
    ]
}
