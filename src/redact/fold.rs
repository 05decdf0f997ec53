//! Normalises a text before it is searched. Look-alike characters are replaced one for one by the
//! ASCII character that they look like, so that every match can be mapped back to its place:
//! full-width, mathematical, superscript and circled letters and digits (by their compatibility
//! form), the digits of every script, and all kinds of blanks, dashes and dots.
//! Invisible characters are dropped. Escapes (`\u0040`, `\n`, `%40`, terminal colours) can be decoded,
//! however often they are nested. Letters that only resemble others, such as Cyrillic ones, are left
//! as they are.

use std::borrow::Cow;
use std::ops::Range;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::spelling::digit::digit;
use crate::spelling::is_invisible;

/// How escapes are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escapes {
    /// They are left as they are written.
    Kept,
    /// They are replaced by the characters that they represent.
    Decoded,
}

impl Escapes {
    /// Whether a text may contain escapes. Looks at bytes, because most texts that are searched have
    /// none, and looking at characters takes several times as long.
    pub(super) fn are_in(text: &str) -> bool {
        text.bytes().any(|byte| matches!(byte, b'\\' | b'%' | 0x1b))
    }
}

/// A normalised text.
pub(super) struct Folded<'a> {
    /// The text to search.
    pub(super) text: Cow<'a, str>,
    /// The offset in the source of each byte of the text, and the length of the source; empty when
    /// the text is the source itself.
    origins: Vec<usize>,
}

impl<'a> Folded<'a> {
    /// Normalises a text.
    pub(super) fn new(source: &'a str, escapes: Escapes) -> Self {
        if source.is_ascii() && escapes == Escapes::Kept {
            return Self {
                text: source.into(),
                origins: Vec::new(),
            };
        }
        let (mut text, mut origins) = (
            String::with_capacity(source.len()),
            Vec::with_capacity(source.len() + 1),
        );
        let mut at = 0;
        while let Some(c) = source[at..].chars().next() {
            let escape = if escapes == Escapes::Decoded {
                decode(&source[at..])
            } else {
                None
            };
            let (c, n_bytes) = escape.unwrap_or((Some(c), c.len_utf8()));
            if let Some(c) = c.and_then(fold) {
                text.push(c);
                origins.resize(text.len(), at);
            }
            at += n_bytes;
        }
        origins.push(source.len());
        Self {
            text: text.into(),
            origins,
        }
    }

    /// The range of the source from which a range of the text was made.
    pub(super) fn range_of(&self, range: Range<usize>) -> Range<usize> {
        if self.origins.is_empty() {
            range
        } else {
            self.origins[range.start]..self.origins[range.end]
        }
    }
}

/// The character that a character looks like; `None` when it is invisible.
fn fold(c: char) -> Option<char> {
    if c.is_ascii() {
        return Some(c);
    }
    match c {
        c if is_invisible(c) || is_combining_mark(c) => None,
        c if c.is_whitespace() => Some(' '),
        '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}' | '\u{2796}' | '\u{fe58}' => Some('-'),
        '·' | '•' | '‧' | '∙' | '⋅' | '。' | '｡' | '・' | '･' => Some('.'),
        c => digit(c).or_else(|| compatible(c)).or(Some(c)),
    }
}

/// The compatibility form of a character, if that is a single ASCII character.
fn compatible(c: char) -> Option<char> {
    let mut forms = std::iter::once(c).nfkc();
    forms
        .next()
        .filter(|form| form.is_ascii() && forms.next().is_none())
}

/// The character that the escape at the start of a text represents (none for terminal colours), and
/// the length of the escape; `None` when the text does not start with an escape.
fn decode(text: &str) -> Option<(Option<char>, usize)> {
    let bytes = text.as_bytes();
    match bytes[0] {
        b'\\' => {
            // Any number of backslashes: JSON inside JSON doubles them.
            let n_slashes = bytes.iter().take_while(|byte| **byte == b'\\').count();
            let (c, n_bytes) = match bytes.get(n_slashes) {
                Some(b'n' | b'r' | b't' | b'f' | b'b') => (' ', 1),
                Some(b'u') => {
                    let digits = text.get(n_slashes + 1..n_slashes + 5);
                    let unit = digits
                        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
                        .and_then(char::from_u32);
                    unit.map_or(('\\', 0), |c| (c, 5))
                }
                _ => ('\\', 0),
            };
            Some((Some(c), n_slashes + n_bytes))
        }
        b'%' => {
            // The percent sign may be encoded itself: %2540.
            let n_nested = bytes[1..]
                .chunks_exact(2)
                .take_while(|pair| *pair == b"25")
                .count();
            let encoded = &bytes[1 + n_nested * 2..];
            let byte = |n: usize| {
                let escape = encoded.get((n * 3).saturating_sub(1)..n * 3 + 2)?;
                let digits = if n == 0 {
                    escape
                } else {
                    escape.strip_prefix(b"%")?
                };
                u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
            };
            let decoded: Vec<u8> = (0..4).map_while(byte).collect();
            let c = (1..=decoded.len())
                .find_map(|n| std::str::from_utf8(&decoded[..n]).ok()?.chars().next())?;
            Some((Some(c), 1 + n_nested * 2 + c.len_utf8() * 3 - 1))
        }
        0x1b if bytes.get(1) == Some(&b'[') => {
            let n_bytes = 2 + bytes[2..]
                .iter()
                .take_while(|byte| matches!(byte, b'0'..=b'9' | b';'))
                .count();
            // A byte that cannot end the escape is not part of it; it may be the first byte of a
            // longer character.
            let has_end = bytes
                .get(n_bytes)
                .is_some_and(|byte| matches!(byte, b'@'..=b'~'));
            Some((None, n_bytes + usize::from(has_end)))
        }
        _ => None,
    }
}
