//! Redaction: finds personal data and secrets in any text and replaces them by their kind, such as
//! `[CARD]`. Every text that leaves the service in a span, log, problem or prompt passes through
//! [`redact`]. `fold` normalises a text before it is searched, `numbers` and `words` hold the
//! detectors, and [`pseudonym`] replaces user ids that must stay searchable.
//!
//! Every search takes time linear in the length of the text and fails closed: a text that cannot be
//! searched is withheld. Hand-written because no crate finds these data *inside* a text in linear
//! time: `card-validate` and `iban_validate`, for example, check one whole number only.

mod fold;
mod numbers;
pub mod pseudonym;
mod words;

use std::borrow::Cow;
use std::ops::Range;
use std::panic::catch_unwind;
use std::sync::LazyLock;

use regex::{Regex, RegexSet};

use fold::{Escapes, Folded};

/// The replacement of a text that could not be searched.
pub const WITHHELD: &str = "[WITHHELD]";
/// The longest text that is searched; prompts and log lines are far shorter.
const MAX_BYTES: usize = 1 << 20;
/// How often a text is searched at most. A replacement can make something beside it detectable, but
/// hardly more than once; a text for which this never ends is withheld.
const MAX_ROUNDS: usize = 8;
/// The fewest digits of a card number, an IBAN, a phone number or a social-security number.
const MIN_DIGITS: usize = 7;

/// What a detector looks for; converts into its replacement.
#[derive(Clone, Copy, Debug, strum::IntoStaticStr)]
enum Kind {
    /// An e-mail address.
    #[strum(to_string = "[EMAIL]")]
    Email,
    /// The number of a payment card.
    #[strum(to_string = "[CARD]")]
    Card,
    /// An international bank account number.
    #[strum(to_string = "[IBAN]")]
    Iban,
    /// A telephone number.
    #[strum(to_string = "[PHONE]")]
    Phone,
    /// A social-security number of the United States.
    #[strum(to_string = "[SSN]")]
    Ssn,
    /// A key, a token or a password.
    #[strum(to_string = "[SECRET]")]
    Secret,
}

/// Something that must not leave the service, and its place in the text.
#[derive(Clone, Debug)]
struct Detection {
    kind: Kind,
    range: Range<usize>,
}

/// Detects data of one kind: a pattern, which is matched in linear time, and a check of its matches.
struct Detector {
    kind: Kind,
    /// The data are the group `v` if there is one, otherwise the whole match.
    pattern: &'static str,
    /// Checks what patterns cannot, such as checksums, and returns the part of the match that counts.
    accept: fn(&str, Range<usize>) -> Option<Range<usize>>,
}

static DETECTORS: LazyLock<Vec<(Regex, &'static Detector)>> = LazyLock::new(|| {
    let compiled = |detector: &'static Detector| {
        (
            Regex::new(detector.pattern).expect("patterns are constants, and tests use them"),
            detector,
        )
    };
    numbers::DETECTORS
        .iter()
        .chain(&words::DETECTORS)
        .map(compiled)
        .collect()
});

/// All patterns at once, because most texts that are searched match none of them.
static ALL_PATTERNS: LazyLock<RegexSet> = LazyLock::new(|| {
    let patterns = DETECTORS.iter().map(|(_, detector)| detector.pattern);
    RegexSet::new(patterns).expect("patterns are constants, and tests use them")
});

/// Replaces personal data and secrets in a text by their kind. Returns [`WITHHELD`] when the text
/// cannot be searched, and borrows the text when there is nothing to replace.
pub fn redact(text: &str) -> Cow<'_, str> {
    let is_short = text.len() <= MAX_BYTES;
    if is_short && (!may_be_sensitive(text) || numbers::is_id(text)) {
        return text.into();
    }
    // When the search panics or does not end, the text is withheld.
    let searched = if is_short {
        catch_unwind(|| search(text)).ok().flatten()
    } else {
        None
    };
    searched.unwrap_or_else(|| WITHHELD.to_owned().into())
}

