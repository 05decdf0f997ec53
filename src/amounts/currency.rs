//! Whether a number has a currency beside it. If so, the number is an amount even if it looks like
//! something else: `12.30 EUR` is not a time.

use crate::amounts::sentence::{Kind, Sentence, is_unspaced};
use crate::amounts::words::money::{CODES, CURRENCIES, CURRENCY_BEGINNINGS, NATIONALITIES};
use crate::domain::money::Currency;

/// Signs that may stand between a currency and the number after it.
const BEFORE_NUMBER: &str = ":*_`~(['\"-–—−.";
/// Signs that may stand between a number and the currency after it.
const AFTER_NUMBER: &str = "*_`)(]['\"-–—−";

/// Whether a currency belongs to the number that the parts from `first` to `last` form. A currency
/// between two numbers belongs to the nearer one, as in `March 14 ($45.00)` and
/// `45.00 USD (2 nights)`; if both are equally near, to both.
pub fn is_marked(sentence: &Sentence, first: usize, last: usize) -> bool {
    let before = before(sentence, first).is_some_and(|mark| {
        let other = skip_back(sentence, mark, AFTER_NUMBER).filter(|at| is_number(sentence, *at));
        other.is_none_or(|other| gap(sentence, mark, first) <= gap(sentence, other, mark))
    });
    let after = after(sentence, last).is_some_and(|mark| {
        let other = skip(sentence, mark, BEFORE_NUMBER).filter(|at| is_number(sentence, *at));
        other.is_none_or(|other| gap(sentence, last, mark) <= gap(sentence, mark, other))
    });
    before || after
}

/// Whether a currency precedes a number, in digits or in words.
pub fn is_before(sentence: &Sentence, number: usize) -> bool {
    before(sentence, number).is_some()
}

/// Whether the sign or the code of a currency precedes a number in words.
pub fn is_sign_before(sentence: &Sentence, number: usize) -> bool {
    before(sentence, number)
        .is_some_and(|at| sentence.sign(at).is_some() || sentence.is_in(Some(at), &CODES))
}

/// Whether a number follows a currency.
pub fn has_number_after(sentence: &Sentence, currency: usize) -> bool {
    skip(sentence, currency, BEFORE_NUMBER).is_some_and(|at| is_number(sentence, at))
}

/// The place of the currency before a number.
fn before(sentence: &Sentence, number: usize) -> Option<usize> {
    let at = skip_back(sentence, number, BEFORE_NUMBER)?;
    // The currency in `18.40円は1日` belongs to the number before it, in `人民币18.40` to the one after.
    let is_currency = match sentence.word(at).filter(|word| word.ends_with(is_unspaced)) {
        Some(word) => CURRENCY_BEGINNINGS.iter().any(|name| word.ends_with(name)),
        None => is_currency(sentence, at),
    };
    is_currency.then_some(at)
}

/// The place of the currency after a number; a nationality may be between them.
pub fn after(sentence: &Sentence, number: usize) -> Option<usize> {
    let at = skip(sentence, number, AFTER_NUMBER)?;
    let is_nationality = sentence
        .word(at)
        .is_some_and(|word| NATIONALITIES.contains(word));
    let at = if is_nationality { at + 1 } else { at };
    is_currency(sentence, at).then_some(at)
}

/// Whether a part is the sign, the code or the name of a currency.
pub fn is_currency(sentence: &Sentence, at: usize) -> bool {
    match sentence.token(at).map(|token| &token.kind) {
        Some(Kind::Sign(sign)) => is_sign(*sign),
        Some(Kind::Word(word)) => {
            CODES.contains(word.as_str())
                || CURRENCIES.contains(word.as_str())
                || CURRENCY_BEGINNINGS
                    .iter()
                    .any(|name| word.starts_with(name))
                || is_multiple_of_currency(word)
                || (word.len() == 3 && sentence.text(at, at).parse::<Currency>().is_ok())
        }
        _ => false,
    }
}

/// Whether a word is the multiple of a currency: `kEUR`, `TEUR`, `tkr`.
pub fn is_multiple_of_currency(word: &str) -> bool {
    let currency = word.strip_prefix(['k', 'm', 't']).unwrap_or_default();
    CODES.contains(currency) || currency == "kr"
}

/// Unicode's category Sc, as far as it is used for money today.
fn is_sign(c: char) -> bool {
    matches!(
        c,
        '$' | '¢'..='¥' | '֏' | '؋' | '৲' | '৳' | '૱' | '௹' | '฿' | '៛' | '\u{20a0}'..='\u{20cf}' | '﷼'
    )
}

fn is_number(sentence: &Sentence, at: usize) -> bool {
    sentence.number(at).is_some()
}

/// The first part after `at` that is not one of these signs.
fn skip(sentence: &Sentence, at: usize, signs: &str) -> Option<usize> {
    let is_skipped = |at: &usize| sentence.sign(*at).is_some_and(|sign| signs.contains(sign));
    (at + 1..sentence.n_tokens()).find(|at| !is_skipped(at))
}

/// The last part before `at` that is not one of these signs.
fn skip_back(sentence: &Sentence, at: usize, signs: &str) -> Option<usize> {
    let is_skipped = |at: &usize| sentence.sign(*at).is_some_and(|sign| signs.contains(sign));
    (0..at).rev().find(|at| !is_skipped(at))
}

/// The number of characters between two parts, not counting the points of abbreviations such as
/// `Fr.`.
fn gap(sentence: &Sentence, first: usize, second: usize) -> Option<usize> {
    let n_points = (first + 1..second)
        .filter(|at| sentence.sign(*at) == Some('.'))
        .count();
    let start = sentence.token(second)?.start;
    let end = sentence.token(first)?.end;
    start.checked_sub(end + n_points)
}
