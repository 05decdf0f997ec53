//! Tables: each row as the JSON of an expense. Where the header is and what separates cells is found
//! in `layout`, which column is which field in `header`, and how cells write amounts and dates is in
//! `cells`.

use std::io::{self, Write};
use std::ops::Range;

use anyhow::{Context, bail};
use csv::{ByteRecord, ReaderBuilder, StringRecord, Trim};
use serde_json::{Map, Value};

use crate::cli::decide::Decide;
use crate::cli::decide::cells::{AmountFormat, DateFormat, is_zero};
use crate::cli::decide::fact_columns;
use crate::cli::decide::header::{Columns, check_options, check_text, read_header};
use crate::cli::decide::input::Input;
use crate::cli::decide::layout::{self, n_filled};
use crate::cli::decide::quotes::{END, QuotedText, STRAY, UNCLOSED};
use crate::cli::decide::row::{Content, Row};
use crate::domain::body::{BodyError, FieldError};
use crate::domain::submission::FIELDS;
use crate::http::error::{Code, Problem};
use crate::spelling;

/// The fields that an empty cell must not leave to the API's defaults, which are dollars, today and
/// no particular employee: the file does not say that any of these is meant.
const NEVER_EMPTY: [&str; 5] = ["transaction", "amount", "currency", "date", "user_id"];

