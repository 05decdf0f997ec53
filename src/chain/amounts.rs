//! Finding the amounts in a sentence: numbers with a currency mark on either side, or with two decimals. The sentence is
//! a model's, so every way of writing an amount that is not understood counts as an amount nobody gave.

use std::sync::LazyLock;

use regex::Regex;
use rust_decimal::Decimal;

use crate::domain::money::Currency;

/// One amount as it is written, and what it comes to, if that can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// As written.
    pub text: String,
    /// Its value; absent when the writing is not understood.
    pub value: Option<Decimal>,
}

/// Digits of any script, grouped or not, with or without decimals.
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?:\p{Nd}+(?:[.,'’_\u{a0}\u{202f}\u{2009} ]\p{Nd}{3})*(?:[.,]\p{Nd}+)?|[.,]\p{Nd}+)";
    Regex::new(pattern).expect("the pattern is a constant, and tests use it")
});

/// A currency's mark at the end of what stands before a number.
static MARK_BEFORE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?:\p{Sc}|(?i:\b(?:usd|eur|gbp|chf|cad|aud|jpy|inr|cny|sek|nok|dkk|pln))|\b(?P<code>[A-Z]{3}))[\s:*_(\[\-–—−]*$";
    Regex::new(pattern).expect("the pattern is a constant, and tests use it")
});

/// A multiple, a currency's mark, or both, at the beginning of what stands after a number.
static MARK_AFTER: LazyLock<Regex> = LazyLock::new(|| {
    let words = "dollars?|euros?|pounds?|francs?|yen|yuan|rupees?|kron(?:a|or|e|er)|zloty|bucks?|cents?|pence";
    let codes = "usd|eur|gbp|chf|cad|aud|jpy|inr|cny|sek|nok|dkk|pln";
    let pattern = format!(
        r"^(?P<multiple>\s*(?i:k|m|bn|thousand|million|billion)\b)?[\s*_)(\]\-–—−]*(?:\p{{Sc}}|¢|zł|(?i:(?:(?:us|u\.s\.|canadian|australian|british|swiss|danish|swedish|norwegian|indian|polish)\s+)?(?:{words}|{codes}))\b|(?P<code>[A-Z]{{3}})\b)"
    );
    Regex::new(&pattern).expect("the pattern is a constant, and tests use it")
});

/// Every amount a sentence names.
pub fn named(sentence: &str) -> Vec<Named> {
    let amounts = NUMBER.find_iter(sentence).filter_map(|number| {
        let (before, after) = (&sentence[..number.start()], &sentence[number.end()..]);
        let text = number.as_str();
        let is_code = |code: regex::Match<'_>| code.as_str().parse::<Currency>().is_ok();
        let has_mark_before =
            MARK_BEFORE.captures(before).is_some_and(|captures| captures.name("code").is_none_or(is_code));
        let mark_after = MARK_AFTER.captures(after).filter(|captures| captures.name("code").is_none_or(is_code));
        let is_multiple = mark_after.as_ref().is_some_and(|captures| captures.name("multiple").is_some());
        let is_amount = has_mark_before || mark_after.is_some() || has_two_decimals(before, text, after);
        is_amount.then(|| Named { text: text.to_owned(), value: value(text).filter(|_| !is_multiple) })
    });
    amounts.collect()
}

/// Two decimals make an amount of a bare number, unless it is a share, or a part of a date or a version.
fn has_two_decimals(before: &str, number: &str, after: &str) -> bool {
    let decimals = number.rsplit(['.', ',']).next().filter(|decimals| decimals.len() < number.len());
    let is_part = before.ends_with('.') || before.ends_with(|c: char| c.is_alphanumeric());
    let goes_on = after.starts_with('.') && after[1..].starts_with(|c: char| c.is_ascii_digit());
    let is_share = after.trim_start().starts_with('%');
    decimals.is_some_and(|decimals| decimals.chars().count() == 2) && !is_part && !goes_on && !is_share
}

/// The value of a number, whichever of point and comma sets off its decimals.
pub fn value(number: &str) -> Option<Decimal> {
    let last = number.rfind(['.', ',']);
    // Three digits after the only separator are a group, as in 1,000; after a point they are decimals, as in 1.234.
    let is_group = |at: usize| number[at..].starts_with(',') && number.len() - at == 4;
    let decimals_at = last.filter(|at| !is_group(*at));
    let mut plain = String::new();
    for (at, c) in number.char_indices() {
        match c {
            _ if Some(at) == decimals_at => plain.push('.'),
            '0'..='9' => plain.push(c),
            c if c.is_numeric() => return None,
            _ => {}
        }
    }
    plain.parse().ok()
}

/// Every number of a text, whether or not it is an amount.
pub fn numbers(text: &str) -> impl Iterator<Item = Decimal> {
    NUMBER.find_iter(text).filter_map(|number| value(number.as_str()))
}
