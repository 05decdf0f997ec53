//! A fake OpenAI: a real HTTP server that answers `POST /v1/chat/completions` with scripted replies
//! and records every request. It does not validate requests; tests check what they need. A reply
//! comes from the queue of its step (classify, decide), else from the script, else it is the default.

use std::collections::VecDeque;
use std::future::pending;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::poll;
use super::server::Server;

/// How long a request may take to arrive before a test fails.
const TIMEOUT: Duration = Duration::from_secs(60);

const COMPLETIONS: &str = "/v1/chat/completions";
/// The schema names that show the step of a request.
const CLASSIFY_SCHEMA: &str = "classification";
const DECIDE_SCHEMA: &str = "decision";

/// The fake provider; dropping it closes its port.
pub(crate) struct FakeOpenAi {
    server: Server,
    shared: Shared,
}

impl FakeOpenAi {
    /// Starts with nothing scripted: every request is answered with a 500 that says so.
    pub(crate) async fn spawn() -> Self {
        let shared = Shared::default();
        let router = Router::new()
            .fallback(answer)
            .layer(DefaultBodyLimit::disable())
            .with_state(shared.clone());
        Self {
            server: Server::spawn(router).await,
            shared,
        }
    }

    /// The base URL for an OpenAI client, such as `http://127.0.0.1:41234/v1`.
    pub(crate) fn base_url(&self) -> String {
        format!("{}/v1", self.server.origin())
    }

    /// Appends replies for requests of any step; each is given once, in this order.
    pub(crate) fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        self.shared.lock().script.extend(replies);
    }

    /// Appends replies for requests whose answer schema is called `classification`.
    pub(crate) fn on_classify(&self, replies: impl IntoIterator<Item = Reply>) {
        self.shared.lock().classify.extend(replies);
    }

    /// Appends replies for requests whose answer schema is called `decision`.
    pub(crate) fn on_decide(&self, replies: impl IntoIterator<Item = Reply>) {
        self.shared.lock().decide.extend(replies);
    }

    /// Sets the default: the reply to every request for which neither queue nor script has one.
    pub(crate) fn always(&self, reply: Reply) {
        self.shared.lock().default = Some(reply);
    }

    /// Forgets the replies that were not needed.
    pub(crate) fn clear(&self) {
        let mut book = self.shared.lock();
        book.classify.clear();
        book.decide.clear();
        book.script.clear();
    }

    /// Every request so far in order of arrival, also those to wrong paths.
    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.shared.lock().requests.clone()
    }

    /// Waits until this many requests have arrived.
    pub(crate) async fn wait_for_requests(&self, n_requests: usize) {
        poll::until(TIMEOUT, "request to the model", async || {
            match self.requests().len() {
                n if n >= n_requests => Ok(()),
                n => Err(n),
            }
        })
        .await;
    }

    /// The most requests that were in progress at the same time.
    pub(crate) fn most_at_once(&self) -> usize {
        self.shared.lock().most_at_once
    }
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    /// The path without the query, such as `/v1/chat/completions`.
    pub(crate) path: String,
    /// The query, without its question mark.
    pub(crate) query: String,
    /// All headers, names in lower case.
    pub(crate) headers: HeaderMap,
    /// The JSON body, or the text as one JSON string if it is not JSON.
    pub(crate) body: Value,
}

impl Recorded {
    /// The name of the answer schema, by which the steps differ.
    pub(crate) fn schema_name(&self) -> Option<&str> {
        self.body
            .pointer("/response_format/json_schema/name")?
            .as_str()
    }
}

/// What the provider does with one request.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    delay: Duration,
    gate: Option<Arc<Notify>>,
    headers: HeaderMap,
    answer: Answer,
}

#[derive(Clone, Debug)]
enum Answer {
    /// A chat completion that lacks only its `id` and, unless given, its `model`.
    Completion(Value),
    Body(StatusCode, HeaderValue, Bytes),
    Hang,
    Close,
}

impl Reply {
    /// A finished completion, 100 tokens in and 20 out; JSON other than a string or null becomes
    /// its text.
    pub(crate) fn content(content: impl Into<Value>) -> Self {
        let content = match content.into() {
            text @ (Value::String(_) | Value::Null) => text,
            other => Value::String(other.to_string()),
        };
        Self::message(json!({"role": "assistant", "content": content, "refusal": null}))
    }

    /// A completion in which the model declines to answer.
    pub(crate) fn refusal(text: &str) -> Self {
        Self::message(json!({"role": "assistant", "content": null, "refusal": text}))
    }

    /// A completion without a single choice.
    pub(crate) fn empty_choices() -> Self {
        let mut reply = Self::content(Value::Null);
        reply.completion()["choices"] = json!([]);
        reply
    }

