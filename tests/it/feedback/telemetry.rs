//! What feedback shows on traces, in log records and in metrics.

use opentelemetry::trace::Status;
use serde_json::{Value, json};

use super::{Office, keys};
use crate::harness::binary::Service;
use crate::harness::expenses::{feedback_on, laptop, resolution_of, ride};
use crate::harness::otlp_logs::ReceivedRecord;
use crate::harness::otlp_receiver::OtlpReceiver;
use crate::harness::otlp_spans::ReceivedSpan;
use crate::harness::store::TestStore;
use crate::harness::{TestApp, assert_golden, trace_tree};

/// A trace as a text tree. Its path names the decision.
fn tree(app: &TestApp, trace_id: &Value) -> String {
    let url_path = [("url.path", "<url.path>")];
    trace_tree::render(app.trace(trace_id), &url_path)
}

const COMMENT: &str = "This was a team event.";

#[tokio::test]
async fn feedback_is_a_span_of_its_own_that_links_to_the_decision() {
    let office = Office::on_sqlite().await;
    let decision = office.decide(ride()).await;
    let wrong = json!({"label": "wrong", "comment": COMMENT});
    let given = office.give("ea_ben", &decision, "decision", wrong).await;
    assert_golden(
        "feedback_on_a_decision",
        &tree(&office.app, &given["trace_id"]),
    );
    let spans = office.app.trace(&given["trace_id"]);
    let span = spans.iter().find(|span| span.name == "feedback decision");
    let links = &span.unwrap().links.links;
    assert_eq!(links.len(), 1);
    let linked = links[0].span_context.span_id();
    let of_decision = office.app.trace(&decision["trace_id"]);
    let mut of_decision = of_decision.iter();
    let agent = of_decision.find(|span| span.span_context.span_id() == linked);
    assert_eq!(agent.unwrap().name, "invoke_agent expense_agent");
    assert_eq!(decision["agent_span_id"], linked.to_string());
}

#[tokio::test]
async fn the_same_feedback_again_and_taking_it_back_are_no_evaluations() {
    let office = Office::on_sqlite().await;
    let decision = office.decide(ride()).await;
    for _ in 0..2 {
        let note = json!({"comment": COMMENT});
        office.give("ea_ben", &decision, "note", note).await;
    }
    office.take_back("ea_ben", &decision, "note").await;
    let spans = office.app.ended_spans();
    let spans: Vec<_> = spans
        .iter()
        .filter(|span| span.name == "feedback note")
        .map(|span| {
            let has = |key: &str| {
                let mut keys = span
                    .attributes
                    .iter()
                    .map(|attribute| attribute.key.as_str());
                keys.any(|other| other == key)
            };
            let taken_back = has("expense.feedback.taken_back");
            (
                span.events.events.len(),
                has("expense.record.hash"),
                taken_back,
            )
        })
        .collect();
    assert_eq!(
        spans,
        [(1, true, false), (0, false, false), (0, true, true)]
    );
}

#[tokio::test]
async fn a_resolution_shows_the_feedback_that_it_implies() {
    let office = Office::on_sqlite().await;
    let decision = office.decide(laptop("510.00")).await;
    let less =
        json!({"action": "approve", "role": "manager", "amount": "400.00", "reason": COMMENT});
    let resolved = office.app.resolve("ea_ben", &decision, less).await.body;
    assert_golden(
        "resolution_for_less",
        &tree(&office.app, &resolved["resolution"]["trace_id"]),
    );
}

#[tokio::test]
async fn a_ledger_that_fails_makes_the_span_an_error() {
    let store = TestStore::sqlite();
    let office = Office::on(&store).await;
    let decision = office.decide(ride()).await;
    store.execute("ALTER TABLE feedback RENAME TO gone").await;
    let note = json!({"comment": COMMENT});
    let failed = office
        .app
        .give_feedback("ea_ben", &decision, "note", note)
        .await;
    assert_eq!(failed.status, 503);
    let spans = office.app.trace(&failed.body["trace_id"]);
    let span = spans
        .iter()
        .find(|span| span.name == "feedback note")
        .unwrap();
    assert!(
        matches!(span.status, Status::Error { .. }),
        "{:?}",
        span.status
    );
}

