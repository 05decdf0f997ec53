//! Finds the amounts in a sentence. A model wrote the sentence, so the search fails closed: every
//! number is an amount unless it plainly is something else ([`plain`]), and an amount without a
//! value counts as invented. Written by hand, because parsers of money expect a text that is one
//! amount, not prose that contains some.

pub mod currency;
pub mod dates;
pub mod number;
pub mod numerals;
pub mod plain;
pub mod sentence;
pub mod shown;
pub mod spelled;
pub mod words;

use std::collections::BTreeSet;

use rust_decimal::Decimal;

use number::Readings;
use sentence::{Sentence, is_unspaced};
use words::money::{
    BEFORE_CURRENCY, CURRENCY_NAMES, LETTER_MULTIPLES, MULTIPLE_BEGINNINGS, MULTIPLES,
    NATIONALITIES, OF_WORDS,
};

/// Letters that look like the digits 0 and 1.
const LIKE_DIGITS: &str = "oOОоΟοlIІ|";

/// One amount that a sentence names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedAmount {
    /// The amount as written.
    pub text: String,
    /// Its value; absent if it cannot be read as one number, or is a multiple such as `80k`.
    pub value: Option<Decimal>,
    /// Its value if the point in it precedes a group of digits, as in the German `1.000`.
    grouped: Option<Decimal>,
    /// The word between blanks that it is part of.
    word: Option<String>,
    /// Whether it has a currency beside it.
    is_marked: bool,
}

/// The numbers that a sentence may repeat.
#[derive(Clone, Debug, Default)]
pub struct Given {
    amounts: BTreeSet<Decimal>,
    /// Other numbers, such as the 30 of `30 days`, which a reason may repeat without a currency.
    numbers: BTreeSet<Decimal>,
    /// Words with digits, such as `INV-2024-007`.
    words: BTreeSet<String>,
}

impl Given {
    /// Adds amounts.
    pub fn add(&mut self, values: impl IntoIterator<Item = Decimal>) {
        self.amounts.extend(values);
    }

    /// Adds every number of a text and every word with digits. Returns the values of its amounts.
    pub fn add_text(&mut self, text: &str) -> Vec<Decimal> {
        let sentence = Sentence::of(text);
        let amounts = amounts_in(&sentence);
        for NamedAmount { value, grouped, .. } in &amounts {
            self.amounts.extend([value, grouped].into_iter().flatten());
        }
        self.numbers.extend(numbers_in(&sentence));
        self.words.extend(sentence.words_with_digits());
        amounts.iter().filter_map(|amount| amount.value).collect()
    }

    /// Whether an amount is among these numbers.
    pub fn contains(&self, amount: &NamedAmount) -> bool {
        // Three digits after a point are decimals only if the given number has three decimals too:
        // a rate, or an amount in a currency with that many. Otherwise they are a group, and 1.500
        // is not the 1.50 that was given.
        let get = |value: &Decimal| {
            let number = || self.numbers.get(value).filter(|_| !amount.is_marked);
            self.amounts.get(value).or_else(number)
        };
        let has_three_decimals = |given: &Decimal| given.scale() >= 3;
        let value = amount.value.as_ref().and_then(get);
        value.is_some_and(|given| amount.grouped.is_none() || has_three_decimals(given))
            || amount.grouped.as_ref().and_then(get).is_some()
            || amount
                .word
                .as_ref()
                .is_some_and(|word| self.words.contains(word))
    }
}

/// Every amount that a sentence names.
pub fn named_amounts(sentence: &str) -> Vec<NamedAmount> {
    amounts_in(&Sentence::of(sentence))
}

fn amounts_in(sentence: &Sentence) -> Vec<NamedAmount> {
    let mut amounts = Vec::new();
    let mut at = 0;
    while at < sentence.n_tokens() {
        if sentence.number(at).is_none() {
            let spelled = spelled::spelled(sentence, at);
            let n_tokens = spelled.map_or(1, |spelled| spelled.n_tokens);
            if let Some(spelled) = spelled.filter(|spelled| spelled.is_amount) {
                amounts.push(NamedAmount {
                    text: sentence.text(at, at + n_tokens - 1),
                    value: spelled.value,
                    grouped: None,
                    word: None,
                    is_marked: spelled.is_marked,
                });
            }
            at += n_tokens;
            continue;
        }
        let plain = plain::plain(sentence, at)
            .filter(|n_tokens| !currency::is_marked(sentence, at, at + n_tokens - 1));
        match plain {
            Some(n_tokens) => at += n_tokens,
            None => {
                amounts.push(named_amount(sentence, at));
                at += 1;
            }
        }
    }
    amounts
}

