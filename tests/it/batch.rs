//! Batches: each line is answered by a line, in order, whatever the lines contain.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use expense_agent::config::Config;
use expense_agent::config::http::HttpConfig;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};

use crate::harness::expenses::numbered_ride;
use crate::harness::fake_openai::{FakeOpenAi, Reply};
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::replies::{advice, category};
use crate::harness::{SPANS_OF_A_DECISION, TestApp, config, http_config, openai, poll};

const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");

/// Posts a batch and returns its answers.
async fn post(
    app: &TestApp,
    body: impl Into<reqwest::Body>,
    headers: &[(&str, &str)],
) -> Vec<Value> {
    let headers = [&[NDJSON], headers].concat();
    let request = app
        .request(reqwest::Method::POST, "/v1/expenses/batch", &headers)
        .body(body);
    let response = request.send().await.unwrap();
    assert_eq!(
        (
            response.status().as_u16(),
            &response.headers()["content-type"]
        ),
        (200, &"application/x-ndjson".parse().unwrap())
    );
    let text = response.text().await.unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn every_line_is_answered_in_order_and_an_invalid_one_stops_no_other() {
    let app = TestApp::spawn().await;
    let long = format!("{{\"transaction\": \"{}\"}}", "x".repeat(70_000));
    let body = [
        numbered_ride(1).to_string(),
        String::new(),
        "not json".to_owned(),
        json!({"transaction": "Coffee", "amount": "0"}).to_string(),
        long,
        numbered_ride(6).to_string(),
        "\r".to_owned(),
        "{\"transaction\": \"Caf\u{e9}\", \"amount\": 4}".to_owned(),
        // The last line needs no line break.
        numbered_ride(9).to_string(),
    ]
    .join("\n");
    // One of the lines is Latin-1, not UTF-8.
    let body: Vec<u8> = body.chars().map(|c| u8::try_from(c).unwrap()).collect();
    let answers = post(&app, body, &[]).await;
    let shown: Vec<_> = answers
        .iter()
        .map(|answer| (answer["line"].clone(), answer["status"].clone()))
        .collect();
    assert_eq!(
        json!(shown),
        json!([
            [1, 201],
            [3, 400],
            [4, 422],
            [5, 413],
            [6, 201],
            [8, 400],
            [9, 201]
        ])
    );
    assert_eq!(
        (&answers[1]["body"]["code"], &answers[3]["body"]["code"]),
        (&json!("not_json"), &json!("body_too_large"))
    );
    assert_eq!(answers[2]["body"]["errors"][0]["field"], "amount");
    let alone = app
        .post_raw(
            &b"{\"transaction\": \"Caf\xe9\", \"amount\": 4}"[..],
            Some("application/json"),
        )
        .await;
    assert_eq!(
        (alone.status, &alone.body["code"]),
        (400, &json!("not_json"))
    );
    assert_eq!(answers[5]["body"]["detail"], alone.body["detail"]);
    let recorded = app.get("/v1/expenses").await.body["decisions"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(recorded, 3);
    assert_eq!(answers[0]["body"]["transaction"], "Uber ride 1");
}

#[tokio::test]
async fn every_line_has_a_trace_of_its_own_that_links_to_the_span_of_the_batch() {
    let app = TestApp::spawn().await;
    let body: String = (0..5).map(|n| format!("{}\n", numbered_ride(n))).collect();
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let answers = post(&app, body, &[("traceparent", traceparent)]).await;
    let spans = app.ended_spans();
    let batch = spans
        .iter()
        .find(|span| span.name == "POST /v1/expenses/batch")
        .unwrap();
    assert_eq!(
        batch.span_context.trace_id().to_string(),
        "0af7651916cd43dd8448eb211c80319c"
    );
    let mut trace_ids = HashSet::new();
    for answer in &answers {
        let line = app.trace(&answer["body"]["trace_id"]);
        let root = line
            .iter()
            .find(|span| span.name == "POST /v1/expenses")
            .unwrap();
        assert_eq!(line.len(), SPANS_OF_A_DECISION);
        let link = &root.links.links[0].span_context;
        assert_eq!(
            (link.trace_id(), link.span_id()),
            (batch.span_context.trace_id(), batch.span_context.span_id())
        );
        trace_ids.insert(root.span_context.trace_id());
    }
    assert_eq!(trace_ids.len(), 5);
}

#[tokio::test]
async fn a_batch_sent_again_decides_nothing_twice() {
    let app = TestApp::spawn().await;
    let body: String = (0..40).map(|n| format!("{}\n", numbered_ride(n))).collect();
    let key = [("idempotency-key", "march")];
    let mut first = post(&app, body.clone(), &key).await;
    let again = post(&app, body, &key).await;
    first
        .iter_mut()
        .for_each(|answer| answer["replayed"] = true.into());
    assert_eq!(first, again);
    assert_eq!(
        app.get("/v1/expenses?limit=200").await.body["decisions"]
            .as_array()
            .unwrap()
            .len(),
        40
    );
}

#[tokio::test]
async fn a_line_may_have_its_own_idempotency_key() {
    let app = TestApp::spawn().await;
    let keyed = |key: &str, expense: Value| json!({"idempotency_key": key, "expense": expense});
    let first = post(&app, keyed("taxi-1", numbered_ride(1)).to_string(), &[]).await;
    assert_eq!(
        (&first[0]["status"], &first[0]["replayed"]),
        (&json!(201), &Value::Null)
    );
    let more = [
        numbered_ride(1),
        keyed("taxi-1", numbered_ride(1)),
        keyed("taxi-1", numbered_ride(2)),
        keyed("", numbered_ride(3)),
        keyed("no\nheader", numbered_ride(3)),
        // Without `expense` this is an expense with an unknown field, not a line with a key.
        json!({"idempotency_key": "taxi-2"}),
    ];
    let more = post(
        &app,
        more.map(|line| line.to_string()).join("\n"),
        &[("idempotency-key", "march")],
    )
    .await;
    let shown: Vec<_> = more
        .iter()
        .map(|answer| (&answer["status"], &answer["body"]["code"]))
        .collect();
    let bad_key = json!([400, "invalid_idempotency_key"]);
    let expected = json!([
        [201, null],
        [201, null],
        [409, "idempotency_conflict"],
        bad_key,
        bad_key,
        [422, "invalid_expense"]
    ]);
    assert_eq!(json!(shown), expected);
    assert_eq!(
        (&more[1]["body"], &more[1]["replayed"]),
        (&first[0]["body"], &json!(true))
    );
    assert_ne!(
        more[0]["body"]["id"], first[0]["body"]["id"],
        "a line without a key has the one of the batch"
    );
}

#[tokio::test]
async fn sixteen_lines_are_decided_at_once_or_as_many_as_the_service_accepts() {
    for at_once in [16, 4] {
        let fake = FakeOpenAi::spawn().await;
        let gate = Arc::new(Notify::new());
        let travel = category("travel");
        fake.on_classify(vec![Reply::held(&gate, travel.clone()); at_once]);
        fake.on_classify(vec![travel; 40 - at_once]);
        fake.on_decide(vec![advice("approved", "travel-trip-cap"); 40]);
        // The service would refuse one more request than `at_once`.
        let app = TestApp::with(Config {
            model: openai(&fake),
            http: HttpConfig {
                max_in_flight: at_once,
                ..http_config()
            },
            ..config()
        })
        .await;
        let body: String = (0..40)
            .map(|n| {
                let mut ride = numbered_ride(n);
                // Expenses of one employee wait for each other.
                ride["user_id"] = json!(n.to_string());
                format!("{ride}\n")
            })
            .collect();
        let release = async {
            poll::until(
                Duration::from_secs(30),
                "all permitted requests to the model",
                async || {
                    let n = fake.requests().len();
                    if n == at_once { Ok(()) } else { Err(n) }
                },
            )
            .await;
            (0..at_once).for_each(|_| gate.notify_one());
            gate.notify_waiters();
        };
        let (answers, ()) = tokio::join!(post(&app, body, &[]), release);
        assert_eq!(
            (
                answers.len(),
                answers
                    .iter()
                    .filter(|answer| answer["status"] == 201)
                    .count()
            ),
            (40, 40)
        );
    }
}

/// Waits until a number stays the same in several readings, and returns it.
async fn standstill(number: &AtomicUsize) -> usize {
    const N_READINGS: usize = 50;
    let (mut last, mut n_same) = (0, 0);
    poll::until(Duration::from_secs(60), "end of the growth", async || {
        let now = number.load(Ordering::Relaxed);
        n_same = if now == last { n_same + 1 } else { 0 };
        last = now;
        if n_same == N_READINGS && now > 0 {
            Ok(now)
        } else {
            Err(now)
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_not_read_further_while_its_client_reads_no_answers() {
    const N_LINES: usize = 100_000;
    // More than both ends of a connection buffer.
    const MAX_BYTES: usize = 64 * 1024 * 1024;
    let app = TestApp::spawn().await;
    // The answer to each line is as long as possible, and no line needs a decision.
    let fields: Vec<_> = (0..32).map(|n| format!("\"{n:0>100}\": 0")).collect();
    let line = format!("{{{}}}\n", fields.join(","));
    let n_bytes = line.len();
    let n_read = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&n_read);
    let lines = futures_util::stream::iter(0..N_LINES).map(move |_| {
        counting.fetch_add(1, Ordering::Relaxed);
        Ok::<_, std::io::Error>(line.clone())
    });
    let request = app.request(reqwest::Method::POST, "/v1/expenses/batch", &[NDJSON]);
    let mut response = request
        .body(reqwest::Body::wrap_stream(lines))
        .send()
        .await
        .unwrap();
    let n_before = standstill(&n_read).await;
    assert!(
        n_before * n_bytes < MAX_BYTES,
        "{n_before} lines of {n_bytes} bytes were read, and no answer was read"
    );
    // It continues when answers are read.
    while n_read.load(Ordering::Relaxed) == n_before {
        assert!(response.chunk().await.unwrap().is_some());
    }
    drop(response);
    app.stop().await;
}

#[tokio::test]
async fn an_endless_batch_is_answered_line_by_line_and_ends_with_its_client() {
    let app = TestApp::spawn().await;
    // Endless: the batch ends only when its client stops reading answers.
    let lines = futures_util::stream::iter(0..)
        .map(|n| Ok::<_, std::io::Error>(format!("{}\n", numbered_ride(n))));
    let request = app.request(reqwest::Method::POST, "/v1/expenses/batch", &[NDJSON]);
    let response = request
        .body(reqwest::Body::wrap_stream(lines))
        .send()
        .await
        .unwrap();
    let mut answers = response.bytes_stream();
    for _ in 0..10 {
        assert!(!answers.next().await.unwrap().unwrap().is_empty());
    }
    drop(answers);
    app.stop().await;
}

#[tokio::test]
async fn the_span_of_a_batch_ends_with_its_last_answer_or_when_its_client_leaves() {
    for leaves_early in [false, true] {
        let app = TestApp::spawn().await;
        let (lines, mut sent) = mpsc::unbounded_channel::<Result<String, std::io::Error>>();
        let body = futures_util::stream::poll_fn(move |cx| sent.poll_recv(cx));
        let request = app.request(reqwest::Method::POST, "/v1/expenses/batch", &[NDJSON]);
        let response = request.body(reqwest::Body::wrap_stream(body));
        lines.send(Ok(format!("{}\n", numbered_ride(1)))).unwrap();
        let mut response = response.send().await.unwrap();
        assert!(response.chunk().await.unwrap().is_some());
        let batch = || {
            app.ended_spans()
                .into_iter()
                .find(|span| span.name == "POST /v1/expenses/batch")
        };
        assert!(batch().is_none(), "a line may still come");
        if leaves_early {
            drop(response);
        } else {
            drop(lines);
            assert_eq!(response.chunk().await.unwrap(), None);
        }
        let batch = poll::until(Duration::from_secs(60), "end of the batch", async || {
            batch().ok_or(())
        })
        .await;
        let value = |key: &str| {
            batch
                .attributes
                .iter()
                .find(|attribute| attribute.key.as_str() == key)
        };
        let value = |key: &str| value(key).map(|attribute| attribute.value.as_str().into_owned());
        assert_eq!(value("http.response.status_code").as_deref(), Some("200"));
        let error = leaves_early.then_some("cancelled");
        assert_eq!(value("error.type").as_deref(), error);
        let labels = [
            ("http_route", "/v1/expenses/batch"),
            ("http_response_status_code", "200"),
        ];
        let labels: Vec<_> = labels
            .into_iter()
            .chain(error.map(|error| ("error_type", error)))
            .collect();
        assert_eq!(
            app.metrics()
                .await
                .sum("http_server_request_duration_seconds_count", &labels),
            1.0
        );
    }
}

#[tokio::test]
async fn the_content_type_of_a_batch_may_have_capitals_and_parameters() {
    let app = TestApp::spawn().await;
    let headers = [("content-type", "Application/X-NDJSON; charset=utf-8")];
    let request = app
        .request(reqwest::Method::POST, "/v1/expenses/batch", &headers)
        .body(numbered_ride(1).to_string());
    assert_eq!(request.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_batch_acts_for_the_tenant_of_its_key_alone() {
    let keys = KeyFile::new(&[entry("acme", "acme", "ea_acme", "")]);
    let app = TestApp::with(Config {
        http: keys.http_config(),
        ..config()
    })
    .await;
    let refused = app
        .request(reqwest::Method::POST, "/v1/expenses/batch", &[NDJSON])
        .body(numbered_ride(1).to_string());
    assert_eq!(refused.send().await.unwrap().status(), 401);
    let headers = [
        ("authorization", "Bearer ea_acme"),
        ("baggage", "tenant.id=zeta"),
    ];
    let answers = post(&app, numbered_ride(1).to_string(), &headers).await;
    assert_eq!(
        (&answers[0]["status"], &answers[0]["body"]["tenant_id"]),
        (&json!(201), &json!("acme"))
    );
    let wrong_type = app
        .request(reqwest::Method::POST, "/v1/expenses/batch", &headers)
        .json(&numbered_ride(1));
    assert_eq!(wrong_type.send().await.unwrap().status(), 415);
}