#[tokio::test]
async fn metrics_count_feedback_once_and_resolutions_that_overturned() {
    let office = Office::on_sqlite().await;
    let decision = office.decide(ride()).await;
    for _ in 0..2 {
        let wrong = json!({"label": "wrong"});
        office.give("ea_ben", &decision, "decision", wrong).await;
    }
    office.take_back("ea_ben", &decision, "decision").await;
    for (amount, approved) in [("510.00", "510.00"), ("520.00", "400.00")] {
        let open = office.decide(laptop(amount)).await;
        let approve =
            json!({"action": "approve", "role": "manager", "amount": approved, "reason": "r"});
        for _ in 0..2 {
            let resolved = office.app.resolve("ea_ben", &open, approve.clone()).await;
            assert_eq!(resolved.status, 201, "{:#}", resolved.body);
        }
    }
    let page = office.app.metrics().await;
    let feedback = |source: &str, label: &str| {
        let series = [
            ("expense_feedback_name", "decision"),
            ("expense_feedback_source", source),
            ("expense_feedback_label", label),
        ];
        page.sum("expense_feedback_total", &series)
    };
    assert_eq!(feedback("person", "wrong"), 1.0);
    assert_eq!(feedback("resolution", "right"), 1.0);
    assert_eq!(feedback("resolution", "wrong"), 1.0);
    let by_amount = [("expense_overturned_kind", "amount")];
    assert_eq!(page.sum("expense_overturned_total", &by_amount), 1.0);
    assert_eq!(page.sum("expense_overturned_total", &[]), 1.0);
    let approved = [("expense_resolution_action", "approve")];
    assert_eq!(
        page.sum("expense_resolution_duration_seconds_count", &approved),
        2.0
    );
}

/// What a service sends about an expense that was decided, resolved for less, and commented on by a
/// person whose id is an address.
struct Sent {
    decision: Value,
    spans: Vec<ReceivedSpan>,
    records: Vec<ReceivedRecord>,
}

impl Sent {
    async fn with(arguments: &[&str], content: &str) -> Self {
        let (receiver, keys) = (OtlpReceiver::spawn().await, keys());
        let endpoint = receiver.grpc_endpoint();
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_LOGS_EXPORTER", ""),
            (
                "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
                content,
            ),
            ("EXPENSE_AGENT_PSEUDONYM_KEY", KEY),
        ];
        let arguments = [arguments, &["--api-keys", keys.name()]].concat();
        let service = Service::start(&arguments, &variables).await;
        let client = reqwest::Client::new();
        let send = async |method: reqwest::Method, path: &str, key: &str, body: Value| {
            let request = client.request(method, format!("{}{path}", service.url));
            let response = request.bearer_auth(key).json(&body).send().await.unwrap();
            assert!(response.status().is_success(), "{path}: {response:?}");
            response.json::<Value>().await.unwrap()
        };
        let (post, put) = (reqwest::Method::POST, reqwest::Method::PUT);
        let decision = send(post.clone(), "/v1/expenses", "ea_feed", laptop("510.00")).await;
        let less =
            json!({"action": "approve", "role": "manager", "amount": "400.00", "reason": COMMENT});
        send(post, &resolution_of(&decision), "ea_ben", less).await;
        let body = json!({"label": "not_useful", "comment": COMMENT, "actor": AUTHOR});
        send(put, &feedback_on(&decision, "reason"), "ea_boss", body).await;
        let (ended, log) = service.stop().await;
        assert!(ended.success(), "{log}");
        Self {
            decision,
            spans: receiver.spans(),
            records: receiver.records(),
        }
    }

    fn span(&self, name: &str) -> &ReceivedSpan {
        let span = self.spans.iter().find(|span| span.name == name);
        span.unwrap_or_else(|| panic!("no span {name}"))
    }

    /// The evaluations of people: their log records.
    fn evaluations(&self) -> Vec<&ReceivedRecord> {
        let records = self.records.iter();
        let of_people = records.filter(|record| {
            record.event_name == "gen_ai.evaluation.result"
                && record.attributes.contains_key("expense.feedback.source")
        });
        of_people.collect()
    }
}

