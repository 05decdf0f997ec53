//! Detectors of payment cards, bank accounts, social-security numbers and phone numbers. Each needs
//! more than a number of digits (a checksum, an issuer, a format), so that amounts, dates, merchant
//! category codes and ids are left as they are.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::{Detector, Kind, MIN_DIGITS};

/// The most digits of a card number.
const MAX_CARD_DIGITS: usize = 19;
/// The most blanks and dashes between two groups of digits.
const MAX_GAP: usize = 3;

/// Detectors of numbers.
pub(super) static DETECTORS: [Detector; 9] = [
    Detector {
        kind: Kind::Card,
        pattern: CARD,
        accept: card,
    },
    Detector {
        kind: Kind::Iban,
        pattern: IBAN,
        accept: iban,
    },
    Detector {
        kind: Kind::Ssn,
        pattern: SSN,
        accept: social_security,
    },
    Detector {
        kind: Kind::Ssn,
        pattern: NAMED_SSN,
        accept: |_, range| Some(range),
    },
    Detector {
        kind: Kind::Phone,
        pattern: INTERNATIONAL,
        accept: international,
    },
    Detector {
        kind: Kind::Phone,
        pattern: NORTH_AMERICAN,
        accept: whole,
    },
    Detector {
        kind: Kind::Phone,
        pattern: NATIONAL,
        accept: national,
    },
    Detector {
        kind: Kind::Phone,
        pattern: IN_PAIRS,
        accept: whole,
    },
    Detector {
        kind: Kind::Phone,
        pattern: NAMED_PHONE,
        accept: named_phone,
    },
];

/// The first digits of anything that may be a card number; [`card`] finds its end.
const CARD: &str = r"[0-9](?:[\s.-]{0,3}[0-9]){12}";
const IBAN: &str = r"(?i)(?-u:\b)[a-z]{2}[\s-]{0,2}[0-9]{2}(?:[\s-]{0,2}[a-z0-9]){11}";
const SSN: &str = r"(?-u:\b)[0-9]{3}[-. ][0-9]{2}[-. ][0-9]{4}(?-u:\b)";
const NAMED_SSN: &str =
    r"(?i)(?:(?-u:\b)ssn|social[ -]security)[^0-9]{0,16}(?P<v>[0-9]{9})(?-u:\b)";
const INTERNATIONAL: &str = r"(?:\+[ ]?\(?|(?-u:\b)00)[1-9](?:[ ()./-]{0,3}[0-9]){7,14}(?-u:\b)";
const NORTH_AMERICAN: &str = r"(?:(?-u:\b)1[ .-])?(?:\([2-9][0-9]{2}\)[ -]?|(?-u:\b)[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}(?-u:\b)";
/// National numbers with the trunk prefix 0, as in most of Europe: one long number, or groups after
/// an area code.
const NATIONAL: &str =
    r"(?-u:\b)0[1-9](?:[0-9]{8,9}|[0-9]{1,3}\)?(?:[ /.-]{1,2}[0-9]{2,8}){1,3})(?-u:\b)";
const IN_PAIRS: &str = r"(?-u:\b)0[1-9](?:[ .-][0-9]{2}){4}(?-u:\b)";
const NAMED_PHONE: &str = r"(?ix)(?-u:\b)(?:tel|telephone|phone|mobile|mob|cell|fax|call|text|sms|whatsapp|ph)
    (?:\.|:|\#|=|\x20|no|number|at|on){0,6}
    (?P<v>\+?[0-9(](?:[\x20()-]{0,2}[0-9]){6,14})(?-u:\b)";

/// Ids as this service and its traces use them: UUIDs, and 16, 32, 40 or 64 hex digits.
static ID: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?xi-u)\b(?: [0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}
        | [0-9a-f]{64} | [0-9a-f]{40} | [0-9a-f]{32} | [0-9a-f]{16} )\b";
    Regex::new(pattern).expect("the pattern is a constant, and tests use it")
});
/// Characters of the longest id.
const MAX_ID: usize = 64;

/// Whether a text is nothing but an id, which needs no search: a UUID, a trace id or a hash. An id of
/// 16 hex digits is searched all the same, because it may be a bank account.
pub(super) fn is_id(text: &str) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let has_shape = match text.len() {
        36 => text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => is_hex(byte),
        }),
        32 | 64 => text.bytes().all(is_hex),
        _ => false,
    };
    has_shape && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// The id that a number is part of. An id contains at least one letter.
