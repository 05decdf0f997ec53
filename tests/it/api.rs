//! The HTTP contract: what is taken, what is refused and in which words, and what can be read back.
//! A refused request leaves nothing behind.

use std::sync::Arc;
use std::time::Duration;

use expense_agent::config::Config;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::harness::fake_openai::{FakeOpenAi, Reply as ModelReply};
use crate::harness::replies::category;
use crate::harness::store::TestStore;
use crate::harness::{Reply, TestApp, assert_golden, config, openai, poll};

const JSON: Option<&str> = Some("application/json");

/// Fails unless the reply is a problem of this status and code, with its trace.
fn assert_problem(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status, status, "{:#}", reply.body);
    assert_eq!(reply.body["code"], code, "{:#}", reply.body);
    assert_eq!(reply.headers["content-type"], "application/problem+json");
    assert_eq!(
        reply.body["trace_id"],
        reply.headers["x-trace-id"].to_str().unwrap()
    );
}

async fn assert_nothing_recorded(app: &TestApp) {
    assert_eq!(app.get("/v1/expenses").await.body["decisions"], json!([]));
}

#[tokio::test]
async fn the_smallest_useful_request_is_decided() {
    let app = TestApp::spawn().await;
    let reply = app
        .post_raw(
            r#"{"transaction": "Flight to Chicago, $650", "amount": 650.00}"#,
            JSON,
        )
        .await;
    assert_eq!(reply.status, 201);
    let body = &reply.body;
    assert_eq!(body["outcome"], "denied");
    assert_eq!(body["category"], "travel");
    assert_eq!(body["amount"], "650.00");
    assert_eq!(body["currency"], "USD");
    assert_eq!(body["user_id"], "anonymous");
    assert_eq!(body["findings"][0]["rule"], "travel-trip-cap");
    assert_eq!(body["findings"][0]["limit"], "500.00");
    assert_eq!(body["findings"][0]["exceeded"], "150.00");
    let id = body["id"].as_str().unwrap();
    let trace_id = body["trace_id"].as_str().unwrap();
    assert_eq!(reply.headers["location"], format!("/v1/expenses/{id}"));
    assert_eq!(reply.headers["x-trace-id"], trace_id);
    assert!(
        reply.headers["traceresponse"]
            .to_str()
            .unwrap()
            .starts_with(&format!("00-{trace_id}-"))
    );
    assert_eq!(
        body["trace_url"],
        format!("http://localhost:16686/trace/{trace_id}")
    );
    let again = app.get(&format!("/v1/expenses/{id}")).await;
    assert_eq!((again.status, &again.body), (200, body));
}

