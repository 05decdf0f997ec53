//! A file as rows: each is the JSON of an expense, as a batch takes it, or says why it is none.
//! What the fields may hold is not judged here: whoever decides a row says so.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Write};
use std::path::Path;

use anyhow::{Context, bail};
use csv::{ByteRecord, ReaderBuilder, Trim};
use jiff::civil::Date;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::cli::decide::{Decide, Format};
use crate::domain::body::{BodyError, FieldError};
use crate::domain::expense::ANONYMOUS;
use crate::domain::submission::{Defaults, FIELDS, parse};
use crate::http::batch::KeyedLine;
use crate::http::error::Problem;

/// One row.
pub(super) struct Row {
    /// Its number in the file: of the line, or of the table's row with the header as the first.
    pub number: usize,
    /// Where it ends in the file, in bytes.
    pub end: u64,
    /// A line of a batch, or what is wrong with the row.
    pub line: Result<String, Problem>,
}

/// The rows of a file, read one by one.
pub(super) struct Rows {
    /// Bytes of the file; none for standard input.
    pub n_bytes: Option<u64>,
    source: Source,
    keys: Keys,
}

type Input = Box<dyn Read + Send>;

enum Source {
    Table(Box<Table>),
    Lines {
        input: BufReader<Input>,
        number: usize,
        end: u64,
    },
}

