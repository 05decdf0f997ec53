//! What the values of several files may be: for each kind, the words of a diagnostic and the parser.

use jiff::civil::Date;
use toml::de::DeValue;

use crate::domain::expense::calendar_date;
use crate::domain::money::Currency;

/// What is accepted as a date.
pub(crate) const DATE: &str = "a date such as \"2026-01-01\"";
/// What is accepted as a text for people.
pub(crate) const TEXT: &str = "a text that is not empty";

/// A text, trimmed, that is not empty.
pub(crate) fn filled_text(value: &DeValue<'_>) -> Option<String> {
    value
        .as_str()
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

/// A currency, by its ISO 4217 code.
pub(crate) fn currency(value: &DeValue<'_>) -> Option<Currency> {
    value.as_str()?.parse().ok()
}

/// A calendar date.
pub(crate) fn date(value: &DeValue<'_>) -> Option<Date> {
    value.as_str().and_then(calendar_date)
}

/// What is accepted where only some words are valid.
pub(crate) fn one_of(variants: &[&str]) -> String {
    format!("one of \"{}\"", variants.join("\", \""))
}

/// A name that needs no quoting in files, traces and on command lines.
pub(crate) fn name(text: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    (!text.is_empty() && text.chars().all(is_plain)).then(|| text.to_owned())
}
