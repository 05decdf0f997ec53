//! Prompts and answers as JSON strings in the shape of the GenAI conventions. Off unless the
//! operator asks for them; each text is redacted and cut inside the JSON, so that what is left
//! still parses, escapes hide nothing, and what was cut says how long it was.

use serde_json::{Value, json};

use crate::llm::{Answer, Message};
use crate::redact::redact;

/// Characters of one text that are kept.
const MAX_CHARS: usize = 8_192;
/// JSON is not made to fit by cutting its texts to less than this: roles and types would go as
/// well.
const MIN_CHARS: usize = 16;

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

/// Any JSON value, its texts redacted and cut.
pub(super) fn value(mut value: Value) -> String {
    edit_texts(&mut value, &text);
    value.to_string()
}

/// One plain text. Redacted first: half a card number is not found.
pub(super) fn text(text: &str) -> String {
    cut(&redact(text), MAX_CHARS)
}

/// What an attribute holds, in at most so many characters. JSON stays JSON: its texts are cut, all
/// at the same length.
pub(super) fn fit(text: &str, max_chars: usize) -> String {
    let Ok(json @ (Value::Array(_) | Value::Object(_))) = serde_json::from_str(text) else {
        return cut(text, max_chars);
    };
    let (mut fitting, mut low, mut high) = (None, MIN_CHARS, max_chars);
    while low <= high {
        let middle = low.midpoint(high);
        let mut json = json.clone();
        edit_texts(&mut json, &|text| cut(text, middle));
        let candidate = json.to_string();
        match candidate.chars().count() <= max_chars {
            true => (fitting, low) = (Some(candidate), middle + 1),
            false => high = middle - 1,
        }
    }
    // The frame alone is too large: what is left says only how long it was.
    fitting.unwrap_or_else(|| cut(&json!(mark(text.chars().count())).to_string(), max_chars))
}

/// At most so many characters of a text. One that is cut says so and how long it was, where that is
/// the smaller part.
fn cut(text: &str, max_chars: usize) -> String {
    let n_chars = text.chars().count();
    if n_chars <= max_chars {
        return text.to_owned();
    }
    let mark = mark(n_chars);
    let n_mark = mark.chars().count();
    let (n_kept, mark) = if max_chars >= 2 * n_mark {
        (max_chars - n_mark, &*mark)
    } else {
        (max_chars, "")
    };
    text.chars().take(n_kept).chain(mark.chars()).collect()
}

fn mark(n_chars: usize) -> String {
    format!("…truncated, {n_chars} characters")
}

fn text_part(text: &str) -> Value {
    json!({"type": "text", "content": self::text(text)})
}

fn edit_texts(value: &mut Value, edit: &impl Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = edit(text),
        Value::Array(values) => values.iter_mut().for_each(|value| edit_texts(value, edit)),
        Value::Object(members) => members
            .values_mut()
            .for_each(|value| edit_texts(value, edit)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
