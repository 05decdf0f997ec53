//! A model behind OpenAI's chat completions API, or behind any endpoint with the same API, called
//! through async-openai. No other file imports that crate. The JSON of the calls is in `completion`.
//!
//! Retries are made here with `backon`, because async-openai's own retries have no deadline, and
//! lose the status and the headers of the response that they give up on.

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
use tokio::time::Instant;

use crate::llm::completion::{Completion, CompletionRequest, error_code};
use crate::llm::{Answer, ChatModel, ChatRequest, ModelError, ModelInfo, Reply, Retry};

/// The largest response that is accepted. A structured answer has a few hundred bytes; an endpoint
/// that sends a thousand times as much is broken or hostile.
const MAX_RESPONSE_BYTES: usize = 1 << 20;

/// Where the endpoint is, and how the model is asked.
#[derive(Clone, Debug)]
pub struct OpenAiConfig {
    /// Base URL, such as `https://api.openai.com/v1`.
    pub base_url: reqwest::Url,
    /// The key; may be empty for endpoints that need none.
    pub api_key: SecretString,
    /// The organisation that is billed; empty for that of the key.
    pub organization: String,
    /// The project that is billed; empty for that of the key.
    pub project: String,
    /// The model's name.
    pub model: String,
    /// The most tokens an answer may have, if set.
    pub max_tokens: Option<u32>,
    /// Sampling temperature, if set; reasoning models reject it.
    pub temperature: Option<f64>,
    /// Seed of the sampling, if set.
    pub seed: Option<i64>,
    /// Time limit of one attempt.
    pub attempt_timeout: Duration,
    /// How many attempts may follow the first.
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
    /// Sets up the client; sends nothing.
    ///
    /// # Errors
    /// When TLS cannot be initialised.
    pub fn new(config: OpenAiConfig) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .connect_timeout(config.attempt_timeout)
            .tcp_nodelay(true)
            // An endpoint must not redirect the facts of an expense to a place that the operator
            // did not configure.
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
    ) -> Result<Answer, AttemptError> {
        let mut chat = self.client.chat();
        if let Some(traceparent) = &request.traceparent {
            chat = chat
                .header("traceparent", traceparent.as_str())
                .map_err(AttemptError::from)?;
        }
        let limit = request.deadline.min(Instant::now() + self.attempt_timeout);
        match tokio::time::timeout_at(limit, chat.create_byot::<_, Completion>(body)).await {
            Ok(Ok(completion)) => Ok(completion.into_answer(&self.info.model)),
            Ok(Err(error)) => Err(AttemptError::from(error)),
            Err(_) => Err(AttemptError {
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
            .when(AttemptError::is_transient)
            // A wait that ends after the deadline would only delay the error, so the error is final.
            // `backoff` is `None` once all retries are used up, even when the endpoint asks to wait.
            .adjust(|failed, backoff| {
                let delay = failed.retry_after.max(backoff)?;
                let left = request.deadline.saturating_duration_since(Instant::now());
                backoff.filter(|_| delay < left).map(|_| delay)
            })
            .notify(|failed, delay| {
                retries.push(Retry {
                    at: SystemTime::now(),
                    error: failed.error.clone(),
                    delay,
                });
            });
        let answer = attempts.await.map_err(|failed| failed.error);
        Reply {
            retries,
            ..Reply::new(answer)
        }
    }
}

/// Why one attempt failed, and how long the endpoint asks to wait before the next one.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
struct AttemptError {
    error: ModelError,
    retry_after: Option<Duration>,
}

impl AttemptError {
    /// Whether a retry may succeed: after overload, a broken connection or a slow attempt. It would
    /// not help against an exhausted quota or a response that is not a chat completion.
    fn is_transient(&self) -> bool {
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

impl From<OpenAIError> for AttemptError {
    fn from(error: OpenAIError) -> Self {
        let error = match error {
            OpenAIError::Boxed(ours) => match ours.downcast::<Self>() {
                Ok(failed) => return *failed,
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

/// Sends one attempt. An error status becomes an [`AttemptError`] here, because async-openai would
/// log the response and then drop its status and headers. No more than [`MAX_RESPONSE_BYTES`] are
/// read.
async fn send(
    http: reqwest::Client,
    request: HttpRequestFactory,
    has_key: bool,
) -> Result<reqwest::Response, OpenAIError> {
    let mut request = request.build().await?;
    if !has_key {
        // async-openai would send an empty key, which some endpoints reject.
        request.headers_mut().remove(reqwest::header::AUTHORIZATION);
    }
    let mut response = http.execute(request).await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
            // The status is reported even when the body of the error is too large.
            if !status.is_success() {
                break;
            }
            return Err(boxed(AttemptError {
                error: ModelError::InvalidResponse,
                retry_after: None,
            }));
        }
        body.extend_from_slice(&chunk);
    }
    if !status.is_success() {
        let retry_after = headers
            .get(reqwest::header::RETRY_AFTER)
            .and_then(|value| wait(value.to_str().ok()?));
        let error = ModelError::Status {
            status: status.as_u16(),
            code: error_code(&body),
        };
        return Err(boxed(AttemptError { error, retry_after }));
    }
    let mut whole = axum::http::Response::new(body);
    *whole.headers_mut() = headers;
    Ok(whole.into())
}

/// The wait that a `Retry-After` header asks for, in seconds or as a date; `None` when it is neither,
/// or when the date has passed.
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

fn boxed(error: AttemptError) -> OpenAIError {
    OpenAIError::Boxed(Box::new(error))
}