    /// An error as OpenAI returns it with this HTTP status; 429 is a rate limit, which passes.
    pub(crate) fn status(status: u16) -> Self {
        match status {
            401 => Self::error(status, "invalid_request_error", Some("invalid_api_key")),
            429 => Self::error(status, "requests", Some("rate_limit_exceeded")),
            400..=499 => Self::error(status, "invalid_request_error", None),
            _ => Self::error(status, "server_error", None),
        }
    }

    /// An error with this type and code, such as 429 `insufficient_quota`.
    pub(crate) fn error(status: u16, error_type: &str, code: Option<&str>) -> Self {
        Self::error_saying(
            status,
            error_type,
            code,
            &format!("scripted status {status}"),
        )
    }

    /// Any answer, for instance the HTML page of a proxy.
    pub(crate) fn raw(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        let status = StatusCode::from_u16(status).expect("a valid HTTP status");
        let content_type = HeaderValue::from_str(content_type).expect("a valid content type");
        Self::doing(Answer::Body(status, content_type, body.into()))
    }

    /// No answer until the client goes away.
    pub(crate) fn hang() -> Self {
        Self::doing(Answer::Hang)
    }

    /// The connection ends without one byte of an answer.
    pub(crate) fn close() -> Self {
        Self::doing(Answer::Close)
    }

    /// The same reply, later by `delay`.
    pub(crate) fn delayed(delay: Duration, reply: Self) -> Self {
        Self {
            delay: reply.delay + delay,
            ..reply
        }
    }

    /// The same reply, once the test notifies the gate.
    pub(crate) fn held(gate: &Arc<Notify>, reply: Self) -> Self {
        Self {
            gate: Some(Arc::clone(gate)),
            ..reply
        }
    }

    /// Names the model that answered; without it the requested one is echoed.
    pub(crate) fn model(mut self, model: &str) -> Self {
        self.completion()["model"] = model.into();
        self
    }

    /// Replaces `stop`, for instance by `length` or `content_filter`.
    pub(crate) fn finish_reason(mut self, reason: &str) -> Self {
        self.completion()["choices"][0]["finish_reason"] = reason.into();
        self
    }

    /// Sets the tokens of the prompt and of the completion; the total is their sum.
    pub(crate) fn usage(mut self, prompt: u32, completion: u32) -> Self {
        let usage = &mut self.completion()["usage"];
        usage["prompt_tokens"] = prompt.into();
        usage["completion_tokens"] = completion.into();
        usage["total_tokens"] = (u64::from(prompt) + u64::from(completion)).into();
        self
    }

    /// Says how many of the prompt's tokens came from the cache.
    pub(crate) fn cached_tokens(mut self, n_tokens: u32) -> Self {
        self.completion()["usage"]["prompt_tokens_details"]["cached_tokens"] = n_tokens.into();
        self
    }

    /// Says how many of the completion's tokens were reasoning.
    pub(crate) fn reasoning_tokens(mut self, n_tokens: u32) -> Self {
        self.completion()["usage"]["completion_tokens_details"]["reasoning_tokens"] =
            n_tokens.into();
        self
    }

    /// Leaves the usage out, as some compatible endpoints do.
    pub(crate) fn without_usage(mut self) -> Self {
        let completion = self
            .completion()
            .as_object_mut()
            .expect("a completion is an object");
        completion.remove("usage");
        self
    }

    /// Adds a response header, such as `retry-after`.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a valid header value");
        self.headers.append(HeaderName::from_static(name), value);
        self
    }

    fn message(message: Value) -> Self {
        let completion = json!({
            "object": "chat.completion",
            "created": 1_750_000_000,
            "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": "stop"}],
        });
        Self::doing(Answer::Completion(completion)).usage(100, 20)
    }

    fn error_saying(status: u16, error_type: &str, code: Option<&str>, message: &str) -> Self {
        let body =
            json!({"error": {"message": message, "type": error_type, "param": null, "code": code}});
        Self::raw(status, "application/json", body.to_string())
    }

    fn doing(answer: Answer) -> Self {
        Self {
            delay: Duration::ZERO,
            gate: None,
            headers: HeaderMap::new(),
            answer,
        }
    }

    fn completion(&mut self) -> &mut Value {
        match &mut self.answer {
            Answer::Completion(completion) => completion,
            other => panic!("only a completion can be given this: {other:?}"),
        }
    }
}

/// The state that the handler and the test share.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Book>>);

