//! A model behind OpenAI's chat completions API, or behind any endpoint with the same API, called
//! through async-openai. No other file imports that crate. `completion` defines the JSON of the
//! calls, `endpoint` knows what differs between endpoints, and `failure` reads what they say when
//! they fail.
//!
//! Retries are made here with `backon`, because async-openai's own retries have no deadline, and
//! lose the status and the headers of the response that they give up on.

use std::time::{Duration, SystemTime};

use async_openai::Client;
use async_openai::config::Config;
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use async_openai::traits::RequestOptionsBuilder;
use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use reqwest::header::HeaderMap;
use secrecy::SecretString;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::base_url;
use crate::llm::body;
use crate::llm::completion::{self, CompletionRequest};
use crate::llm::endpoint::{ModelApi, Profile};
use crate::llm::error_text;
use crate::llm::failure::{self, Failure};
use crate::llm::failure_codes::is_used_up;
use crate::llm::headers::{self, Secrets};
use crate::llm::{Answer, ChatModel, ChatRequest, ModelError, ModelInfo, Reply, Retry};
use crate::retry_after::retry_after;

/// Where the endpoint is, and how the model is asked.
#[derive(Clone, Debug)]
pub struct OpenAiConfig {
    /// Base URL, such as `https://api.openai.com/v1`; a query is sent with every request.
    pub base_url: reqwest::Url,
    /// The API of the endpoint.
    pub api: ModelApi,
    /// Headers beside those of the API; they replace those of the same name.
    pub headers: HeaderMap,
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
    /// How much a reasoning model reasons, such as `low`, if set.
    pub reasoning_effort: Option<String>,
    /// Time limit of one attempt.
    pub attempt_timeout: Duration,
    /// How many attempts may follow the first.
    pub max_retries: usize,
}

