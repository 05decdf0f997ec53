//! Amounts in words: `ninety dollars`, `fünfundneunzig Euro`, `九十元`. The numerals of the table in
//! `numerals` are read. Any other word before the name of a currency counts as a numeral without a
//! value, because it may be a numeral of another language, unless a list says that it is none, as
//! in `converted to euros`. Numbers up to twelve are amounts only beside a currency: `one receipt`
//! is a count, and `one of` is not even that.

use rust_decimal::Decimal;

use crate::amounts::currency;
use crate::amounts::dates::{is_hour_word, month_after};
use crate::amounts::numerals::{han_value, is_han_numeral, numerals, value};
use crate::amounts::plain::{follows_unspaced_label, is_counted, is_share_word};
use crate::amounts::sentence::{Sentence, is_unspaced};
use crate::amounts::words::money::{
    BEFORE_CURRENCY, CODES, CURRENCY_BEGINNINGS, CURRENCY_NAMES, HANGUL_NUMERALS, MULTIPLES,
    NATIONALITIES, OF_WORDS, THAI_NUMERALS,
};

/// Words between numerals, as in `one hundred and five` and `noventa y cinco`.
const ANDS: &[&str] = &["and", "y", "e", "et", "und", "og", "och", "en"];
/// The ordinals that can end a number such as `twenty-first`.
const ORDINALS: [&str; 9] = [
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth",
];
/// The largest number that is an amount only beside a currency.
const MAX_BARE: u64 = 12;
/// Words of numerals that, without a currency, mean something else more often than an amount: `万一`
/// is `in case`.
const HAN_PHRASES: &[&str] = &["万一", "千万", "一一", "百万"];

/// A number in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spelled {
    /// How many parts of the sentence it covers.
    pub n_tokens: usize,
    /// Its value; absent if the words make no number, or count cents.
    pub value: Option<Decimal>,
    /// Whether it is an amount.
    pub is_amount: bool,
    /// Whether it has a currency beside it.
    pub is_marked: bool,
}

impl Spelled {
    /// An amount whose value is not read.
    fn unread(n_tokens: usize) -> Self {
        Self {
            n_tokens,
            value: None,
            is_amount: true,
            is_marked: true,
        }
    }
}

/// The number in words that begins at a place.
pub fn spelled(sentence: &Sentence, at: usize) -> Option<Spelled> {
    let word = sentence.word(at)?;
    if word.chars().all(is_han_numeral) {
        return han(sentence, at, word);
    }
    known_number(sentence, at)
        .or_else(|| is_unspaced_amount(sentence, at, word).then(|| Spelled::unread(1)))
        .or_else(|| unknown_number(sentence, at))
}

/// A number whose words are in the table of numerals.
fn known_number(sentence: &Sentence, at: usize) -> Option<Spelled> {
    let numerals_at = |at: usize| sentence.word(at).and_then(numerals);
    // A multiple after digits belongs to their number.
    let is_begun = at >= 1 && sentence.number(at - 1).is_some();
    let has_article = sentence.is_one_of(Some(at), &["a", "an"])
        && numerals_at(at + 1).is_some_and(|numerals| numerals[0] >= 100);
    if is_begun {
        return None;
    }
    let first = at + usize::from(has_article);
    let mut end = first + 1;
    let mut all = numerals_at(first)?;
    loop {
        let is_joined = sentence.is_dash(end) || sentence.is_one_of(Some(end), ANDS);
        let next = end + usize::from(is_joined);
        let Some(numerals) = numerals_at(next) else {
            break;
        };
        all.extend(numerals);
        end = next + 1;
    }
    let value = value(all);
    let dash = usize::from(sentence.is_dash(end));
    let is_ordinal = dash == 1 && sentence.is_one_of(Some(end + 1), &ORDINALS);
    let is_plain = is_ordinal
        || is_share_word(sentence, end)
        || is_counted(sentence, end + dash)
        || is_hour_word(sentence, end)
        || month_after(sentence, end);
    // In `the second one (€75.00)` the currency belongs to the number after it.
    let mark = currency::after(sentence, end - 1)
        .filter(|mark| !currency::has_number_after(sentence, *mark));
    let is_marked = mark.is_some() || currency::is_sign_before(sentence, at);
    let is_small = value.is_some_and(|value| value <= Decimal::from(MAX_BARE));
    let counts_cents = sentence.is_one_of(mark, &["cent", "cents", "pence", "penny"]);
    let is_multiple = sentence.is_in(Some(end), &MULTIPLES);
    Some(Spelled {
        n_tokens: end - at,
        value: value.filter(|_| !counts_cents && !is_multiple),
        is_amount: is_marked || is_multiple || !(is_plain || is_small),
        is_marked,
    })
}

