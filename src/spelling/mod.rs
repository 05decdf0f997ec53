//! Brings every text that is compared into one spelling. Unicode can write one name in several
//! ways, and people use them: composed or decomposed accents, full-width letters, capitals,
//! invisible characters, the apostrophes and hyphens of a phone. Names come from request bodies,
//! headers, API keys, policy files, folder names, command lines and the ledger. Before a name is
//! compared, the function for its kind in the table below brings it into its spelling. Records keep
//! the text as it was written.
//!
//! | text | function | case |
//! | --- | --- | --- |
//! | a person | [`person`] | folded |
//! | a tenant | [`tenant`] | kept |
//! | a trip | [`trip`] | kept |
//! | the name of a table's column | [`column()`] | kept |
//! | words of texts and merchants' names | [`words`] | folded |
//!
//! All spellings are in the compatibility form (NFKC), without invisible characters, with plain
//! apostrophes, quotes and hyphens, and with single blanks. In ids, digits of any script are
//! replaced by 0 to 9.
//!
//! Letters of other alphabets that look like Latin ones are replaced separately, in [`look_alike`].
//! The search for personal data has a folding of its own, `redact::fold`, which keeps the place of
//! every match.

pub mod digit;
pub mod look_alike;

use std::borrow::Cow;
use std::ops::Range;

use unicase::UniCase;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use digit::digit;

/// The characters that people type as an apostrophe, in the compatibility form. Accents without a
/// letter, such as U+00B4, become two characters in that form; [`plain`] replaces them.
const APOSTROPHES: &[char] = &[
    '\'', '`', '\u{2b9}', '\u{2bb}', '\u{2bc}', '\u{2bd}', '\u{2be}', '\u{2bf}', '\u{2c8}',
    '\u{2ca}', '\u{2cb}', '\u{55a}', '\u{5f3}', '\u{7f4}', '\u{7f5}', '\u{2018}', '\u{2019}',
    '\u{201b}', '\u{2032}', '\u{2035}', '\u{a78b}', '\u{a78c}',
];

/// The characters that people and programs write as a hyphen, in the compatibility form.
const HYPHENS: &[char] = &[
    '-', '\u{2010}', '\u{2012}', '\u{2013}', '\u{2014}', '\u{2015}', '\u{2212}',
];

/// Letters of Arabic and N'Ko that only stretch a word.
const STRETCHES: &[char] = &['\u{640}', '\u{7fa}'];

/// The spelling of a person's id: of an employee, an actor, or the holder of a key.
pub fn person(text: &str) -> Cow<'_, str> {
    match id(text) {
        Cow::Borrowed(text) if !text.bytes().any(|byte| byte.is_ascii_uppercase()) => text.into(),
        text => folded(&text).into(),
    }
}

/// Whether two ids are the same person's.
pub fn is_same_person(one: &str, other: &str) -> bool {
    one == other || person(one) == person(other)
}

/// The spelling of a tenant's id.
pub fn tenant(text: &str) -> Cow<'_, str> {
    id(text)
}

/// The spelling of a trip's id.
pub fn trip(text: &str) -> Cow<'_, str> {
    id(text)
}

/// The spelling of the name of a table's column.
pub fn column(text: &str) -> Cow<'_, str> {
    plain(text)
}

/// The spelling that ids have in common: plain, with digits of any script from 0 to 9. Words keep
/// their digits, because some look like letters.
fn id(text: &str) -> Cow<'_, str> {
    match plain(text) {
        Cow::Owned(text) => text.chars().map(|c| digit(c).unwrap_or(c)).collect(),
        text => text,
    }
}

/// Whether a text shows anything at all: a text of blanks and invisible characters does not.
pub fn is_visible(text: &str) -> bool {
    !plain(text).is_empty()
}

/// The words of a text in folded case, without punctuation. An apostrophe inside a word is dropped,
/// so "Joe's" is "joes", and a combining mark belongs to its word.
pub fn words(text: &str) -> Vec<String> {
    let words = raw_words(text).into_iter().map(|word| folded(&word));
    // Folding drops letters that only stretch a word, and may leave nothing but their marks.
    words.filter_map(|word| word_in(&word)).collect()
}

