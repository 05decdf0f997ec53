//! Reads the keys of one TOML table, and reports those that are missing, unknown or not accepted.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::domain::money::{self, Currency};
use crate::toml_reader::Source;

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

    /// Names a key that is accepted and was not written.
    pub(crate) fn know(&mut self, key: &'static str) {
        self.known.push(key);
    }

    /// The offset of a key that was not taken yet; the start of the table when it is absent.
    pub(crate) fn at(&self, key: &str) -> usize {
        self.entries.get(key).map_or(self.start, |(at, _)| *at)
    }

    /// Whether a key is there that was not taken yet.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
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
        let accepted = example_amount(currency);
        self.decimal(source, key, currency.minor_digits(), &accepted)
    }

    /// An amount in a currency that may be absent: `Some(None)` when it is.
    pub(crate) fn optional_amount(
        &mut self,
        source: &mut Source<'_>,
        key: &'static str,
        currency: Currency,
    ) -> Option<Option<Decimal>> {
        let (decimals, accepted) = (currency.minor_digits(), example_amount(currency));
        self.optional(source, key, &accepted, |value| {
            money::parse_amount(value.as_str()?, decimals).ok()
        })
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

    /// Like [`Self::tables`]; an absent list is empty.
    pub(crate) fn optional_tables<T>(
        &mut self,
        source: &mut Source<'_>,
        key: &'static str,
        parse: impl FnMut(&mut Source<'_>, &mut Table<'_, '_>, usize) -> Option<T>,
    ) -> Option<Vec<T>> {
        if self.has(key) {
            return self.tables(source, key, parse);
        }
        self.known.push(key);
        Some(Vec::new())
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

fn example_amount(currency: Currency) -> String {
    let example = money::from_minor(7500, currency);
    format!("a decimal such as \"{example}\"")
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