impl Rows {
    /// Opens a file and reads what its columns are called.
    ///
    /// # Errors
    /// When it cannot be read, or its columns are not those of expenses.
    pub(super) fn open(wanted: &Decide, notes: &mut dyn Write) -> anyhow::Result<Self> {
        let path = &wanted.file;
        let format = wanted.format.or_else(|| format_of(path)).with_context(|| {
            format!(
                "how {} is written does not show in its name; say --format csv or --format ndjson",
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
                "--column, --set and --date-format are for tables; JSON lines name their fields"
            ),
        };
        Ok(Self {
            n_bytes,
            source,
            keys: Keys {
                prefix: wanted.key_prefix.clone(),
                n_equal: HashMap::new(),
            },
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
        let mut row = match read.context("the file cannot be read any further") {
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
        // Editors put a byte order mark before the first line, and `cat` before any.
        let is_around = |c: char| c.is_whitespace() || c == '\u{feff}';
        let line = match std::str::from_utf8(&bytes).map(|text| text.trim_matches(is_around)) {
            Ok("") => continue,
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(faulty(
                "body",
                "the line is no UTF-8; save the file as UTF-8".to_owned(),
            )),
        };
        return Ok(Some(Row {
            number: *number,
            end: *end,
            line,
        }));
    }
}

fn faulty(field: &str, message: String) -> Problem {
    let fault = FieldError {
        field: field.to_owned(),
        message,
    };
    Problem::body(BodyError::Fields(vec![fault]), "invalid_expense")
}

/// A row behind the last one of a table. Where a quote is never closed it is part of another row,
/// like every row before it.
const END: &str = "\u{0}end\u{0}";
const UNCLOSED: &str = "opens a quote that is never closed, so the rows after it cannot be told from it; close the quote";

/// A table, and where in it each field stands.
struct Table {
    reader: csv::Reader<Input>,
    n_columns: usize,
    columns: Vec<(&'static str, usize)>,
    constants: Vec<(&'static str, String)>,
    date_format: Option<String>,
}

impl Table {
    fn open(input: Input, wanted: &Decide, notes: &mut dyn Write) -> anyhow::Result<Self> {
        let input: Input = Box::new(input.chain(Cursor::new(format!("\n{END}\n"))));
        let mut reader = ReaderBuilder::new()
            .flexible(true)
            .trim(Trim::All)
            .from_reader(input);
        let header = reader
            .headers()
            .context("the first row cannot be read; save the file as CSV in UTF-8")?
            .clone();
        match header.iter().next_back() {
            Some(END) if header.len() == 1 => {
                bail!(
                    "{} is empty; the first row of a table names its columns",
                    wanted.file.display()
                )
            }
            Some(last) if last.ends_with(END) => bail!("the first row {UNCLOSED}"),
            _ => {}
        }
        let constants: Vec<_> = wanted
            .set
            .iter()
            .map(|set| (set.field, set.value.clone()))
            .collect();
        let mut columns = Vec::new();
        for field in FIELDS {
            for (flag, given) in [("--column", &wanted.column), ("--set", &wanted.set)] {
                if given.iter().filter(|given| given.field == field).count() > 1 {
                    bail!("{flag} is given twice for {field}; choose one");
                }
            }
            let named = wanted.column.iter().find(|column| column.field == field);
            let name = named.map_or(field, |column| column.value.as_str());
            let mut places = header
                .iter()
                .enumerate()
                .filter(|(_, column)| *column == name)
                .map(|(place, _)| place);
            match (places.next(), places.next()) {
                (Some(_), Some(_)) => {
                    bail!("two columns are called {name:?}; give one of them another name")
                }
                (Some(_), None) if constants.iter().any(|(set, _)| *set == field) => {
                    bail!("{field} is set, and read from the column {name:?} as well; choose one")
                }
                (Some(place), None) => columns.push((field, place)),
                (None, _) if named.is_some() => bail!(
                    "no column is called {name:?}; there are {}",
                    quoted(&header)
                ),
                (None, _) => {}
            }
        }
        let has = |field: &str| columns.iter().any(|(read, _)| *read == field);
        for field in ["transaction", "amount"]
            .into_iter()
            .filter(|field| !has(field))
        {
            if constants.iter().all(|(set, _)| *set != field) {
                let columns = quoted(&header);
                bail!(
                    "no column is called {field:?}; name it with --column {field}=COLUMN, one of {columns}"
                );
            }
        }
        let is_read = |place: usize| columns.iter().any(|(_, read)| *read == place);
        let unread = header
            .iter()
            .enumerate()
            .filter(|(place, _)| !is_read(*place))
            .map(|(_, column)| column);
        let unread = quoted(unread);
        if !unread.is_empty() {
            // A misspelt currency must not turn pounds into dollars.
            if wanted.column.is_empty() {
                bail!(
                    "no field is called {unread}; the fields are {}, and --column reads one from another column",
                    FIELDS.join(", ")
                );
            }
            writeln!(notes, "not read: {unread}")?;
        }
        Ok(Self {
            reader,
            n_columns: header.len(),
            columns,
            constants,
            date_format: wanted.date_format.clone(),
        })
    }

    fn row(&mut self) -> io::Result<Option<Row>> {
        let mut cells = ByteRecord::new();
        if !self.reader.read_byte_record(&mut cells)? || cells == [END][..] {
            return Ok(None);
        }
        // Records are counted, because lines are not where a cell holds line breaks.
        let number = cells.position().map_or(0, csv::Position::record);
        let number = usize::try_from(number)
            .unwrap_or(usize::MAX)
            .saturating_add(1);
        Ok(Some(Row {
            number,
            end: self.reader.position().byte(),
            line: self.expense(&cells),
        }))
    }

    /// A row as JSON: every cell a string, and nothing of it understood but dates of another form
    /// and truth values.
    fn expense(&self, cells: &ByteRecord) -> Result<String, Problem> {
        if cells
            .iter()
            .next_back()
            .is_some_and(|last| last.ends_with(END.as_bytes()))
        {
            return Err(faulty("row", format!("the row {UNCLOSED}")));
        }
        if cells.len() != self.n_columns {
            let (n_cells, n_columns) = (cells.len(), self.n_columns);
            let message = format!(
                "the row has {n_cells} cells, and the first row {n_columns}; quote cells that hold a comma"
            );
            return Err(faulty("row", message));
        }
        let mut fields = Map::new();
        for (field, place) in &self.columns {
            let cell = std::str::from_utf8(&cells[*place]).map_err(|_| {
                faulty(
                    field,
                    "the cell is no UTF-8; save the file as UTF-8".to_owned(),
                )
            })?;
            let value = match (*field, &self.date_format) {
                (_, _) if cell.is_empty() => continue,
                ("date", Some(format)) => Value::String(date(cell, format)?),
                _ => value(field, cell),
            };
            fields.insert((*field).to_owned(), value);
        }
        fields.extend(
            self.constants
                .iter()
                .map(|(field, text)| ((*field).to_owned(), value(field, text))),
        );
        Ok(Value::Object(fields).to_string())
    }
}

/// Spreadsheets write truth values in capitals.
fn value(field: &str, text: &str) -> Value {
    match (field, text.to_ascii_lowercase().as_str()) {
        ("receipt", "true") => Value::Bool(true),
        ("receipt", "false") => Value::Bool(false),
        _ => Value::String(text.to_owned()),
    }
}

fn date(cell: &str, format: &str) -> Result<String, Problem> {
    let example = Date::constant(2026, 3, 14).strftime(format);
    let message = || format!("write a calendar date of the form {format}, such as {example}");
    Date::strptime(format, cell)
        .map(|date| date.to_string())
        .map_err(|_| faulty("date", message()))
}

/// A form in which dates are written.
///
/// # Errors
/// When no date can be read back that was written in it.
pub(super) fn date_format(format: &str) -> Result<String, &'static str> {
    let day = Date::constant(2026, 3, 14);
    let written = jiff::fmt::strtime::format(format, day).ok();
    let is_format = written
        .is_some_and(|written| Date::strptime(format, written).is_ok_and(|read| read == day));
    is_format
        .then(|| format.to_owned())
        .ok_or("write a form with day, month and year, such as %d/%m/%Y")
}

fn quoted<'t>(names: impl IntoIterator<Item = &'t str>) -> String {
    names
        .into_iter()
        .map(|name| format!("{name:?}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Idempotency keys. A row's key is a hash of what it means, and its place among equal ones: two
/// coffees of one day are two expenses. Neither the name of the file nor the number of the row is
/// part of it, so that a file may be renamed, rows may be put right, added or sorted, and exports
/// may overlap: what was decided is not decided again.
struct Keys {
    prefix: String,
    n_equal: HashMap<u128, usize>,
}

impl Keys {
    /// A line with its key; a line that is no JSON has none, and one that brings its own keeps it.
    fn keyed(&mut self, text: String) -> String {
        if serde_json::from_str::<KeyedLine>(&text).is_ok() {
            return text;
        }
        let hash = hash(&text);
        let Ok(expense) = RawValue::from_string(text.clone()) else {
            return text;
        };
        let n_equal = self.n_equal.entry(hash).or_default();
        *n_equal += 1;
        let idempotency_key = format!("{}-{hash:032x}-{n_equal}", self.prefix);
        let keyed = serde_json::to_string(&KeyedLine {
            idempotency_key,
            expense,
        });
        keyed.unwrap_or(text)
    }
}

/// By the meaning, so that `45` and `"45.00"` are the same; by the text where it has none.
fn hash(text: &str) -> u128 {
    let defaults = Defaults {
        date: Date::constant(1970, 1, 1),
        user_id: ANONYMOUS.to_owned(),
    };
    let meaning = parse(text.as_bytes(), defaults).map(|submitted| submitted.fingerprint);
    let digest = Sha256::digest(meaning.as_deref().unwrap_or(text));
    digest
        .iter()
        .take(16)
        .fold(0, |hash, byte| hash << 8 | u128::from(*byte))
}
