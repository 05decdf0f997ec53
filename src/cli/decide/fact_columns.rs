//! Columns of a table that hold facts of an expense: under which headings they are found, and how
//! their cells are written.

use serde_json::Value;

use crate::cli::decide::cells::{AmountFormat, DateFormat};
use crate::domain::facts::{FactName, Form};
use crate::spelling;

/// Whether a heading means a fact: its name in any case, with blanks or hyphens in place of
/// underscores, or another word for it.
pub(super) fn is_heading(name: FactName, heading: &str) -> bool {
    let plain = |text: &str| {
        let text = spelling::column(text).to_lowercase();
        let words = text.split(|c: char| c.is_whitespace() || matches!(c, '_' | '-'));
        words
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let heading = plain(heading);
    heading == plain(name.into()) || other_headings(name).contains(&heading.as_str())
}

/// Other words for a fact, in lower case.
fn other_headings(name: FactName) -> &'static [&'static str] {
    match name {
        FactName::Attendees => &["number of attendees", "participants"],
        FactName::Nights => &["number of nights"],
        FactName::DistanceUnit => &["unit of distance"],
        FactName::PaidBy => &["paid with"],
        FactName::CostCenter => &["cost centre"],
        FactName::ReceiptUrl => &["receipt link"],
        _ => &[],
    }
}

/// The value of a cell, which is never empty. A value of another form stays as it is written, and the
/// API says what is wrong with it.
///
/// # Errors
/// When a date or a distance is not written in the format that the command line names.
pub(super) fn value(
    name: FactName,
    cell: &str,
    amounts: AmountFormat,
    dates: &DateFormat,
) -> Result<Value, String> {
    let form = name.declaration().form;
    let text = match form {
        Form::Date => dates.day(cell)?,
        Form::Distance => {
            let distances = AmountFormat {
                is_negated: false,
                ..amounts
            };
            distances.plain(cell)?
        }
        _ => cell.to_owned(),
    };
    Ok(constant(name, &text))
}

/// The value that `--set` gives in every row. The words of a choice are written in any case.
pub(super) fn constant(name: FactName, text: &str) -> Value {
    let form = name.declaration().form;
    match form {
        Form::Choice(_) | Form::Choices(_) => form.json_of_text(&text.to_lowercase()),
        Form::Country => form.json_of_text(&text.to_uppercase()),
        _ => form.json_of_text(text),
    }
}
