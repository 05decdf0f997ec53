//! The head of a request, on every route: a single-valued header may be sent only once, and without
//! API keys the request has to name a host of this service.

use axum::http::Request;
use expense_agent::config::Config;
use expense_agent::config::host_name::HostName;
use expense_agent::config::http::HttpConfig;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::Endpoint;
use tower::ServiceExt;

use crate::harness::binary;
use crate::harness::expenses::taxi;
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::skip::skip;
use crate::harness::{Reply, TestApp, config, http_config};

/// Routes of every kind: traced and untraced, and one that does not exist.
const ROUTES: [&str; 8] = [
    "/healthz",
    "/readyz",
    "/metrics",
    "/docs/",
    "/openapi.json",
    "/v1/expenses",
    "/v1/policies",
    "/nowhere",
];

fn assert_refused(reply: &Reply, status: u16, code: &str) {
    let refused = (reply.status, &reply.body["code"]);
    assert_eq!(refused, (status, &json!(code)), "{:#}", reply.body);
    assert_eq!(reply.headers["content-type"], "application/problem+json");
}

#[tokio::test]
async fn a_single_valued_header_sent_twice_is_refused_on_every_route() {
    let keys = KeyFile::new(&[entry("key-1", "acme", "ea_1", "")]);
    for app in [TestApp::spawn().await, keys.app().await] {
        for (name, value) in [
            ("authorization", "Bearer ea_1"),
            ("content-type", "application/json"),
            ("idempotency-key", "a"),
            ("host", "127.0.0.1"),
        ] {
            for route in ROUTES {
                let reply = app.get_with(route, &[(name, value), (name, value)]).await;
                assert_refused(&reply, 400, "repeated_header");
                let detail = reply.body["detail"].as_str().unwrap().to_lowercase();
                assert!(detail.contains(&format!("`{name}`")), "{detail}");
            }
        }
    }
}

#[tokio::test]
async fn a_repeated_header_is_refused_before_a_decision_unless_it_is_a_list() {
    let app = TestApp::spawn().await;
    let twice = [("idempotency-key", "a"), ("idempotency-key", "b")];
    assert_refused(&app.post_with(taxi(), &twice).await, 400, "repeated_header");
    assert_eq!(app.get("/v1/expenses").await.body["decisions"], json!([]));
    // A header that is a list may be split into several lines.
    let lists = [
        ("baggage", "user.id=ana"),
        ("baggage", "a=1"),
        ("accept", "*/*"),
        ("accept", "a/b"),
    ];
    assert_eq!(app.post_with(taxi(), &lists).await.status, 201);
}

#[tokio::test]
async fn without_keys_a_request_for_another_host_is_refused_on_every_route() {
    let app = TestApp::spawn().await;
    for host in [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "expense-agent",
        "localhost@evil.example",
        "evil.example@localhost",
        "ana:secret@127.0.0.1",
        "localhost@localhost",
        "localhost:99999",
        "localhost:80:80",
        "localhost:http",
        "localhost/evil.example",
        "127.1",
        "2130706433",
        "evil.localhost",
        "",
        "a b",
    ] {
        for route in ROUTES {
            let reply = app.get_with(route, &[("host", host)]).await;
            assert_refused(&reply, 421, "misdirected_request");
            let detail = reply.body["detail"].as_str().unwrap();
            assert!(detail.contains("--allowed-host"), "{detail}");
        }
    }
    let reply = app.post_with(taxi(), &[("host", "evil.example")]).await;
    assert_refused(&reply, 421, "misdirected_request");
    assert!(reply.headers.contains_key("x-trace-id"));
    assert_eq!(app.get("/v1/expenses").await.body["decisions"], json!([]));
}

