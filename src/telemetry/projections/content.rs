//! Prompts and answers as JSON strings in the shape of the GenAI conventions, captured only if the
//! operator asks for them. Each text is redacted and cut before it becomes part of the JSON, so
//! that escapes hide nothing from redaction, the result still parses, and a text that was cut says
//! how long it was.

use serde_json::{Value, json};

use crate::llm::{Answer, Message};
use crate::redact::redact;
use crate::telemetry::scrub::length::{cut, edit_texts};

/// Longer texts are cut to this number of characters.
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
    let text = answer
        .text
        .as_deref()
        .or(answer.refusal.as_deref())
        .unwrap_or_default();
    json!([{"role": "assistant", "parts": [text_part(text)], "finish_reason": answer.finish_reason}]).to_string()
}

/// A JSON value, with its texts redacted and cut.
pub(super) fn value(mut value: Value) -> String {
    edit_texts(&mut value, &text);
    value.to_string()
}

/// A plain text, redacted and cut. Redacted first, because half a card number is not recognised.
pub(super) fn text(text: &str) -> String {
    cut(&redact(text), MAX_CHARS)
}

fn text_part(text: &str) -> Value {
    json!({"type": "text", "content": self::text(text)})
}