/// A client of one model behind one endpoint.
pub struct OpenAi {
    client: Client<Endpoint>,
    info: ModelInfo,
    profile: Profile,
    reasoning_effort: Option<String>,
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
        let profile = config.api.profile(&config.model);
        let endpoint = Endpoint {
            headers: headers::of(
                profile.key_header,
                &config.api_key,
                &config.organization,
                &config.project,
                config.headers,
            ),
            base_url: config.base_url.clone(),
            api_key: config.api_key,
        };
        let service =
            tower::service_fn(move |request: HttpRequestFactory| send(http.clone(), request));
        let server = config
            .base_url
            .host_str()
            .map(str::to_owned)
            .zip(config.base_url.port_or_known_default());
        let info = ModelInfo {
            provider: profile.provider,
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
        let client = Client::with_config(endpoint).with_http_service(service);
        Ok(Self {
            client,
            info,
            profile,
            reasoning_effort: config.reasoning_effort,
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
        match tokio::time::timeout_at(limit, chat.create_byot::<_, Box<RawValue>>(body)).await {
            Ok(Ok(response)) => completion::answer(response.get(), &self.info.model)
                .ok_or_else(|| ModelError::InvalidResponse.into()),
            Ok(Err(error)) => Err(AttemptError::from(error).without_echo(request)),
            Err(_) => Err(ModelError::Timeout.into()),
        }
    }
}

/// The endpoint as async-openai knows it.
struct Endpoint {
    base_url: reqwest::Url,
    headers: HeaderMap,
    api_key: SecretString,
}

impl Config for Endpoint {
    fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }

    fn url(&self, path: &str) -> String {
        base_url::extended(&self.base_url, path).into()
    }

    fn query(&self) -> Vec<(&str, &str)> {
        Vec::new()
    }

    fn api_base(&self) -> &str {
        self.base_url.as_str()
    }

    fn api_key(&self) -> &SecretString {
        &self.api_key
    }
}

#[async_trait]
impl ChatModel for OpenAi {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    async fn chat(&self, request: &ChatRequest<'_>) -> Reply {
        let effort = self.reasoning_effort.as_deref();
        let body = CompletionRequest::new(&self.info, &self.profile, effort, request);
        let mut retries = Vec::new();
        let attempts = (|| self.attempt(&body, request))
            .retry(self.backoff)
            .when(AttemptError::is_transient)
            // A wait that ends after the deadline would only delay the error, so the error is
            // final. So is a timeout when not even one more attempt of full length fits before the
            // deadline: the endpoint is slow, and an attempt cut short would only add to its work.
            // `backoff` is `None` once all retries are used up, even when the endpoint asks to
            // wait.
            .adjust(|failed, backoff| {
                let delay = failed.retry_after.max(backoff)?;
                let left = request.deadline.saturating_duration_since(Instant::now());
                let needed = match failed.error {
                    ModelError::Timeout => delay.saturating_add(self.attempt_timeout),
                    _ => delay,
                };
                backoff.filter(|_| needed < left).map(|_| delay)
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
    says_used_up: bool,
}

impl AttemptError {
    /// Whether a retry may succeed: after overload, a broken connection or a slow attempt. It would
    /// not help against a used-up quota or a response that is not a chat completion.
    ///
    /// Gemini reports an exceeded quota even for a rate limit, which passes. So if only the message
    /// says that a quota is used up, and the endpoint also asks to wait, a retry may succeed.
    fn is_transient(&self) -> bool {
        match &self.error {
            ModelError::Timeout | ModelError::Connection => true,
            ModelError::Status {
                code: Some(code), ..
            } if is_used_up(code) => false,
            ModelError::Status { .. } if self.says_used_up && self.retry_after.is_none() => false,
            ModelError::Status { status, .. } => {
                matches!(status, 408 | 409 | 425 | 429 | 500..=599)
            }
            ModelError::InvalidResponse | ModelError::CircuitOpen | ModelError::Overloaded => false,
        }
    }

    /// The error without the parts of the request that the endpoint repeats.
    fn without_echo(self, request: &ChatRequest<'_>) -> Self {
        let without_echo = |text: String| error_text::without_echo(&text, request.messages);
        let error = match self.error {
            ModelError::Status { status, code, said } => ModelError::Status {
                status,
                code: code.map(without_echo),
                said: said.map(without_echo),
            },
            error => error,
        };
        Self { error, ..self }
    }
}

impl From<ModelError> for AttemptError {
    fn from(error: ModelError) -> Self {
        Self {
            error,
            retry_after: None,
            says_used_up: false,
        }
    }
}

impl From<Failure> for AttemptError {
    fn from(failure: Failure) -> Self {
        Self {
            error: failure.error,
            retry_after: failure.retry_after,
            says_used_up: failure.says_used_up,
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
        error.into()
    }
}

/// Sends one attempt. An error status becomes an [`AttemptError`] here, because async-openai would
/// log the response and then drop its status and headers; so does a success status whose body
/// reports a failure. No more than [`body::MAX_BYTES`] are read.
async fn send(
    http: reqwest::Client,
    request: HttpRequestFactory,
) -> Result<reqwest::Response, OpenAIError> {
    let request = request.build().await?;
    let secrets = Secrets::of(&request);
    let mut response = http.execute(request).await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > body::MAX_BYTES {
            // The status is reported even when the body of the error is too large.
            if !status.is_success() {
                break;
            }
            return Err(boxed(ModelError::InvalidResponse.into()));
        }
        bytes.extend_from_slice(&chunk);
    }
    let text = body::text(&bytes, &headers);
    let failed = match (status.is_success(), &text) {
        (true, None) => Some(ModelError::Connection.into()),
        (true, Some(text)) => {
            failure::of_success_status(&secrets.removed_from(text)).map(AttemptError::from)
        }
        (false, text) => {
            let raw = String::from_utf8_lossy(&bytes);
            let text = secrets.removed_from(text.as_deref().unwrap_or(&raw));
            Some(failure::of_error_status(status.as_u16(), &text).into())
        }
    };
    if let Some(failed) = failed {
        let retry_after = failed.retry_after.max(retry_after(&headers));
        return Err(boxed(AttemptError {
            retry_after,
            ..failed
        }));
    }
    let mut whole = axum::http::Response::new(text.unwrap_or_default().into_owned());
    *whole.headers_mut() = headers;
    Ok(whole.into())
}

fn boxed(error: AttemptError) -> OpenAIError {
    OpenAIError::Boxed(Box::new(error))
}
