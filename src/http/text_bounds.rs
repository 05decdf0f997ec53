//! What texts may contain, as patterns of JSON Schema: names and ids, and free texts. Which fields are
//! which is in `bounds` and `fact_bounds`.

use serde_json::{Value, json};

/// Control characters, in the notation that regular expressions of JavaScript, Python and Rust share.
const CONTROL: &str = r"\u0000-\u001f\u007f-\u009f";
/// White space that is not a control character.
const BLANK: &str = r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000";
/// The characters that `spelling::is_invisible` finds, and the Braille blank. Characters above
/// U+FFFF are missing, because the notation has only four digits; the service still refuses a text
/// that consists of them alone.
const INVISIBLE: &str = r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb";

/// A name or an id: see `domain::body::is_line`.
pub(super) fn line(types: Value, max_chars: usize) -> Value {
    let visible = format!("[^{CONTROL}{BLANK}{INVISIBLE}]");
    let rest = format!("(?:[^{CONTROL}]*[^{CONTROL}{BLANK}])?");
    let pattern = format!("^(?:[{INVISIBLE}][{INVISIBLE}{BLANK}]*)?{visible}{rest}$");
    json!({"type": types, "minLength": 1, "maxLength": max_chars, "pattern": pattern})
}

/// A free text: it has no control characters other than line breaks, and at least one visible
/// character. The fewest characters are counted without blanks at either end.
pub(super) fn text(types: Value, min_chars: usize, max_chars: usize) -> Value {
    let accepted = r"[^\u0000-\u0009\u000b\u000c\u000e-\u001f\u007f-\u009f]";
    let visible = format!("[^{CONTROL}{BLANK}{INVISIBLE}]");
    let pattern = format!("^{accepted}*{visible}{accepted}*$");
    let mut schema = json!({
        "type": types, "minLength": min_chars, "maxLength": max_chars, "pattern": pattern,
    });
    if let Some(n_between) = min_chars.checked_sub(2) {
        let filled = format!("[^{CONTROL}{BLANK}]");
        let long_enough = format!("{filled}{accepted}{{{n_between},}}{filled}");
        schema["allOf"] = json!([{"pattern": long_enough}]);
    }
    schema
}
