//! Finds the amounts in a sentence: numbers with a currency mark on either side, or with two
//! decimals. The sentence is a model's, so an amount that cannot be parsed counts as invented.
//! Written by hand, because parsers of money expect a text that is one amount, not prose that
//! contains some.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use rust_decimal::Decimal;

use crate::domain::money::Currency;

/// One amount that a sentence names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedAmount {
    /// The amount as written.
    pub text: String,
    /// Its value; absent if it cannot be parsed.
    pub value: Option<Decimal>,
}

fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is a constant, and tests use it")
}

/// Digits of any script, grouped or not, with or without decimals.
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    let pattern =
        r"(?:\p{Nd}+(?:[.,'’_\u{a0}\u{202f}\u{2009} ]\p{Nd}{3})*(?:[.,]\p{Nd}+)?|[.,]\p{Nd}+)";
    compiled(pattern)
});

/// Currency codes that are recognised in lower case as well.
const CODES: &str = "usd|eur|gbp|chf|cad|aud|jpy|inr|cny|sek|nok|dkk|pln";

/// The characters that may separate a mark from the number after it.
const GAP_AFTER_MARK: &str = r"(?P<gap>[\s:*_`~(\[\-–—−]*)";
/// The characters that may separate a number from the mark after it.
const GAP_BEFORE_MARK: &str = r"(?P<gap>[\s*_`)(\]\-–—−]*)";

/// A currency mark at the end of the text before a number.
static MARK_BEFORE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern =
        format!(r"(?:\p{{Sc}}|(?i:\b(?:{CODES}))|\b(?P<code>[A-Z]{{3}})){GAP_AFTER_MARK}$");
    compiled(&pattern)
});

/// A multiple, a currency mark, or both, at the start of the text after a number.
static MARK_AFTER: LazyLock<Regex> = LazyLock::new(|| {
    let words = "dollars?|euros?|pounds?|francs?|yen|yuan|rupees?|kron(?:a|or|e|er)|zloty|bucks?|cents?|pence";
    let pattern = format!(
        r"^(?P<multiple>\s*(?i:k|m|bn|thousand|million|billion)\b)?{GAP_BEFORE_MARK}(?:\p{{Sc}}|¢|zł|(?i:(?:(?:us|u\.s\.|canadian|australian|british|swiss|danish|swedish|norwegian|indian|polish)\s+)?(?:{words}|{CODES}))\b|(?P<code>[A-Z]{{3}})\b)"
    );
    compiled(&pattern)
});

/// A number at the end of the text before a mark.
static NUMBER_BEFORE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = format!(r"\p{{Nd}}{GAP_BEFORE_MARK}$");
    compiled(&pattern)
});

/// A number at the start of the text after a mark.
static NUMBER_AFTER: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = format!(r"^{GAP_AFTER_MARK}\p{{Nd}}");
    compiled(&pattern)
});

/// A multiple at the start of the text after a number, whether or not a mark follows. A single
/// letter has to touch the number: in `$12 M&S lunch` the M is not a multiple.
static MULTIPLE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"^(?i:k|m|bn?|[\s-]*(?:thousand|million|billion))\b";
    compiled(pattern)
});

/// Every amount a sentence names.
pub fn named_amounts(sentence: &str) -> Vec<NamedAmount> {
    let amounts = NUMBER.find_iter(sentence).filter_map(|number| {
        let (before, after) = (&sentence[..number.start()], &sentence[number.end()..]);
        let text = number.as_str();
        let is_code = |code: regex::Match<'_>| code.as_str().parse::<Currency>().is_ok();
        let has_mark_before = MARK_BEFORE.captures(before).is_some_and(|mark| {
            let earlier = &before[..before.len() - mark[0].len()];
            mark.name("code").is_none_or(is_code)
                && is_nearest(&mark["gap"], NUMBER_BEFORE.captures(earlier))
        });
        let mark_after = MARK_AFTER.captures(after).filter(|mark| {
            let later = &after[mark[0].len()..];
            mark.name("code").is_none_or(is_code)
                && is_nearest(&mark["gap"], NUMBER_AFTER.captures(later))
        });
        let marked_multiple = mark_after.as_ref().and_then(|mark| mark.name("multiple"));
        let multiple = marked_multiple
            .or_else(|| MULTIPLE.find(after))
            .map_or("", |multiple| multiple.as_str());
        let is_amount =
            has_mark_before || mark_after.is_some() || has_two_decimals(before, text, after);
        let value = value(text).filter(|_| multiple.is_empty());
        is_amount.then(|| NamedAmount {
            text: format!("{text}{multiple}"),
            value,
        })
    });
    amounts.collect()
}

/// Whether a mark between two numbers belongs to this number: not if the other number is nearer, as
/// in `March 14 ($45.00)` and `45.00 USD (2 nights)`. If both are equally near, it belongs to both.
fn is_nearest(gap: &str, other: Option<Captures<'_>>) -> bool {
    other.is_none_or(|other| gap.chars().count() <= other["gap"].chars().count())
}

/// A bare number with two decimals is an amount, unless it is a percentage, or part of a date or a
/// version.
fn has_two_decimals(before: &str, number: &str, after: &str) -> bool {
    let decimals = number
        .rsplit(['.', ','])
        .next()
        .filter(|decimals| decimals.len() < number.len());
    let is_part = before.ends_with('.') || before.ends_with(|c: char| c.is_alphanumeric());
    let continues = after.starts_with('.') && after[1..].starts_with(|c: char| c.is_ascii_digit());
    let is_percentage = ["%", "percent", "per cent"]
        .iter()
        .any(|sign| after.trim_start().starts_with(sign));
    decimals.is_some_and(|decimals| decimals.chars().count() == 2)
        && !is_part
        && !continues
        && !is_percentage
}

/// The value of a number, whether a point or a comma precedes its decimals.
pub fn value(number: &str) -> Option<Decimal> {
    let last = number.rfind(['.', ',']);
    // Three digits after the only separator are a group if it is a comma, as in 1,000, and decimals
    // if it is a point, as in 1.234.
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
    NUMBER
        .find_iter(text)
        .filter_map(|number| value(number.as_str()))
}
