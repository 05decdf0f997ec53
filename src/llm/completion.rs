//! The JSON of a chat completion, request and response, as OpenAI and compatible endpoints define
//! it. `endpoint` knows what differs between endpoints, `failure` reads what they say when they
//! fail, and `openai` sends the requests.
//!
//! The types of async-openai are not used here: its request would copy the schema, which is large,
//! for every call, and its response rejects values that this service does not need, such as an
//! unknown `finish_reason`.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::domain::tokens::TokenUsage;
use crate::llm::endpoint::{LimitName, Profile, ResponseForm, SeedName};
use crate::llm::lenient::{self, Members};
use crate::llm::{Answer, AnswerSchema, ChatRequest, ModelInfo};
use crate::redact::redact;

/// The request body. It has only the fields that this service sets, because some compatible
/// endpoints reject fields that they do not know.
#[derive(Serialize)]
pub(super) struct CompletionRequest<'a> {
    model: &'a str,
    messages: Vec<RoleMessage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    random_seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ResponseFormat<'a> {
    JsonSchema { json_schema: JsonSchema<'a> },
    JsonObject,
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
    content: Text<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Text<'a> {
    Plain(Cow<'a, str>),
    /// A text that is JSON already.
    Escaped(&'a RawValue),
}

impl<'a> CompletionRequest<'a> {
    /// The body of a request, in the form that the endpoint's profile requires.
    pub(super) fn new(
        info: &'a ModelInfo,
        profile: &Profile,
        reasoning_effort: Option<&'a str>,
        request: &ChatRequest<'a>,
    ) -> Self {
        let AnswerSchema { name, schema } = request.schema;
        let (response_format, instructions) = match profile.response_form {
            ResponseForm::JsonSchema => {
                let json_schema = JsonSchema {
                    name,
                    schema,
                    strict: true,
                };
                let format = ResponseFormat::JsonSchema { json_schema };
                (Some(format), Text::Escaped(&request.prompt.json))
            }
            ResponseForm::JsonObject => (
                Some(ResponseFormat::JsonObject),
                with_schema(request.prompt.text, schema),
            ),
            ResponseForm::PromptOnly => (None, with_schema(request.prompt.text, schema)),
        };
        let instructions = RoleMessage {
            role: "system".to_owned(),
            content: instructions,
        };
        let messages = request.messages.iter().map(|message| RoleMessage {
            role: message.speaker.to_string(),
            content: Text::Plain(Cow::Borrowed(&message.text)),
        });
        let limit = |name| info.max_tokens.filter(|_| profile.limit_name == name);
        let seed = |name| info.seed.filter(|_| profile.seed_name == Some(name));
        Self {
            model: &info.model,
            messages: std::iter::once(instructions).chain(messages).collect(),
            response_format,
            max_completion_tokens: limit(LimitName::MaxCompletionTokens),
            max_tokens: limit(LimitName::MaxTokens),
            temperature: info.temperature,
            seed: seed(SeedName::Seed),
            random_seed: seed(SeedName::RandomSeed),
            reasoning_effort,
        }
    }
}

/// Instructions for an endpoint that does not enforce a schema.
fn with_schema<'a>(instructions: &str, schema: &RawValue) -> Text<'a> {
    let request = "Answer with one JSON object and nothing else. It has this JSON Schema:";
    Text::Plain(Cow::Owned(format!("{instructions}\n\n{request}\n{schema}")))
}

/// The answer in a response body; `None` when the body is not a chat completion. It is read
/// leniently: an answer that was paid for must not be lost because a field has an unusual type.
/// `requested_model` is the name of the model when the response has none.
pub(super) fn answer(body: &str, requested_model: &str) -> Option<Answer> {
    let top = Members::parse(body)?;
    let choice = first_choice(&top)?;
    // An endpoint that streams by default sends `delta`.
    let message = choice
        .object("message")
        .or_else(|| choice.object("delta"))
        .unwrap_or_default();
    let content = message.raw("content").or_else(|| choice.raw("text"));
    let content = content.map(Content::parse).unwrap_or_default();
    let has_reasoning =
        content.has_reasoning || REASONING.iter().any(|name| message.raw(name).is_some());
    let text = answer_text(&message, content.text);
    let has_only_reasoning = text.is_none() && has_reasoning;
    // Redacted here, once, before anything else reads the answer: the model may repeat or invent
    // keys and addresses.
    let redacted = |text: String| redact(&text).into_owned();
    let finish_reason = choice
        .text("finish_reason")
        .or_else(|| choice.text("stop_reason"));
    Some(Answer {
        id: top.label("id").map(label),
        model: top
            .text("model")
            .map_or_else(|| requested_model.to_owned(), label),
        finish_reason: finish_reason.map(label),
        text: text.map(redacted),
        has_only_reasoning,
        refusal: refusal(&message).or(content.refusal).map(redacted),
        usage: top.object("usage").as_ref().and_then(token_usage),
    })
}

/// The members in which endpoints put the reasoning that precedes the model's answer.
const REASONING: [&str; 4] = [
    "reasoning_content",
    "reasoning",
    "thinking",
    "reasoning_details",
];

/// The text of the answer. It is the content, unless that holds no object: some endpoints turn the
/// schema into a function that the model calls, and some mistake an answer for reasoning when the
/// model did not reason before it.
fn answer_text(message: &Members<'_>, content: Option<String>) -> Option<String> {
    let content = content.filter(|text| !text.trim().is_empty());
    if content.as_ref().is_some_and(|text| text.contains('{')) {
        return content;
    }
    let is_object = |text: &String| Members::parse(text).is_some();
    let misplaced = || {
        REASONING
            .iter()
            .find_map(|name| message.text(name).filter(is_object))
    };
    call_arguments(message).or(content).or_else(misplaced)
}

/// The arguments of the functions that the model calls, although it was offered none.
fn call_arguments(message: &Members<'_>) -> Option<String> {
    let calls = message.items("tool_calls");
    let calls = calls
        .iter()
        .filter_map(|call| Members::parse(call.get())?.object("function"));
    let arguments: Vec<String> = calls
        .chain(message.object("function_call"))
        .filter_map(|function| {
            let raw = function.raw("arguments")?;
            Some(function.text("arguments").unwrap_or_else(|| raw.to_owned()))
        })
        .collect();
    // If there are several, none of them is the answer; `agent::one_object` rejects the joined
    // text.
    (!arguments.is_empty()).then(|| arguments.join("\n"))
}

/// The first choice, which is empty when there is none; `None` when the body has no choices at all.
pub(super) fn first_choice<'a>(top: &Members<'a>) -> Option<Members<'a>> {
    let may_hold_choices = |raw: &str| raw.starts_with(['[', '{']);
    if !top.has("choices") || !top.raw("choices").is_none_or(may_hold_choices) {
        return None;
    }
    Some(top.first_object("choices").unwrap_or_default())
}

