//! The JSON of a chat completion, request and response, as OpenAI and compatible endpoints define
//! it. How it is sent is in `openai`.
//!
//! Not async-openai's own types: its request would copy the schema, which is large, for every call,
//! and its response rejects values that this service does not need, such as an unknown
//! `finish_reason`.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::domain::tokens::TokenUsage;
use crate::llm::{Answer, AnswerSchema, ChatRequest, ModelInfo};
use crate::redact::redact;

/// The request body. It has only the fields that this service sets, because some compatible
/// endpoints reject fields that they do not know.
#[derive(Serialize)]
pub(super) struct CompletionRequest<'a> {
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
    pub(super) fn new(info: &'a ModelInfo, request: &ChatRequest<'a>) -> Self {
        let instructions = RoleMessage {
            role: "system".to_owned(),
            content: request.prompt.text,
        };
        let messages = request.messages.iter().map(|message| RoleMessage {
            role: message.speaker.to_string(),
            content: &message.text,
        });
        let AnswerSchema { name, schema } = request.schema;
        Self {
            model: &info.model,
            messages: std::iter::once(instructions).chain(messages).collect(),
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

/// The response body. It is parsed leniently: an answer that was paid for must not be lost to an
/// unknown `finish_reason` or to token counts that are not numbers.
#[derive(Deserialize)]
pub(super) struct Completion {
    id: Option<String>,
    model: Option<String>,
    choices: Vec<Choice>,
    #[serde(default, deserialize_with = "usage_or_none")]
    usage: Option<UsageBody>,
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

/// Treats a usage that cannot be parsed, for example one with negative counts, as absent.
fn usage_or_none<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<UsageBody>, D::Error> {
    let usage = Box::<RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(usage.get()).ok())
}

impl Completion {
    /// The answer in the first choice. `requested_model` is the name of the model when the response
    /// has none.
    pub(super) fn into_answer(self, requested_model: &str) -> Answer {
        let choice = self.choices.into_iter().next().unwrap_or_default();
        // Redacted here, once, before anything else reads the answer: the model may repeat or
        // invent keys and addresses.
        let redacted = |text: Option<String>| text.map(|text| redact(&text).into_owned());
        let message = choice.message.unwrap_or_default();
        let (text, refusal) = (redacted(message.content), redacted(message.refusal));
        Answer {
            id: self.id.map(label),
            model: self.model.map_or_else(|| requested_model.to_owned(), label),
            finish_reason: choice.finish_reason.map(label),
            text,
            refusal: refusal.filter(|refusal| !refusal.is_empty()),
            usage: self.usage.and_then(UsageBody::token_usage),
        }
    }
}

impl UsageBody {
    /// The token usage, if both counts are present: one count alone would give a wrong cost.
    fn token_usage(self) -> Option<TokenUsage> {
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

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorDetail,
}

#[derive(Deserialize)]
struct ErrorDetail {
    code: Option<String>,
}

/// The code of an error response, if its body has one.
pub(super) fn error_code(body: &[u8]) -> Option<String> {
    let body: ErrorBody = serde_json::from_slice(body).ok()?;
    body.error.code.map(label)
}

/// An id or a code of the endpoint, redacted and at most 128 characters long, because it is stored
/// on spans and in every check of the answer.
fn label(text: String) -> String {
    const MAX_CHARS: usize = 128;
    redact(&text).chars().take(MAX_CHARS).collect()
}