fn id_around(text: &str, range: &Range<usize>) -> Option<Range<usize>> {
    // Searches only as far as an id around the number could extend, because a long text may be full
    // of numbers.
    let text = &text[..text.ceil_char_boundary(range.end + MAX_ID + 1)];
    let mut at = text.floor_char_boundary(range.start.saturating_sub(MAX_ID));
    while let Some(id) = ID.find_at(text, at).filter(|id| id.start() < range.end) {
        if id.end() > range.start && id.as_str().contains(|c: char| c.is_ascii_alphabetic()) {
            return Some(id.range());
        }
        at = id.end();
    }
    None
}

/// Whether the number continues on either side, as in a decimal, a date or a longer id:
/// `12.123-45-6789`.
fn continues(text: &str, range: &Range<usize>) -> bool {
    let is_joint = |byte: Option<&u8>| byte.is_some_and(|byte| b"-./".contains(byte));
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let (before, after) = (
        &text.as_bytes()[..range.start],
        &text.as_bytes()[range.end..],
    );
    (is_joint(before.last()) && is_digit(before.iter().nth_back(1)))
        || (is_joint(after.first()) && is_digit(after.get(1)))
}

/// Accepts a number that is not part of a longer number or of an id.
fn whole(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    (!continues(text, &range) && id_around(text, &range).is_none()).then_some(range)
}

fn digits(text: &str) -> impl Iterator<Item = u32> {
    text.chars().filter_map(|c| c.to_digit(10))
}

/// The longest card number that begins at the start of the range and ends with a group of digits.
/// Letters beside it do not matter: thirteen digits that match an issuer and have a valid checksum
/// hardly occur except in hex ids.
fn card(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mut number = Vec::with_capacity(MAX_CARD_DIGITS);
    let (mut n_in_group, mut n_in_gap, mut has_dots, mut end) = (0, 0, None, None);
    for (at, byte) in bytes.iter().enumerate().skip(range.start) {
        match byte {
            b'0'..=b'9' if number.len() < MAX_CARD_DIGITS => {
                number.push(u32::from(byte - b'0'));
                (n_in_group, n_in_gap) = (n_in_group + 1, 0);
                let continues = bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
                // `445401822795 4.00` and `4454018227.95` contain amounts.
                let is_amount =
                    n_in_group < 4 && (has_dots == Some(true) || is_decimal(&bytes[at + 1..]));
                if !continues && !is_amount && is_card(&number) {
                    end = Some(at + 1);
                }
            }
            // Either dots or other separators: a list of amounts mixes them.
            b' ' | b'\t' | b'\r' | b'\n' | b'-' | b'.'
                if n_in_gap < MAX_GAP
                    && *has_dots.get_or_insert(*byte == b'.') == (*byte == b'.') =>
            {
                (n_in_group, n_in_gap) = (0, n_in_gap + 1);
            }
            _ => break,
        }
    }
    let range = range.start..end?;
    (id_around(text, &range).is_none()).then_some(range)
}

/// Whether an issuer uses such numbers, and the checksum of
/// [ISO/IEC 7812](https://www.iso.org/standard/70484.html) is valid.
fn is_card(number: &[u32]) -> bool {
    let prefix = number
        .iter()
        .take(4)
        .fold(0, |prefix, digit| prefix * 10 + digit);
    let has_length = match prefix {
        3400..=3499 | 3700..=3799 => number.len() == 15,
        3528..=3589 | 8100..=8299 => (16..=19).contains(&number.len()),
        3000..=3059 | 3095 | 3600..=3699 | 3800..=3999 => (14..=19).contains(&number.len()),
        4000..=4999 => matches!(number.len(), 13 | 16 | 19),
        5100..=5599 | 2200..=2204 | 2221..=2720 | 9792 => number.len() == 16,
        5000..=5099 | 5600..=5899 | 6000..=6999 => (13..=19).contains(&number.len()),
        _ => false,
    };
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let weigh = |(n, digit): (usize, &u32)| if n % 2 == 1 { doubled(*digit) } else { *digit };
    has_length && number.iter().rev().enumerate().map(weigh).sum::<u32>() % 10 == 0
}

