//! A receiver of notifications: a real HTTP server that records what it is sent, and answers as a test
//! wants. It accepts everything by default.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use expense_agent::notify::message::Secret;
use expense_agent::notify::{NotifyConfig, Receiver};
use futures_util::stream;
use serde_json::Value;

use super::poll;
use super::server::Server;

/// How long notifications may take to arrive before a test fails.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The secret of the tests.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// How a request is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// With this status.
    Status(u16),
    /// With this status, and a `retry-after` of so many seconds.
    RetryAfter(u16, u32),
    /// With a redirect to another path of the same server.
    Redirect,
    /// Not at all.
    Hang,
    /// With a success whose body never ends.
    Endless,
}

/// What arrived in one request.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) at: Instant,
}

impl Received {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The type of the notification.
    pub(crate) fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }

    /// The id of the expense.
    pub(crate) fn expense_id(&self) -> String {
        self.json()["data"]["expense_id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// A header.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

#[derive(Default)]
struct Book {
    received: Vec<Received>,
    script: VecDeque<Answer>,
    default: Option<Answer>,
}

/// The receiver; dropping it closes its port.
pub(crate) struct WebhookReceiver {
    server: Server,
    book: Arc<Mutex<Book>>,
}

impl WebhookReceiver {
    pub(crate) async fn spawn() -> Self {
        let book = Arc::new(Mutex::new(Book::default()));
        let router = Router::new()
            .fallback(receive)
            .with_state(Arc::clone(&book));
        Self {
            server: Server::spawn(router).await,
            book,
        }
    }

    /// The URL to notify.
    pub(crate) fn url(&self) -> String {
        format!("{}/hooks/secret-path", self.server.origin())
    }

    /// Answers the next requests in this way.
    pub(crate) fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.book.lock().unwrap().script.extend(answers);
    }

    /// Answers every request in this way, except those that are scripted.
    pub(crate) fn always(&self, answer: Answer) {
        self.book.lock().unwrap().default = Some(answer);
    }

    /// Everything that has arrived, in order.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.book.lock().unwrap().received.clone()
    }

    /// The types of what has arrived, in order.
    pub(crate) fn kinds(&self) -> Vec<String> {
        self.received().iter().map(Received::kind).collect()
    }

    /// Waits until this many requests have arrived, and returns all.
    pub(crate) async fn wait_for(&self, n_requests: usize) -> Vec<Received> {
        poll::until(TIMEOUT, "notification", async || {
            let received = self.received();
            match received.len() {
                n if n >= n_requests => Ok(received),
                n => Err(n),
            }
        })
        .await
    }

    /// The settings of a service that notifies this receiver alone.
    pub(crate) fn config(&self) -> NotifyConfig {
        NotifyConfig {
            receivers: vec![receiver(None, &self.url())],
            // Far above what an answer takes, because a second attempt would be one too many.
            timeout: Duration::from_secs(30),
        }
    }
}

/// A receiver of a tenant, or of all others.
pub(crate) fn receiver(tenant: Option<&str>, url: &str) -> Receiver {
    Receiver {
        tenant_id: tenant.map(str::to_owned),
        url: url.parse().unwrap(),
        secrets: vec![Secret::parse(SECRET).unwrap()],
    }
}

async fn receive(
    State(book): State<Arc<Mutex<Book>>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answer = {
        let mut book = book.lock().unwrap();
        book.received.push(Received {
            path: uri.path().to_owned(),
            headers,
            body,
            at: Instant::now(),
        });
        book.script.pop_front().or(book.default)
    };
    match answer.unwrap_or(Answer::Status(204)) {
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::RetryAfter(status, seconds) => {
            let status = StatusCode::from_u16(status).unwrap();
            (status, [("retry-after", seconds.to_string())]).into_response()
        }
        Answer::Redirect => {
            (StatusCode::TEMPORARY_REDIRECT, [("location", "/elsewhere")]).into_response()
        }
        Answer::Hang => pending().await,
        Answer::Endless => {
            let chunk = || Ok::<_, Infallible>(Bytes::from(vec![b'x'; 64 * 1024]));
            Body::from_stream(stream::repeat_with(chunk)).into_response()
        }
    }
}
