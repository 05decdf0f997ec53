//! Many expenses in one request: a line of JSON each, answered by a line each, in order. A line is
//! a request of its own to `POST /v1/expenses`, made in this process: it has its own trace,
//! deadline and answer, and one that is wrong stops none of the others. Lines are read no faster
//! than they are decided and their answers taken.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Extension, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio_util::bytes::{Bytes, BytesMut};
use tokio_util::codec::{AnyDelimiterCodec, AnyDelimiterCodecError, Decoder, FramedRead};
use tokio_util::io::StreamReader;
use tower::ServiceExt;
use utoipa::ToSchema;

use crate::http::error::Problem;
use crate::http::limits::{MAX_BODY_BYTES, media_type};
use crate::http::once;
use crate::telemetry::projections::server::{LineOf, RequestTrace};

/// Lines of one batch that are worked on at once, where the service takes as many requests.
pub const MAX_AT_ONCE: usize = 16;
/// JSON lines.
pub const NDJSON: &str = "application/x-ndjson";
/// Where batches are posted to.
pub const PATH: &str = "/v1/expenses/batch";
/// Bytes of one answer, which this process writes itself.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// What a line has of its batch: who asks.
const PASSED_ON: [HeaderName; 2] = [header::AUTHORIZATION, HeaderName::from_static("baggage")];

/// The routes for one expense at a time, which lines go through.
#[derive(Clone)]
pub struct Single {
    /// The routes.
    pub routes: Router,
    /// Lines of one batch that go through them at once: no more than requests may, or a batch
    /// would refuse itself.
    pub n_at_once: usize,
}

/// A line with an idempotency key of its own; any other line is the expense itself.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyedLine {
    /// The key.
    pub idempotency_key: String,
    /// What the line would be without it.
    pub expense: Box<RawValue>,
}

/// The answer to one line.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct LineAnswer {
    /// Which line, from 1.
    pub line: usize,
    /// The status that the expense would have been answered with alone.
    pub status: u16,
    /// Whether the decision was there before, by the line's key; absent when not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
    /// The decision, or the problem.
    #[schema(value_type = Object)]
    pub body: Box<RawValue>,
}

impl LineAnswer {
    /// The answer to a line that cannot even be asked about.
    ///
    /// # Errors
    /// None that can occur: a problem is plain JSON.
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

/// Decide many expenses.
///
/// One JSON object a line; blank lines are skipped. Every line is answered by one line, in order:
/// `{"line", "status", "body"}`, with the body that it would have been answered with alone. With an
/// `Idempotency-Key` each line has the key `KEY-LINE`, so a batch that broke off can be sent again.
/// A line `{"idempotency_key", "expense"}` has a key of its own, which goes first. What was decided
/// before has `"replayed": true`.
#[utoipa::path(
    post, path = "/v1/expenses/batch", tag = "expenses", operation_id = "create_batch",
    request_body(content = inline(Lines), content_type = "application/x-ndjson"),
    params(("Idempotency-Key" = Option<String>, Header, description = "Begins the key of every line")),
    responses(
        (status = 200, description = "A line for each, as soon as it and those before it are decided", body = LineAnswer, content_type = "application/x-ndjson"),
        (status = 400, description = "An idempotency key that is none", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No API key that is in force, where one is asked for", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON lines by its type", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn create(
    Extension(single): Extension<Single>,
    Extension(trace): Extension<RequestTrace>,
    request: Request,
) -> Result<Response, Problem> {
    if media_type(request.headers()) != NDJSON {
        let detail =
            "the body is not JSON lines by its type; send `Content-Type: application/x-ndjson`";
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            detail,
        ));
    }
    let key = once::key(request.headers())?;
    let n_at_once = single.n_at_once;
    let batch = Batch {
        single,
        trace,
        key,
        headers: passed_on(request.headers()),
        peer: peer(&request),
    };
    let bytes = request
        .into_body()
        .into_data_stream()
        .map_err(io::Error::other);
    let lines = FramedRead::new(StreamReader::new(bytes), Lines::new());
    let answers = lines
        .enumerate()
        .filter(|(_, line)| {
            std::future::ready(!matches!(line, Ok(Ok(line)) if line.trim_ascii().is_empty()))
        })
        .map(move |(index, line)| batch.clone().answer(index + 1, line))
        .buffered(n_at_once);
    Ok(([(header::CONTENT_TYPE, NDJSON)], Body::from_stream(answers)).into_response())
}

/// A line with more bytes than a body may have.
struct TooLong;

/// Lines, of which one that is too long is no end of the others. They are bytes: whether one is
/// text, whoever reads it as JSON finds out.
///
/// In the contract they are a file, because a page would put a text of a JSON type in quotes.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary, description = "A JSON object on each line")]
struct Lines(AnyDelimiterCodec);

impl Lines {
    fn new() -> Self {
        Self(AnyDelimiterCodec::new_with_max_length(
            b"\n".to_vec(),
            Vec::new(),
            MAX_BODY_BYTES,
        ))
    }