/// A table, with the column of each field.
pub(super) struct Table {
    reader: csv::Reader<QuotedText>,
    header: ByteRecord,
    /// The columns of the table; unnamed ones at the end do not count.
    n_columns: usize,
    columns: Columns,
    constants: Vec<(&'static str, String)>,
    amounts: AmountFormat,
    dates: DateFormat,
    delimiter: u8,
    n_skipped: usize,
    /// The encoding that the command line names.
    encoding: Option<&'static str>,
}

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
        let options = &wanted.table;
        check_options(options)?;
        let names: Vec<&str> = FIELDS.map(|field| options.column_of(field)).into();
        let n_skipped = options.skip_lines.unwrap_or_default();
        let layout = layout::find(input, n_skipped, options.delimiter, &names)
            .with_context(|| format!("{} cannot be read", wanted.file.display()))?;
        let mut reader = ReaderBuilder::new()
            .flexible(true)
            .trim(Trim::All)
            .delimiter(layout.delimiter)
            .from_reader(QuotedText::new(layout.input, layout.delimiter));
        let header = reader
            .headers()
            .context(
                "the first row cannot be read; save the file as CSV UTF-8, or name its encoding \
                 with --encoding, such as windows-1252",
            )?
            .clone();
        check_text(&header, wanted)?;
        let end = reader.position().byte();
        if reader.get_mut().has_stray(&(0..end)) {
            bail!("the first row {STRAY}");
        }
        let n_columns = n_filled(header.as_byte_record());
        let named: StringRecord = header.iter().take(n_columns).collect();
        let columns = read_header(&named, options, notes)?;
        Ok(Self {
            reader,
            header: header.into_byte_record(),
            n_columns,
            columns,
            constants: options
                .set
                .iter()
                .map(|set| (set.field, set.value.clone()))
                .collect(),
            amounts: options.amounts(),
            dates: options.dates(),
            delimiter: layout.delimiter,
            n_skipped,
            encoding: options.encoding.map(|encoding| encoding.name()),
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
            .saturating_add(1)
            .saturating_add(self.n_skipped);
        let start = cells.position().map_or(0, csv::Position::byte);
        let bytes = start..self.reader.position().byte();
        let content = match self.check_shape(&cells, &bytes) {
            Ok(()) => self.content(&cells),
            Err(message) => Content::Refused(Box::new(Problem::invalid_field("row", message))),
        };
        Ok(Some(Row {
            number,
            end: bytes.end,
            content,
        }))
    }

    /// Checks that the cells of a row belong to the columns of the header. Empty cells at the end may
    /// be missing, or be too many: spreadsheets and banks write both. Cells below columns without a
    /// name may be filled only if the row is exactly as long as the header; a longer row may have a
    /// cell that a decimal comma split in two.
    fn check_shape(&mut self, cells: &ByteRecord, bytes: &Range<u64>) -> Result<(), String> {
        let n_cells = n_filled(cells);
        let last = n_cells.checked_sub(1).and_then(|place| cells.get(place));
        if last.is_some_and(|last| last.ends_with(END.as_bytes())) {
            return Err(format!("the row {UNCLOSED}"));
        }
        if self.reader.get_mut().has_stray(bytes) {
            return Err(format!("the row {STRAY}"));
        }
        if n_cells == 0 {
            return Err("the row is empty; remove it".to_owned());
        }
        if self.is_header(cells) {
            return Err("the row repeats the first row; remove it".to_owned());
        }
        if n_cells > self.n_columns && cells.len() != self.header.len() {
            let (n_columns, delimiter) = (self.n_columns, in_words(self.delimiter));
            return Err(format!(
                "the row has {n_cells} cells, and the first row has {n_columns}; quote cells that \
                 contain {delimiter}"
            ));
        }
        if cells.len() < self.n_columns && self.is_cut_off(cells, bytes) {
            return Err(
                "the file ends inside the amount of this row; it may have been cut off; if it is \
                 complete, end it with a line break"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Whether a row has the names of the columns in its cells, as in files that were joined.
    fn is_header(&self, cells: &ByteRecord) -> bool {
        let names = |row: &ByteRecord| -> Vec<String> {
            let cells = row.iter().take(n_filled(row));
            cells
                .map(|cell| spelling::column(&String::from_utf8_lossy(cell)).into_owned())
                .collect()
        };
        names(cells) == names(&self.header)
    }

    /// Whether a row that lacks cells is the end of a file that was cut off inside an amount: no
    /// line break follows, and the amount does not end with a separator and two decimals.
    fn is_cut_off(&self, cells: &ByteRecord, bytes: &Range<u64>) -> bool {
        let is_last = self.reader.get_ref().ends_before(bytes.end);
        let is_amount = |(field, place): &(&str, usize)| {
            *field == "amount" && place.checked_add(1) == Some(cells.len())
        };
        let is_complete = cells.iter().next_back().is_some_and(|cell| {
            let n_digits = cell.iter().rev().take_while(|byte| byte.is_ascii_digit());
            n_digits.count() == 2 && cell.len() > 2
        });
        is_last && self.columns.iter().any(is_amount) && !is_complete
    }

    /// A row as JSON. Cells become strings; amounts and dates are written as the API reads them, and
    /// `receipt` and facts become values of their own form. Every cell that cannot be read is reported.
    fn content(&self, cells: &ByteRecord) -> Content {
        let mut fields = Map::new();
        let mut errors = Vec::new();
        for (field, place) in &self.columns {
            let value = self
                .text(cells.get(*place).unwrap_or_default())
                .and_then(|text| self.value(field, text, *place));
            match value {
                // Card verifications leave such rows, and so do waived fees.
                Ok(Some(Value::String(amount))) if *field == "amount" && is_zero(&amount) => {
                    return Content::Skipped;
                }
                Ok(Some(value)) => _ = fields.insert((*field).to_owned(), value),
                Ok(None) => {}
                Err(message) => errors.push(FieldError {
                    field: (*field).to_owned(),
                    message,
                }),
            }
        }
        if !errors.is_empty() {
            let problem = Problem::body(BodyError::Fields(errors), Code::InvalidExpense);
            return Content::Refused(Box::new(problem));
        }
        fields.extend(
            self.constants
                .iter()
                .map(|(field, text)| ((*field).to_owned(), json_value(field, text))),
        );
        Content::Line(Value::Object(fields).to_string())
    }

    /// The text of a cell, without a formula around it. Fails on bytes that are not text in the
    /// encoding of the file.
    fn text<'c>(&self, cell: &'c [u8]) -> Result<&'c str, String> {
        let text = std::str::from_utf8(cell).map_err(|_| {
            "the cell is not UTF-8; save the file as UTF-8, or name its encoding with --encoding, \
             such as windows-1252"
                .to_owned()
        })?;
        match self.encoding {
            Some(encoding) if text.contains(char::REPLACEMENT_CHARACTER) => Err(format!(
                "the cell is not {encoding}, which --encoding names"
            )),
            _ => Ok(without_formula(text)),
        }
    }

    /// The value of a cell; `None` for an empty one whose field is left out.
    fn value(&self, field: &str, text: &str, place: usize) -> Result<Option<Value>, String> {
        Ok(Some(match field {
            _ if text.is_empty() && NEVER_EMPTY.contains(&field) => {
                let column = self.header.get(place).unwrap_or_default();
                return Err(format!(
                    "the cell in the column {:?} is empty; fill it in, because no default is used \
                     for it",
                    String::from_utf8_lossy(column)
                ));
            }
            _ if text.is_empty() => return Ok(None),
            "amount" => Value::String(self.amounts.plain(text)?),
            "date" => Value::String(self.dates.day(text)?),
            _ => match field.parse() {
                Ok(fact) => fact_columns::value(fact, text, self.amounts, &self.dates)?,
                Err(_) => json_value(field, text),
            },
        }))
    }
}

/// The text of a cell, which spreadsheets and banks write as `="0012"` to keep its zeros. In files that
/// were joined, a byte order mark can precede any row.
fn without_formula(cell: &str) -> &str {
    let text = cell.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    text.strip_prefix("=\"")
        .and_then(|text| text.strip_suffix('"'))
        .filter(|text| !text.contains('"'))
        .map_or(text, str::trim)
}

/// A text as JSON: a flag or a word for `receipt`, which spreadsheets write in capitals, the value of a
/// fact, and the text itself for every other field.
fn json_value(field: &str, text: &str) -> Value {
    match (field, text.to_ascii_lowercase().as_str()) {
        ("receipt" | "plan", "true") => Value::Bool(true),
        ("receipt" | "plan", "false") => Value::Bool(false),
        ("receipt", word) => Value::String(word.to_owned()),
        _ => match field.parse() {
            Ok(fact) => fact_columns::constant(fact, text),
            Err(_) => Value::String(text.to_owned()),
        },
    }
}

fn in_words(delimiter: u8) -> String {
    match delimiter {
        b',' => "a comma".to_owned(),
        b';' => "a semicolon".to_owned(),
        b'\t' => "a tab".to_owned(),
        other => format!("`{}`", char::from(other)),
    }
}
