//! The header of a table: which column is read as which field, and whether the flags fit it.

use std::io::Write;

use anyhow::bail;
use csv::StringRecord;

use crate::cli::decide::cells::AmountFormat;
use crate::cli::decide::fact_columns::is_heading;
use crate::cli::decide::options::TableOptions;
use crate::cli::decide::quotes::{END, UNCLOSED};
use crate::cli::decide::{Decide, InvalidCommand};
use crate::domain::facts::FactName;
use crate::domain::submission::FIELDS;
use crate::spelling;

/// Fields, each with the index of its column.
pub(super) type Columns = Vec<(&'static str, usize)>;

/// Finds the column of each field in a header, from which unnamed columns at the end were removed,
/// and writes to `notes` which columns are not read.
///
/// # Errors
/// When the header and the flags do not say where the fields of an expense are.
pub(super) fn read_header(
    header: &StringRecord,
    options: &TableOptions,
    notes: &mut dyn Write,
) -> anyhow::Result<Columns> {
    let columns = columns(header, options)?;
    check_required(header, &columns, options)?;
    note_unread(header, &columns, options, notes)?;
    check_currency(&columns, options)?;
    note_defaults(&columns, options, notes)?;
    Ok(columns)
}

/// Fails on options that contradict each other.
///
/// # Errors
/// When a separator has two meanings, or a field two columns or values.
pub(super) fn check_options(options: &TableOptions) -> anyhow::Result<()> {
    let AmountFormat {
        decimal, thousands, ..
    } = options.amounts();
    if thousands == Some(decimal) {
        bail!(InvalidCommand(format!(
            "`{decimal}` cannot separate both decimals and thousands; give --decimal and \
             --thousands different characters"
        )));
    }
    for (flag, given) in [("--column", &options.column), ("--set", &options.set)] {
        for (index, one) in given.iter().enumerate() {
            if given[..index].iter().any(|other| other.field == one.field) {
                bail!("{flag} is given twice for {}; choose one", one.field);
            }
        }
    }
    Ok(())
}

/// Checks that the first row can be a header.
///
/// # Errors
/// When the file ends before it, when it opens a quote that is never closed, names no columns or is
/// not text, and when the file consists of JSON lines.
pub(super) fn check_text(header: &StringRecord, wanted: &Decide) -> anyhow::Result<()> {
    let last = header.iter().next_back().unwrap_or_default();
    if last == END && header.len() == 1 {
        let file = wanted.file.display();
        match wanted.table.skip_lines.unwrap_or_default() {
            0 => bail!("{file} is empty; the first row of a table names its columns"),
            n => bail!("{file} has no row after the {n} lines that --skip-lines skips"),
        }
    }
    if last.ends_with(END) {
        bail!("the first row {UNCLOSED}");
    }
    if header.iter().all(str::is_empty) {
        bail!(
            "the first row names no columns; if it is not the header, skip lines with --skip-lines"
        );
    }
    let is_binary = |c: char| c.is_control() && !c.is_whitespace();
    if header.iter().any(|name| name.contains(is_binary)) {
        bail!(
            "the first row contains control characters, so the file is probably not a table; save \
             it as CSV UTF-8, or name its encoding with --encoding, such as utf-16le"
        );
    }
    if header
        .iter()
        .next()
        .is_some_and(|name| name.starts_with("{\""))
    {
        bail!("the file consists of JSON lines; add --format ndjson");
    }
    Ok(())
}

/// The column of each field: the column that `--column` names, or else the column with the name of
/// the field. Names are compared in one spelling, because the same accent or blank can be encoded
/// in several ways. A fact is found under other headings too, unless `--column` maps columns by hand:
/// a column `Country` of a card statement need not hold codes.
fn columns(header: &StringRecord, options: &TableOptions) -> anyhow::Result<Columns> {
    let mut columns = Vec::new();
    for field in FIELDS {
        let is_named = options.column.iter().any(|column| column.field == field);
        let name = options.column_of(field);
        let spelled = spelling::column(name);
        let fact: Option<FactName> = field.parse().ok();
        let fact = fact.filter(|_| options.column.is_empty());
        let is_column = |column: &str| {
            spelling::column(column) == spelled || fact.is_some_and(|fact| is_heading(fact, column))
        };
        let mut places = header
            .iter()
            .enumerate()
            .filter(|(_, column)| is_column(column))
            .map(|(place, _)| place);
        match (places.next(), places.next()) {
            (Some(_), Some(_)) => {
                bail!("two columns are called {name:?}, or nearly so; rename one of them")
            }
            (Some(_), None) if options.constant(field).is_some() => {
                bail!("{field} is set by --set and also read from the column {name:?}; choose one")
            }
            (Some(place), None) => columns.push((field, place)),
            (None, _) if is_named => bail!(
                "no column is called {name:?}; the columns are {}{}",
                quoted(header),
                header_hint(header)
            ),
            (None, _) => {}
        }
    }
    Ok(columns)
}

/// Fails unless the table has a transaction and an amount, which every expense needs.
fn check_required(
    header: &StringRecord,
    columns: &Columns,
    options: &TableOptions,
) -> anyhow::Result<()> {
    for field in ["transaction", "amount"] {
        let is_read = columns.iter().any(|(read, _)| *read == field);
        if !is_read && options.constant(field).is_none() {
            bail!(
                "no column is called {field:?}; name it with --column {field}=COLUMN, one of {}{}",
                quoted(header),
                header_hint(header)
            );
        }
    }
    Ok(())
}

/// What to try when the header that was read may not be the header.
fn header_hint(header: &StringRecord) -> &'static str {
    match header.len() {
        0 | 1 => {
            "; if this row is not the header, skip lines with --skip-lines, and if its cells are \
             separated by another character, name the delimiter with --delimiter"
        }
        _ => "; if this row is not the header, skip lines with --skip-lines",
    }
}

