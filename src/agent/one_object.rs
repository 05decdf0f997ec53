//! Finds the JSON object in the text of an answer. Models that no schema binds wrap it: in a code
//! fence, after their thinking, in a sentence, or before an end-of-text token. Everything around the
//! object is ignored, but it must be the only one: of two objects either may be the answer.
//!
//! Every search takes time linear in the length of the text.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::value::RawValue;

use crate::llm::mended_json::mended;

/// The object in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OneObject<'a> {
    /// The text is the object.
    Alone(&'a str),
    /// The object stands in other text.
    Wrapped(Cow<'a, str>),
    /// The text contains JSON, but no object.
    OtherJson,
    /// The text contains more than one object.
    Several,
    /// The text contains no complete JSON.
    NotJson,
}

/// The marks around what a model thinks before it answers, in lower case. Some endpoints put the
/// opening mark into the prompt, so that only the closing one is in the answer.
const THINKING: [(&str, &str); 12] = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<reflection>", "</reflection>"),
    ("<scratchpad>", "</scratchpad>"),
    ("<analysis>", "</analysis>"),
    ("<seed:think>", "</seed:think>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("[think]", "[/think]"),
    ("◁think▷", "◁/think▷"),
    ("<|channel|>analysis", "<|channel|>final"),
];

/// Finds the object in a text.
pub fn one_object(text: &str) -> OneObject<'_> {
    // A byte order mark is no white space, but no text either.
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if !is_json(text) {
        return match without_thinking(text) {
            Some(Cow::Borrowed(answer)) => in_prose(answer),
            Some(Cow::Owned(answer)) => owned(in_prose(&answer)),
            None => OneObject::NotJson,
        };
    }
    match text.as_bytes().first() {
        Some(b'{') => OneObject::Alone(text),
        // Some endpoints encode the model's JSON once more.
        Some(b'"') => match serde_json::from_str::<String>(text) {
            Ok(inner) if is_json(inner.trim()) && inner.trim().starts_with('{') => {
                OneObject::Wrapped(inner.into())
            }
            _ => OneObject::OtherJson,
        },
        _ => OneObject::OtherJson,
    }
}

fn owned(found: OneObject<'_>) -> OneObject<'static> {
    match found {
        OneObject::Alone(object) => OneObject::Wrapped(object.to_owned().into()),
        OneObject::Wrapped(object) => OneObject::Wrapped(object.into_owned().into()),
        OneObject::OtherJson => OneObject::OtherJson,
        OneObject::Several => OneObject::Several,
        OneObject::NotJson => OneObject::NotJson,
    }
}

/// Whether the text is JSON, apart from what models write although JSON does not have it.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(&mended(text)).is_ok()
}

/// The text without the model's thinking; `None` when the thinking does not end, so that what
/// follows its start is a draft.
fn without_thinking(text: &str) -> Option<Cow<'_, str>> {
    let mut answer = Cow::Borrowed(text);
    // Lower case in ASCII alone keeps every character at its place.
    let mut lower = text.to_ascii_lowercase();
    for (open, close) in THINKING {
        if !lower.contains(open) && !lower.contains(close) {
            continue;
        }
        let kept = without_pairs(&answer, &lower, open, close)?;
        lower = kept.to_ascii_lowercase();
        answer = Cow::Owned(kept);
    }
    Some(answer)
}

fn without_pairs(text: &str, lower: &str, open: &str, close: &str) -> Option<String> {
    let mut kept = String::new();
    let mut opens = lower.match_indices(open).map(|(at, _)| at).peekable();
    let mut from = 0;
    for (close_at, _) in lower.match_indices(close) {
        // Thinking may contain further marks; only the first one begins it.
        let open_at = opens.next_if(|at| *at < close_at);
        while opens.next_if(|at| *at < close_at).is_some() {}
        match open_at {
            Some(open_at) => kept.push_str(&text[from..open_at]),
            // What is before a closing mark alone is thinking as a whole.
            None => kept.clear(),
        }
        from = close_at + close.len();
    }
    if opens.peek().is_some() {
        return None;
    }
    kept.push_str(&text[from..]);
    Some(kept)
}

/// Finds the one object in prose. A brace begins an object, and a bracket a list of objects, if what
/// follows it can: prose may contain both for other reasons.
fn in_prose(text: &str) -> OneObject<'_> {
    let mut objects = Vec::new();
    let mut n_others = 0_usize;
    let mut from = 0;
    while let Some(offset) = text[from..].find(['{', '[']) {
        let start = from + offset;
        let follows = text[start + 1..].trim_start().chars().next();
        let is_list = text.as_bytes()[start] == b'[';
        let begins = if is_list {
            follows == Some('{')
        } else {
            follows == Some('"')
        };
        if !begins {
            from = start + 1;
            continue;
        }
        // What does not end was cut off, and an object inside is only a part of it.
        let Some(range) = balanced(text, start) else {
            return OneObject::NotJson;
        };
        from = range.end;
        match is_list {
            true => n_others += 1,
            false => objects.push(range),
        }
    }
    match (objects.as_slice(), n_others) {
        ([only], 0) if is_json(&text[only.clone()]) => {
            OneObject::Wrapped(text[only.clone()].into())
        }
        ([], 1) => OneObject::OtherJson,
        ([], 0) | ([_], 0) => OneObject::NotJson,
        _ => OneObject::Several,
    }
}

/// From a bracket or brace to the one that closes it, those in strings apart; `None` when none does.
fn balanced(text: &str, start: usize) -> Option<Range<usize>> {
    let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
    for (offset, byte) in text.as_bytes()[start..].iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(start..start + offset + 1);
                }
            }
            _ => {}
        }
    }
    None
}
