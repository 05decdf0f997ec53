//! Texts cut to a length. JSON stays JSON: its texts are cut, not the document.

use serde_json::{Value, json};

/// JSON is not made to fit by cutting its texts to less than this: roles and types would go as
/// well.
const MIN_CHARS: usize = 16;

/// What an attribute holds, in at most so many characters. JSON stays JSON: its texts are cut, all
/// at the same length.
pub(crate) fn fit(text: &str, max_chars: usize) -> String {
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