/// Fails unless the currency of every row is known: a bank's file is seldom in the API's default
/// currency.
fn check_currency(columns: &Columns, options: &TableOptions) -> anyhow::Result<()> {
    let is_read = columns.iter().any(|(field, _)| *field == "currency");
    if is_read || options.constant("currency").is_some() {
        return Ok(());
    }
    bail!(InvalidCommand(
        "the table has no column for the currency; name it with --column currency=COLUMN, or set \
         it for every row, such as --set currency=USD"
            .to_owned()
    ));
}

/// Writes to `notes` which columns are not read. Without `--column`, such a column is an error: a
/// misspelt `currency` must not turn pounds into dollars.
fn note_unread(
    header: &StringRecord,
    columns: &Columns,
    options: &TableOptions,
    notes: &mut dyn Write,
) -> anyhow::Result<()> {
    let is_read = |place: usize| columns.iter().any(|(_, read)| *read == place);
    let unread = header
        .iter()
        .enumerate()
        .filter(|(place, column)| !is_read(*place) && !column.is_empty())
        .map(|(_, column)| column);
    let unread = quoted(unread);
    if unread.is_empty() {
        return Ok(());
    }
    if options.column.is_empty() {
        bail!(
            "no field is called {unread}; the fields are {}, and --column reads a field from a \
             column with another name",
            FIELDS.join(", ")
        );
    }
    writeln!(notes, "not read: {unread}")?;
    Ok(())
}

/// Writes to `notes` which defaults hold for the whole table: it would be a surprise if all rows of a
/// statement were dated today, or shared the caps of one person.
fn note_defaults(
    columns: &Columns,
    options: &TableOptions,
    notes: &mut dyn Write,
) -> anyhow::Result<()> {
    for (field, default) in [
        ("date", "every row is dated today"),
        ("user_id", "all rows count as one employee's"),
    ] {
        let is_read = columns.iter().any(|(read, _)| *read == field);
        if !is_read && options.constant(field).is_none() {
            writeln!(
                notes,
                "no column for {field}: {default}; name one with --column {field}=COLUMN"
            )?;
        }
    }
    Ok(())
}

fn quoted<'t>(names: impl IntoIterator<Item = &'t str>) -> String {
    names
        .into_iter()
        .map(|name| format!("{name:?}"))
        .collect::<Vec<_>>()
        .join(", ")
}
