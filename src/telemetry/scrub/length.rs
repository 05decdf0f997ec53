//! Texts cut to a length in characters. Text that is JSON is cut inside its texts, so that it still
//! parses.

use serde_json::{Value, json};

/// Texts within JSON are not cut to less than this, because roles and types would be cut as well.
const MIN_CHARS: usize = 16;

/// Shortens an attribute's text. The texts within JSON are all cut to the same length, the largest
/// with which the document fits.
pub(crate) fn fit(text: &str, max_chars: usize) -> String {
    let Ok(json @ (Value::Array(_) | Value::Object(_))) = serde_json::from_str(text) else {
        return cut(text, max_chars);
    };
    let (mut fitting, mut low, mut high) = (None, MIN_CHARS, max_chars);
    while low <= high {
        let middle = low.midpoint(high);
        let mut json = json.clone();
        edit_texts(&mut json, &|text| cut(text, middle));
        let shortened = json.to_string();
        match shortened.chars().count() <= max_chars {
            true => (fitting, low) = (Some(shortened), middle + 1),
            false => high = middle - 1,
        }
    }
    // The structure alone is too large, so only the note on the original length is left.
    fitting.unwrap_or_else(|| cut(&json!(mark(text.chars().count())).to_string(), max_chars))
}

/// Cuts a text. A note on its original length takes the place of the end, unless it would take more
/// than half of the room.
pub(crate) fn cut(text: &str, max_chars: usize) -> String {
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

/// Replaces every text within a JSON value; keys stay.
pub(crate) fn edit_texts(value: &mut Value, edit: &impl Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = edit(text),
        Value::Array(values) => values.iter_mut().for_each(|value| edit_texts(value, edit)),
        Value::Object(members) => members
            .values_mut()
            .for_each(|value| edit_texts(value, edit)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
