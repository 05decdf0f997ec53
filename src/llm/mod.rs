//! The model seam: what is asked of a language model and what comes back. Two implementations stand
//! behind [`ChatModel`], `openai` and `offline`; an answer that makes no sense is a value here, not
//! an error.

pub mod breaker;
pub mod openai;
pub mod priced;

use std::time::SystemTime;

use async_trait::async_trait;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::domain::short_hash::short_hash;
use crate::domain::step::{Cost, ModelCall, PromptRef};
use crate::domain::tokens::TokenUsage;
use crate::rulebook::Rulebook;

/// A prompt file: instructions that never change at run time, so that its hash names it.
#[derive(Debug, PartialEq, Eq)]
pub struct Prompt {
    /// What it is called.
    pub name: &'static str,
    /// Raised with every change of its text.
    pub version: &'static str,
    /// The instructions.
    pub text: &'static str,
    /// Beginning of the SHA-256 of the instructions.
    pub hash: String,
}

impl Prompt {
    /// Names a text and hashes it, once and not with every question.
    pub fn new(name: &'static str, version: &'static str, text: &'static str) -> Self {
        Self {
            name,
            version,
            text,
            hash: short_hash(text),
        }
    }

    /// The prompt as a decision keeps it.
    pub fn to_ref(&self) -> PromptRef {
        PromptRef {
            name: self.name.to_owned(),
            version: self.version.to_owned(),
        }
    }
}

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Speaker {
    /// The facts, as JSON, and what was wrong with an answer.
    User,
    /// An earlier answer of the model.
    Assistant,
}

/// One message after the instructions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who says it.
    pub speaker: Speaker,
    /// What is said.
    pub text: String,
}

/// The form the answer has to have.
#[derive(Clone, Copy, Debug)]
pub struct AnswerSchema<'a> {
    /// The schema's name, by which a provider caches it.
    pub name: &'static str,
    /// JSON Schema, in the strict subset that providers enforce.
    pub schema: &'a RawValue,
}

/// One question to the model.
#[derive(Clone, Debug)]
pub struct ChatRequest<'a> {
    /// The instructions.
    pub prompt: &'static Prompt,
    /// The messages after them, the facts first.
    pub messages: &'a [Message],
    /// The form of the answer.
    pub schema: AnswerSchema<'a>,
    /// When the answer is of no use any more, retries included.
    pub deadline: Instant,
    /// What the expense is judged by: here the offline model finds its evidence, and replies their
    /// prices. Nothing of it goes to a provider.
    pub rulebook: &'a Rulebook,
    /// W3C trace context for the provider; set only when that is switched on.
    pub traceparent: Option<String>,
}

/// What is known of a model before it is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInfo {
    /// `gen_ai.provider.name`.
    pub provider: &'static str,
    /// The model's name, as it is asked for.
    pub model: String,
    /// Host and port of its endpoint; absent when it runs in this process.
    pub server: Option<(String, u16)>,
    /// The most tokens it may write, where set.
    pub max_tokens: Option<u32>,
    /// Sampling temperature from 0 to 2, where set.
    pub temperature: Option<f64>,
    /// Seed of its sampling, where set.
    pub seed: Option<i64>,
}

/// What the model said, sensible or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The provider's id of the answer.
    pub id: Option<String>,
    /// The model that gave it.
    pub model: String,
    /// Why it stopped, in the provider's words: `stop`, `length`, `content_filter` and others.
    pub finish_reason: Option<String>,
    /// The text, which should be JSON.
    pub text: Option<String>,
    /// The model's refusal, in its own words.
    pub refusal: Option<String>,
    /// The tokens, if the provider counted them.
    pub usage: Option<TokenUsage>,
}

/// Why no answer came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// No answer within the time there was.
    #[error("the model did not answer in time")]
    Timeout,
    /// The endpoint could not be reached, or broke off.
    #[error("the model's endpoint could not be reached")]
    Connection,
    /// The endpoint refused the request.
    #[error("the model's endpoint answered with HTTP status {status}{}", detail(.code.as_deref()))]
    Status {
        /// HTTP status.
        status: u16,
        /// The provider's own error code, such as `insufficient_quota`.
        code: Option<String>,
    },
    /// The endpoint's answer is no chat completion.
    #[error("the model's endpoint answered with something that is no chat completion")]
    InvalidResponse,
    /// The endpoint was not asked.
    #[error("the model is not asked, because its last calls got no answer")]
    CircuitOpen,
}

fn detail(code: Option<&str>) -> String {
    code.map(|code| format!(" ({code})")).unwrap_or_default()
}

impl ModelError {
    /// The class of the error, of few different values: `error.type`.
    pub fn error_type(&self) -> String {
        match self {
            Self::Timeout => "timeout".to_owned(),
            Self::Connection => "connection".to_owned(),
            Self::Status { status, .. } => status.to_string(),
            Self::InvalidResponse => "invalid_response".to_owned(),
            Self::CircuitOpen => "circuit_open".to_owned(),
        }
    }

    /// Whether the endpoint is down, and not just of another opinion.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Timeout | Self::Connection => true,
            Self::Status { status, .. } => *status >= 500,
            Self::InvalidResponse | Self::CircuitOpen => false,
        }
    }
}

/// One transport retry, made inside a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// When the attempt before it had failed.
    pub at: SystemTime,
    /// Why that attempt failed.
    pub error: ModelError,
    /// How long was waited before the next.
    pub delay: std::time::Duration,
}

/// Everything that came of one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The answer, or why there is none.
    pub answer: Result<Answer, ModelError>,
    /// The transport retries it took.
    pub retries: Vec<Retry>,
    /// What the answer cost; absent when its price or its tokens are unknown.
    pub cost: Option<Cost>,
}

impl Reply {
    /// A reply that took no retry and has no price yet.
    pub fn new(answer: Result<Answer, ModelError>) -> Self {
        Self {
            answer,
            retries: Vec::new(),
            cost: None,
        }
    }

    /// The call as a decision keeps it.
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
        }
    }
}

/// A language model that can be asked for a structured answer.
#[async_trait]
pub trait ChatModel: Send + Sync {
    /// What is known of it.
    fn info(&self) -> &ModelInfo;

    /// Asks, and comes back before the request's deadline has passed.
    async fn chat(&self, request: &ChatRequest<'_>) -> Reply;
}
