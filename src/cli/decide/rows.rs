//! A file as rows: each is the JSON of an expense, as the batch route accepts it, or a problem that
//! says why the row cannot be sent. How a table becomes rows is in `table`. Values are not checked
//! here: the service that decides a row also says which field is wrong.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use anyhow::{Context, bail};

use crate::cli::decide::input::{self, Input};
use crate::cli::decide::row::{Content, Row};
use crate::cli::decide::row_keys::RowKeys;
use crate::cli::decide::table::Table;
use crate::cli::decide::{Decide, Format};
use crate::http::error::Problem;

/// The rows of a file, read one by one.
pub(super) struct Rows {
    /// The size of the file in bytes; `None` if it is not known beforehand.
    pub n_bytes: Option<u64>,
    source: Source,
    keys: RowKeys,
    /// Whether a purchase is looked for when a credit does not name one.
    matches_refunds: bool,
}

enum Source {
    Table(Box<Table>),
    Lines {
        input: BufReader<Input>,
        number: usize,
        end: u64,
    },
}

impl Rows {
    /// Opens a file and reads the names of its columns.
    ///
    /// # Errors
    /// When it cannot be read, or its columns are not those of expenses.
    pub(super) fn open(wanted: &Decide, notes: &mut dyn Write) -> anyhow::Result<Self> {
        let path = &wanted.file;
        let (input, n_bytes) = input::open(path, wanted.table.encoding)?;
        let format = wanted.format.or_else(|| format_of(path)).with_context(|| {
            format!(
                "the name of {} does not show its format; add --format csv or --format ndjson",
                path.display()
            )
        })?;
        let source = match format {
            Format::Csv => Source::Table(Box::new(Table::open(input, wanted, notes)?)),
            Format::Ndjson if wanted.table.are_for_tables() => bail!(
                "--column, --set, --date-format, --decimal, --thousands, --negate-amounts, --delimiter \
                 and --skip-lines apply to tables; JSON lines name their fields"
            ),
            Format::Ndjson => Source::Lines {
                input: BufReader::new(input),
                number: 0,
                end: 0,
            },
        };
        Ok(Self {
            n_bytes,
            source,
            keys: RowKeys::new(wanted.key_prefix.clone()),
            matches_refunds: wanted.match_refunds,
        })
    }

    /// Whether the file is a table.
    pub(super) fn is_table(&self) -> bool {
        matches!(self.source, Source::Table(_))
    }
}

fn format_of(path: &Path) -> Option<Format> {
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "csv" | "tsv" | "tab" => Some(Format::Csv),
        "ndjson" | "jsonl" => Some(Format::Ndjson),
        _ => None,
    }
}

impl Iterator for Rows {
    type Item = anyhow::Result<Row>;

    fn next(&mut self) -> Option<anyhow::Result<Row>> {
        let read = match &mut self.source {
            Source::Table(table) => table.row(),
            Source::Lines { input, number, end } => next_line(input, number, end),
        };
        let mut row = match read.context("reading the file failed") {
            Ok(row) => row?,
            Err(error) => return Some(Err(error)),
        };
        if let Content::Line(text) = row.content {
            row.content = self.keys.content(text, self.matches_refunds);
        }
        Some(Ok(row))
    }
}

/// The next line that is not blank.
fn next_line(
    input: &mut impl BufRead,
    number: &mut usize,
    end: &mut u64,
) -> io::Result<Option<Row>> {
    loop {
        let mut bytes = Vec::new();
        let n_bytes = input.read_until(b'\n', &mut bytes)?;
        if n_bytes == 0 {
            return Ok(None);
        }
        *number += 1;
        *end += u64::try_from(n_bytes).unwrap_or(u64::MAX);
        // Some editors write a byte order mark at the start of a file; in files that were concatenated
        // it can precede any line.
        let is_around = |c: char| c.is_whitespace() || c == '\u{feff}';
        let content = match std::str::from_utf8(&bytes).map(|text| text.trim_matches(is_around)) {
            Ok("") => continue,
            Ok(text) => Content::Line(text.to_owned()),
            Err(_) => Content::Refused(Box::new(Problem::invalid_field(
                "body",
                "the line is not UTF-8; save the file as UTF-8, or name its encoding with \
                 --encoding"
                    .to_owned(),
            ))),
        };
        return Ok(Some(Row {
            number: *number,
            end: *end,
            content,
        }));
    }
}
