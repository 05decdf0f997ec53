//! Reads TOML files that people write. Reading continues after a mistake, so one run reports every
//! mistake with file, line and key, and with what would be accepted. What the keys mean is decided
//! where their values are used, for example in `policy::parse`. A file is read here, a table of it in
//! `table`; `values` has the kinds of value that several files contain.
//!
//! Hand-written on top of the spans of the `toml` crate. `eserde` collects several errors too, but
//! locates a value of the wrong type by its path instead of its line, and cannot add what to write
//! instead. `toml-span` would do, but is a second TOML parser beside the one that this service
//! already has.

pub(crate) mod claims;
pub mod diagnostic;
pub(crate) mod table;
pub(crate) mod values;

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use diagnostic::{Diagnostic, Diagnostics};
use table::Table;

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
    pub(crate) fn excerpt(&self, value: &Spanned<DeValue<'_>>) -> String {
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
