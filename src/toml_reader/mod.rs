//! Reads TOML files that people write. Reading continues after a mistake, so one run reports every
//! mistake with file, line and key, and with what would be accepted. What the keys mean is decided
//! where their values are used, for example in `policy::parse`.
//!
//! Hand-written on top of the spans of the `toml` crate. `eserde` collects several errors too, but
//! locates a value of the wrong type by its path instead of its line, and cannot add what to write
//! instead. `toml-span` would do, but is a second TOML parser beside the one that this service
//! already has.

pub(crate) mod claims;
pub mod diagnostic;

use std::collections::BTreeMap;
use std::path::Path;

use jiff::civil::Date;
use rust_decimal::Decimal;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::domain::expense::calendar_date;
use crate::domain::money::{self, Currency};
use diagnostic::{Diagnostic, Diagnostics};

/// What is accepted as a date.
pub(crate) const DATE: &str = "a date such as \"2026-01-01\"";
/// What is accepted as a text for people.
pub(crate) const TEXT: &str = "a text that is not empty";

/// Reads the text of a file; `hint` says what to do when that fails.
pub(crate) fn read(file: &Path, hint: &str) -> Result<String, Diagnostics> {
    std::fs::read_to_string(file)
        .map_err(|error| Diagnostics::of(file, format!("cannot be read: {error}; {hint}")))
}

/// Parses the text of a file; succeeds when `parse` reported nothing.
pub(crate) fn parse<T: Default>(
    file: &Path,
    text: &str,
    parse: impl FnOnce(&mut Source<'_>) -> Option<T>,
) -> Result<T, Diagnostics> {
    let mut diagnostics = Vec::new();
    let parsed = parse(&mut Source::new(file, text, &mut diagnostics));
    Diagnostics::none_in(diagnostics)?;
    Ok(parsed.unwrap_or_default())
}

/// One file that is being read.
pub(crate) struct Source<'a> {
    pub(crate) file: &'a Path,
    pub(crate) text: &'a str,
    diagnostics: &'a mut Vec<Diagnostic>,
    /// Offsets of the line ends; found once, because every claim asks for a line.
    line_ends: Vec<usize>,
    repeats_values: bool,
}

impl<'a> Source<'a> {
    /// Begins to read a file; what is wrong with it is added to `diagnostics`.
    pub(crate) fn new(file: &'a Path, text: &'a str, diagnostics: &'a mut Vec<Diagnostic>) -> Self {
        let line_ends = text.match_indices('\n').map(|(at, _)| at).collect();
        Self {
            file,
            text,
            diagnostics,
            line_ends,
            repeats_values: true,
        }
    }

    /// Keeps values out of all further diagnostics, for a file that may contain secrets.
    pub(crate) fn hide_values(&mut self) {
        self.repeats_values = false;
    }

    /// The content of the file; `None`, and a diagnostic, when it is not TOML.
    pub(crate) fn document(&mut self) -> Option<Spanned<DeTable<'a>>> {
        DeTable::parse(self.text)
            .map_err(|error| {
                let at = error.span().map_or(0, |span| span.start);
                self.report(at, format!("is not TOML: {}", error.message()));
            })
            .ok()
    }

    /// The tables of a file that consists of one list of tables.
    pub(crate) fn tables_of<T>(
        &mut self,
        key: &'static str,
        parse: impl FnMut(&mut Source<'_>, &mut Table<'_, '_>, usize) -> Option<T>,
    ) -> Option<Vec<T>> {
        let document = self.document()?;
        let mut table = Table::new(document.get_ref(), 0);
        let parsed = table.tables(self, key, parse);
        table.finish(self);
        parsed
    }

    /// The line of an offset, from 1.
    pub(crate) fn line(&self, offset: usize) -> usize {
        1 + self.line_ends.partition_point(|end| *end < offset)
    }

    /// Adds a diagnostic for the line of an offset.
    pub(crate) fn report(&mut self, offset: usize, message: String) {
        let line = Some(self.line(offset));
        self.diagnostics.push(Diagnostic {
            file: self.file.to_owned(),
            line,
            message,
        });
    }

    /// The source text of a value, shortened for a message, unless values are hidden.
    fn excerpt(&self, value: &Spanned<DeValue<'_>>) -> String {
        if !self.repeats_values {
            return "an invalid value".to_owned();
        }
        let text = self.text.get(value.span()).unwrap_or_default();
        let first_line: String = text
            .lines()
            .next()
            .unwrap_or_default()
            .chars()
            .take(60)
            .collect();
        if first_line.len() < text.len() {
            format!("{first_line}…")
        } else {
            first_line
        }
    }
}

/// One TOML table. Its keys are taken out one by one; a key that is left at the end is unknown.
pub(crate) struct Table<'a, 'i> {
    entries: BTreeMap<&'a str, (usize, &'a Spanned<DeValue<'i>>)>,
    known: Vec<&'static str>,
    start: usize,
}

impl<'a, 'i> Table<'a, 'i> {
    pub(crate) fn new(table: &'a DeTable<'i>, start: usize) -> Self {
        let entries = table
            .iter()
            .map(|(key, value)| (key.get_ref().as_ref(), (key.span().start, value)));
        Self {
            entries: entries.collect(),
            known: Vec::new(),
            start,
        }
    }

    pub(crate) fn take(&mut self, key: &'static str) -> Option<(usize, &'a Spanned<DeValue<'i>>)> {
        self.known.push(key);
        self.entries.remove(key)
    }

    /// The offset of a key that was not taken yet; the start of the table when it is absent.
    pub(crate) fn at(&self, key: &str) -> usize {
        self.entries.get(key).map_or(self.start, |(at, _)| *at)
    }