/// The requests so far, and the replies that are left.
#[derive(Default)]
struct Book {
    requests: Vec<Recorded>,
    n_at_once: usize,
    most_at_once: usize,
    classify: VecDeque<Reply>,
    decide: VecDeque<Reply>,
    script: VecDeque<Reply>,
    default: Option<Reply>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().expect("no holder of this lock panics")
    }

    /// Counts a request as in progress until the result is dropped.
    fn in_progress(&self) -> impl Drop + use<> {
        let mut book = self.lock();
        book.n_at_once += 1;
        book.most_at_once = book.most_at_once.max(book.n_at_once);
        InProgress(self.clone())
    }
}

/// A request that is in progress.
struct InProgress(Shared);

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.lock().n_at_once -= 1;
    }
}

impl Book {
    /// Records the request; returns its number, counted from 1, and its reply.
    fn take(&mut self, method: &Method, request: Recorded) -> (usize, Reply) {
        let reply = if (method, request.path.as_str()) == (&Method::POST, COMPLETIONS) {
            self.next_reply(request.schema_name())
        } else {
            let message = format!(
                "the fake serves POST {COMPLETIONS}, not {method} {}",
                request.path
            );
            Reply::error_saying(404, "invalid_request_error", None, &message)
        };
        self.requests.push(request);
        (self.requests.len(), reply)
    }

    fn next_reply(&mut self, schema_name: Option<&str>) -> Reply {
        let of_step = match schema_name {
            Some(CLASSIFY_SCHEMA) => self.classify.pop_front(),
            Some(DECIDE_SCHEMA) => self.decide.pop_front(),
            _ => None,
        };
        of_step
            .or_else(|| self.script.pop_front())
            .or_else(|| self.default.clone())
            .unwrap_or_else(|| {
                let message =
                    format!("the fake has no reply scripted for the schema {schema_name:?}");
                Reply::error_saying(500, "server_error", None, &message)
            })
    }
}

async fn answer(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body = serde_json::from_slice(&body)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
    let _in_progress = shared.in_progress();
    let requested_model = body["model"].clone();
    let path = uri.path().to_owned();
    let query = uri.query().unwrap_or_default().to_owned();
    let (number, reply) = shared.lock().take(
        &method,
        Recorded {
            path,
            query,
            headers,
            body,
        },
    );

    if !reply.delay.is_zero() {
        // The latency that a test asked for. No test relies on this to wait for something.
        tokio::time::sleep(reply.delay).await;
    }
    if let Some(gate) = reply.gate {
        gate.notified().await;
    }
    match reply.answer {
        Answer::Completion(mut completion) => {
            completion["id"] = format!("chatcmpl-{number}").into();
            if completion.get("model").is_none() {
                completion["model"] = requested_model;
            }
            (reply.headers, axum::Json(completion)).into_response()
        }
        Answer::Body(status, content_type, body) => {
            (status, [(CONTENT_TYPE, content_type)], reply.headers, body).into_response()
        }
        Answer::Hang => pending().await,
        // A handler cannot refuse to answer, but unwinding drops the connection's task with nothing
        // written; unlike `panic!`, this calls no panic hook and prints nothing.
        Answer::Close => resume_unwind(Box::new("the script drops this connection")),
    }
}

#[tokio::test]
async fn replies_come_from_the_queue_of_the_step_then_the_script_then_the_default() {
    let openai = FakeOpenAi::spawn().await;
    openai.always(Reply::content("default"));
    openai.script([Reply::content("script")]);
    openai.on_decide([Reply::content("decide")]);

    let mut answers = Vec::new();
    for schema in ["classification", "decision", "decision"] {
        let body = json!({"model": "m", "response_format": {"json_schema": {"name": schema}}});
        let res = post(&openai, body).await.expect("an answer");
        let completion: Value = res.json().await.expect("a JSON body");
        answers.push((
            completion["id"].clone(),
            completion["choices"][0]["message"]["content"].clone(),
        ));
    }

    let expected = [
        ("chatcmpl-1", "script"),
        ("chatcmpl-2", "decide"),
        ("chatcmpl-3", "default"),
    ];
    assert_eq!(
        answers,
        expected.map(|(id, content)| (id.into(), content.into()))
    );
}

#[tokio::test]
async fn a_closed_connection_carries_no_answer() {
    let openai = FakeOpenAi::spawn().await;
    openai.script([Reply::close()]);

    let error = post(&openai, json!({})).await.expect_err("no answer");
    assert!(error.is_request(), "{error:?}");

    let unscripted = post(&openai, json!({})).await.expect("an answer");
    assert_eq!(unscripted.status(), 500);
    assert_eq!(openai.requests().len(), 2);
}

async fn post(openai: &FakeOpenAi, body: Value) -> Result<reqwest::Response, reqwest::Error> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    let url = format!("{}/chat/completions", openai.base_url());
    client.post(url).json(&body).send().await
}
