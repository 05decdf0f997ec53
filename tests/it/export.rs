//! Traces that leave the program: over both OTLP protocols, to a receiver in this process and to a
//! real Jaeger, whatever the log filter is, and without harm when no backend listens.

use std::time::Duration;

use expense_agent::ledger::Store;
use expense_agent::telemetry::settings::{ExporterSettings, Protocol};
use serde_json::Value;

use crate::harness::binary::{Service, run};
use crate::harness::expenses::flight;
use crate::harness::jaeger::Jaeger;
use crate::harness::otlp_receiver::OtlpReceiver;
use crate::harness::server::UnusedPort;
use crate::harness::skip::skip;
use crate::harness::store::TestStore;
use crate::harness::trace_tree::{self, TreeSpan};
use crate::harness::{SPANS_OF_A_DECISION, assert_golden, telemetry_settings};

/// The tree as the golden files have it: the attributes of this test's HTTP client are left
/// out.
fn tree(spans: Vec<TreeSpan>) -> String {
    trace_tree::render(spans, &[("expense.prompt.hash", "<expense.prompt.hash>")])
}

async fn spans_arrive(protocol: &str, filter: &str) {
    let receiver = OtlpReceiver::spawn().await;
    let endpoint = receiver.endpoint(protocol);
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-team=finance%20ops"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "deployment.environment.name=test%20bed,service.name=other",
        ),
        ("OTEL_SERVICE_NAME", "expenses"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "200"),
        ("RUST_LOG", filter),
    ];
    let service = Service::start(&[], &variables).await;
    let (status, decision) = service.post(flight()).await;
    assert_eq!(status, 201);
    let (ended, log) = service.stop().await;
    assert!(ended.success(), "{log}");
    let trace_id = decision["trace_id"].as_str().unwrap();
    // The program has ended, so all that it delivered has arrived.
    let spans: Vec<_> = receiver
        .spans()
        .into_iter()
        .filter(|span| span.trace_id == trace_id)
        .collect();
    assert_eq!(spans.len(), SPANS_OF_A_DECISION, "{log}");
    for span in &spans {
        assert_eq!(span.resource["service.name"], "expenses");
        assert_eq!(span.resource["service.version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(span.resource["deployment.environment.name"], "test bed");
        assert!(span.resource.contains_key("service.instance.id"));
        assert!(span.resource.contains_key("telemetry.sdk.version"));
    }
    assert!(receiver.headers().iter().any(|headers| {
        headers
            .get("x-team")
            .is_some_and(|team| team == "finance ops")
    }));
    assert_golden(
        "denied_flight_offline",
        &tree(spans.into_iter().map(TreeSpan::from).collect()),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_arrive_over_grpc() {
    spans_arrive("grpc", "info").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_arrive_over_http() {
    spans_arrive("http/protobuf", "info").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_filter_removes_a_span() {
    spans_arrive("grpc", "warn").await;
    spans_arrive("grpc", "off").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn start_up_is_a_trace_of_its_own() {
    let receiver = OtlpReceiver::spawn().await;
    let service = Service::start(
        &[],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.grpc_endpoint())],
    )
    .await;
    service.stop().await;
    assert!(
        receiver
            .spans()
            .iter()
            .any(|span| span.name == "start" && span.parent_id.is_empty())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_backend_causes_one_warning_and_fails_no_request() {
    let unused_port = UnusedPort::new();
    let endpoint = unused_port.origin();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("EXPENSE_AGENT_TELEMETRY_QUEUE_BYTES", "65536"),
    ];
    let service = Service::start(&[], &variables).await;
    for _ in 0..40 {
        assert_eq!(service.post(flight()).await.0, 201);
    }
    let (ended, log) = service.stop().await;
    assert!(ended.success());
    for once in [
        "traces cannot be delivered",
        "spans are lost",
        "spans were not delivered",
    ] {
        assert_eq!(log.matches(once).count(), 1, "{once}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_can_be_turned_off() {
    for variable in [
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_SDK_DISABLED", "true"),
    ] {
        let receiver = OtlpReceiver::spawn().await;
        let service = Service::start(
            &[],
            &[
                variable,
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.grpc_endpoint()),
            ],
        )
        .await;
        let (status, decision) = service.post(flight()).await;
        assert_eq!(status, 201);
        assert_eq!(decision["trace_id"].as_str().unwrap().len(), 32);
        let (ended, log) = service.stop().await;
        assert!(ended.success());
        assert!(receiver.spans().is_empty());
        assert!(!log.contains("WARN"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_line_carries_the_ids_of_its_trace() {
    let store = TestStore::sqlite();
    let Store::Sqlite(folder) = &store.store else {
        unreachable!("it is SQLite")
    };
    let data = folder.to_str().unwrap();
    let variables = [
        ("OTEL_TRACES_EXPORTER", "none"),
        ("EXPENSE_AGENT_LOG_FORMAT", "json"),
    ];
    let service = Service::start(&["--data", data], &variables).await;
    store.execute("ALTER TABLE chain RENAME TO gone").await;
    let (status, problem) = service.post(flight()).await;
    assert_eq!(status, 503);
    let (_, log) = service.stop().await;
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let line = lines.iter().find(|line| line["level"] == "ERROR").unwrap();
    assert_eq!(line["trace_id"], problem["trace_id"]);
    assert_eq!(line["span_id"].as_str().unwrap().len(), 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_jaeger_shows_the_tree() {
    let Some(jaeger) = Jaeger::from_env() else {
        skip("no real Jaeger; name one in JAEGER_QUERY_URL, JAEGER_OTLP_GRPC and JAEGER_OTLP_HTTP");
        return;
    };
    for (protocol, endpoint) in [
        ("grpc", jaeger.otlp_grpc()),
        ("http/protobuf", jaeger.otlp_http()),
    ] {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ];
        let service = Service::start(&[], &variables).await;
        let (_, decision) = service.post(flight()).await;
        let trace_id = decision["trace_id"].as_str().unwrap();
        // While the service runs: a person does not stop it to see a trace.
        let spans = jaeger
            .wait_for_trace(trace_id, SPANS_OF_A_DECISION, Duration::from_secs(30))
            .await;
        assert_golden("denied_flight_offline", &tree(spans));
        assert!(service.stop().await.0.success());
    }
}

/// Variables with invalid values, which the specification says to ignore.
const INVALID: [(&str, &str); 11] = [
    ("OTEL_SDK_DISABLED", "1"),
    ("OTEL_TRACES_SAMPLER", "sometimes"),
    ("OTEL_TRACES_EXPORTER", "zipkin"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/thrift"),
    ("OTEL_PROPAGATORS", "b3,tracecontext"),
    ("OTEL_ATTRIBUTE_COUNT_LIMIT", "many"),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", "many"),
    ("OTEL_SPAN_LINK_COUNT_LIMIT", "-1"),
    ("OTEL_RESOURCE_ATTRIBUTES", "team"),
    ("OTEL_LOG_LEVEL", "loud"),
    ("OTEL_METRICS_EXPORTER", "statsd"),
];

#[tokio::test(flavor = "multi_thread")]
async fn invalid_variables_are_ignored_with_a_warning() {
    let receiver = OtlpReceiver::spawn().await;
    let endpoint = receiver.grpc_endpoint();
    let mut variables = INVALID.to_vec();
    variables.push(("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint));
    let service = Service::start(&[], &variables).await;
    assert_eq!(service.post(flight()).await.0, 201);
    let (_, log) = service.stop().await;
    for (name, _) in INVALID {
        assert!(
            log.lines()
                .any(|line| line.contains("WARN") && line.contains(name)),
            "{name}: {log}"
        );
    }
    assert!(receiver.spans().len() >= SPANS_OF_A_DECISION);
}

#[test]
fn json_over_http_is_sent_as_protobuf_over_http_with_a_warning() {
    for (given, expected, n_ignored) in [
        ("http/json", Protocol::HttpProtobuf, 1),
        ("HTTP/JSON", Protocol::HttpProtobuf, 1),
        ("http/protobuf", Protocol::HttpProtobuf, 0),
        ("grpc", Protocol::Grpc, 0),
        ("json", Protocol::Grpc, 1),
    ] {
        let settings = telemetry_settings(&[("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", given)]);
        assert_eq!(settings.ignored.len(), n_ignored, "{:?}", settings.ignored);
        assert_eq!(settings.exporter.protocol, expected, "{given}");
    }
}

#[test]
fn the_ratio_of_a_sampler_that_is_not_a_number_is_ignored_with_a_warning() {
    for (sampler, share, is_ignored) in [
        ("traceidratio", "10%", true),
        ("parentbased_traceidratio", "10", true),
        ("traceidratio", "0.1", false),
        ("always_on", "10%", false),
    ] {
        let variables = [
            ("OTEL_TRACES_SAMPLER", sampler),
            ("OTEL_TRACES_SAMPLER_ARG", share),
        ];
        let ignored = telemetry_settings(&variables).ignored;
        assert_eq!(
            ignored
                .iter()
                .any(|text| text.contains("OTEL_TRACES_SAMPLER_ARG")),
            is_ignored,
            "{ignored:?}"
        );
    }
}

#[test]
fn a_limit_for_spans_takes_precedence_over_the_general_one_unless_it_is_invalid() {
    for (of_spans, expected) in [("40", 40), ("many", 50)] {
        let variables = [
            ("OTEL_ATTRIBUTE_COUNT_LIMIT", "50"),
            ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", of_spans),
        ];
        assert_eq!(
            telemetry_settings(&variables).limits.span_attributes,
            Some(expected)
        );
    }
}

#[test]
fn a_variable_for_one_signal_takes_precedence_over_the_one_for_all_unless_it_is_invalid() {
    for (protocol, compression, timeout, expected) in [
        (
            "grpc",
            "none",
            "300",
            (Protocol::Grpc, false, Duration::from_millis(300)),
        ),
        (
            "http/json",
            "brotli",
            "soon",
            (Protocol::HttpProtobuf, true, Duration::from_millis(2_000)),
        ),
    ] {
        let settings = telemetry_settings(&[
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", compression),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", timeout),
        ]);
        let ExporterSettings {
            protocol,
            gzip,
            timeout,
            ..
        } = settings.exporter;
        assert_eq!((protocol, gzip, timeout), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_can_switch_a_trace_off_only_if_the_name_of_the_sampler_is_exact() {
    for (sampler, is_known) in [
        ("ALWAYS_ON", false),
        ("always_on ", false),
        ("parentbased_always_on", true),
    ] {
        let receiver = OtlpReceiver::spawn().await;
        let endpoint = receiver.grpc_endpoint();
        let variables = [
            ("OTEL_TRACES_SAMPLER", sampler),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ];
        let service = Service::start(&[], &variables).await;
        let request = reqwest::Client::new()
            .post(format!("{}/v1/expenses", service.url))
            .json(&flight());
        let off = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
        let answer = request.header("traceparent", off).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        let (_, log) = service.stop().await;
        let n_spans = receiver
            .spans()
            .iter()
            .filter(|span| off.contains(&span.trace_id))
            .count();
        assert_eq!(
            n_spans,
            if is_known { 0 } else { SPANS_OF_A_DECISION },
            "{sampler}: {log}"
        );
        assert_eq!(
            log.contains("OTEL_TRACES_SAMPLER"),
            !is_known,
            "{sampler}: {log}"
        );
    }
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_together() {
    let variables = [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "key.pem"),
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "ALL"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "0"),
        ("EXPENSE_AGENT_LISTEN", "0.0.0.0:8000"),
        ("EXPENSE_AGENT_TRACE_URL", "jaeger"),
        ("EXPENSE_AGENT_DEADLINE", "0s"),
        ("EXPENSE_AGENT_RELOAD_INTERVAL", "0s"),
        ("EXPENSE_AGENT_TELEMETRY_QUEUE_BYTES", "0"),
        ("EXPENSE_AGENT_MODEL", "gpt-4o"),
        ("EXPENSE_AGENT_MODEL_FAULT", "garbage:1"),
    ];
    let output = run(&["serve"], &variables).await;
    assert_eq!(output.status.code(), Some(1));
    assert_golden(
        "settings_that_cannot_work",
        &String::from_utf8(output.stderr).unwrap(),
    );
}
