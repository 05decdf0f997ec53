//! How a body is encoded: a byte order mark is ignored, and a compressed body is refused by a problem
//! that says what is accepted.

use reqwest::Method;
use serde_json::Value;

use super::{assert_nothing_recorded, assert_problem};
use crate::harness::TestApp;

const MARK: &str = "\u{feff}";
const TAXI: &str = r#"{"transaction": "Taxi", "amount": "4.00"}"#;
const KEYED: &str =
    r#"{"idempotency_key": "k", "expense": {"transaction": "Taxi", "amount": "5.00"}}"#;
const LINES: &str = "application/x-ndjson";

#[tokio::test]
async fn a_byte_order_mark_before_a_body_is_ignored() {
    let app = TestApp::spawn().await;
    let json = Some("application/json");
    let reply = app.post_raw(format!("{MARK}{TAXI}"), json).await;
    assert_eq!(reply.status, 201, "{:#}", reply.body);
    for body in [
        String::new(),
        MARK.to_owned(),
        format!("{MARK}{MARK}{TAXI}"),
        format!(" {MARK}{TAXI}"),
        format!("{TAXI}{MARK}"),
    ] {
        assert_problem(&app.post_raw(body, json).await, 400, "not_json");
    }
    let utf_16: Vec<u8> = format!("{MARK}{TAXI}")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_problem(&app.post_raw(utf_16, json).await, 400, "not_json");
}

#[tokio::test]
async fn a_byte_order_mark_before_any_line_of_a_batch_is_ignored() {
    let app = TestApp::spawn().await;
    let body = format!("{MARK}{TAXI}\n{MARK}\r\n{MARK}{KEYED}\n{TAXI}\n");
    let request = app
        .request(
            Method::POST,
            "/v1/expenses/batch",
            &[("content-type", LINES)],
        )
        .body(body);
    let answers = request.send().await.unwrap().text().await.unwrap();
    let answers: Vec<Value> = answers
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let numbers: Vec<_> = answers
        .iter()
        .map(|answer| (answer["line"].as_u64(), answer["status"].as_u64()))
        .collect();
    let decided = |line| (Some(line), Some(201));
    assert_eq!(numbers, [decided(1), decided(3), decided(4)], "{answers:?}");
}

#[tokio::test]
async fn a_compressed_body_is_refused_and_the_problem_says_what_is_accepted() {
    let app = TestApp::spawn().await;
    let send = async |path: &str, content_type: &str, encoding: &str| {
        let headers = [
            ("content-type", content_type),
            ("content-encoding", encoding),
        ];
        let method = match path.ends_with("/feedback/note") {
            true => Method::PUT,
            false => Method::POST,
        };
        let request = app.request(method, path, &headers).body(TAXI);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.text().await.unwrap())
    };
    let id = "00000000-0000-0000-0000-000000000000";
    for encoding in [
        "gzip",
        "GZIP",
        "br",
        "deflate",
        "zstd",
        "identity, gzip",
        "x",
    ] {
        for (path, content_type) in [
            ("/v1/expenses", "application/json"),
            ("/v1/expenses/batch", LINES),
            (&format!("/v1/expenses/{id}/resolution"), "application/json"),
            (
                &format!("/v1/expenses/{id}/feedback/note"),
                "application/json",
            ),
        ] {
            let (status, said) = send(path, content_type, encoding).await;
            assert_eq!(status, 415, "{path} {encoding}: {said}");
            assert!(said.contains("unsupported_media_type"), "{said}");
            assert!(said.contains("without `Content-Encoding`"), "{said}");
        }
    }
    assert_nothing_recorded(&app).await;
    for encoding in ["identity", "Identity", ""] {
        let (status, said) = send("/v1/expenses", "application/json", encoding).await;
        assert_eq!(status, 201, "{encoding}: {said}");
    }
}
