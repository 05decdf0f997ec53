//! Reads TOML files that people write, and reads on after a fault: whatever is wrong is named with
//! file, line and key, and with what would be accepted. What the keys mean stands with the things
//! they make, such as policies in `policy::parse`.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use rust_decimal::Decimal;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::domain::expense::calendar_date;
use crate::domain::money::{self, Currency};

/// What a date is written as.
pub(crate) const DATE: &str = "a date such as \"2026-01-01\"";
/// What a text for people is written as.
pub(crate) const TEXT: &str = "a text that is not empty";

/// One thing wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, as it was named to the program.
    pub file: PathBuf,
    /// Line from 1; absent when the file as a whole is meant.
    pub line: Option<usize>,
    /// What was wrong and what would be accepted.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.message)
    }
}

/// Everything wrong with some files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n"))]
pub struct FileFaults(pub Vec<Fault>);

/// Reads a file; `hint` says what to do about one that cannot be read.
pub(crate) fn read(file: &Path, hint: &str) -> Result<String, FileFaults> {
    std::fs::read_to_string(file)
        .map_err(|error| FileFaults::of(file, format!("cannot be read: {error}; {hint}")))
}

impl FileFaults {
    /// One fault of a file as a whole.
    pub(crate) fn of(file: &Path, message: String) -> Self {
        Self(vec![Fault {
            file: file.to_owned(),
            line: None,
            message,
        }])
    }

    /// What `parse` makes of a file, unless there are faults.
    pub(crate) fn collect<T: Default>(
        file: &Path,
        text: &str,
        parse: impl FnOnce(&mut Source<'_>) -> Option<T>,
    ) -> Result<T, Self> {
        let mut faults = Vec::new();
        let parsed = parse(&mut Source::new(file, text, &mut faults));
        Self::none_of(faults)?;
        Ok(parsed.unwrap_or_default())
    }

    /// Passes when there are no faults; else they come in the order in which a reader goes through
    /// the files, and within a line in the order of discovery.
    pub(crate) fn none_of(mut faults: Vec<Fault>) -> Result<(), Self> {
        faults.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Self(faults))
        }
    }
}

/// What only one owner may hold, such as a rule id, and where it was written last.
#[derive(Default)]
pub(crate) struct Claims {
    by_thing: HashMap<String, Claim>,
}

struct Claim {
    owner: String,
    file: PathBuf,
    line: usize,
}

impl Claims {
    /// Notes that an owner holds a thing. A fault when another owner holds it, or the same file:
    /// versions of one policy share rule ids and evidence, but each writes them once.
    pub(crate) fn claim(&mut self, source: &mut Source<'_>, at: usize, thing: &str, owner: &str) {
        self.claim_as(source, at, thing, thing, owner);
    }

    /// The same for a thing that faults call by another name.
    pub(crate) fn claim_as(
        &mut self,
        source: &mut Source<'_>,
        at: usize,
        thing: &str,
        called: &str,
        owner: &str,
    ) {
        if let Some(Claim {
            owner: holder,
            file,
            line,
        }) = self.by_thing.get(thing)
            && (holder != owner || file == source.file)
        {
            source.fault(
                at,
                format!(
                    "{called} already stands in {}:{line}; write it in one place",
                    file.display()
                ),
            );
            return;
        }
        let claim = Claim {
            owner: owner.to_owned(),
            file: source.file.to_owned(),
            line: source.line(at),
        };
        self.by_thing.insert(thing.to_owned(), claim);
    }
}

/// One file under way.
pub(crate) struct Source<'a> {
    pub(crate) file: &'a Path,
    pub(crate) text: &'a str,
    faults: &'a mut Vec<Fault>,
    /// Where each line ends; counted once, because every claim asks for a line.
    line_ends: Vec<usize>,
    repeats_values: bool,
}

impl<'a> Source<'a> {
    /// Begins to read a file; what is wrong with it joins the faults.
    pub(crate) fn new(file: &'a Path, text: &'a str, faults: &'a mut Vec<Fault>) -> Self {
        let line_ends = text.match_indices('\n').map(|(at, _)| at).collect();
        Self {
            file,
            text,
            faults,
            line_ends,
            repeats_values: true,
        }
    }

    /// From here on no fault repeats a value of the file, because it holds secrets.
    pub(crate) fn hide_values(&mut self) {
        self.repeats_values = false;
    }

