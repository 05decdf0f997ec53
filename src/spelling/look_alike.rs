//! Letters of other alphabets that look like Latin ones: a Cyrillic "С" in "Сasino". They count as
//! the Latin letters where someone could gain from the difference: for merchants that are blocked,
//! for duplicates, and for purchases that are split. Which characters look alike is Unicode's list of
//! confusables ([UTS 39](https://www.unicode.org/reports/tr39/#Confusable_Detection)).
//!
//! The skeleton of that report is not used as it is: in it "m" is "rn" and "1" is "l", so a phrase
//! such as "bam*" would block "Barnes". ASCII characters stay what they are here, and other characters
//! count as a letter only if they look like a single one.

use unicode_normalization::UnicodeNormalization;
use unicode_security::skeleton;

use super::{folded, raw_words, words};

/// The words of a text, like [`words`], with look-alike letters replaced. The same in capitals and in
/// small letters.
pub fn look_alike_words(text: &str) -> Vec<String> {
    match text.is_ascii() {
        true => words(text),
        false => raw_words(text)
            .iter()
            .map(|word| undisguised(word))
            .collect(),
    }
}

/// All readings of a text in which a merchant's name may be hidden; the first one is what was
/// written.
pub fn readings(text: &str) -> Vec<Vec<String>> {
    let mut readings = vec![words(text)];
    if text.is_ascii() {
        return readings;
    }
    let letter_by_letter = raw_words(text).iter().map(|word| latin(word)).collect();
    for reading in [look_alike_words(text), letter_by_letter] {
        if !readings.contains(&reading) {
            readings.push(reading);
        }
    }
    readings
}

/// A word with its look-alike letters replaced.
///
/// A word with a Latin letter is read as Latin, letter by letter, as it looks. A word without one
/// may really be Greek or Russian, and its reading must not depend on its case, although small and
/// capital letters look like different Latin ones (Greek "ν" like "v", "Ν" like "N"). It is read in
/// capitals if all of them look Latin, otherwise in small letters.
fn undisguised(word: &str) -> String {
    if word.contains(|c: char| c.is_ascii_alphabetic()) {
        return latin(word);
    }
    let small = folded(word);
    let capitals = latin(&small.to_uppercase());
    match capitals.is_ascii() {
        true => capitals,
        false => latin(&small),
    }
}

/// A word read letter by letter, in folded case. Decomposed for that, so that an accent does not
/// hide a letter.
fn latin(word: &str) -> String {
    let letters: String = word.nfkd().map(latin_letter).collect();
    folded(&letters)
}

/// The Latin letter that a character looks like, in either case; the character itself if there is
/// none.
fn latin_letter(c: char) -> char {
    if c.is_ascii() {
        return c;
    }
    let other_case = if c.is_uppercase() {
        only(c.to_lowercase())
    } else {
        only(c.to_uppercase())
    };
    let letter = looks_like(c).or_else(|| looks_like(other_case?));
    letter.unwrap_or(c)
}

/// The single ASCII letter that a character looks like.
fn looks_like(c: char) -> Option<char> {
    let mut text = [0; 4];
    let prototype: String = skeleton(c.encode_utf8(&mut text)).collect();
    match prototype.as_str() {
        // UTS 39 writes "m" as "rn", and every upright stroke as "l". A capital one is an "I".
        "rn" => Some('m'),
        "l" if c.is_uppercase() => Some('i'),
        _ => only(prototype.chars()).filter(char::is_ascii_alphabetic),
    }
}

/// The only item of an iterator.
fn only(mut chars: impl Iterator<Item = char>) -> Option<char> {
    chars.next().filter(|_| chars.next().is_none())
}
