//! The characters of a sentence that a reader sees: those that are visible, without the markup
//! between digits, because `9**0**` and `9<b>0</b>` show as 90.

use std::iter::Peekable;
use std::vec::IntoIter;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::amounts::number::mark;
use crate::spelling::digit::digit;
use crate::spelling::is_invisible;

/// Tags that set off a part of a word. Every other tag ends a word.
const INLINE_TAGS: &[&str] = &[
    "b", "code", "del", "em", "font", "i", "ins", "mark", "small", "span", "strong", "sub", "sup",
    "u",
];
/// The longest tag that is recognised.
const MAX_TAG_CHARS: usize = 128;

/// The visible characters of a text, composed; full-width ASCII characters are in their usual form.
pub fn shown(text: &str) -> Vec<char> {
    if text.is_ascii() {
        return without_emphasis(without_tags(text.chars().collect()));
    }
    let visible = text.chars().filter(|c| !is_invisible(*c)).nfc();
    let mut chars: Vec<char> = Vec::with_capacity(text.len());
    for c in visible.map(usual_width) {
        // A mark belongs to a letter; on a digit it only decorates.
        let has_letter = || {
            chars
                .last()
                .is_some_and(|c| c.is_alphabetic() || is_combining_mark(*c))
        };
        if !is_combining_mark(c) || has_letter() {
            chars.push(c);
        }
    }
    without_gershayim(without_emphasis(without_tags(chars)))
}

/// Removes the quotation mark that Hebrew abbreviations have before their last letter: ק"מ, ש"ח.
fn without_gershayim(chars: Vec<char>) -> Vec<char> {
    let is_hebrew = |at: Option<usize>| {
        let c = at.and_then(|at| chars.get(at));
        c.is_some_and(|c| ('א'..='ת').contains(c))
    };
    let is_kept = |(at, c): (usize, &char)| {
        let is_mark = matches!(*c, '"' | '״' | '”');
        let is_inside = is_mark && is_hebrew(at.checked_sub(1)) && is_hebrew(Some(at + 1));
        (!is_inside).then_some(*c)
    };
    chars.iter().enumerate().filter_map(is_kept).collect()
}

/// The usual form of a full-width character of ASCII.
fn usual_width(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        c => c,
    }
}

fn without_tags(chars: Vec<char>) -> Vec<char> {
    if !chars.contains(&'<') {
        return chars;
    }
    let mut kept = Vec::with_capacity(chars.len());
    let mut at = 0;
    while at < chars.len() {
        match tag(&chars[at..]) {
            Some((name, n_chars)) => {
                if !INLINE_TAGS.contains(&name.as_str()) {
                    kept.push(' ');
                }
                at += n_chars;
            }
            None => {
                kept.push(chars[at]);
                at += 1;
            }
        }
    }
    kept
}

/// The name of the tag that begins here, and how many characters the tag has.
fn tag(chars: &[char]) -> Option<(String, usize)> {
    let ('<', rest) = (*chars.first()?, &chars[1..]) else {
        return None;
    };
    let rest = rest.strip_prefix(&['/']).unwrap_or(rest);
    let name: String = rest
        .iter()
        .take_while(|c| c.is_ascii_alphabetic())
        .map(char::to_ascii_lowercase)
        .collect();
    let mut searched = chars.iter().skip(1).take(MAX_TAG_CHARS);
    let end = searched.position(|c| matches!(c, '<' | '>'))? + 1;
    (!name.is_empty() && chars[end] == '>').then_some((name, end + 1))
}

/// The characters without the signs of Markdown between two digits, or between a digit and a mark.
fn without_emphasis(chars: Vec<char>) -> Vec<char> {
    let mut kept: Vec<char> = Vec::with_capacity(chars.len());
    let mut rest = chars.into_iter().peekable();
    while let Some(c) = rest.next() {
        if !is_emphasis(c) {
            kept.push(c);
            continue;
        }
        let signs = run(c, &mut rest);
        // A single tilde means `about`, and a single low line can separate groups.
        let may_be_emphasis = signs.len() > 1 || !matches!(c, '~' | '_');
        let is_between = kept.last().zip(rest.peek()).is_some_and(|(before, after)| {
            let is_digit = |c: &char| digit(*c).is_some();
            let is_part = |c: &char| is_digit(c) || matches!(mark(*c), Some('.' | ','));
            (is_digit(before) && is_part(after)) || (is_part(before) && is_digit(after))
        });
        if !(may_be_emphasis && is_between) {
            kept.extend(signs);
        }
    }
    kept
}

/// The signs of emphasis from `first` on.
fn run(first: char, rest: &mut Peekable<IntoIter<char>>) -> Vec<char> {
    let mut signs = vec![first];
    while let Some(c) = rest.next_if(|c| is_emphasis(*c)) {
        signs.push(c);
    }
    signs
}

fn is_emphasis(c: char) -> bool {
    matches!(c, '*' | '~' | '_' | '\\')
}