    /// The value of a key: `Some(None)` when the key is absent; `None`, and a diagnostic, when its
    /// value is not accepted.
    pub(crate) fn optional<T>(
        &mut self,
        source: &mut Source<'_>,
        key: &'static str,
        accepted: &str,
        parse: impl Fn(&DeValue<'i>) -> Option<T>,
    ) -> Option<Option<T>> {
        let Some((at, value)) = self.take(key) else {
            return Some(None);
        };
        let parsed = parse(value.get_ref());
        if parsed.is_none() {
            source.report(
                at,
                format!("`{key}` is {}; write {accepted}", source.excerpt(value)),
            );
        }
        parsed.map(Some)
    }

    /// The value of a key; `None`, and a diagnostic, when it is absent or not accepted.
    pub(crate) fn required<T>(
        &mut self,
        source: &mut Source<'_>,
        key: &'static str,
        accepted: &str,
        parse: impl Fn(&DeValue<'i>) -> Option<T>,
    ) -> Option<T> {
        let given = self.optional(source, key, accepted, parse)?;
        if given.is_none() {
            source.report(self.start, format!("`{key}` is missing; write {accepted}"));
        }
        given
    }

    /// An amount in a currency, with at most the decimals of that currency.
    pub(crate) fn amount(
        &mut self,
        source: &mut Source<'_>,
        key: &'static str,
        currency: Currency,
    ) -> Option<Decimal> {
        let accepted = format!(
            "a decimal such as \"{}\"",
            money::from_minor(7500, currency)
        );
        self.decimal(source, key, currency.minor_digits(), &accepted)
    }

    /// A decimal without sign and with at most `max_decimals` decimals. It is written in quotes, so
    /// that it is never parsed as a binary float.
    pub(crate) fn decimal(
        &mut self,
        source: &mut Source<'_>,
        key: &'static str,
        max_decimals: u32,
        accepted: &str,
    ) -> Option<Decimal> {
        self.required(source, key, accepted, |value| {
            money::parse_amount(value.as_str()?, max_decimals).ok()
        })
    }

    /// The tables of a list such as `[[rule]]` for which `parse` returns a value; `parse` also gets
    /// the offset of each table.
    pub(crate) fn tables<T>(
        &mut self,
        source: &mut Source<'_>,
        key: &'static str,
        mut parse: impl FnMut(&mut Source<'_>, &mut Table<'_, '_>, usize) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some((at, value)) = self.take(key) else {
            source.report(
                self.start,
                format!("`{key}` is missing; write at least one [[{key}]]"),
            );
            return None;
        };
        let Some(entries) = value.get_ref().as_array() else {
            source.report(
                at,
                format!("`{key}` is not a list of tables; write [[{key}]] above each table"),
            );
            return None;
        };
        if entries.is_empty() {
            source.report(
                at,
                format!("`{key}` is empty; write at least one [[{key}]]"),
            );
            return None;
        }
        let mut parsed = Vec::new();
        for entry in entries.iter() {
            let at = entry.span().start;
            let Some(entry) = entry.get_ref().as_table() else {
                let message = format!(
                    "`{key}` contains a value that is not a table; write [[{key}]] above each table"
                );
                source.report(at, message);
                continue;
            };
            let mut table = Table::new(entry, at);
            parsed.extend(parse(source, &mut table, at));
            table.finish(source);
        }
        Some(parsed)
    }

    /// Reports every key that was not taken.
    pub(crate) fn finish(self, source: &mut Source<'_>) {
        for (key, (at, _)) in self.entries {
            source.report(
                at,
                format!(
                    "`{key}` is not a key of this table; accepted keys: {}",
                    self.known.join(", ")
                ),
            );
        }
    }
}

/// The values of a [`list`], without their offsets.
pub(crate) fn values<T>(located: Vec<(usize, T)>) -> Vec<T> {
    located.into_iter().map(|(_, value)| value).collect()
}

/// A list of texts, each with its offset; an absent list is empty.
pub(crate) fn list<T>(
    source: &mut Source<'_>,
    table: &mut Table<'_, '_>,
    key: &'static str,
    accepted: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Vec<(usize, T)> {
    let Some((at, value)) = table.take(key) else {
        return Vec::new();
    };
    let Some(entries) = value.get_ref().as_array() else {
        source.report(
            at,
            format!(
                "`{key}` is {}; write a list of texts",
                source.excerpt(value)
            ),
        );
        return Vec::new();
    };
    let mut parsed = Vec::new();
    for entry in entries.iter() {
        let at = entry.span().start;
        match entry.get_ref().as_str().and_then(&parse) {
            Some(value) => parsed.push((at, value)),
            None => source.report(
                at,
                format!(
                    "`{key}` contains {}; write {accepted}",
                    source.excerpt(entry)
                ),
            ),
        }
    }
    parsed
}

/// The values of a list of texts; `None`, and a diagnostic, when it is absent or empty.
pub(crate) fn filled_list<T>(
    source: &mut Source<'_>,
    table: &mut Table<'_, '_>,
    key: &'static str,
    accepted: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Option<Vec<T>> {
    let n_before = source.diagnostics.len();
    let found = values(list(source, table, key, accepted, parse));
    // A list without a single valid entry was reported entry by entry.
    if found.is_empty() && source.diagnostics.len() == n_before {
        source.report(
            table.start,
            format!(
                "`{key}` is missing or empty; write a list with at least one entry: {accepted}"
            ),
        );
    }
    (!found.is_empty()).then_some(found)
}

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
