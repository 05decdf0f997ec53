//! Configured URLs to which the program appends a path: those of the model's endpoint, a service, a
//! trace UI, a Jaeger and a trace backend. Their own path and query are kept, and a URL that cannot be
//! extended is refused before anything is sent.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use expense_agent::base_url::{extended, parse, shown};
use expense_agent::config::trace_url::TraceUrl;
use std::sync::{Arc, Mutex};

use crate::harness::binary::{run, text};
use crate::harness::server::Server;
use crate::harness::telemetry_settings;

const QUIET: (&str, &str) = ("OTEL_TRACES_EXPORTER", "none");

#[test]
fn a_path_is_appended_to_the_existing_path_and_before_the_query() {
    for (url, path, expected) in [
        ("http://h", "/a/b", "http://h/a/b"),
        ("http://h/", "a/b/", "http://h/a/b"),
        ("http://h/v1", "/a", "http://h/v1/a"),
        ("http://h/v1/", "/a", "http://h/v1/a"),
        ("http://h/v1//", "/a", "http://h/v1/a"),
        (
            "http://h/v1?k=2024-10-21",
            "/a",
            "http://h/v1/a?k=2024-10-21",
        ),
        ("http://h?k=a/b&l=?", "/a", "http://h/a?k=a/b&l=?"),
        ("http://h/v1/?", "/a", "http://h/v1/a?"),
        ("http://h/a%2Fb/", "/c", "http://h/a%2Fb/c"),
        ("http://[::1]:8080/x", "/c", "http://[::1]:8080/x/c"),
        ("HTTPS://H:443/X", "/c", "https://h/X/c"),
        ("http://u:p@h/x", "/c", "http://u:p@h/x/c"),
    ] {
        let url = parse(url).unwrap_or_else(|wrong| panic!("{url}: {wrong}"));
        assert_eq!(extended(&url, path).as_str(), expected);
    }
}

#[test]
fn a_url_that_cannot_be_extended_is_refused_and_not_printed() {
    for (url, expected) in [
        ("", "is not a URL with"),
        ("h/v1", "is not a URL with"),
        ("//user:sesame@h", "is not a URL with"),
        ("http://user:sesame@", "is not a URL with"),
        ("localhost:8000", "is not a URL of http"),
        ("mailto:sesame@h", "is not a URL of http"),
        ("file:///sesame", "is not a URL of http"),
        ("http://h/v1#sesame", "fragment"),
        ("http://h:0/", "port 0"),
        ("http://h:99999/", "is not a URL with"),
    ] {
        let wrong = parse(url).expect_err(url);
        assert!(wrong.contains(expected), "{url}: {wrong}");
        assert!(!wrong.contains("sesame"), "{url}: {wrong}");
    }
}

#[test]
fn a_url_in_a_message_has_neither_user_nor_password_nor_query() {
    let url = parse("https://user:sesame@h:8443/v1?api-key=sesame").unwrap();
    assert_eq!(shown(&url), "https://h:8443/v1");
}

#[test]
fn links_to_traces_keep_the_query_and_lose_the_password() {
    for (url, expected) in [
        ("http://h", "http://h/trace/abc"),
        ("http://h/jaeger/", "http://h/jaeger/trace/abc"),
        ("http://h/jaeger?org=1", "http://h/jaeger/trace/abc?org=1"),
        ("http://u:sesame@h/", "http://h/trace/abc"),
        ("http://h/#/t/{trace_id}", "http://h/#/t/abc"),
        ("http://h/t?id={trace_id}&x=1", "http://h/t?id=abc&x=1"),
        ("http://u:sesame@h/{trace_id}", "http://h/abc"),
        (
            "http://u:ses@me@[::1]:80?id={trace_id}",
            "http://[::1]:80?id=abc",
        ),
        ("http://h/@/{trace_id}?to=//a@b", "http://h/@/abc?to=//a@b"),
    ] {
        assert_eq!(TraceUrl::parse(url).unwrap().of("abc"), expected);
    }
    for url in ["jaeger", "http://h/#/", "ftp://h/{trace_id}"] {
        assert_eq!(TraceUrl::parse(url), None, "{url}");
    }
}

