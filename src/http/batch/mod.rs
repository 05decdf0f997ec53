//! Many expenses in one request: one line of JSON for each, answered by one line each, in order. A
//! line becomes a request of its own to `POST /v1/expenses`, made in this process: it has its own
//! trace, deadline and answer, and an invalid line does not stop the others. Back-pressure is end
//! to end: lines are read only as fast as they are decided and as the client reads the answers. How
//! the body is split is in `lines`, which lines wait for each other in `turns`.

pub mod lines;
mod turns;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Extension, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::timeout;
use tokio_util::codec::FramedRead;
use tokio_util::io::StreamReader;
use tower::ServiceExt;
use utoipa::ToSchema;
use utoipa::openapi::Ref;
use utoipa::openapi::schema::{OneOfBuilder, Schema};

use crate::http::docs::{Problems, Route};
use crate::http::error::{Code, Problem};
use crate::http::idempotency::{self, MAX_BATCH_KEY_CHARS, MAX_KEY_CHARS};
use crate::http::limits::{MAX_BODY_BYTES, check_encoding, media_type};
use crate::keys::identity::Identity;
use crate::telemetry::projections::server::{LineOf, RequestTrace};
use lines::{Line, Lines, TooLong};
use turns::Turns;

/// The most lines of one batch in progress at once.
pub const MAX_AT_ONCE: usize = 16;
/// The media type of JSON lines.
pub const NDJSON: &str = "application/x-ndjson";
/// The path that batches are posted to.
pub const PATH: &str = "/v1/expenses/batch";
/// The most bytes of one answer. It is far above the size of any answer, and cuts none off: answers
/// are written by this process.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// The headers that a line inherits from its batch: those that identify the caller.
const INHERITED: [HeaderName; 2] = [header::AUTHORIZATION, HeaderName::from_static("baggage")];

/// The route for one expense, to which every line is sent.
#[derive(Clone)]
pub struct SingleRoute {
    /// The route and the layers around it.
    pub routes: Router,
    /// The most lines of one batch in progress at once, at most [`MAX_AT_ONCE`].
    pub n_at_once: usize,
    /// How long a batch may wait for its next line, blank ones not counted.
    pub line_timeout: Duration,
}

/// The answer to one line.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct LineAnswer {
    /// The number of the line, from 1.
    pub line: usize,
    /// The status that a single request would have been answered with.
    pub status: u16,
    /// Whether an earlier request with the line's key came to the decision; absent when not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
    /// The decision, or the problem.
    #[schema(schema_with = body_schema)]
    pub body: Box<RawValue>,
}

fn body_schema() -> Schema {
    OneOfBuilder::new()
        .item(Ref::from_schema_name("DecisionBody"))
        .item(Ref::from_schema_name("Problem"))
        .description(Some("The decision, or the problem."))
        .into()
}

impl LineAnswer {
    /// The answer to a line that cannot become a request.
    ///
    /// # Errors
    /// Never in practice: a problem is plain JSON.
    pub fn refused(line: usize, problem: &Problem) -> serde_json::Result<Self> {
        let body = serde_json::value::to_raw_value(problem)?;
        Ok(Self {
            line,
            status: problem.status,
            replayed: false,
            body,
        })
    }
}

/// `POST /v1/expenses/batch`; the problems of a line are in its answer.
struct Create;

impl Route for Create {
    const CODES: &'static [Code] = &[
        Code::InvalidIdempotencyKey,
        Code::Unauthorized,
        Code::UnsupportedMediaType,
    ];
}

