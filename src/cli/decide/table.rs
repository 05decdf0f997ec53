//! Tables: which column is read as which field, and each row as the JSON of an expense.

use std::io::{self, Cursor, Read, Write};
use std::path::Path;

use anyhow::{Context, bail};
use csv::{ByteRecord, ReaderBuilder, StringRecord, Trim};
use jiff::civil::Date;
use serde_json::{Map, Value};

use crate::cli::decide::Decide;
use crate::cli::decide::row::{Input, Row, row_problem};
use crate::domain::submission::FIELDS;
use crate::http::error::Problem;

/// A row that is appended to every table in order to find a quote that is never closed: the cell that
/// such a quote opens then ends with this row.
const END: &str = "\u{0}end\u{0}";
const UNCLOSED: &str = "opens a quote that is never closed, so the rest of the file is read as one \
                        cell; close the quote";

/// A table, with the column of each field.
pub(super) struct Table {
    reader: csv::Reader<Input>,
    n_columns: usize,
    columns: Columns,
    constants: Vec<(&'static str, String)>,
    date_format: Option<String>,
}

/// Fields, each with the index of its column.
type Columns = Vec<(&'static str, usize)>;

impl Table {
    /// Reads the header of a table, and writes to `notes` which columns are not read.
    ///
    /// # Errors
    /// When the header does not say where the fields of an expense are.
    pub(super) fn open(
        input: Input,
        wanted: &Decide,
        notes: &mut dyn Write,
    ) -> anyhow::Result<Self> {
        let input: Input = Box::new(input.chain(Cursor::new(format!("\n{END}\n"))));
        let mut reader = ReaderBuilder::new()
            .flexible(true)
            .trim(Trim::All)
            .from_reader(input);
        let header = reader
            .headers()
            .context("the first row cannot be read; save the file as CSV in UTF-8")?
            .clone();
        check_end(&header, &wanted.file)?;
        let columns = columns(&header, wanted)?;
        check_required(&header, &columns, wanted)?;
        note_unread(&header, &columns, wanted, notes)?;
        Ok(Self {
            reader,
            n_columns: header.len(),
            columns,
            constants: wanted
                .set
                .iter()
                .map(|set| (set.field, set.value.clone()))
                .collect(),
            date_format: wanted.date_format.clone(),
        })
    }

    /// The next row, `None` at the end of the table.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn row(&mut self) -> io::Result<Option<Row>> {
        let mut cells = ByteRecord::new();
        if !self.reader.read_byte_record(&mut cells)? || cells == [END][..] {
            return Ok(None);
        }
        // Records are counted, not lines, because a cell can hold line breaks.
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

    /// A row as JSON. Cells become strings; dates in another format are converted, and `receipt`
    /// becomes a boolean.
    fn expense(&self, cells: &ByteRecord) -> Result<String, Problem> {
        if cells
            .iter()
            .next_back()
            .is_some_and(|last| last.ends_with(END.as_bytes()))
        {
            return Err(row_problem("row", format!("the row {UNCLOSED}")));
        }
        if cells.len() != self.n_columns {
            let (n_cells, n_columns) = (cells.len(), self.n_columns);
            let message = format!(
                "the row has {n_cells} cells, and the first row has {n_columns}; quote cells that \
                 contain a comma"
            );
            return Err(row_problem("row", message));
        }
        let mut fields = Map::new();
        for (field, place) in &self.columns {
            let cell = std::str::from_utf8(&cells[*place]).map_err(|_| {
                row_problem(
                    field,
                    "the cell is not UTF-8; save the file as UTF-8".to_owned(),
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

/// Fails if the header contains the appended row [`END`]: the table is empty, or the header opens a
/// quote that is never closed.
fn check_end(header: &StringRecord, file: &Path) -> anyhow::Result<()> {
    match header.iter().next_back() {
        Some(END) if header.len() == 1 => bail!(
            "{} is empty; the first row of a table names its columns",
            file.display()
        ),
        Some(last) if last.ends_with(END) => bail!("the first row {UNCLOSED}"),
        _ => Ok(()),
    }
}

/// The column of each field: the column that `--column` names, else the column with the name of the
/// field.
fn columns(header: &StringRecord, wanted: &Decide) -> anyhow::Result<Columns> {
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
                bail!("two columns are called {name:?}; rename one of them")
            }
            (Some(_), None) if wanted.set.iter().any(|set| set.field == field) => {
                bail!("{field} is set by --set and also read from the column {name:?}; choose one")
            }
            (Some(place), None) => columns.push((field, place)),
            (None, _) if named.is_some() => bail!(
                "no column is called {name:?}; the columns are {}",
                quoted(header)
            ),
            (None, _) => {}
        }
    }
    Ok(columns)
}

/// Fails unless the table has a transaction and an amount, which every expense needs.
fn check_required(header: &StringRecord, columns: &Columns, wanted: &Decide) -> anyhow::Result<()> {
    for field in ["transaction", "amount"] {
        let is_read = columns.iter().any(|(read, _)| *read == field);
        let is_set = wanted.set.iter().any(|set| set.field == field);
        if !is_read && !is_set {
            bail!(
                "no column is called {field:?}; name it with --column {field}=COLUMN, one of {}",
                quoted(header)
            );
        }
    }
    Ok(())
}

/// Writes to `notes` which columns are not read. Without `--column`, such a column is an error: a
/// misspelt `currency` must not turn pounds into dollars.
fn note_unread(
    header: &StringRecord,
    columns: &Columns,
    wanted: &Decide,
    notes: &mut dyn Write,
) -> anyhow::Result<()> {
    let is_read = |place: usize| columns.iter().any(|(_, read)| *read == place);
    let unread = header
        .iter()
        .enumerate()
        .filter(|(place, _)| !is_read(*place))
        .map(|(_, column)| column);
    let unread = quoted(unread);
    if unread.is_empty() {
        return Ok(());
    }
    if wanted.column.is_empty() {
        bail!(
            "no field is called {unread}; the fields are {}, and --column reads a field from a \
             column with another name",
            FIELDS.join(", ")
        );
    }
    writeln!(notes, "not read: {unread}")?;
    Ok(())
}

/// The value of a cell. `receipt` is a boolean, which spreadsheets write in capitals.
fn value(field: &str, text: &str) -> Value {
    match (field, text.to_ascii_lowercase().as_str()) {
        ("receipt", "true") => Value::Bool(true),
        ("receipt", "false") => Value::Bool(false),
        _ => Value::String(text.to_owned()),
    }
}

fn date(cell: &str, format: &str) -> Result<String, Problem> {
    let example = Date::constant(2026, 3, 14).strftime(format);
    let message = || format!("write a calendar date in the format {format}, such as {example}");
    Date::strptime(format, cell)
        .map(|date| date.to_string())
        .map_err(|_| row_problem("date", message()))
}

/// Checks a date format given on the command line.
///
/// # Errors
/// When a date that is written in the format cannot be read back.
pub(super) fn date_format(format: &str) -> Result<String, &'static str> {
    let day = Date::constant(2026, 3, 14);
    let written = jiff::fmt::strtime::format(format, day).ok();
    let is_format = written
        .is_some_and(|written| Date::strptime(format, written).is_ok_and(|read| read == day));
    is_format
        .then(|| format.to_owned())
        .ok_or("write a format with day, month and year, such as %d/%m/%Y")
}

fn quoted<'t>(names: impl IntoIterator<Item = &'t str>) -> String {
    names
        .into_iter()
        .map(|name| format!("{name:?}"))
        .collect::<Vec<_>>()
        .join(", ")
}
