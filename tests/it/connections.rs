//! Connections of clients that send nothing or only half a request: each has a time limit, and
//! together they block no other client.

use std::sync::Arc;
use std::time::Duration;

use expense_agent::config::Config;
use expense_agent::config::http::HttpConfig;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::harness::binary::{self, Service};
use crate::harness::expenses::taxi;
use crate::harness::fake_openai::{FakeOpenAi, Reply};
use crate::harness::replies::category;
use crate::harness::{TestApp, config, http_config, openai};

const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(200);
/// How long an expected event may take before a test fails.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A service with these limits.
async fn service(http: HttpConfig) -> TestApp {
    TestApp::with(Config { http, ..config() }).await
}

/// A connection on which these bytes have been sent.
async fn connect(url: &str, bytes: &[u8]) -> TcpStream {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// The bytes that the service sends before it closes the connection. Fails if it stays open.
async fn rest_of(mut stream: TcpStream) -> Vec<u8> {
    let mut received = Vec::new();
    let closed = timeout(TIMEOUT, stream.read_to_end(&mut received)).await;
    // A reset closes a connection as well.
    let _closed_or_reset = closed.expect("the connection is closed");
    received
}

/// How many connections were closed for this reason.
async fn n_closed(app: &TestApp, reason: &str) -> f64 {
    let labels = [("expense_connection_reason", reason)];
    app.metrics()
        .await
        .sum("expense_connections_closed_total", &labels)
}

#[tokio::test]
async fn a_client_that_sends_nothing_or_half_a_request_is_disconnected() {
    let request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n";
    let http_2 = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let whole = format!("{request}\r\n");
    let second = format!("{whole}{request}");
    for (name, sent, reason) in [
        ("nothing", "", "idle"),
        ("a letter", "G", "slow_head"),
        ("half a line", "GET /hea", "slow_head"),
        ("half a head", request, "slow_head"),
        ("half a preface", "PRI * HT", "idle"),
        ("HTTP/2 without a request", http_2, "idle"),
        ("a request, then nothing", &whole, "idle"),
        ("a request, then half of one", &second, "idle"),
    ] {
        let app = service(HttpConfig {
            head_timeout: SHORT,
            idle_timeout: SHORT,
            ..http_config()
        })
        .await;
        let stream = connect(&app.url, sent.as_bytes()).await;
        let received = rest_of(stream).await;
        let is_answered = received.starts_with(b"HTTP/1.1 200");
        assert_eq!(is_answered, sent.starts_with(&whole), "{name}");
        assert!(n_closed(&app, reason).await >= 1.0, "{name}");
    }
}

#[tokio::test]
async fn a_head_sent_byte_by_byte_gets_no_extra_time() {
    let app = service(HttpConfig {
        head_timeout: SHORT,
        idle_timeout: LONG,
        ..http_config()
    })
    .await;
    let mut stream = connect(&app.url, b"GET /healthz HTTP/1.1\r\n").await;
    let began = Instant::now();
    let mut ticks = tokio::time::interval(SHORT / 10);
    // Writing fails once the service has closed the connection.
    while stream.write_all(b"a: b\r\n").await.is_ok() {
        assert!(began.elapsed() < TIMEOUT, "the connection is closed");
        ticks.tick().await;
    }
    assert_eq!(n_closed(&app, "slow_head").await, 1.0);
}

#[tokio::test]
async fn idle_connections_are_evicted_for_new_ones() {
    let app = service(HttpConfig {
        max_connections: 4,
        head_timeout: LONG,
        idle_timeout: LONG,
        ..http_config()
    })
    .await;
    let mut waiting = Vec::new();
    for n in 0..20 {
        let sent: &[u8] = [&b"GET /healthz HT"[..], b"", b"PRI"][n % 3];
        waiting.push(connect(&app.url, sent).await);
        // Each of these is a connection of its own.
        let probe = connect(
            &app.url,
            b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n",
        )
        .await;
        assert!(rest_of(probe).await.starts_with(b"HTTP/1.1 200"), "{n}");
    }
    // The connections that had been idle for the longest time were closed, so the first one was.
    let first = waiting.remove(0);
    assert_eq!(rest_of(first).await, b"");
    assert!(n_closed(&app, "evicted").await >= 16.0);
    let page = app.metrics().await;
    assert!(page.sum("expense_connections_open", &[]) <= 4.0);
    assert_eq!(
        page.sum(
            "expense_connections_closed_total",
            &[("expense_connection_reason", "refused")]
        ),
        0.0
    );
}

#[tokio::test]
async fn clients_that_do_not_send_the_body_of_a_request_block_no_other_client() {
    let app = service(HttpConfig {
        max_connections: 4,
        head_timeout: LONG,
        idle_timeout: LONG,
        ..http_config()
    })
    .await;
    let mut waiting = Vec::new();
    for n in 0..8 {
        let head = "POST /v1/expenses HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\
                    Content-Type: application/json\r\nContent-Length: 100\r\n\r\n";
        let mut stream = connect(&app.url, head.as_bytes()).await;
        // The service asks for the body when it waits for it.
        let mut asked = [0; 25];
        stream.read_exact(&mut asked).await.unwrap();
        assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
        waiting.push(stream);
        let probe = connect(
            &app.url,
            b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n",
        )
        .await;
        assert!(rest_of(probe).await.starts_with(b"HTTP/1.1 200"), "{n}");
    }
    // The connections that had waited longest were closed without an answer.
    assert_eq!(rest_of(waiting.remove(0)).await, b"");
    assert!(n_closed(&app, "evicted").await >= 4.0);
    assert_eq!(n_closed(&app, "refused").await, 0.0);
}

#[tokio::test]
async fn a_connection_with_a_request_is_not_closed_for_a_new_one() {
    let (fake, gate) = (FakeOpenAi::spawn().await, Arc::new(Notify::new()));
    // The request takes longer than the time limits, and lasts until the test opens the gate.
    let slow = Reply::delayed(3 * SHORT, category("travel"));
    fake.script([Reply::held(&gate, slow)]);
    fake.always(category("travel"));
    let app = TestApp::with(Config {
        http: HttpConfig {
            max_connections: 1,
            head_timeout: SHORT,
            idle_timeout: SHORT,
            ..http_config()
        },
        model: openai(&fake),
        ..config()
    })
    .await;
    let (reply, refused) = tokio::join!(app.post(taxi()), async {
        fake.wait_for_requests(1).await;
        let refused = rest_of(connect(&app.url, b"").await).await;
        gate.notify_one();
        refused
    });
    assert_eq!(
        (reply.status, &reply.body["outcome"]),
        (201, &json!("needs_review"))
    );
    assert_eq!(refused, b"");
    assert_eq!(n_closed(&app, "refused").await, 1.0);
}

/// A service with short limits, and a batch of which only this beginning of its lines has been sent.
async fn unfinished_batch(lines: &str) -> (TestApp, TcpStream) {
    let app = service(HttpConfig {
        deadline: SHORT,
        idle_timeout: SHORT,
        ..http_config()
    })
    .await;
    let request = format!(
        "POST /v1/expenses/batch HTTP/1.1\r\nHost: localhost\r\n\
         Content-Type: application/x-ndjson\r\nContent-Length: 1000000\r\n\r\n{lines}"
    );
    let stream = connect(&app.url, request.as_bytes()).await;
    (app, stream)
}

#[tokio::test]
async fn a_batch_whose_client_stops_sending_is_closed() {
    let (app, stream) = unfinished_batch("{\"transaction\"").await;
    assert!(rest_of(stream).await.starts_with(b"HTTP/1.1 200"));
    assert_eq!(n_closed(&app, "stalled").await, 1.0);
}

#[tokio::test]
async fn a_batch_whose_next_line_arrives_byte_by_byte_is_closed() {
    let (_app, mut stream) = unfinished_batch("").await;
    let began = Instant::now();
    let mut ticks = tokio::time::interval(SHORT / 10);
    // Blank lines are skipped, so no line is ever complete.
    while stream.write_all(b" \n").await.is_ok() {
        assert!(began.elapsed() < TIMEOUT, "the connection is closed");
        ticks.tick().await;
    }
}

#[tokio::test]
async fn open_idle_connections_do_not_delay_the_stop() {
    let app = service(HttpConfig {
        head_timeout: SHORT,
        drain_timeout: LONG,
        ..http_config()
    })
    .await;
    let idle = connect(
        &app.url,
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    )
    .await;
    let half = connect(&app.url, b"GET /healthz HTTP/1.1\r\n").await;
    let silent = connect(&app.url, b"").await;
    assert_eq!(app.get("/healthz").await.status, 200);
    timeout(TIMEOUT, app.stop())
        .await
        .expect("the service stops");
    for stream in [idle, half, silent] {
        rest_of(stream).await;
    }
}

#[tokio::test]
async fn reaching_the_maximum_of_connections_is_logged_once_and_an_invalid_maximum_is_refused() {
    let service = Service::start(
        &["--max-connections", "2"],
        &[("OTEL_SDK_DISABLED", "true")],
    )
    .await;
    let mut waiting = Vec::new();
    for _ in 0..5 {
        waiting.push(connect(&service.url, b"GET").await);
    }
    let probe = connect(
        &service.url,
        b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(rest_of(probe).await.starts_with(b"HTTP/1.1 200"));
    let (_, log) = service.stop().await;
    assert_eq!(
        log.matches("the maximum of connections is open").count(),
        1,
        "{log}"
    );
    for given in ["0", "99999999999999"] {
        let output = binary::run(&["--max-connections", given], &[]).await;
        let said = binary::text(output.stderr);
        assert!(
            !output.status.success() && said.contains("write a number from 1 to"),
            "{said}"
        );
    }
}