/// The words of a text, each with the bytes of the text in which it stands. If parts of the text do
/// not have the words of the whole, each word stands in all of it.
pub fn placed_words(text: &str) -> Vec<(String, Range<usize>)> {
    let is_in_word = |c: char| {
        c.is_alphanumeric() || is_combining_mark(c) || is_invisible(c) || APOSTROPHES.contains(&c)
    };
    let mut placed: Vec<(String, Range<usize>)> = Vec::new();
    let mut end = 0;
    while let Some(offset) = text[end..].find(is_in_word) {
        let start = end + offset;
        let n_bytes = text[start..].find(|c| !is_in_word(c));
        end = n_bytes.map_or(text.len(), |n_bytes| start + n_bytes);
        let words = words(&text[start..end]).into_iter();
        placed.extend(words.map(|word| (word, start..end)));
    }
    let all = words(text);
    match placed.iter().map(|(word, _)| word).eq(&all) {
        true => placed,
        false => all.into_iter().map(|word| (word, 0..text.len())).collect(),
    }
}

/// The words of a text in the case they were written in.
fn raw_words(text: &str) -> Vec<String> {
    plain(text)
        .replace('\'', "")
        .split(|c: char| !c.is_alphanumeric() && !is_combining_mark(c))
        .filter_map(word_in)
        .collect()
}

/// The word without marks at its beginning, which have no letter that they could belong to.
fn word_in(text: &str) -> Option<String> {
    let word = text.trim_start_matches(is_combining_mark);
    word.contains(char::is_alphanumeric)
        .then(|| word.to_owned())
}

/// A text in its compatibility form, without invisible characters, with plain apostrophes, quotes
/// and hyphens, one blank between words and none at either end.
fn plain(text: &str) -> Cow<'_, str> {
    if text.is_ascii() && !text.contains('`') {
        return single_blanks(text);
    }
    let visible = text.chars().filter(|c| !is_invisible(*c));
    let compatible: String = visible.nfkc().map(plain_punctuation).collect();
    let mut plain = single_blanks(&compatible).into_owned();
    // The compatibility form of an accent without a letter, typed as an apostrophe.
    for accent in [" \u{301}", " \u{313}", " \u{314}"] {
        plain = plain.replace(accent, "'");
    }
    plain.into()
}

fn plain_punctuation(c: char) -> char {
    match c {
        c if APOSTROPHES.contains(&c) => '\'',
        c if HYPHENS.contains(&c) => '-',
        '\u{201c}'..='\u{201f}' => '"',
        c => c,
    }
}

fn single_blanks(text: &str) -> Cow<'_, str> {
    let is_single = text.trim() == text
        && !text.contains("  ")
        && !text.contains(|c: char| is_blank(c) && c != ' ');
    if is_single {
        return text.into();
    }
    let words = text.split(is_blank).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").into()
}

/// The empty pattern of Braille is not white space in Unicode, but shows as a blank.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\u{2800}'
}

/// A text in folded case: "Straße" and "STRASSE" are the same. It is decomposed before, as Unicode
/// requires, because a mark can have a case of its own, and composed again afterwards.
///
/// An "i" is the same with and without its dot: languages disagree about the capitals of the two,
/// so a name in Turkish capitals would not be found otherwise. A comma below a letter is the same
/// as a cedilla: old fonts of Romanian have only the cedilla.
fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let decomposed: String = text
        .nfkd()
        .filter(|c| !STRETCHES.contains(c))
        .map(|c| if c == '\u{326}' { '\u{327}' } else { c })
        .collect();
    let mut letter = ' ';
    let mut with_plain_i = UniCase::unicode(decomposed)
        .to_folded_case()
        .replace('ı', "i");
    with_plain_i.retain(|c| {
        if !is_combining_mark(c) {
            letter = c;
        }
        (letter, c) != ('i', '\u{307}')
    });
    with_plain_i.nfkc().collect()
}

/// Whether a character shows nothing: it is ignorable by default in Unicode (joiners, fillers,
/// marks of the writing direction, variation selectors, tags), or an annotation sign. A test
/// compares the list with Unicode's.
pub fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}