/// Bodies with one fault each, and the field it is in.
fn faulty_bodies() -> Vec<(String, &'static str)> {
    let with = |member: &str| format!(r#"{{"transaction": "Taxi", "amount": "45.00", {member}}}"#);
    let amount = |amount: &str| format!(r#"{{"transaction": "Taxi", "amount": {amount}}}"#);
    let transaction = |text: &str| json!({"transaction": text, "amount": "45.00"}).to_string();
    let mut bodies = vec![
        (r#"{"amount": 1}"#.to_owned(), "transaction"),
        (r#"{"transaction": "Taxi"}"#.to_owned(), "amount"),
        (
            r#"{"transaction": 7, "amount": 1}"#.to_owned(),
            "transaction",
        ),
        (transaction(""), "transaction"),
        (transaction(" \n "), "transaction"),
        (transaction("tab\there"), "transaction"),
        (transaction(&"é".repeat(2_001)), "transaction"),
        (
            r#"{"transaction": "\ud800", "amount": 1}"#.to_owned(),
            "transaction",
        ),
        ("[]".to_owned(), "body"),
        ("\"Taxi\"".to_owned(), "body"),
        (with(r#""currency": "usd""#), "currency"),
        (with(r#""currency": "XYZ""#), "currency"),
        (with(r#""currency": "XAU""#), "currency"),
        (with(r#""mcc": 5812"#), "mcc"),
        (with(r#""mcc": "58121""#), "mcc"),
        (with(r#""date": "2026-02-30""#), "date"),
        (with(r#""date": "20260214""#), "date"),
        (with(r#""date": "2026-03-14T10:00:00""#), "date"),
        (with(r#""receipt": "yes""#), "receipt"),
        (with(r#""merchant": """#), "merchant"),
        (
            with(&format!(r#""merchant": "{}""#, "m".repeat(201))),
            "merchant",
        ),
        (
            with(&format!(r#""trip_id": "{}""#, "t".repeat(129))),
            "trip_id",
        ),
        (with(r#""user_id": "a\u0000b""#), "user_id"),
        (with(r#""vat": 19"#), "vat"),
        (with(r#""amount": 1"#), "amount"),
    ];
    for text in [
        "0",
        "0.00",
        "-1",
        "\"-1\"",
        "1e2",
        "1e400",
        "1.234",
        "\"1,000.00\"",
        "\" 1\"",
        "\"\"",
        "true",
        "1.",
        "+1",
    ] {
        bodies.push((
            amount(text),
            if ["1.", "+1"].contains(&text) {
                ""
            } else {
                "amount"
            },
        ));
    }
    bodies.push((amount("1234567890123"), "amount"));
    bodies.push((with(r#""currency": "JPY""#), "amount"));
    bodies
}

#[tokio::test]
async fn a_fault_is_refused_by_field_and_nothing_is_recorded() {
    let app = TestApp::spawn().await;
    for (body, field) in faulty_bodies() {
        let reply = app.post_raw(body.clone(), JSON).await;
        if field.is_empty() {
            assert_problem(&reply, 400, "not_json");
            continue;
        }
        assert_problem(&reply, 422, "invalid_expense");
        let errors = reply.body["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "{body}: {errors:?}");
        assert_eq!(errors[0]["field"], field, "{body}");
        let message = errors[0]["message"].as_str().unwrap();
        assert!(
            message.contains("write") || message.contains("accepted"),
            "{body}: {message}"
        );
    }
    assert_nothing_recorded(&app).await;
}

#[tokio::test]
async fn every_fault_of_a_body_is_listed() {
    let app = TestApp::spawn().await;
    let body = r#"{"transaction": "", "amount": 1e400, "mcc": 5, "vat": 1, "date": "soon", "date": "now"}"#;
    let reply = app.post_raw(body, JSON).await;
    assert_problem(&reply, 422, "invalid_expense");
    let mut normalised = reply.body.clone();
    normalised["trace_id"] = "<trace_id>".into();
    assert_golden("every_fault_of_a_body", &format!("{normalised:#}"));
}

#[tokio::test]
async fn what_is_not_json_is_refused() {
    let app = TestApp::spawn().await;
    for body in [
        "",
        "{",
        "{'transaction': 'Taxi'}",
        r#"{"transaction": "Taxi", "amount": NaN}"#,
    ] {
        assert_problem(&app.post_raw(body, JSON).await, 400, "not_json");
    }
    assert_problem(
        &app.post_raw(b"{\"transaction\": \"\xff\"}".to_vec(), JSON)
            .await,
        400,
        "not_json",
    );
    assert_problem(
        &app.post_raw("[".repeat(10_000), JSON).await,
        400,
        "not_json",
    );
    for content_type in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
    ] {
        let reply = app
            .post_raw(r#"{"transaction": "Taxi", "amount": 1}"#, content_type)
            .await;
        assert_problem(&reply, 415, "unsupported_media_type");
    }
    assert_nothing_recorded(&app).await;
    let reply = app
        .post_raw(
            r#"{"transaction": "Taxi", "amount": 1}"#,
            Some("application/json; charset=utf-8"),
        )
        .await;
    assert_eq!(reply.status, 201);
}

#[tokio::test]
async fn a_body_of_64_kib_is_read_and_one_byte_more_is_not() {
    let app = TestApp::spawn().await;
    let body = |n_bytes: usize| {
        let body = r#"{"transaction": "Taxi", "amount": 1}"#;
        format!("{body}{}", " ".repeat(n_bytes - body.len()))
    };
    assert_eq!(app.post_raw(body(64 * 1024), JSON).await.status, 201);
    assert_problem(
        &app.post_raw(body(64 * 1024 + 1), JSON).await,
        413,
        "body_too_large",
    );
    assert_problem(
        &app.post_raw(body(65 * 1024), JSON).await,
        413,
        "body_too_large",
    );
    // In chunks, without a length to look at beforehand.
    let chunks = std::iter::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 40 * 1024])).take(2);
    let stream = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
    assert_problem(&app.post_raw(stream, JSON).await, 413, "body_too_large");
}

#[tokio::test]
async fn amounts_are_read_exactly_from_the_text() {
    let app = TestApp::spawn().await;
    for (amount, currency, expected) in [
        ("0.1", "USD", "0.10"),
        ("650", "USD", "650.00"),
        ("\"0.29\"", "USD", "0.29"),
        ("999999999999.99", "USD", "999999999999.99"),
        ("1200", "JPY", "1200"),
        ("\"1.234\"", "KWD", "1.234"),
    ] {
        let body =
            format!(r#"{{"transaction": "Taxi", "amount": {amount}, "currency": "{currency}"}}"#);
        let reply = app.post_raw(body, JSON).await;
        assert_eq!(reply.body["amount"], expected, "{:#}", reply.body);
    }
}

#[tokio::test]
async fn a_currency_without_a_rate_is_a_review() {
    let app = TestApp::spawn().await;
    let decision = app
        .decide(json!({"transaction": "Taxi in Malmö", "amount": "45.00", "currency": "SEK"}))
        .await;
    assert_eq!(decision["outcome"], "needs_review");
    assert!(
        decision["reason"]
            .as_str()
            .unwrap()
            .contains("no exchange rate from SEK into USD")
    );
    assert_eq!(
        (&decision["converted_amount"], &decision["reimbursable"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn pages_hold_every_decision_once_and_the_newest_first() {
    let app = TestApp::spawn().await;
    let mut ids = Vec::new();
    for n in 0..7 {
        ids.push(
            app.decide(json!({"transaction": format!("Taxi {n}"), "amount": "5.00"}))
                .await["id"]
                .clone(),
        );
    }
    ids.reverse();
    let mut seen = Vec::new();
    let mut path = "/v1/expenses?limit=3".to_owned();
    loop {
        let page = app.get(&path).await.body;
        seen.extend(
            page["decisions"]
                .as_array()
                .unwrap()
                .iter()
                .map(|decision| decision["id"].clone()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/expenses?limit=3&cursor={cursor}");
    }
    assert_eq!(seen, ids);
}

#[tokio::test]
async fn filters_narrow_the_list_and_unknown_ones_are_refused() {
    let fake = FakeOpenAi::spawn().await;
    fake.on_classify([category("meals")]);
    let app = TestApp::with_openai(&fake).await;
    // The second answer is missing, so a review follows; the first says meals of a flight.
    app.decide(json!({"transaction": "Flight", "amount": "5.00", "user_id": "ana"}))
        .await;
    let count = async |query: &str| {
        let reply = app.get(&format!("/v1/expenses?{query}")).await;
        assert_eq!(reply.status, 200, "{:#}", reply.body);
        reply.body["decisions"].as_array().unwrap().len()
    };
    for (query, n) in [
        ("outcome=needs_review", 1),
        ("outcome=approved", 0),
        ("category=meals", 1),
        ("user_id=ana&outcome=needs_review", 1),
        ("user_id=ben", 0),
        ("failed_validation=category_evidence", 1),
        ("failed_validation=tool_result", 0),
    ] {
        assert_eq!(count(query).await, n, "{query}");
    }
    for (query, code) in [
        ("outcome=maybe", "unknown_filter"),
        ("colour=red", "unknown_filter"),
        ("limit=0", "unknown_filter"),
        ("limit=201", "unknown_filter"),
        ("user_id=ana&user_id=ben", "unknown_filter"),
        ("limit=1&limit=2", "unknown_filter"),
        ("user_id=%00", "unknown_filter"),
        ("category=meals%0A", "unknown_filter"),
        ("user_id=", "unknown_filter"),
        ("cursor=abc", "unknown_cursor"),
        (
            "cursor=01a1fc3f-8232-75b3-ae94-bf307466c95a",
            "unknown_cursor",
        ),
    ] {
        assert_problem(&app.get(&format!("/v1/expenses?{query}")).await, 400, code);
    }
}

#[tokio::test]
async fn what_does_not_exist_is_a_problem_too() {
    let app = TestApp::spawn().await;
    assert_problem(
        &app.get("/v1/expenses/01a1fc3f-8232-75b3-ae94-bf307466c95a")
            .await,
        404,
        "not_found",
    );
    assert_problem(&app.get("/v1/expenses/7").await, 404, "not_found");
    assert_problem(&app.get("/v2").await, 404, "no_such_route");
    assert_problem(&app.get("/docs/nope.js").await, 404, "no_such_route");
    assert_problem(&app.get("/v1/expenses/%ff").await, 400, "malformed_request");
    let probe = app
        .request(reqwest::Method::POST, "/healthz", &[])
        .send()
        .await
        .unwrap();
    assert_eq!(probe.status(), 405);
    assert_eq!(
        probe.json::<Value>().await.unwrap()["code"],
        "malformed_request"
    );
    let response = app
        .request(reqwest::Method::DELETE, "/v1/expenses", &[])
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 405);
    assert!(
        response.headers()["allow"]
            .to_str()
            .unwrap()
            .contains("POST")
    );
    assert_eq!(
        response.json::<Value>().await.unwrap()["code"],
        "no_such_method"
    );
}

#[tokio::test]
async fn policies_are_shown_with_version_and_hash() {
    let app = TestApp::spawn().await;
    let body = app.get("/v1/policies").await.body;
    let categories: Vec<&str> = body["policies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|policy| policy["category"].as_str().unwrap())
        .collect();
    assert_eq!(categories, ["meals", "office", "other", "travel"]);
    assert_eq!(body["policies"][0]["rules"][0]["max"], "75.00");
    assert_eq!(body["policies"][0]["hash"].as_str().unwrap().len(), 16);
}

#[tokio::test]
async fn the_contract_and_its_page_come_from_the_binary() {
    let app = TestApp::spawn().await;
    let contract = app.get("/openapi.json").await.body;
    assert!(contract["paths"]["/v1/expenses"]["post"].is_object());
    let properties = contract["components"]["schemas"]["Submission"]["properties"]
        .as_object()
        .unwrap();
    let mut fields: Vec<&str> = properties.keys().map(String::as_str).collect();
    fields.sort_unstable();
    let expected = [
        "amount",
        "currency",
        "date",
        "mcc",
        "merchant",
        "receipt",
        "refunds",
        "transaction",
        "trip_id",
        "user_id",
    ];
    assert_eq!(
        fields, expected,
        "the contract names the fields the parser takes"
    );
    let page = app.get("/docs/").await;
    let html = page.body.as_str().unwrap().to_owned();
    assert_eq!(page.status, 200);
    assert!(
        !html.contains("http://") && !html.contains("https://"),
        "{html}"
    );
}

#[tokio::test]
async fn the_contract_says_what_the_routes_answer() {
    let store = TestStore::sqlite();
    let app = TestApp::on(&store).await;
    let contract = app.get("/openapi.json").await.body;
    let id = app
        .decide(json!({"transaction": "Taxi", "amount": 1}))
        .await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let (one, settle) = (
        format!("/v1/expenses/{id}"),
        format!("/v1/expenses/{id}/resolution"),
    );
    let (of_one, of_settle) = ("/v1/expenses/{id}", "/v1/expenses/{id}/resolution");
    let blanks = " ".repeat(65 * 1024);
    let answers = async |requests: &[(&str, &str, &str, &str, u16)]| {
        for (route, path, content_type, body, status) in requests {
            let method = if content_type.is_empty() {
                reqwest::Method::GET
            } else {
                reqwest::Method::POST
            };
            let request = app.request(method.clone(), path, &[("content-type", content_type)]);
            let response = request.body((*body).to_owned()).send().await.unwrap();
            assert_eq!(response.status(), *status, "{method} {path}");
            response.bytes().await.unwrap();
            let listed = &contract["paths"][*route][method.as_str().to_lowercase()]["responses"];
            assert!(
                listed[status.to_string()].is_object(),
                "{method} {route} does not say {status}: {listed:#}"
            );
        }
    };
    let json = "application/json";
    let lines = &contract["paths"]["/v1/expenses/batch"]["post"]["requestBody"]["content"]["application/x-ndjson"];
    assert_eq!(
        lines["schema"]["format"], "binary",
        "the page sends a file as it is, and a text in quotes"
    );
    answers(&[
        ("/v1/expenses", "/v1/expenses?limit=0", "", "", 400),
        (of_one, "/v1/expenses/%ff", "", "", 400),
        (of_one, "/v1/expenses/7", "", "", 404),
        (of_settle, "/v1/expenses/%ff/resolution", json, "{}", 400),
        (of_settle, &settle, json, "{}", 403),
        (of_settle, &settle, json, &blanks, 413),
        (of_settle, &settle, "text/plain", "{}", 415),
        ("/v1/expenses/batch", "/v1/expenses/batch", json, "{}", 415),
        (
            "/v1/expenses/batch",
            "/v1/expenses/batch",
            "application/x-ndjson",
            "{}",
            200,
        ),
    ])
    .await;
    store.execute("ALTER TABLE decision RENAME TO gone").await;
    answers(&[
        ("/v1/expenses", "/v1/expenses", "", "", 503),
        (
            "/v1/expenses",
            "/v1/expenses",
            json,
            r#"{"transaction": "Taxi", "amount": 1}"#,
            503,
        ),
        (of_one, &one, "", "", 503),
    ])
    .await;
}

#[tokio::test]
async fn one_request_too_many_is_told_to_come_back() {
    let fake = FakeOpenAi::spawn().await;
    fake.always(ModelReply::hang());
    let app = TestApp::with(Config {
        max_in_flight: 1,
        deadline: Duration::from_secs(2),
        model: openai(&fake),
        ..config()
    })
    .await;
    let (first, second) = tokio::join!(
        app.post(json!({"transaction": "Taxi", "amount": 1})),
        async {
            poll::until(Duration::from_secs(5), "the model is asked", async || {
                if fake.requests().is_empty() {
                    Err("not yet")
                } else {
                    Ok(())
                }
            })
            .await;
            app.post(json!({"transaction": "Taxi", "amount": 1})).await
        }
    );
    assert_problem(&second, 503, "overloaded");
    assert_eq!(second.headers["retry-after"], "1");
    assert_eq!(first.status, 201);
    assert_eq!(first.body["outcome"], "needs_review");
    // Probes are not counted among requests.
    assert_eq!(app.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_stop_its_decision() {
    let (fake, gate) = (FakeOpenAi::spawn().await, Arc::new(Notify::new()));
    let travel = category("travel");
    fake.script([
        ModelReply::held(&gate, travel.clone()),
        travel.clone(),
        travel,
    ]);
    let app = TestApp::with_openai(&fake).await;
    app.leave_once_the_model_is_asked(&fake, json!({"transaction": "Taxi", "amount": 1}))
        .await;
    // Only then may the model answer, or the decision could be there before the service sees that
    // the client is not.
    let server = poll::until(
        Duration::from_secs(10),
        "end of the server span",
        async || {
            app.ended_spans()
                .into_iter()
                .find(|span| span.name == "POST /v1/expenses")
                .ok_or("not yet")
        },
    )
    .await;
    gate.notify_one();
    let decision = poll::until(
        Duration::from_secs(10),
        "the decision is recorded",
        async || {
            let page = app.get("/v1/expenses").await.body;
            page["decisions"].get(0).cloned().ok_or(page)
        },
    )
    .await;
    assert_eq!(
        decision["trace_id"],
        server.span_context.trace_id().to_string()
    );
    let error_type = server
        .attributes
        .iter()
        .find(|attribute| attribute.key.as_str() == "error.type")
        .unwrap();
    assert_eq!(error_type.value.as_str(), "cancelled");
    assert!(
        server
            .attributes
            .iter()
            .any(|attribute| attribute.key.as_str() == "user.id")
    );
    let agent = poll::until(
        Duration::from_secs(10),
        "end of the agent's span",
        async || {
            app.ended_spans()
                .into_iter()
                .find(|span| span.name.starts_with("invoke_agent"))
                .ok_or("not yet")
        },
    )
    .await;
    assert!(
        !agent
            .attributes
            .iter()
            .any(|attribute| attribute.key.as_str() == "error.type")
    );
}

#[tokio::test]
async fn probes_leave_no_span() {
    let app = TestApp::spawn().await;
    assert_eq!(app.get("/healthz").await.status, 200);
    let ready = app.get("/readyz").await;
    assert_eq!(
        (ready.status, &ready.body["status"]),
        (200, &json!("ready"))
    );
    assert!(app.ended_spans().is_empty());
}