const AUTHOR: &str = "ben@example.com";
const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[tokio::test(flavor = "multi_thread")]
async fn the_log_record_of_feedback_has_the_ids_of_the_decision_that_it_judges() {
    let sent = Sent::with(&[], "").await;
    let evaluations = sent.evaluations();
    let found: Vec<_> = evaluations
        .iter()
        .map(|record| {
            let keys = [
                "gen_ai.evaluation.name",
                "gen_ai.evaluation.score.label",
                "gen_ai.evaluation.score.value",
                "expense.feedback.source",
                "gen_ai.evaluation.explanation",
            ];
            json!(keys.map(|key| record.attributes.get(key)))
        })
        .collect();
    let expected = [
        json!(["decision", "wrong", 0.0, "resolution", null]),
        json!(["reason", "not_useful", 0.0, "person", null]),
    ];
    assert_eq!(found, expected);
    for record in evaluations {
        assert_eq!(record.trace_id, sent.decision["trace_id"]);
        let judged = sent
            .spans
            .iter()
            .find(|span| span.span_id == record.span_id);
        assert_eq!(judged.unwrap().name, "invoke_agent expense_agent");
    }
    assert_clean_of_comments(&sent);
}

/// Fails if a comment was sent anywhere.
fn assert_clean_of_comments(sent: &Sent) {
    for span in &sent.spans {
        let events = span
            .events
            .iter()
            .flat_map(|event| event.attributes.values());
        for value in span.attributes.values().chain(events) {
            assert!(
                !value.to_string().contains(COMMENT),
                "{}: {value}",
                span.name
            );
        }
    }
    for record in &sent.records {
        let shown = format!("{:?} {}", record.attributes, record.body);
        assert!(!shown.contains(COMMENT), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_goes_out_only_where_content_is_captured() {
    for (content, on_spans, in_events) in [
        ("SPAN_ONLY", true, false),
        ("EVENT_ONLY", false, true),
        ("SPAN_AND_EVENT", true, true),
    ] {
        let sent = Sent::with(&[], content).await;
        for name in ["feedback decision", "feedback reason"] {
            let shown = sent.span(name).events[0]
                .attributes
                .get("gen_ai.evaluation.explanation");
            assert_eq!(
                shown,
                on_spans.then(|| json!(COMMENT)).as_ref(),
                "{content} {name}"
            );
        }
        for record in sent.evaluations() {
            let shown = record.attributes.get("gen_ai.evaluation.explanation");
            assert_eq!(
                shown,
                in_events.then(|| json!(COMMENT)).as_ref(),
                "{content}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_compatibility_keys_feedback_is_an_annotation_by_a_person() {
    let is_theirs =
        |key: &str| key.starts_with("annotations.") || key.starts_with("openinference.");
    let sent = Sent::with(&[], "SPAN_ONLY").await;
    let span = sent.span("feedback reason");
    assert!(
        !span.attributes.keys().any(|key| is_theirs(key)),
        "{span:?}"
    );

    let sent = Sent::with(&["--compatibility-keys"], "SPAN_ONLY").await;
    let span = sent.span("feedback reason");
    let theirs: Value = span
        .attributes
        .iter()
        .filter(|(key, _)| is_theirs(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let author = &span.attributes["user.id"];
    assert_eq!(
        theirs,
        json!({
            "openinference.span.kind": "EVALUATOR",
            "annotations.0.annotation.name": "reason",
            "annotations.0.annotation.label": "not_useful",
            "annotations.0.annotation.score": 0.0,
            "annotations.0.annotation.explanation": COMMENT,
            "annotations.0.annotation.annotator_kind": "HUMAN",
            "annotations.0.annotation.identifier": author,
        })
    );
    assert!(author.as_str().unwrap().starts_with("user-"), "{author}");
}