    fn item(
        decoded: Result<Option<Bytes>, AnyDelimiterCodecError>,
    ) -> io::Result<Option<Result<Bytes, TooLong>>> {
        match decoded {
            Ok(line) => Ok(line.map(Ok)),
            Err(AnyDelimiterCodecError::MaxChunkLengthExceeded) => Ok(Some(Err(TooLong))),
            Err(AnyDelimiterCodecError::Io(error)) => Err(error),
        }
    }
}

impl Decoder for Lines {
    type Item = Result<Bytes, TooLong>;
    type Error = io::Error;

    fn decode(&mut self, bytes: &mut BytesMut) -> io::Result<Option<Self::Item>> {
        Self::item(self.0.decode(bytes))
    }

    fn decode_eof(&mut self, bytes: &mut BytesMut) -> io::Result<Option<Self::Item>> {
        Self::item(self.0.decode_eof(bytes))
    }
}

/// What the lines of one batch have in common.
#[derive(Clone)]
struct Batch {
    single: Single,
    trace: RequestTrace,
    key: Option<String>,
    headers: HeaderMap,
    peer: Option<ConnectInfo<SocketAddr>>,
}

impl Batch {
    /// Decides one line; a body that broke off ends the answer as well.
    async fn answer(
        self,
        line: usize,
        read: io::Result<Result<Bytes, TooLong>>,
    ) -> io::Result<String> {
        let Ok(body) = read? else {
            let detail =
                format!("the line is larger than {MAX_BODY_BYTES} bytes; write one expense a line");
            return refused(
                line,
                &Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail),
            );
        };
        let request = match self.request(line, body) {
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
            response.headers().contains_key(once::REPLAYED),
        );
        let bytes = to_bytes(response.into_body(), MAX_ANSWER_BYTES)
            .await
            .map_err(io::Error::other)?;
        let body = String::from_utf8(bytes.to_vec()).map_err(io::Error::other)?;
        written(&LineAnswer {
            line,
            status: status.as_u16(),
            replayed,
            body: RawValue::from_string(body)?,
        })
    }

    /// A line as a request of its own.
    fn request(&self, line: usize, body: Bytes) -> Result<Request, Problem> {
        let (key, body) = match serde_json::from_slice(&body) {
            Ok(KeyedLine {
                idempotency_key,
                expense,
            }) => (Some(idempotency_key), expense.get().to_owned().into()),
            Err(_) => (self.key.as_ref().map(|key| format!("{key}-{line}")), body),
        };
        let mut request = Request::post("/v1/expenses")
            .body(Body::from(body))
            .unwrap_or_default();
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        if let Some(key) = key {
            let key = HeaderValue::from_str(&key).map_err(|_| once::no_key())?;
            request.headers_mut().insert(once::KEY, key);
        }
        request.extensions_mut().insert(LineOf(self.trace.clone()));
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(peer);
        }
        Ok(request)
    }
}

/// A line that became no request, so it has no trace of its own.
fn refused(line: usize, problem: &Problem) -> io::Result<String> {
    written(&LineAnswer::refused(line, problem)?)
}

fn written(answer: &LineAnswer) -> io::Result<String> {
    Ok(serde_json::to_string(answer)? + "\n")
}

fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let of = |name: &HeaderName| {
        headers
            .get_all(name)
            .iter()
            .cloned()
            .map(|value| (name.clone(), value))
            .collect()
    };
    PASSED_ON
        .iter()
        .flat_map(|name| -> Vec<_> { of(name) })
        .collect()
}

fn peer(request: &Request) -> Option<ConnectInfo<SocketAddr>> {
    request.extensions().get().copied()
}
