//! The model seam: a request to a language model, and the reply. [`ChatModel`] has two
//! implementations, `openai` here and `crate::offline`, and five decorators: `breaker`, `health`,
//! `permits` and `priced` here, and the tracing one in `telemetry`. An invalid answer is a value
//! here, not an error; `agent::validate` judges it.

mod body;
pub mod breaker;
mod completion;
pub mod endpoint;
mod error_text;
mod event_stream;
mod failure;
mod failure_codes;
mod headers;
pub mod health;
mod lenient;
pub mod mended_json;
pub mod openai;
pub mod permits;
pub mod priced;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::Instant;

use crate::domain::short_hash::short_hash;
use crate::domain::step::{Cost, ModelCall, PromptRef, Step};
use crate::domain::tokens::TokenUsage;
use crate::rulebook::Rulebook;

/// The instructions of a prompt. They never change at run time, so a hash identifies them.
#[derive(Debug)]
pub struct Prompt {
    /// The name, such as `classify`.
    pub name: &'static str,
    /// Raised with every change of the text.
    pub version: &'static str,
    /// The instructions.
    pub text: &'static str,
    /// The instructions as JSON, because every request contains them.
    pub json: Box<RawValue>,
    /// The short hash of the instructions.
    pub hash: String,
}

impl Prompt {
    /// Makes a prompt; its text is hashed and escaped once, and not for every request.
    pub fn new(name: &'static str, version: &'static str, text: &'static str) -> Self {
        Self {
            name,
            version,
            text,
            json: to_raw_value(text).expect("a text can be written as JSON"),
            hash: short_hash(text),
        }
    }

    /// The prompt as a decision refers to it.
    pub fn to_ref(&self) -> PromptRef {
        PromptRef {
            name: self.name.to_owned(),
            version: self.version.to_owned(),
        }
    }
}

/// The author of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Speaker {
    /// This service: the facts as JSON, and what was wrong with an answer.
    User,
    /// The model, with an earlier answer.
    Assistant,
}

/// One message after the instructions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its author.
    pub speaker: Speaker,
    /// Its text.
    pub text: String,
}

/// The form that the answer must have.
#[derive(Clone, Copy, Debug)]
pub struct AnswerSchema<'a> {
    /// The name of the schema, by which a provider caches it.
    pub name: &'static str,
    /// JSON Schema, in the strict subset that providers enforce.
    pub schema: &'a RawValue,
}

/// One request to the model.
#[derive(Clone, Debug)]
pub struct ChatRequest<'a> {
    /// The step that asks, to which the cost of the call is added. A variant of its prompt may have
    /// another name, but belongs to the same step.
    pub step: Step,
    /// The instructions.
    pub prompt: &'static Prompt,
    /// The messages after them, the facts first.
    pub messages: &'a [Message],
    /// The form of the answer.
    pub schema: AnswerSchema<'a>,
    /// When the last attempt must have ended, retries included.
    pub deadline: Instant,
    /// The rulebook of the expense, from which the offline model takes its evidence and [`priced`]
    /// its prices. It is never sent to a provider.
    pub rulebook: &'a Rulebook,
    /// W3C trace context for the provider; `None` unless propagation to the model is enabled.
    pub traceparent: Option<String>,
}

/// What is known about a model before the first request.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInfo {
    /// `gen_ai.provider.name`.
    pub provider: &'static str,
    /// The name of the model in requests.
    pub model: String,
    /// Host and port of the endpoint; absent when the model runs in this process.
    pub server: Option<(String, u16)>,
    /// The most tokens an answer may have, if set.
    pub max_tokens: Option<u32>,
    /// Sampling temperature from 0 to 2, if set.
    pub temperature: Option<f64>,
    /// Seed of the sampling, if set.
    pub seed: Option<i64>,
}

/// The answer of the model, valid or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The id that the provider gave the answer.
    pub id: Option<String>,
    /// The model that answered.
    pub model: String,
    /// Why the answer ended, in the provider's words: `stop`, `length`, `content_filter` and
    /// others.
    pub finish_reason: Option<String>,
    /// The text, which should be JSON.
    pub text: Option<String>,
    /// Whether the model wrote its reasoning, but no text.
    pub has_only_reasoning: bool,
    /// The refusal, in the model's words.
    pub refusal: Option<String>,
    /// The tokens, if the provider reported them.
    pub usage: Option<TokenUsage>,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The model finished it, as far as is known.
    Complete,
    /// A limit on tokens cut it off.
    CutOff,
    /// A content filter withheld it.
    Filtered,
}

