//! Letters that look like Latin ones: a Cyrillic "С" in "Сasino". They count as the Latin letters
//! where someone could gain from the difference: for merchants that are blocked, for duplicates,
//! and for purchases that are split. Look-alikes are the characters on Unicode's list of
//! confusables ([UTS 39](https://www.unicode.org/reports/tr39/#Confusable_Detection)), and also
//! small capitals and letters in circles and squares, which are not on that list. Marks that cross
//! letters out, underline or enclose them are ignored.
//!
//! The skeletons of that report are not compared as they are: in them "m" is "rn" and "1" is "l",
//! so a phrase such as "bam*" would block "Barnes". Here ASCII characters stay as they are, and
//! another character counts as a letter only if it looks like a single one.

use unicode_normalization::UnicodeNormalization;
use unicode_security::skeleton;

use super::{folded, raw_words, words};

/// The small capitals from A to Z. Unicode has none of X, so a plain "x" keeps the place of it.
const SMALL_CAPITALS: &str = "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡxʏᴢ";

/// The first letters of the alphabets in parentheses, circles and squares. Other enclosed alphabets
/// are not listed, because plain letters are their compatibility form. Nor are the letters that
/// flags consist of: a flag beside a name is not a part of it.
const ENCLOSED: [char; 4] = ['\u{249c}', '\u{1f110}', '\u{1f150}', '\u{1f170}'];

/// The words of a text, like [`words`], with look-alike letters replaced. Whether the text is in
/// capitals or in small letters makes no difference.
pub fn look_alike_words(text: &str) -> Vec<String> {
    match text.is_ascii() {
        true => words(text),
        false => read_each(&raw_words(&undecorated(text)), undisguised),
    }
}

/// All readings of a text in which a merchant's name may be hidden; the first one is the text as it
/// was written.
pub fn readings(text: &str) -> Vec<Vec<String>> {
    let mut readings = vec![words(text)];
    if text.is_ascii() {
        return readings;
    }
    let raw = raw_words(&undecorated(text));
    for reading in [
        read_each(&raw, undisguised),
        read_each(&raw, |word| latin(word, Some('i'))),
        read_each(&raw, |word| latin(word, Some('l'))),
    ] {
        if !readings.contains(&reading) {
            readings.push(reading);
        }
    }
    readings
}

/// Reads each word, and drops the words of which nothing is left.
fn read_each(words: &[String], read: impl Fn(&str) -> String) -> Vec<String> {
    let read = words.iter().map(|word| read(word));
    read.filter(|word| !word.is_empty()).collect()
}

/// A text with plain letters in place of decorated ones. This precedes the compatibility form,
/// which would separate a letter in parentheses from its word, and turn the lunate sigma, which
/// looks like a "c", into a usual sigma.
fn undecorated(text: &str) -> String {
    let letters = text.chars().filter(|c| !is_decoration(*c));
    letters
        .map(|c| match c {
            c if c.is_ascii() => c,
            '\u{3f2}' | '\u{3f9}' => 'c',
            c => of_alphabet(c).unwrap_or(c),
        })
        .collect()
}

/// Whether a combining mark is drawn across, under or around letters, and belongs to none.
fn is_decoration(c: char) -> bool {
    matches!(
        c,
        '\u{305}'
            | '\u{332}'..='\u{338}'
            | '\u{33f}'
            | '\u{35c}'..='\u{362}'
            | '\u{488}'..='\u{489}'
            | '\u{20d0}'..='\u{20f0}'
    )
}

/// The plain letter of a small capital or an enclosed letter.
fn of_alphabet(c: char) -> Option<char> {
    let place = |first: char| {
        let place = u32::from(c).checked_sub(u32::from(first))?;
        usize::try_from(place).ok().filter(|place| *place < 26)
    };
    let small_capital = SMALL_CAPITALS.chars().position(|letter| letter == c);
    let place = small_capital.or_else(|| ENCLOSED.into_iter().find_map(place))?;
    ('a'..='z').nth(place)
}

/// A word with its look-alike letters replaced.
///
/// A word with a Latin letter is read as Latin, letter by letter, as it looks. A word without one
/// may really be Greek or Russian, and its reading must not depend on its case, although small and
/// capital letters look like different Latin ones (Greek "ν" like "v", "Ν" like "N"). It is read in
/// capitals if all of them look Latin, otherwise in small letters.
fn undisguised(word: &str) -> String {
    if word.contains(|c: char| c.is_ascii_alphabetic()) {
        return latin(word, None);
    }
    let small = folded(word);
    let capitals = latin(&small.to_uppercase(), None);
    match capitals.is_ascii() {
        true => capitals,
        false => latin(&small, None),
    }
}

/// A word read letter by letter, in folded case. It is decomposed first, so that an accent does not
/// hide a letter. An upright stroke of another alphabet is read as `stroke`; if that is `None`, its
/// case decides between "i" and "l".
fn latin(word: &str, stroke: Option<char>) -> String {
    let letters: String = word.nfkd().map(|c| latin_letter(c, stroke)).collect();
    folded(&letters)
}

/// The Latin letter that a character looks like, in either case; the character itself if there is
/// none.
fn latin_letter(c: char, stroke: Option<char>) -> char {
    if c.is_ascii() {
        return c;
    }
    let other_case = if c.is_uppercase() {
        only(c.to_lowercase())
    } else {
        only(c.to_uppercase())
    };
    let letter = looks_like(c, stroke).or_else(|| looks_like(other_case?, stroke));
    letter.unwrap_or(c)
}

/// The single ASCII letter that a character looks like.
fn looks_like(c: char, stroke: Option<char>) -> Option<char> {
    let mut text = [0; 4];
    let prototype: String = skeleton(c.encode_utf8(&mut text)).collect();
    match prototype.as_str() {
        // UTS 39 writes "m" as "rn", and every upright stroke as "l". A stroke that is not a small
        // letter is more likely an "I".
        "rn" => Some('m'),
        "l" => stroke.or(Some(if c.is_lowercase() { 'l' } else { 'i' })),
        _ => only(prototype.chars()).filter(char::is_ascii_alphabetic),
    }
}

/// The only item of an iterator.
fn only(mut chars: impl Iterator<Item = char>) -> Option<char> {
    chars.next().filter(|_| chars.next().is_none())
}