/// Countries and the lengths of their account numbers, from the
/// [registry](https://www.swift.com/standards/data-standards/iban-international-bank-account-number).
const IBAN_LENGTHS: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29\
    ES24FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25\
    MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25\
    SV28TL23TN24TR26UA29VA22VG24XK20YE30";

/// The bank account number that begins at the start of the range, if it has the length of its
/// country and a valid checksum (mod 97).
fn iban(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let rest = &text[range.start..];
    let country = rest.get(..2)?.to_ascii_uppercase();
    let entry = IBAN_LENGTHS
        .as_bytes()
        .chunks_exact(4)
        .find(|entry| entry.starts_with(country.as_bytes()))?;
    let length = usize::from(entry[2] - b'0') * 10 + usize::from(entry[3] - b'0');
    let (mut number, mut gap, mut end) = (Vec::with_capacity(length), 0, 0);
    for (at, c) in rest.char_indices() {
        match c {
            c if c.is_ascii_alphanumeric() && number.len() < length => {
                number.push(c.to_digit(36)?);
                (gap, end) = (0, at + 1);
            }
            ' ' | '-' | '\t' | '\r' | '\n' if gap < MAX_GAP && number.len() < length => gap += 1,
            _ => break,
        }
    }
    let is_whole =
        number.len() == length && !rest[end..].starts_with(|c: char| c.is_ascii_alphanumeric());
    let n_digits = number.iter().filter(|value| **value < 10).count();
    let range = range.start..range.start + end;
    // Some Belgian account numbers look like an id: sixteen hex digits.
    let is_in_id = || id_around(text, &range).is_some_and(|id| id != range);
    let is_valid = is_whole && n_digits >= MIN_DIGITS && remainder(&number) == 1;
    (is_valid && !is_in_id()).then_some(range)
}

/// The checksum of [ISO 13616](https://www.iso.org/standard/81090.html): the first four characters
/// move to the end, letters count as two digits, and the result is taken modulo 97.
fn remainder(number: &[u32]) -> u32 {
    let (front, back) = number.split_at(4);
    let shift = |value: u32| if value < 10 { 10 } else { 100 };
    back.iter().chain(front).fold(0, |remainder, value| {
        (remainder * shift(*value) + value) % 97
    })
}

/// Three, two and four digits with the same separator between them. Numbers that are never assigned
/// do not count.
fn social_security(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let number = &text[range.clone()];
    let is_assigned =
        !number.starts_with("000") && !number.starts_with("666") && &number[4..6] != "00";
    let has_one_separator = number.as_bytes()[3] == number.as_bytes()[6];
    (is_assigned && has_one_separator && !number.ends_with("0000"))
        .then(|| whole(text, range))
        .flatten()
}

fn international(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    // `3+12345678` is a sum, and `1.0012345678` is a decimal.
    let is_part =
        text[..range.start].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '.' || c == ',');
    (!is_part).then(|| without_amount(text, range)).flatten()
}

fn named_phone(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let number = &text.as_bytes()[range.clone()];
    // `call 2026-03-14` contains a date.
    let is_date =
        number.get(4) == Some(&b'-') && number.get(7) == Some(&b'-') && number.len() >= 10;
    (!is_date).then(|| without_amount(text, range)).flatten()
}

/// The range without its last group of digits, if that group is an amount or the beginning of one:
/// `+44 20 7946 0958 45.00`.
fn without_amount(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let continues = is_decimal(&text.as_bytes()[range.end..]);
    let blank = text[range.clone()]
        .rfind(' ')
        .map(|blank| range.start + blank);
    let is_amount = |blank: &usize| continues || has_cents(&text[*blank..range.end]);
    let range = range.start..blank.filter(is_amount).unwrap_or(range.end);
    (digits(&text[range.clone()]).count() >= MIN_DIGITS && id_around(text, &range).is_none())
        .then_some(range)
}

/// Whether a number continues with decimals.
fn is_decimal(after: &[u8]) -> bool {
    matches!(after, [b'.' | b',', b'0'..=b'9', ..])
}

fn has_cents(number: &str) -> bool {
    number
        .split_once('.')
        .is_some_and(|(_, cents)| cents.len() == 2)
}

fn national(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let number = &text[range.clone()];
    let has_length = (10..=12).contains(&digits(number).count());
    // A merchant category code and an amount: `0742 1234.50`.
    let is_amount = number.contains(' ') && number.contains('.');
    (has_length && !is_amount)
        .then(|| whole(text, range))
        .flatten()
}
