//! A file as rows: each is the JSON of an expense, as the batch route accepts it, or a problem that
//! says why the row cannot be sent. How a table becomes rows is in `table`. Values are not checked
//! here: the service that decides a row also says which field is wrong.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use anyhow::{Context, bail};

use crate::cli::decide::row::{Input, Row, row_problem};
use crate::cli::decide::row_keys::RowKeys;
use crate::cli::decide::table::Table;
use crate::cli::decide::{Decide, Format};

/// The rows of a file, read one by one.
pub(super) struct Rows {
    /// The size of the file in bytes; `None` for standard input.
    pub n_bytes: Option<u64>,
    source: Source,
    keys: RowKeys,
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
        let format = wanted.format.or_else(|| format_of(path)).with_context(|| {
            format!(
                "the name of {} does not show its format; add --format csv or --format ndjson",
                path.display()
            )
        })?;
        let unreadable = || format!("{} cannot be read", path.display());
        let (input, n_bytes): (Input, _) = match path.as_os_str() == "-" {
            true => (Box::new(io::stdin()), None),
            false => {
                let file = File::open(path).with_context(unreadable)?;
                let n_bytes = file.metadata().with_context(unreadable)?.len();
                (Box::new(file), Some(n_bytes))
            }
        };
        let source = match format {
            Format::Csv => Source::Table(Box::new(Table::open(input, wanted, notes)?)),
            Format::Ndjson
                if wanted.column.is_empty()
                    && wanted.set.is_empty()
                    && wanted.date_format.is_none() =>
            {
                Source::Lines {
                    input: BufReader::new(input),
                    number: 0,
                    end: 0,
                }
            }
            Format::Ndjson => bail!(
                "--column, --set and --date-format apply to tables; JSON lines name their fields"
            ),
        };
        Ok(Self {
            n_bytes,
            source,
            keys: RowKeys::new(wanted.key_prefix.clone()),
        })
    }
}

fn format_of(path: &Path) -> Option<Format> {
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "csv" => Some(Format::Csv),
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
        row.line = row.line.map(|text| self.keys.keyed(text));
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
        let line = match std::str::from_utf8(&bytes).map(|text| text.trim_matches(is_around)) {
            Ok("") => continue,
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(row_problem(
                "body",
                "the line is not UTF-8; save the file as UTF-8".to_owned(),
            )),
        };
        return Ok(Some(Row {
            number: *number,
            end: *end,
            line,
        }));
    }
}
