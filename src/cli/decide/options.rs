//! The flags that say how a table is written, and which column is which field.

use clap::Args;
use encoding_rs::Encoding;

use crate::cli::decide::cells::{AmountFormat, DateFormat};
use crate::cli::decide::input;
use crate::cli::decide::layout::is_delimiter;
use crate::domain::submission::FIELDS;

/// How a table is written.
#[derive(Args, Clone, Debug)]
pub struct TableOptions {
    /// Read a field from a column with another name, such as amount=Total; may be given several
    /// times
    #[arg(long, value_name = "FIELD=COLUMN", value_parser = assignment)]
    pub column: Vec<Assignment>,

    /// Set a field to the same value in every row, such as currency=GBP; may be given several
    /// times
    #[arg(long, value_name = "FIELD=VALUE", value_parser = assignment)]
    pub set: Vec<Assignment>,

    /// The format of dates in the table, such as %d/%m/%Y for 31/01/2026; a time after the date is
    /// left out [default: %Y-%m-%d]
    #[arg(long, value_name = "FORMAT", value_parser = date_format)]
    pub date_format: Option<WrittenDates>,

    /// The separator before decimals in the table's amounts, `.` or `,` [default: .]
    #[arg(long, value_name = "CHARACTER", value_parser = decimal)]
    pub decimal: Option<char>,

    /// The separator between thousands in the table's amounts, such as `.`, `,`, space or apostrophe
    /// [default: none]
    #[arg(long, value_name = "CHARACTER", value_parser = thousands)]
    pub thousands: Option<char>,

    /// Reverse the sign of the table's amounts, for statements that write purchases below zero and
    /// credits above
    #[arg(long)]
    pub negate_amounts: bool,

    /// The character between cells: comma, semicolon, tab, pipe or another one [default: the one
    /// of these four that fits the first rows, or the one in a first line such as sep=;]
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    pub delimiter: Option<u8>,

    /// How many lines to skip before the row that names the columns [default: 0]
    #[arg(long, value_name = "N")]
    pub skip_lines: Option<usize>,

    /// The encoding of the file, such as windows-1252 [default: UTF-8, or UTF-16 with a byte order
    /// mark]
    #[arg(long, value_name = "NAME", value_parser = input::encoding)]
    pub encoding: Option<&'static Encoding>,
}

impl TableOptions {
    /// Whether a flag is given that applies only to tables.
    pub(super) fn are_for_tables(&self) -> bool {
        !self.column.is_empty()
            || !self.set.is_empty()
            || self.date_format.is_some()
            || self.decimal.is_some()
            || self.thousands.is_some()
            || self.negate_amounts
            || self.delimiter.is_some()
            || self.skip_lines.is_some()
    }

    /// The value that `--set` gives a field.
    pub(super) fn constant(&self, field: &str) -> Option<&str> {
        let set = self.set.iter().find(|set| set.field == field);
        set.map(|set| set.value.as_str())
    }

    /// The name of the column that a field is read from, if there is such a column.
    pub(super) fn column_of(&self, field: &'static str) -> &str {
        let named = self.column.iter().find(|column| column.field == field);
        named.map_or(field, |column| column.value.as_str())
    }

    /// How amounts are written.
    pub(super) fn amounts(&self) -> AmountFormat {
        AmountFormat {
            decimal: self.decimal.unwrap_or('.'),
            thousands: self.thousands,
            is_negated: self.negate_amounts,
        }
    }

    /// How dates are written.
    pub(super) fn dates(&self) -> DateFormat {
        self.date_format.clone().unwrap_or_default().0
    }
}

/// The format that `--date-format` names. A public type, because `DateFormat` is private to
/// `decide`.
#[derive(Clone, Debug, Default)]
pub struct WrittenDates(DateFormat);

/// A field with its column (`--column`) or its value (`--set`).
#[derive(Clone, Debug)]
pub struct Assignment {
    /// One of [`FIELDS`].
    pub(super) field: &'static str,
    /// The name of the column, or the value.
    pub(super) value: String,
}

fn assignment(text: &str) -> Result<Assignment, String> {
    let named = text.split_once('=').and_then(|(name, value)| {
        let field = FIELDS.into_iter().find(|field| *field == name)?;
        Some(Assignment {
            field,
            value: value.trim().to_owned(),
        })
        .filter(|named| !named.value.is_empty())
    });
    named.ok_or_else(|| format!("write FIELD=…, where FIELD is one of {}", FIELDS.join(", ")))
}

fn date_format(text: &str) -> Result<WrittenDates, &'static str> {
    DateFormat::parse(text).map(WrittenDates)
}

fn decimal(text: &str) -> Result<char, &'static str> {
    match text {
        "." | "point" => Ok('.'),
        "," | "comma" => Ok(','),
        _ => Err("write `.` or `,`"),
    }
}

fn thousands(text: &str) -> Result<char, &'static str> {
    match text {
        "." | "point" => Ok('.'),
        "," | "comma" => Ok(','),
        " " | "\u{a0}" | "\u{202f}" | "\u{2009}" | "space" => Ok(' '),
        "'" | "\u{2019}" | "apostrophe" => Ok('\''),
        "_" => Ok('_'),
        _ => Err("write `.`, `,`, `_`, space or apostrophe"),
    }
}

fn delimiter(text: &str) -> Result<u8, &'static str> {
    match (text, text.as_bytes()) {
        ("comma", _) => Ok(b','),
        ("semicolon", _) => Ok(b';'),
        ("tab" | "\\t", _) => Ok(b'\t'),
        ("pipe", _) => Ok(b'|'),
        (_, [byte]) if is_delimiter(*byte) => Ok(*byte),
        _ => Err("write comma, semicolon, tab, pipe, or one character that is no letter or digit"),
    }
}
