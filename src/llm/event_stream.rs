//! Server-sent events. This service does not ask for a stream, but some endpoints and proxies
//! answer with one. Its events are pieces of one completion and are joined here, so that the files
//! that read completions and failures need not know about streams.

use serde_json::Value;

use crate::llm::mended_json::mended;

/// The members whose values are joined, because each event holds a further piece of them. Of any
/// other member, the last value counts.
const IN_PIECES: [&str; 7] = [
    "arguments",
    "content",
    "reasoning",
    "reasoning_content",
    "refusal",
    "text",
    "thinking",
];

/// Whether a body is an event stream. The content type is not used, because some endpoints declare
/// JSON to be a stream, or a stream to be JSON.
pub(super) fn is_stream(body: &str) -> bool {
    let first_line = body.trim_start();
    ["data:", "event:", "id:", "retry:", ":"]
        .iter()
        .any(|field| first_line.starts_with(field))
}

/// The completion that the events are pieces of, as JSON, or the failure that they report. `None`
/// when the stream ends before the answer does.
pub(super) fn joined(body: &str) -> Option<String> {
    let (mut whole, mut is_done) = (Value::Null, false);
    for data in events(body) {
        if data.trim() == "[DONE]" {
            is_done = true;
            break;
        }
        // Some proxies send plain words to keep the connection open.
        if data.starts_with('{') {
            merge(&mut whole, serde_json::from_str(&mended(&data)).ok()?);
        }
    }
    let choice = &whole["choices"][0];
    let has_ended = if choice.is_null() {
        !whole.is_null()
    } else {
        !choice["finish_reason"].is_null()
            || !choice["message"].is_null()
            || !whole["error"].is_null()
    };
    (is_done || has_ended).then(|| whole.to_string())
}

/// The data of each event, its lines joined.
fn events(body: &str) -> Vec<String> {
    let mut events = vec![String::new()];
    for line in body.lines() {
        if line.is_empty() {
            events.push(String::new());
        } else if let (Some(data), Some(event)) = (line.strip_prefix("data:"), events.last_mut()) {
            event.push_str(data.strip_prefix(' ').unwrap_or(data));
            event.push('\n');
        }
    }
    events
}

/// Adds a piece to the pieces before it.
fn merge(whole: &mut Value, piece: Value) {
    match (whole, piece) {
        (_, Value::Null) => {}
        (Value::Object(whole), Value::Object(piece)) => {
            for (name, value) in piece {
                let place = whole.entry(name.as_str()).or_insert(Value::Null);
                match (IN_PIECES.contains(&name.as_str()), place, value) {
                    (true, Value::String(text), Value::String(more)) => text.push_str(&more),
                    // After parts with its reasoning, a model may write plain text.
                    (true, Value::Array(parts), text @ Value::String(_)) => parts.push(text),
                    (false, Value::String(_), Value::String(empty)) if empty.is_empty() => {}
                    (_, place, value) => merge(place, value),
                }
            }
        }
        (Value::Array(items), Value::Array(pieces)) => {
            for piece in pieces {
                let same = items
                    .iter_mut()
                    .find(|item| index(item).is_some() && index(item) == index(&piece));
                match same {
                    Some(item) => merge(item, piece),
                    None => items.push(piece),
                }
            }
        }
        (whole, piece) => *whole = piece,
    }
}

/// The index of an item in its list. Some endpoints leave out that of a choice, which has a `delta`;
/// it is the first.
fn index(item: &Value) -> Option<u64> {
    let first = item.get("delta").map(|_| 0);
    item.get("index").and_then(Value::as_u64).or(first)
}