/// The refusal in a message. Some endpoints write a flag instead of the model's words; a number is
/// neither, and is ignored.
fn refusal(message: &Members<'_>) -> Option<String> {
    let raw = message.raw("refusal")?;
    let said = message
        .text("refusal")
        .filter(|said| !said.trim().is_empty());
    let is_flag = raw == "true" || raw.starts_with(['{', '[']);
    said.or_else(|| is_flag.then(|| "refused".to_owned()))
}

/// The content of a message.
#[derive(Default)]
struct Content {
    text: Option<String>,
    refusal: Option<String>,
    has_reasoning: bool,
}

impl Content {
    /// Reads a text, a list of parts, a single part, or JSON that should have been a text.
    fn parse(raw: &str) -> Self {
        if let Some(parts) = lenient::items(raw) {
            return Self::of_parts(&parts);
        }
        let Some(object) = Members::parse(raw) else {
            return Self {
                text: lenient::text(raw),
                ..Self::default()
            };
        };
        if object.has("parts") {
            return Self::of_parts(&object.items("parts"));
        }
        if object.has("type") || object.has("text") {
            return Self::of_part(&object);
        }
        // An endpoint that parsed the model's JSON sends the object itself.
        Self {
            text: Some(raw.to_owned()),
            ..Self::default()
        }
    }

    /// The text parts, joined. Parts of other types, such as the model's reasoning, are left out.
    fn of_parts(parts: &[&RawValue]) -> Self {
        let mut joined = Self::default();
        for part in parts {
            let part = match Members::parse(part.get()) {
                Some(part) => Self::of_part(&part),
                None => Self {
                    text: lenient::text(part.get()),
                    ..Self::default()
                },
            };
            if let Some(text) = part.text {
                joined.text.get_or_insert_default().push_str(&text);
            }
            joined.refusal = joined.refusal.or(part.refusal);
            joined.has_reasoning |= part.has_reasoning;
        }
        joined
    }

    fn of_part(part: &Members<'_>) -> Self {
        // Gemini writes reasoning as a text part, marked by `"thought": true`.
        let is_thought = part.get("thought") == Some(true);
        match part.text("type").as_deref() {
            Some("refusal") => Self {
                refusal: Some(part.text("refusal").unwrap_or_else(|| "refused".to_owned())),
                ..Self::default()
            },
            None | Some("text" | "output_text") if !is_thought => {
                // Some endpoints nest the text: `{"text": {"value": …}}`.
                let value = || part.object("text")?.text("value");
                Self {
                    text: part.text("text").or_else(value),
                    ..Self::default()
                }
            }
            Some("thinking" | "reasoning" | "redacted_thinking") => Self {
                has_reasoning: true,
                ..Self::default()
            },
            _ => Self {
                has_reasoning: is_thought,
                ..Self::default()
            },
        }
    }
}

/// The token usage, if both counts are present: one count alone would give a wrong cost.
fn token_usage(usage: &Members<'_>) -> Option<TokenUsage> {
    let detail = |of: &str, name: &str| usage.object(of)?.get(name);
    Some(TokenUsage {
        input_tokens: usage.get("prompt_tokens")?,
        output_tokens: usage.get("completion_tokens")?,
        cached_tokens: detail("prompt_tokens_details", "cached_tokens"),
        reasoning_tokens: detail("completion_tokens_details", "reasoning_tokens"),
    })
}

/// An id or a code of the endpoint, redacted and at most 128 characters long, because it is stored
/// on spans and in every check of the answer.
pub(super) fn label(text: String) -> String {
    const MAX_CHARS: usize = 128;
    redact(&text).chars().take(MAX_CHARS).collect()
}