/// Every number of a text, whether or not it is an amount.
pub fn numbers(text: &str) -> Vec<Decimal> {
    numbers_in(&Sentence::of(text)).collect()
}

fn numbers_in(sentence: &Sentence) -> impl Iterator<Item = Decimal> {
    let readings = |at| {
        let Readings { value, grouped } = sentence.number(at)?.readings();
        Some([value, grouped])
    };
    let readings = (0..sentence.n_tokens()).filter_map(readings);
    readings.flatten().flatten()
}

/// The number at a place, as an amount.
fn named_amount(sentence: &Sentence, at: usize) -> NamedAmount {
    let multiple = multiple(sentence, at);
    let is_part = is_part_of_code(sentence, at);
    let Readings { value, grouped } = match multiple.is_some() || is_part {
        true => Readings::default(),
        false => sentence
            .number(at)
            .map(number::Number::readings)
            .unwrap_or_default(),
    };
    let last = multiple.unwrap_or(at);
    NamedAmount {
        text: sentence.text(at, last),
        value,
        grouped,
        word: sentence.blank_word(at, last),
        is_marked: currency::is_marked(sentence, at, last),
    }
}

/// The place of the multiple after a number: a letter, as in `80k` and `80 k€`, or a word.
fn multiple(sentence: &Sentence, number: usize) -> Option<usize> {
    let next = match sentence.is_dash(number + 1) {
        true => number + 2,
        false => number + 1,
    };
    let word = sentence.word(next)?;
    let touches = sentence.is_glued(number + 1) && next == number + 1;
    // Miles are thousands in Spanish only.
    let is_mile = word == "miles" && !sentence.is_one_of(Some(next + 1), &["de"]);
    // In `$12 M&S lunch` the M is not a multiple.
    let stands_alone = || !sentence.is_glued(next + 1) || sentence.sign(next + 1) != Some('&');
    let has_currency =
        currency::is_before(sentence, number) || currency::is_currency(sentence, next + 1);
    let is_letter =
        LETTER_MULTIPLES.contains(&word) && (touches || (has_currency && stands_alone()));
    let is_multiple = (MULTIPLES.contains(word) && !is_mile)
        || MULTIPLE_BEGINNINGS
            .iter()
            .any(|multiple| word.starts_with(multiple))
        || is_letter
        || currency::is_multiple_of_currency(word)
        || is_unknown_before_currency(sentence, next);
    is_multiple.then_some(next)
}

/// Whether a word before a currency may be a multiple in a language that no list covers.
fn is_unknown_before_currency(sentence: &Sentence, word: usize) -> bool {
    let is_known = sentence.is_in(Some(word), &BEFORE_CURRENCY)
        || sentence.is_in(Some(word), &NATIONALITIES)
        || sentence.is_one_of(Some(word), OF_WORDS)
        || currency::is_currency(sentence, word)
        // A name, such as that of a country or a person, begins with a capital letter.
        || sentence.text(word, word).starts_with(char::is_uppercase);
    !is_known
        && sentence.is_in(Some(word + 1), &CURRENCY_NAMES)
        && !currency::has_number_after(sentence, word + 1)
}

/// Whether letters join a number with another one, as in `7e3` and `12x30`, or stand for digits, as
/// in `9O` and `l0`.
fn is_part_of_code(sentence: &Sentence, at: usize) -> bool {
    let is_like_digits = |word: usize| {
        let text = sentence.text(word, word);
        sentence.word(word).is_some() && text.chars().all(|c| LIKE_DIGITS.contains(c))
    };
    if (sentence.is_glued(at) && is_like_digits(at - 1))
        || (sentence.is_glued(at + 1) && is_like_digits(at + 1))
    {
        return true;
    }
    let joins = |word: usize, number: usize| {
        let word = sentence.word(word);
        word.is_some_and(|word| !word.contains(is_unspaced)) && sentence.number(number).is_some()
    };
    let before =
        at >= 2 && joins(at - 1, at - 2) && sentence.is_glued(at) && sentence.is_glued(at - 1);
    let after = joins(at + 1, at + 2) && sentence.is_glued(at + 1) && sentence.is_glued(at + 2);
    before || after
}
