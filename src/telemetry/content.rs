//! Prompts and answers as JSON strings in the shape of the GenAI conventions. Off unless the operator asks for them;
//! each text is redacted and cut inside the JSON, so that what is left still parses and escapes hide nothing.

use serde_json::{Value, json};

use crate::llm::{Answer, Message};
use crate::redact::redact;

/// Characters of one text that are kept.
const MAX_CHARS: usize = 8_192;

/// `gen_ai.system_instructions`.
pub(super) fn instructions(text: &str) -> String {
    json!([text_part(text)]).to_string()
}

/// `gen_ai.input.messages`.
pub(super) fn input(messages: &[Message]) -> String {
    let message = |message: &Message| json!({"role": message.speaker.to_string(), "parts": [text_part(&message.text)]});
    json!(messages.iter().map(message).collect::<Vec<_>>()).to_string()
}

/// `gen_ai.output.messages`.
pub(super) fn output(answer: &Answer) -> String {
    let text = answer.text.as_deref().or(answer.refusal.as_deref()).unwrap_or_default();
    json!([{"role": "assistant", "parts": [text_part(text)], "finish_reason": answer.finish_reason}]).to_string()
}

/// Any JSON value, its texts redacted and cut.
pub(super) fn value(mut value: Value) -> String {
    cut_texts(&mut value);
    value.to_string()
}

/// One plain text. Redacted first: half a card number is not found.
pub(super) fn cut(text: &str) -> String {
    let text = redact(text);
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…truncated, {} characters", &text[..end], text.chars().count()),
        None => text.into_owned(),
    }
}

fn text_part(text: &str) -> Value {
    json!({"type": "text", "content": cut(text)})
}

fn cut_texts(value: &mut Value) {
    match value {
        Value::String(text) => *text = cut(text),
        Value::Array(values) => values.iter_mut().for_each(cut_texts),
        Value::Object(members) => members.values_mut().for_each(cut_texts),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