    /// The file's content; `None` when it is not TOML (the fault is noted).
    pub(crate) fn document(&mut self) -> Option<Spanned<DeTable<'a>>> {
        DeTable::parse(self.text)
            .map_err(|error| {
                let at = error.span().map_or(0, |span| span.start);
                self.fault(at, format!("is not TOML: {}", error.message()));
            })
            .ok()
    }

    /// The tables of a file that holds nothing but one list of them.
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

    pub(crate) fn fault(&mut self, offset: usize, message: String) {
        let line = Some(self.line(offset));
        self.faults.push(Fault {
            file: self.file.to_owned(),
            line,
            message,
        });
    }

    /// The source text of a value, shortened for a message, or words in its place.
    pub(crate) fn excerpt(&self, value: &Spanned<DeValue<'_>>) -> String {
        if !self.repeats_values {
            return "something else".to_owned();
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

/// One TOML table: its keys are taken out one by one, and what is left over at the end is unknown.
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

    /// Where a key stands that was not taken yet; where the table begins, when it is absent.
    pub(crate) fn at(&self, key: &str) -> usize {
        self.entries.get(key).map_or(self.start, |(at, _)| *at)
    }

    /// `Some(None)` when the key is absent, `None` when its value is wrong (the fault is noted).
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
            source.fault(
                at,
                format!("`{key}` is {}; write {accepted}", source.excerpt(value)),
            );
        }
        parsed.map(Some)
    }

    pub(crate) fn required<T>(
        &mut self,
        source: &mut Source<'_>,
        key: &'static str,
        accepted: &str,
        parse: impl Fn(&DeValue<'i>) -> Option<T>,
    ) -> Option<T> {
        let given = self.optional(source, key, accepted, parse)?;
        if given.is_none() {
            source.fault(self.start, format!("`{key}` is missing; write {accepted}"));
        }
        given
    }

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

    /// A decimal in quotes, so that it never was a binary float: no sign, and no more decimals than
    /// `max_decimals`.
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

    /// The tables of a list such as `[[rule]]`: those that can be read. `parse` is given where each
    /// begins.
    pub(crate) fn tables<T>(
        &mut self,
        source: &mut Source<'_>,
        key: &'static str,
        mut parse: impl FnMut(&mut Source<'_>, &mut Table<'_, '_>, usize) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some((at, value)) = self.take(key) else {
            source.fault(
                self.start,
                format!("`{key}` is missing; write at least one [[{key}]]"),
            );
            return None;
        };
        let Some(entries) = value.get_ref().as_array() else {
            source.fault(
                at,
                format!("`{key}` is no list of tables; write [[{key}]] above each of them"),
            );
            return None;
        };
        if entries.is_empty() {
            source.fault(
                at,
                format!("`{key}` is empty; write at least one [[{key}]]"),
            );
            return None;
        }
        let mut parsed = Vec::new();
        for entry in entries.iter() {
            let at = entry.span().start;
            let Some(entry) = entry.get_ref().as_table() else {
                source
                    .fault(at, format!("`{key}` holds something that is no table; write [[{key}]] above each of them"));
                continue;
            };
            let mut table = Table::new(entry, at);
            parsed.extend(parse(source, &mut table, at));
            table.finish(source);
        }
        Some(parsed)
    }

    pub(crate) fn finish(self, source: &mut Source<'_>) {
        for (key, (at, _)) in self.entries {
            source.fault(
                at,
                format!(
                    "`{key}` is no key of this table; accepted are {}",
                    self.known.join(", ")
                ),
            );
        }
    }
}

pub(crate) fn values<T>(located: Vec<(usize, T)>) -> Vec<T> {
    located.into_iter().map(|(_, value)| value).collect()
}

/// A list of texts, each with where it stands; absent counts as empty.
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
        source.fault(
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
            None => source.fault(
                at,
                format!("`{key}` holds {}; write {accepted}", source.excerpt(entry)),
            ),
        }
    }
    parsed
}

/// A list of texts that holds at least one.
pub(crate) fn filled_list<T>(
    source: &mut Source<'_>,
    table: &mut Table<'_, '_>,
    key: &'static str,
    accepted: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Option<Vec<T>> {
    let n_faults = source.faults.len();
    let found = values(list(source, table, key, accepted, parse));
    // A list whose entries are all faulty was complained of already.
    if found.is_empty() && source.faults.len() == n_faults {
        source.fault(
            table.start,
            format!("`{key}` is missing or empty; write a list that holds {accepted}"),
        );
    }
    (!found.is_empty()).then_some(found)
}

pub(crate) fn filled_text(value: &DeValue<'_>) -> Option<String> {
    value
        .as_str()
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

pub(crate) fn date(value: &DeValue<'_>) -> Option<Date> {
    value.as_str().and_then(calendar_date)
}

/// What is accepted where only some words are.
pub(crate) fn one_of(variants: &[&str]) -> String {
    format!("one of \"{}\"", variants.join("\", \""))
}

/// A name that files, traces and command lines can all spell.
pub(crate) fn name(text: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    (!text.is_empty() && text.chars().all(is_plain)).then(|| text.to_owned())
}
