//! OpenAI, or any endpoint that speaks its chat completions, through async-openai. The only file
//! that imports that crate. Its own retries are replaced: they know no deadline, and lose status
//! and headers of what they give up on.

use std::time::{Duration, SystemTime};

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use async_openai::traits::RequestOptionsBuilder;
use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::domain::tokens::TokenUsage;
use crate::llm::{
    Answer, AnswerSchema, ChatModel, ChatRequest, ModelError, ModelInfo, Reply, Retry,
};
use crate::redact::redact;

/// The most of a response that is read. A structured answer takes a few hundred bytes; an endpoint
/// that sends a thousand times that is broken or hostile.
const MAX_RESPONSE_BYTES: usize = 1 << 20;

/// How an OpenAI endpoint is reached and asked.
#[derive(Clone, Debug)]
pub struct OpenAiConfig {
    /// Base URL, such as `https://api.openai.com/v1`.
    pub base_url: reqwest::Url,
    /// The key; endpoints that need none take any.
    pub api_key: SecretString,
    /// Organisation the calls are billed to; empty for the key's own.
    pub organization: String,
    /// Project the calls are billed to; empty for the key's own.
    pub project: String,
    /// The model's name.
    pub model: String,
    /// The most tokens an answer may have, where set.
    pub max_tokens: Option<u32>,
    /// Sampling temperature, where set: reasoning models refuse it.
    pub temperature: Option<f64>,
    /// Seed of the sampling, where set.
    pub seed: Option<i64>,
    /// Limit of one attempt.
    pub attempt_timeout: Duration,
    /// Attempts after the first.
    pub max_retries: usize,
}

/// A client of one model behind one endpoint.
pub struct OpenAi {
    client: Client<OpenAIConfig>,
    info: ModelInfo,
    attempt_timeout: Duration,
    backoff: ExponentialBuilder,
}

impl OpenAi {
    /// Sets up the client; nothing is sent yet.
    ///
    /// # Errors
    /// When the machine's TLS set-up cannot be used.
    pub fn new(config: OpenAiConfig) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .connect_timeout(config.attempt_timeout)
            .tcp_nodelay(true)
            // The facts of an expense go where the operator sent them, and nowhere an endpoint
            // points to.
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let has_key = !config.api_key.expose_secret().is_empty();
        let api = OpenAIConfig::default()
            .with_api_base(config.base_url.as_str().trim_end_matches('/'))
            .with_api_key(config.api_key.expose_secret())
            .with_org_id(config.organization)
            .with_project_id(config.project);
        let service = tower::service_fn(move |request: HttpRequestFactory| {
            send(http.clone(), request, has_key)
        });
        let server = config
            .base_url
            .host_str()
            .map(str::to_owned)
            .zip(config.base_url.port_or_known_default());
        let info = ModelInfo {
            provider: "openai",
            model: config.model,
            server,
            max_tokens: config.max_tokens,
            temperature: config.temperature,
            seed: config.seed,
        };
        let backoff = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(5))
            .with_max_times(config.max_retries)
            .with_jitter();
        let client = Client::with_config(api).with_http_service(service);
        Ok(Self {
            client,
            info,
            attempt_timeout: config.attempt_timeout,
            backoff,
        })
    }

    async fn attempt(
        &self,
        body: &CompletionRequest<'_>,
        request: &ChatRequest<'_>,
    ) -> Result<Answer, Failure> {
        let mut chat = self.client.chat();
        if let Some(traceparent) = &request.traceparent {
            chat = chat
                .header("traceparent", traceparent.as_str())
                .map_err(Failure::from)?;
        }
        let limit = request.deadline.min(Instant::now() + self.attempt_timeout);
        match tokio::time::timeout_at(limit, chat.create_byot::<_, Completion>(body)).await {
            Ok(Ok(completion)) => Ok(completion.into_answer(&self.info.model)),
            Ok(Err(error)) => Err(Failure::from(error)),
            Err(_) => Err(Failure {
                error: ModelError::Timeout,
                retry_after: None,
            }),
        }
    }
}

