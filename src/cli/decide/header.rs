//! The header of a table: which column is read as which field, and whether the flags fit it.

use std::io::Write;
use std::path::Path;

use anyhow::bail;
use csv::StringRecord;

use crate::cli::decide::InvalidCommand;
use crate::cli::decide::cells::AmountFormat;
use crate::cli::decide::options::TableOptions;
use crate::domain::submission::FIELDS;

/// A row that is appended to every table in order to find a quote that is never closed: the cell that
/// such a quote opens then ends with this row.
pub(super) const END: &str = "\u{0}end\u{0}";
/// What is wrong with a row that contains [`END`].
pub(super) const UNCLOSED: &str = "opens a quote that is never closed, so the rest of the file is read as one \
                        cell; close the quote";

/// Fields, each with the index of its column.
pub(super) type Columns = Vec<(&'static str, usize)>;

/// Finds the columns of a header without its unnamed columns at the end, and writes to `notes` which
/// ones are not read.
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
    Ok(columns)
}

/// Fails on options that contradict each other.
///
/// # Errors
/// When a separator has two meanings, or a field two columns or values.
pub(super) fn check_options(options: &TableOptions) -> anyhow::Result<()> {
    let AmountFormat { decimal, thousands } = options.amounts();
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

/// Fails if the header contains the appended row [`END`]: the table is empty, or the header opens a
/// quote that is never closed.
///
/// # Errors
/// In these two cases.
pub(super) fn check_end(header: &StringRecord, file: &Path) -> anyhow::Result<()> {
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
fn columns(header: &StringRecord, options: &TableOptions) -> anyhow::Result<Columns> {
    let mut columns = Vec::new();
    for field in FIELDS {
        let is_named = options.column.iter().any(|column| column.field == field);
        let name = options.column_of(field);
        let mut places = header
            .iter()
            .enumerate()
            .filter(|(_, column)| *column == name)
            .map(|(place, _)| place);
        match (places.next(), places.next()) {
            (Some(_), Some(_)) => {
                bail!("two columns are called {name:?}; rename one of them")
            }
            (Some(_), None) if options.constant(field).is_some() => {
                bail!("{field} is set by --set and also read from the column {name:?}; choose one")
            }
            (Some(place), None) => columns.push((field, place)),
            (None, _) if is_named => bail!(
                "no column is called {name:?}; the columns are {}{}",
                quoted(header),
                elsewhere(header)
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
                elsewhere(header)
            );
        }
    }
    Ok(())
}

/// What to try when the header that was read may not be the header.
fn elsewhere(header: &StringRecord) -> &'static str {
    match header.len() {
        0 | 1 => {
            "; if this row is not the header, skip lines with --skip-lines, and if its cells are \
             separated by another character, name the delimiter with --delimiter"
        }
        _ => "; if this row is not the header, skip lines with --skip-lines",
    }
}

/// Fails unless the currency of every row is known: the file of a bank is seldom in the API's default
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
        .filter(|(place, _)| !is_read(*place))
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

fn quoted<'t>(names: impl IntoIterator<Item = &'t str>) -> String {
    names
        .into_iter()
        .map(|name| format!("{name:?}"))
        .collect::<Vec<_>>()
        .join(", ")
}
