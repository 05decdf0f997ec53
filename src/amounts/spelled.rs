//! Amounts in words: English, as in `ninety dollars`, and numerals of Chinese and Japanese before a
//! currency, as in `九十元`. Numbers in the words of other languages are not found. English numbers up
//! to twelve are amounts only beside a currency: `one receipt` counts something, and `one of` does
//! not even that.

use rust_decimal::Decimal;

use crate::amounts::currency;
use crate::amounts::plain::is_counted;
use crate::amounts::sentence::Sentence;
use crate::amounts::words::{CURRENCY_BEGINNINGS, HAN_NUMERALS, MULTIPLES};

const ONES: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 8] = [
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
];
const SCALES: [(&str, u64); 4] = [
    ("hundred", 100),
    ("thousand", 1_000),
    ("million", 1_000_000),
    ("billion", 1_000_000_000),
];
/// The ordinals that can end a number such as `twenty-first`.
const ORDINALS: [&str; 9] = [
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth",
];
/// Larger numbers need no currency to be amounts.
const MAX_BARE: u64 = 12;

/// A number in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spelled {
    /// How many parts of the sentence it covers.
    pub n_tokens: usize,
    /// Its value; absent if the words make no number, or count cents.
    pub value: Option<Decimal>,
    /// Whether it is an amount.
    pub is_amount: bool,
}

/// The number in words that begins at a place.
pub fn spelled(sentence: &Sentence, at: usize) -> Option<Spelled> {
    let word = sentence.word(at)?;
    if is_han_amount(word) {
        return Some(Spelled {
            n_tokens: 1,
            value: None,
            is_amount: true,
        });
    }
    // A scale after digits is a multiple of the number that they are.
    let is_begun = at >= 1 && sentence.number(at - 1).is_some();
    let has_article = matches!(word, "a" | "an")
        && sentence
            .word(at + 1)
            .is_some_and(|word| scale(word).is_some());
    if is_begun || !(has_article || is_numeral(word)) {
        return None;
    }
    let first = at + usize::from(has_article);
    let mut end = first + 1;
    loop {
        let is_joined = sentence.is_dash(end) || sentence.is_one_of(Some(end), &["and"]);
        let next = end + usize::from(is_joined);
        if !sentence.word(next).is_some_and(is_numeral) {
            break;
        }
        end = next + 1;
    }
    let value = value((first..end).filter_map(|at| sentence.word(at)));
    let is_ordinal = sentence.is_dash(end) && sentence.is_one_of(Some(end + 1), &ORDINALS);
    let is_share = sentence.is_one_of(Some(end), &["percent", "per"])
        && !sentence.is_one_of(Some(end + 1), &["day", "trip", "year", "night", "person"]);
    let dash = usize::from(sentence.is_dash(end));
    let is_plain = is_ordinal || is_share || is_counted(sentence, end + dash);
    let mark = currency::after(sentence, end - 1);
    let is_small = value.is_some_and(|value| value <= Decimal::from(MAX_BARE));
    let counts_cents = sentence.is_one_of(mark, &["cent", "cents", "pence", "penny"]);
    let is_multiple = sentence.is_in(Some(end), &MULTIPLES);
    Some(Spelled {
        n_tokens: end - at,
        value: value.filter(|_| !counts_cents && !is_multiple),
        is_amount: mark.is_some() || is_multiple || !(is_plain || is_small),
    })
}

fn is_numeral(word: &str) -> bool {
    ONES.contains(&word) || TENS.contains(&word) || scale(word).is_some()
}

fn scale(word: &str) -> Option<u64> {
    let found = SCALES.iter().find(|(name, _)| *name == word);
    found.map(|(_, value)| *value)
}

/// The value of numerals such as `one hundred and five`, without their `and`.
fn value<'a>(words: impl Iterator<Item = &'a str>) -> Option<Decimal> {
    let (mut total, mut below_thousand, mut last) = (0_u64, 0_u64, u64::MAX);
    for word in words.filter(|word| *word != "and") {
        if let Some(scale) = scale(word) {
            let n = below_thousand.max(1).checked_mul(scale)?;
            if scale == 100 {
                below_thousand = n;
            } else {
                total = total.checked_add(n)?;
                below_thousand = 0;
            }
            last = scale;
            continue;
        }
        let one = ONES.iter().position(|name| *name == word);
        let ten = TENS.iter().position(|name| *name == word);
        let n = match (one, ten) {
            (Some(n), _) => u64::try_from(n).ok()?,
            (None, Some(n)) => u64::try_from(n).ok()? * 10 + 20,
            (None, None) => return None,
        };
        // `twenty five` is a number, `five twenty` is not.
        let fits = if n < 10 { last >= 20 } else { last >= 100 };
        below_thousand = fits.then_some(below_thousand + n)?;
        last = n;
    }
    total.checked_add(below_thousand).map(Decimal::from)
}

/// Whether a run of letters has a numeral of Chinese or Japanese before a currency.
fn is_han_amount(word: &str) -> bool {
    word.char_indices().any(|(at, c)| {
        let rest = &word[at + c.len_utf8()..];
        HAN_NUMERALS.contains(&c)
            && CURRENCY_BEGINNINGS
                .iter()
                .any(|name| rest.starts_with(name))
    })
}