/// Decide many expenses.
///
/// One JSON object on each line; blank lines are skipped. Every line is answered by one line, in
/// order: `{"line", "status", "body"}`, with the body that a single request would have been
/// answered with. With an `Idempotency-Key`, each line has the key `KEY-LINE`, so that an
/// interrupted batch can be sent again. A line `{"idempotency_key", "expense"}` has its own key,
/// which takes precedence. A repeated answer has `"replayed": true`.
#[utoipa::path(
    post, path = "/v1/expenses/batch", tag = "expenses", operation_id = "create_batch",
    request_body(content = inline(Lines), content_type = "application/x-ndjson"),
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 240 visible ASCII characters, with which the key of every line begins")),
    responses(
        (status = 200, description = "One answer for each line, as soon as it and those before it are decided", body = LineAnswer, content_type = "application/x-ndjson"),
        Problems<Create>,
    ),
)]
pub async fn create(
    Extension(single): Extension<SingleRoute>,
    Extension(trace): Extension<RequestTrace>,
    Extension(identity): Extension<Identity>,
    request: Request,
) -> Result<Response, Problem> {
    check_encoding(request.headers())?;
    if media_type(request.headers()) != NDJSON {
        let detail =
            "the body is not declared as JSON lines; send `Content-Type: application/x-ndjson`";
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    let key = idempotency::key(request.headers(), MAX_BATCH_KEY_CHARS)?;
    let (n_at_once, line_timeout) = (single.n_at_once, single.line_timeout);
    let mut turns = Turns::new(identity.user_id);
    let batch = Batch {
        single,
        trace,
        key,
        headers: inherited_headers(request.headers()),
        peer: peer(&request),
    };
    let bytes = request
        .into_body()
        .into_data_stream()
        .map_err(io::Error::other);
    let lines = FramedRead::new(StreamReader::new(bytes), Lines::new());
    let lines = lines
        .enumerate()
        .filter(|(_, line)| std::future::ready(!matches!(line, Ok(Ok(line)) if line.is_blank())));
    let answers = in_time(lines, line_timeout)
        .map(move |(index, line)| {
            let turn = line
                .as_ref()
                .ok()
                .and_then(|line| turns.of(&line.as_ref().ok()?.expense));
            let batch = batch.clone();
            async move {
                let turn = match turn {
                    Some(turn) => Some(turn.begun().await),
                    None => None,
                };
                let answer = batch.answer(index + 1, line).await;
                drop(turn);
                answer
            }
        })
        .buffered(n_at_once);
    Ok(([(header::CONTENT_TYPE, NDJSON)], Body::from_stream(answers)).into_response())
}

/// A line that was read, with its index.
type Read = (usize, io::Result<Result<Line, TooLong>>);

/// Passes lines on until one does not arrive in time: a client that sends a byte now and then would
/// otherwise keep its connection forever. Time counts only while the batch waits for a line.
fn in_time(lines: impl Stream<Item = Read>, limit: Duration) -> impl Stream<Item = Read> {
    stream::unfold(Box::pin(lines), move |mut lines| async move {
        let next = timeout(limit, lines.next()).await;
        let read = next.unwrap_or_else(|elapsed| Some((0, Err(elapsed.into()))));
        read.map(|read| (read, lines))
    })
}

/// What all lines of one batch share.
#[derive(Clone)]
struct Batch {
    single: SingleRoute,
    trace: RequestTrace,
    key: Option<String>,
    headers: HeaderMap,
    peer: Option<ConnectInfo<SocketAddr>>,
}

impl Batch {
    /// Decides one line. A body that ends early ends the answer as well.
    async fn answer(
        self,
        line: usize,
        read: io::Result<Result<Line, TooLong>>,
    ) -> io::Result<String> {
        let Ok(content) = read? else {
            let detail = format!(
                "the line is larger than {MAX_BODY_BYTES} bytes; write one expense on a line"
            );
            return refused(line, &Problem::new(Code::BodyTooLarge, detail));
        };
        let request = match self.request(line, content) {
            Ok(request) => request,
            Err(problem) => return refused(line, &problem),
        };
        let response = self
            .single
            .routes
            .clone()
            .oneshot(request)
            .await
            .map_err(io::Error::other)?;
        let (status, replayed) = (
            response.status(),
            response.headers().contains_key(idempotency::REPLAYED),
        );
        let bytes = to_bytes(response.into_body(), MAX_ANSWER_BYTES)
            .await
            .map_err(io::Error::other)?;
        let body = String::from_utf8(bytes.to_vec()).map_err(io::Error::other)?;
        to_line(&LineAnswer {
            line,
            status: status.as_u16(),
            replayed,
            body: RawValue::from_string(body)?,
        })
    }

    /// The request that a line becomes.
    fn request(&self, line: usize, content: Line) -> Result<Request, Problem> {
        let of_batch = || self.key.as_ref().map(|key| format!("{key}-{line}"));
        let key = content.key.or_else(of_batch);
        let mut request = Request::post("/v1/expenses")
            .body(Body::from(content.expense))
            .unwrap_or_default();
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        if let Some(key) = key {
            let key =
                HeaderValue::from_str(&key).map_err(|_| idempotency::invalid_key(MAX_KEY_CHARS))?;
            request.headers_mut().insert(idempotency::KEY, key);
        }
        request.extensions_mut().insert(LineOf(self.trace.clone()));
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(peer);
        }
        Ok(request)
    }
}

/// The answer to a line that did not become a request, and so has no trace of its own.
fn refused(line: usize, problem: &Problem) -> io::Result<String> {
    to_line(&LineAnswer::refused(line, problem)?)
}

fn to_line(answer: &LineAnswer) -> io::Result<String> {
    Ok(serde_json::to_string(answer)? + "\n")
}

fn inherited_headers(headers: &HeaderMap) -> HeaderMap {
    let mut inherited = HeaderMap::new();
    for name in &INHERITED {
        for value in headers.get_all(name) {
            inherited.append(name, value.clone());
        }
    }
    inherited
}

fn peer(request: &Request) -> Option<ConnectInfo<SocketAddr>> {
    request.extensions().get().copied()
}
