//! Finds the amounts in a sentence. The sentence is a model's, so the search fails closed: every
//! number is an amount unless it plainly is something else ([`plain`]), and an amount without a value
//! counts as invented. Written by hand, because parsers of money expect a text that is one amount,
//! not prose that contains some.

pub mod currency;
pub mod dates;
pub mod number;
pub mod plain;
pub mod sentence;
pub mod spelled;
pub mod words;

use std::collections::BTreeSet;

use rust_decimal::Decimal;

use number::Readings;
use sentence::Sentence;
use words::{LETTER_MULTIPLES, MULTIPLE_LETTERS, MULTIPLES};

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
}

/// The numbers that a sentence may repeat.
#[derive(Clone, Debug, Default)]
pub struct Given {
    values: BTreeSet<Decimal>,
    /// Words with digits, such as `INV-2024-007`.
    words: BTreeSet<String>,
}

impl Given {
    /// Adds amounts.
    pub fn add(&mut self, values: impl IntoIterator<Item = Decimal>) {
        self.values.extend(values);
    }

    /// Adds every number of a text, whether or not it is an amount, and every word with digits.
    pub fn add_text(&mut self, text: &str) {
        self.values.extend(numbers(text));
        self.words.extend(sentence::words_with_digits(text));
    }

    /// Whether an amount is among them.
    pub fn contains(&self, amount: &NamedAmount) -> bool {
        // Three decimals are those of a rate, or of a currency with as many. Otherwise the point
        // precedes a group: 1.500 is not the 1.50 that was given.
        let has_three_decimals = |value: &Decimal| {
            let given = self.values.get(value);
            given.is_some_and(|given| amount.grouped.is_none() || given.scale() >= 3)
        };
        let is_given = |value: &Decimal| self.values.contains(value);
        amount.value.as_ref().is_some_and(has_three_decimals)
            || amount.grouped.as_ref().is_some_and(is_given)
            || amount
                .word
                .as_ref()
                .is_some_and(|word| self.words.contains(word))
    }
}

/// Every amount a sentence names.
pub fn named_amounts(sentence: &str) -> Vec<NamedAmount> {
    let sentence = Sentence::of(sentence);
    let mut amounts = Vec::new();
    let mut at = 0;
    while at < sentence.n_tokens() {
        if sentence.number(at).is_none() {
            let spelled = spelled::spelled(&sentence, at);
            let n_tokens = spelled.map_or(1, |spelled| spelled.n_tokens);
            if let Some(spelled) = spelled.filter(|spelled| spelled.is_amount) {
                amounts.push(NamedAmount {
                    text: sentence.text(at, at + n_tokens - 1),
                    value: spelled.value,
                    grouped: None,
                    word: None,
                });
            }
            at += n_tokens;
            continue;
        }
        let plain = plain::plain(&sentence, at)
            .filter(|n_tokens| !currency::is_marked(&sentence, at, at + n_tokens - 1));
        match plain {
            Some(n_tokens) => at += n_tokens,
            None => {
                amounts.push(named_amount(&sentence, at));
                at += 1;
            }
        }
    }
    amounts
}

/// Every number of a text, whether or not it is an amount.
pub fn numbers(text: &str) -> impl Iterator<Item = Decimal> {
    let sentence = Sentence::of(text);
    let n_tokens = sentence.n_tokens();
    let readings = move |at| {
        let Readings { value, grouped } = sentence.number(at)?.readings();
        Some([value, grouped])
    };
    (0..n_tokens).filter_map(readings).flatten().flatten()
}

/// The amount that the number at a place is.
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
    }
}

/// The multiple after a number: a letter or a sign that touches it, as in `80k`, or a word. In `$12
/// M&S lunch` the M is not a multiple.
fn multiple(sentence: &Sentence, number: usize) -> Option<usize> {
    let next = match sentence.is_dash(number + 1) {
        true => number + 2,
        false => number + 1,
    };
    let word = sentence.word(next)?;
    let touches = sentence.is_glued(number + 1) && next == number + 1;
    // Miles are thousands in Spanish only.
    let is_mile = word == "miles" && !sentence.is_one_of(Some(next + 1), &["de"]);
    let is_multiple = (MULTIPLES.contains(word) && !is_mile)
        || word.starts_with(MULTIPLE_LETTERS)
        || (touches && LETTER_MULTIPLES.contains(&word));
    is_multiple.then_some(next)
}

/// Whether letters join a number with another one, as in `7e3` and `12x30`.
fn is_part_of_code(sentence: &Sentence, at: usize) -> bool {
    let joins = |word: usize, number: usize| {
        sentence.word(word).is_some() && sentence.number(number).is_some()
    };
    let before =
        at >= 2 && joins(at - 1, at - 2) && sentence.is_glued(at) && sentence.is_glued(at - 1);
    let after = joins(at + 1, at + 2) && sentence.is_glued(at + 1) && sentence.is_glued(at + 2);
    before || after
}