#[async_trait]
impl ChatModel for OpenAi {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    async fn chat(&self, request: &ChatRequest<'_>) -> Reply {
        let body = CompletionRequest::new(&self.info, request);
        let mut retries = Vec::new();
        let attempts = (|| self.attempt(&body, request))
            .retry(self.backoff)
            .when(Failure::is_worth_a_retry)
            // A wait that ends after the deadline would only delay the bad news, so such a failure
            // is final.
            .adjust(|failure, backoff| {
                let delay = failure.retry_after.max(backoff)?;
                let left = request.deadline.saturating_duration_since(Instant::now());
                backoff.filter(|_| delay < left).map(|_| delay)
            })
            .notify(|failure, delay| {
                retries.push(Retry {
                    at: SystemTime::now(),
                    error: failure.error.clone(),
                    delay,
                });
            });
        let answer = attempts.await.map_err(|failure| failure.error);
        Reply {
            retries,
            ..Reply::new(answer)
        }
    }
}

/// Why one attempt failed, and when the endpoint wants to be asked again.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
struct Failure {
    error: ModelError,
    retry_after: Option<Duration>,
}

impl Failure {
    /// Only what may pass by itself is tried again: overload, a broken connection, a slow attempt.
    /// An exhausted quota or an answer that is no completion stays what it is.
    fn is_worth_a_retry(&self) -> bool {
        match &self.error {
            ModelError::Timeout | ModelError::Connection => true,
            ModelError::Status {
                code: Some(code), ..
            } if code == "insufficient_quota" => false,
            ModelError::Status { status, .. } => matches!(status, 408 | 409 | 429 | 500..),
            ModelError::InvalidResponse | ModelError::CircuitOpen => false,
        }
    }
}

impl From<OpenAIError> for Failure {
    fn from(error: OpenAIError) -> Self {
        let error = match error {
            OpenAIError::Boxed(ours) => match ours.downcast::<Self>() {
                Ok(failure) => return *failure,
                Err(_) => ModelError::InvalidResponse,
            },
            OpenAIError::Reqwest(error) if error.is_timeout() => ModelError::Timeout,
            OpenAIError::Reqwest(_) => ModelError::Connection,
            _ => ModelError::InvalidResponse,
        };
        Self {
            error,
            retry_after: None,
        }
    }
}

/// Sends one attempt. Error statuses become a [`Failure`] here, before async-openai would read, log
/// and then forget them; bodies are read up to a bound.
async fn send(
    http: reqwest::Client,
    request: HttpRequestFactory,
    has_key: bool,
) -> Result<reqwest::Response, OpenAIError> {
    let mut request = request.build().await?;
    if !has_key {
        // async-openai would send an empty one, which some endpoints refuse.
        request.headers_mut().remove(reqwest::header::AUTHORIZATION);
    }
    let mut response = http.execute(request).await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
            if !status.is_success() {
                break;
            }
            return Err(boxed(Failure {
                error: ModelError::InvalidResponse,
                retry_after: None,
            }));
        }
        body.extend_from_slice(&chunk);
    }
    if !status.is_success() {
        let code = serde_json::from_slice::<ErrorBody>(&body)
            .ok()
            .and_then(|body| body.error.code)
            .map(label);
        let retry_after = headers
            .get(reqwest::header::RETRY_AFTER)
            .and_then(|value| wait(value.to_str().ok()?));
        let error = ModelError::Status {
            status: status.as_u16(),
            code,
        };
        return Err(boxed(Failure { error, retry_after }));
    }
    let mut whole = axum::http::Response::new(body);
    *whole.headers_mut() = headers;
    Ok(whole.into())
}

/// How long a `Retry-After` asks to wait, as seconds or as a date; `None` also when the date has
/// passed.
fn wait(retry_after: &str) -> Option<Duration> {
    let seconds = retry_after.parse().map(Duration::from_secs).ok();
    seconds.or_else(|| {
        rfc2822::parse(retry_after)
            .ok()?
            .timestamp()
            .duration_since(Timestamp::now())
            .try_into()
            .ok()
    })
}

fn boxed(failure: Failure) -> OpenAIError {
    OpenAIError::Boxed(Box::new(failure))
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorDetail,
}