/// A number in the numerals of Chinese and Japanese.
fn han(sentence: &Sentence, at: usize, word: &str) -> Option<Spelled> {
    // A multiple after digits belongs to their number.
    if at >= 1 && sentence.number(at - 1).is_some() && sentence.is_glued(at) {
        return None;
    }
    let value = han_value(word);
    let is_marked = currency::after(sentence, at).is_some() || currency::is_before(sentence, at);
    let follows_share = at
        .checked_sub(1)
        .and_then(|before| sentence.word(before))
        .is_some_and(|word| word.ends_with("分之"));
    let is_plain = follows_share
        || follows_unspaced_label(sentence, at)
        || HAN_PHRASES.contains(&word)
        || sentence.is_one_of(Some(at + 1), &["分之"])
        || is_counted(sentence, at + 1);
    let is_small = value.is_some_and(|value| value <= Decimal::from(MAX_BARE));
    Some(Spelled {
        n_tokens: 1,
        value,
        is_amount: is_marked || !(is_plain || is_small || word.chars().count() < 2),
        is_marked,
    })
}

/// Whether a word of a script without blanks has a numeral before a currency: `เก้าสิบบาท`,
/// `구십원이`.
fn is_unspaced_amount(sentence: &Sentence, at: usize, word: &str) -> bool {
    if !word.starts_with(is_unspaced) {
        return false;
    }
    let has_currency_after = |rest: &str| {
        CURRENCY_BEGINNINGS
            .iter()
            .any(|name| rest.starts_with(name))
    };
    let is_thai = THAI_NUMERALS.iter().any(|numeral| {
        let mut found = word.match_indices(numeral);
        found.any(|(start, _)| has_currency_after(&word[start + numeral.len()..]))
    });
    // A single small numeral is not enough: `사원` is an employee, but `만원` is ten thousand won.
    let rest = word.trim_start_matches(HANGUL_NUMERALS);
    let n_numerals = word.chars().count() - rest.chars().count();
    let is_large = word.starts_with(['십', '백', '천', '만', '억']);
    let is_hangul = n_numerals > 0
        && (has_currency_after(rest) && (n_numerals > 1 || is_large)
            || (rest.is_empty() && currency::after(sentence, at).is_some()));
    is_thai || is_hangul
}

/// The unknown word before the name of a currency, with the words between the two.
fn unknown_number(sentence: &Sentence, at: usize) -> Option<Spelled> {
    let is_linking = |at: usize| {
        sentence.is_in(Some(at), &NATIONALITIES) || sentence.is_one_of(Some(at), OF_WORDS)
    };
    // The apostrophe of `centaine d'euros` is a part of its own.
    let is_between = |at: &usize| is_linking(*at) || matches!(sentence.sign(*at), Some('\'' | '’'));
    let name = (at + 1..sentence.n_tokens().min(at + 5)).find(|at| !is_between(at))?;
    let is_name = sentence.is_in(Some(name), &CURRENCY_NAMES)
        || (sentence.is_in(Some(name), &CODES) && !sentence.is_lower(name));
    if !is_name {
        return None;
    }
    let is_numeral = |at: usize| sentence.word(at).and_then(numerals).is_some();
    let is_known = sentence.is_in(Some(at), &BEFORE_CURRENCY)
        || is_linking(at)
        || is_numeral(at)
        // Before the name of a currency, the French `cent` is a hundred.
        || (currency::is_currency(sentence, at) && !sentence.is_one_of(Some(at), &["cent"]))
        || (at >= 1 && sentence.number(at - 1).is_some());
    let has_own_number = currency::has_number_after(sentence, name) || is_numeral(name + 1);
    (!is_known && !has_own_number).then(|| Spelled::unread(name - at))
}