/// A cheap test of the bytes, because most texts are short words and numbers in which nothing can be
/// detected. It may be true of a harmless text, but is never false of a sensitive one.
fn may_be_sensitive(text: &str) -> bool {
    let (mut n_digits, mut n_unbroken, mut has_digit) = (0, 0, false);
    text.bytes().any(|byte| {
        match byte {
            b'0'..=b'9' => {
                n_digits += 1;
                n_unbroken += 1;
                has_digit = true;
            }
            b'\t' | b'\n' | b'\r' | b' ' => (n_unbroken, has_digit) = (0, false),
            // An e-mail address, an escape sequence, or a look-alike character.
            b'@' | b'%' | b'\\' | 0x1b | 0x80.. => return true,
            _ => n_unbroken += 1,
        }
        n_digits >= MIN_DIGITS
            || n_unbroken >= words::MIN_WORD
            || (has_digit && n_unbroken >= words::MIN_MIXED_WORD)
    })
}

/// Searches and replaces until nothing is detected any more, so that redacting the result again
/// does not change it. `None` when that takes too many rounds.
fn search(text: &str) -> Option<Cow<'_, str>> {
    let mut current = Cow::Borrowed(text);
    for _ in 0..MAX_ROUNDS {
        let detections = detections(&current);
        if detections.is_empty() {
            return Some(current);
        }
        current = replaced(&current, detections).into();
    }
    None
}

/// Everything detected in a text, searched both as written and with its escapes decoded: data can be
/// hidden from either search alone.
fn detections(text: &str) -> Vec<Detection> {
    let mut found = Vec::new();
    let escapes: &[Escapes] = match Escapes::are_in(text) {
        true => &[Escapes::Kept, Escapes::Decoded],
        false => &[Escapes::Kept],
    };
    for escapes in escapes {
        let folded = Folded::new(text, *escapes);
        found.extend(detected_in(&folded.text).into_iter().map(|detection| {
            let range = folded.range_of(detection.range);
            Detection { range, ..detection }
        }));
    }
    found
}

fn detected_in(text: &str) -> Vec<Detection> {
    let mut found: Vec<Detection> = words::emails(text)
        .map(|range| Detection {
            kind: Kind::Email,
            range,
        })
        .collect();
    // Testing whether any pattern matches costs a third of finding out which ones do.
    let matches = if ALL_PATTERNS.is_match(text) {
        Some(ALL_PATTERNS.matches(text))
    } else {
        None
    };
    for matched in matches.iter().flatten() {
        let (pattern, detector) = &DETECTORS[matched];
        let mut at = 0;
        while let Some(captures) = pattern.captures_at(text, at) {
            let whole = captures.get_match();
            let range = captures.name("v").unwrap_or(whole).range();
            let accepted = (detector.accept)(text, range);
            at = accepted
                .as_ref()
                .map_or_else(|| after_first_word(text, whole.start()), |range| range.end);
            found.extend(accepted.map(|range| Detection {
                kind: detector.kind,
                range,
            }));
        }
    }
    found
}

/// Where the search continues after a match that was not accepted: at the second word of the match,
/// because another match may begin inside it.
fn after_first_word(text: &str, start: usize) -> usize {
    let word = text.as_bytes()[start..]
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric())
        .count();
    text.ceil_char_boundary(start + word.max(1))
}

/// The text with its detections replaced. Overlapping detections are replaced by the kind of the one
/// that begins first; of several that begin there, by the kind of the longest.
fn replaced(text: &str, mut detections: Vec<Detection>) -> String {
    detections.sort_by_key(|found| (found.range.start, usize::MAX - found.range.end));
    let mut redacted = String::with_capacity(text.len());
    let mut end = 0;
    for Detection { kind, range } in detections {
        if range.start >= end {
            redacted.push_str(&text[end..range.start]);
            redacted.push_str(kind.into());
        }
        end = end.max(range.end);
    }
    redacted.push_str(&text[end..]);
    redacted
}
