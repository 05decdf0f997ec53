//! Bodies that are accepted or refused, and the errors of refused ones. A refused request leaves
//! nothing behind.

use serde_json::{Value, json};

use super::{assert_nothing_recorded, assert_problem};
use crate::harness::{TestApp, assert_golden};

const JSON: Option<&str> = Some("application/json");

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

/// Bodies with one error each, and the field of the error; empty for a body that is not JSON.
fn invalid_bodies() -> Vec<(String, &'static str)> {
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
async fn an_invalid_body_is_refused_by_field_and_nothing_is_recorded() {
    let app = TestApp::spawn().await;
    for (body, field) in invalid_bodies() {
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
async fn every_error_of_a_body_is_listed() {
    let app = TestApp::spawn().await;
    let body = r#"{"transaction": "", "amount": 1e400, "mcc": 5, "vat": 1, "date": "soon", "date": "now"}"#;
    let reply = app.post_raw(body, JSON).await;
    assert_problem(&reply, 422, "invalid_expense");
    let mut normalised = reply.body.clone();
    normalised["trace_id"] = "<trace_id>".into();
    assert_golden("every_error_of_a_body", &format!("{normalised:#}"));
}

#[tokio::test]
async fn a_body_that_is_not_json_or_not_declared_as_json_is_refused() {
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
    // In chunks, so that no `Content-Length` announces the size.
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
async fn an_expense_in_a_currency_without_an_exchange_rate_needs_review() {
    let app = TestApp::spawn().await;
    let decision = app
        .decide(json!({"transaction": "Taxi in Malmö", "amount": "45.00", "currency": "SEK"}))
        .await;
    assert_eq!(decision["outcome"], "needs_review");
    assert!(
        decision["reason"]
            .as_str()
            .unwrap()
            .contains("no exchange rate from SEK to USD")
    );
    assert_eq!(
        (&decision["converted_amount"], &decision["reimbursable"]),
        (&Value::Null, &Value::Null)
    );
}