#[derive(Deserialize)]
struct ErrorDetail {
    code: Option<String>,
}

/// The request body: only what this service sets, so that an endpoint of narrower taste is not
/// offended.
#[derive(Serialize)]
struct CompletionRequest<'a> {
    model: &'a str,
    messages: Vec<RoleMessage<'a>>,
    response_format: ResponseFormat<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
}

/// As async-openai has it, but borrowed: a schema is a large value to copy for every call.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ResponseFormat<'a> {
    JsonSchema { json_schema: JsonSchema<'a> },
}

#[derive(Serialize)]
struct JsonSchema<'a> {
    name: &'a str,
    schema: &'a RawValue,
    strict: bool,
}

#[derive(Serialize)]
struct RoleMessage<'a> {
    role: String,
    content: &'a str,
}

impl<'a> CompletionRequest<'a> {
    fn new(info: &'a ModelInfo, request: &ChatRequest<'a>) -> Self {
        let system = RoleMessage {
            role: "system".to_owned(),
            content: request.prompt.text,
        };
        let said = request.messages.iter();
        let said = said.map(|message| RoleMessage {
            role: message.speaker.to_string(),
            content: &message.text,
        });
        let AnswerSchema { name, schema } = request.schema;
        Self {
            model: &info.model,
            messages: std::iter::once(system).chain(said).collect(),
            response_format: ResponseFormat::JsonSchema {
                json_schema: JsonSchema {
                    name,
                    schema,
                    strict: true,
                },
            },
            max_completion_tokens: info.max_tokens,
            temperature: info.temperature,
            seed: info.seed,
        }
    }
}

/// A chat completion, read leniently: neither an unknown `finish_reason` nor tokens that nobody can
/// count must throw a paid answer away.
#[derive(Deserialize)]
struct Completion {
    id: Option<String>,
    model: Option<String>,
    choices: Vec<Choice>,
    #[serde(default, deserialize_with = "sensible")]
    usage: Option<UsageBody>,
}

/// A usage with counts below zero, or whatever else is none, is like one that is not there.
fn sensible<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<UsageBody>, D::Error> {
    let usage = Box::<RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(usage.get()).ok())
}

#[derive(Default, Deserialize)]
struct Choice {
    finish_reason: Option<String>,
    message: Option<ChoiceMessage>,
}

#[derive(Default, Deserialize)]
struct ChoiceMessage {
    content: Option<String>,
    refusal: Option<String>,
}

#[derive(Deserialize)]
struct UsageBody {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
}

impl Completion {
    fn into_answer(self, asked_model: &str) -> Answer {
        let choice = self.choices.into_iter().next().unwrap_or_default();
        // Here, once, for everything that is made of it: whatever the model repeats or makes up of
        // keys and addresses.
        let redacted = |text: Option<String>| text.map(|text| redact(&text).into_owned());
        let message = choice.message.unwrap_or_default();
        let (text, refusal) = (redacted(message.content), redacted(message.refusal));
        Answer {
            id: self.id.map(label),
            model: self.model.map_or_else(|| asked_model.to_owned(), label),
            finish_reason: choice.finish_reason.map(label),
            text,
            refusal: refusal.filter(|refusal| !refusal.is_empty()),
            usage: self.usage.and_then(UsageBody::counted),
        }
    }
}

impl UsageBody {
    /// The tokens, if both counts are there: half a usage would be half a price.
    fn counted(self) -> Option<TokenUsage> {
        Some(TokenUsage {
            input_tokens: self.prompt_tokens?,
            output_tokens: self.completion_tokens?,
            cached_tokens: self
                .prompt_tokens_details
                .and_then(|details| details.cached_tokens),
            reasoning_tokens: self
                .completion_tokens_details
                .and_then(|details| details.reasoning_tokens),
        })
    }
}

/// An id or a code, redacted and cut to a length that one could have: it goes on spans and into
/// every check of the answer.
fn label(text: String) -> String {
    const MAX_CHARS: usize = 128;
    redact(&text).chars().take(MAX_CHARS).collect()
}