impl Answer {
    /// How the answer ended; providers have different words for that.
    pub fn ending(&self) -> Ending {
        let reason = self.finish_reason.as_deref().unwrap_or_default();
        match reason.to_ascii_lowercase().as_str() {
            "length"
            | "model_length"
            | "max_tokens"
            | "max_output_tokens"
            | "max_length"
            | "token_limit"
            | "model_context_window_exceeded" => Ending::CutOff,
            "content_filter"
            | "content_filtered"
            | "safety"
            | "recitation"
            | "blocklist"
            | "prohibited_content"
            | "spii"
            | "sensitive"
            | "guardrail_intervened"
            | "refusal" => Ending::Filtered,
            _ => Ending::Complete,
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// There was no answer before the time limit.
    #[error("the model did not answer in time")]
    Timeout,
    /// The endpoint could not be reached, or closed the connection.
    #[error("the model's endpoint could not be reached")]
    Connection,
    /// The endpoint returned an error status.
    #[error("the model's endpoint returned HTTP status {status}{}", detail(.code.as_deref()))]
    Status {
        /// The HTTP status, 300 or above.
        status: u16,
        /// The provider's own error code, such as `insufficient_quota`, at most 128 characters.
        code: Option<String>,
        /// What the endpoint said, redacted, at most 300 characters. It may quote the request, so
        /// records hold it only where it can be erased, and no reason repeats it.
        said: Option<String>,
    },
    /// The response is not a chat completion, or is too large.
    #[error("the model's endpoint returned a response that is not a chat completion")]
    InvalidResponse,
    /// The circuit breaker rejected the call.
    #[error("the model was not called, because the circuit breaker is open")]
    CircuitOpen,
    /// The call waited for a permit until it was too late for an answer before the deadline.
    #[error("the model had more calls waiting than it could answer in time")]
    Overloaded,
}

fn detail(code: Option<&str>) -> String {
    code.map(|code| format!(" ({code})")).unwrap_or_default()
}

impl ModelError {
    /// The message with what the endpoint said, for operators.
    pub fn in_full(&self) -> String {
        match self {
            Self::Status {
                said: Some(said), ..
            } => format!("{self}: {said}"),
            _ => self.to_string(),
        }
    }

    /// The provider's own error code.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Status { code, .. } => code.as_deref(),
            _ => None,
        }
    }

    /// The value of `error.type`, of low cardinality.
    pub fn error_type(&self) -> String {
        match self {
            Self::Timeout => "timeout".to_owned(),
            Self::Connection => "connection".to_owned(),
            Self::Status { status, .. } => status.to_string(),
            Self::InvalidResponse => "invalid_response".to_owned(),
            Self::CircuitOpen => "circuit_open".to_owned(),
            Self::Overloaded => "model_busy".to_owned(),
        }
    }

    /// Whether the endpoint seems to be down; a response below 500 shows that it is up.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Timeout | Self::Connection => true,
            Self::Status { status, .. } => *status >= 500,
            Self::InvalidResponse | Self::CircuitOpen | Self::Overloaded => false,
        }
    }
}

/// One retry of the transport, within one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// When the previous attempt failed.
    pub at: SystemTime,
    /// Why the previous attempt failed.
    pub error: ModelError,
    /// The wait before the next attempt.
    pub delay: Duration,
}

/// The result of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The answer, or why there is none.
    pub answer: Result<Answer, ModelError>,
    /// The retries of the transport, in order.
    pub retries: Vec<Retry>,
    /// How long the call waited for its permit; absent when the model needs none.
    pub waited: Option<Duration>,
    /// The cost of the answer; absent when the price or the tokens are unknown.
    pub cost: Option<Cost>,
}

impl Reply {
    /// A reply without retries and without cost.
    pub fn new(answer: Result<Answer, ModelError>) -> Self {
        Self {
            answer,
            retries: Vec::new(),
            waited: None,
            cost: None,
        }
    }

    /// The call as a decision records it. The times are for the caller to set, who made the call.
    pub fn to_call(&self, info: &ModelInfo) -> ModelCall {
        let answer = self.answer.as_ref().ok();
        let usage = answer.and_then(|answer| answer.usage);
        ModelCall {
            model: answer.map_or_else(|| info.model.clone(), |answer| answer.model.clone()),
            response_id: answer.and_then(|answer| answer.id.clone()),
            finish_reason: answer.and_then(|answer| answer.finish_reason.clone()),
            input_tokens: usage.map(|usage| usage.input_tokens),
            output_tokens: usage.map(|usage| usage.output_tokens),
            cost: self.cost.clone(),
            retries: u32::try_from(self.retries.len()).unwrap_or(u32::MAX),
            error: self.answer.as_ref().err().map(ModelError::error_type),
            started_ms: None,
            duration_ms: None,
        }
    }
}

/// A language model that gives structured answers.
#[async_trait]
pub trait ChatModel: Send + Sync {
    /// What is known about the model.
    fn info(&self) -> &ModelInfo;

    /// Sends a request, and returns before its deadline.
    async fn chat(&self, request: &ChatRequest<'_>) -> Reply;
}

/// Lets decorators be added one by one, as the configuration asks for them.
#[async_trait]
impl ChatModel for Arc<dyn ChatModel> {
    fn info(&self) -> &ModelInfo {
        self.as_ref().info()
    }

    async fn chat(&self, request: &ChatRequest<'_>) -> Reply {
        self.as_ref().chat(request).await
    }
}