#[tokio::test]
async fn ip_addresses_localhost_and_allowed_hosts_are_accepted_as_the_host() {
    let allowed = ["Expense-Agent", "agent.example.com.", "bücher.example"];
    let app = TestApp::with(Config {
        http: HttpConfig {
            allowed_hosts: allowed
                .into_iter()
                .map(|name| HostName::parse(name).unwrap())
                .collect(),
            ..http_config()
        },
        ..config()
    })
    .await;
    for host in [
        "127.0.0.1",
        "127.0.0.1:8000",
        "10.1.2.3:8000",
        "[::1]",
        "[::1]:8000",
        "[::ffff:127.0.0.1]",
        "localhost:",
        "[2001:db8::7]:80",
        "localhost",
        "LocalHost:8000",
        "localhost.",
        "expense-agent:8000",
        "EXPENSE-AGENT",
        "agent.example.com",
        "agent.example.com.:80",
        "xn--bcher-kva.example",
    ] {
        for route in ["/healthz", "/metrics", "/v1/policies"] {
            assert_eq!(
                app.get_with(route, &[("host", host)]).await.status,
                200,
                "{host}"
            );
        }
    }
    for host in [
        "www.agent.example.com",
        "example.com",
        "expense-agent.example",
    ] {
        let reply = app.get_with("/v1/policies", &[("host", host)]).await;
        assert_refused(&reply, 421, "misdirected_request");
    }
}

#[tokio::test]
async fn with_keys_every_host_is_accepted() {
    let keys = KeyFile::new(&[entry("key-1", "acme", "ea_1", "")]);
    let app = keys.app().await;
    let reply = app.get_with("/healthz", &[("host", "evil.example")]).await;
    assert_eq!(reply.status, 200);
    let reply = app
        .get_with("/v1/policies", &[("host", "evil.example")])
        .await;
    assert_refused(&reply, 401, "unauthorized");
}

#[tokio::test]
async fn the_authority_of_an_http_2_request_is_its_host() {
    let app = TestApp::spawn().await;
    for (origin, status) in [("http://evil.example", 421), ("http://localhost", 200)] {
        let endpoint = Endpoint::from_shared(app.url.clone()).unwrap();
        let endpoint = endpoint.origin(origin.parse().unwrap());
        let channel = endpoint.connect().await.unwrap();
        let request = Request::get("/healthz").body(tonic::body::Body::empty());
        let response = channel.oneshot(request.unwrap()).await.unwrap();
        assert_eq!(response.status(), status, "{origin}");
    }
}

/// Sends these bytes as a request, and returns the first line of the answer.
async fn raw(app: &TestApp, request: &str) -> String {
    let mut peer = TcpStream::connect(app.url.strip_prefix("http://").unwrap())
        .await
        .unwrap();
    peer.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    peer.read_to_string(&mut answer).await.unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn an_absolute_target_is_checked_like_the_host_and_http_1_0_needs_no_host() {
    let app = TestApp::spawn().await;
    let rest = "Connection: close\r\n\r\n";
    for (head, status) in [
        (
            "GET http://evil.example/healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n",
            "421",
        ),
        (
            "GET http://127.0.0.1/healthz HTTP/1.1\r\nHost: evil.example\r\n",
            "421",
        ),
        (
            "GET http://localhost/healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n",
            "200",
        ),
        ("GET /healthz HTTP/1.0\r\n", "200"),
    ] {
        let line = raw(&app, &format!("{head}{rest}")).await;
        assert!(line.contains(status), "{head}: {line}");
    }
}

#[test]
fn an_allowed_host_is_a_name_without_scheme_port_or_path() {
    for text in [
        "expense-agent",
        "Agent.Example.COM",
        "a_b",
        "agent.",
        "10.0.0.1",
    ] {
        assert!(HostName::parse(text).is_some(), "{text}");
    }
    for text in [
        "",
        ".",
        "http://agent",
        "agent:8000",
        "*.example.com",
        "a/b",
        "a@b",
        "a b",
        "[::1]",
    ] {
        assert!(HostName::parse(text).is_none(), "{text}");
    }
}

#[tokio::test]
async fn a_service_can_listen_on_an_ipv6_address() {
    if TcpListener::bind("[::1]:0").await.is_err() {
        return skip("on IPv6, which this machine does not have");
    }
    let app = TestApp::with(Config {
        http: HttpConfig {
            listen: "[::1]:0".parse().unwrap(),
            ..http_config()
        },
        ..config()
    })
    .await;
    assert_eq!(app.post(taxi()).await.status, 201);
    let address = app.url.strip_prefix("http://").unwrap();
    let output = binary::run(&["healthcheck", "--listen", address], &[]).await;
    assert!(output.status.success(), "{output:?}");
}