#[test]
fn the_base_url_of_a_trace_backend_keeps_its_query() {
    for (url, expected) in [
        ("http://h:4318", "http://h:4318/v1/traces"),
        (
            "http://h:4318/otlp/?team=a",
            "http://h:4318/otlp/v1/traces?team=a",
        ),
    ] {
        let settings = telemetry_settings(&[
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", url),
        ]);
        assert_eq!(settings.exporter.endpoint, expected);
        assert!(!settings.exporter.shown_endpoint.contains('?'));
    }
}

#[test]
fn user_and_password_of_a_trace_backend_become_a_header_and_leave_its_url() {
    for (url, protocol, endpoint, header) in [
        (
            "http://u:sesame@h:4318/x",
            "http/protobuf",
            "http://h:4318/x/v1/traces",
            Some("Basic dTpzZXNhbWU="),
        ),
        (
            "http://u%40d:ses%2Fame@h",
            "http/protobuf",
            "http://h/v1/traces",
            Some("Basic dUBkOnNlcy9hbWU="),
        ),
        (
            "http://u@[::1]:4317",
            "grpc",
            "http://[::1]:4317/",
            Some("Basic dTo="),
        ),
        (
            "u:sesame@h:4317",
            "grpc",
            "https://h:4317/",
            Some("Basic dTpzZXNhbWU="),
        ),
        ("http://h:4317", "grpc", "http://h:4317/", None),
    ] {
        let variables = [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", url),
        ];
        let exporter = telemetry_settings(&variables).exporter;
        assert_eq!(exporter.endpoint, endpoint);
        let sent = exporter.headers.get("authorization");
        assert_eq!(sent.map(|value| value.to_str().unwrap()), header, "{url}");
        assert!(!format!("{exporter:?}").contains("sesame"), "{exporter:?}");
        let own = [
            &variables[..],
            &[("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer x")],
        ]
        .concat();
        assert_eq!(
            telemetry_settings(&own).exporter.headers["authorization"],
            "Bearer x"
        );
    }
}

/// A server that refuses everything, and the paths and queries of its requests so far.
async fn refusing() -> (Server, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let router = Router::new()
        .fallback(
            async |State(asked): State<Arc<Mutex<Vec<String>>>>, request: Request| {
                asked.lock().unwrap().push(request.uri().to_string());
                StatusCode::NOT_FOUND
            },
        )
        .with_state(Arc::clone(&asked));
    (Server::spawn(router).await, asked)
}

#[tokio::test]
async fn commands_append_their_routes_to_the_path_of_the_services_url() {
    let (server, asked) = refusing().await;
    let url = format!("{}/behind/a/proxy/?route=a", server.origin());
    let with_password = url.replace("http://", "http://user:sesame@");
    for arguments in [
        &[
            "decide",
            "tests/data/expenses.csv",
            &*with_password,
            "--set",
            "currency=USD",
        ][..],
        &["demo", &*with_password],
        &["audit", "--source", "jaeger", "--jaeger", &*with_password],
    ] {
        let output = run(arguments, &[QUIET]).await;
        let said = [text(output.stdout), text(output.stderr)].concat();
        assert!(!said.contains("sesame"), "{said}");
    }
    let asked = asked.lock().unwrap().clone();
    let expected = [
        "/behind/a/proxy/v1/expenses/batch?route=a",
        "/behind/a/proxy/v1/expenses?route=a",
        "/behind/a/proxy/api/v3/traces?route=a&query.service_name=",
    ];
    assert_eq!(asked.len(), expected.len(), "{asked:?}");
    for (asked, expected) in asked.iter().zip(expected) {
        assert!(asked.starts_with(expected), "{asked}");
    }
}

#[tokio::test]
async fn a_command_refuses_the_url_of_a_service_that_it_cannot_extend() {
    for url in ["localhost:8000", "http://127.0.0.1:1/#top"] {
        for arguments in [
            &["decide", "tests/data/expenses.csv", url][..],
            &["demo", url],
            &["audit", "--jaeger", url],
        ] {
            let output = run(arguments, &[QUIET]).await;
            assert_eq!(output.status.code(), Some(2), "{arguments:?}");
            assert!(text(output.stderr).contains("write a URL such as"));
        }
    }
}
