//! The table of the facts of an expense, generated from their declarations.

use expense_agent::domain::facts::FactName;
use strum::IntoEnumIterator;

use super::{as_code, table};

/// Every fact, with what is accepted and what it means.
pub(super) fn facts_table() -> String {
    let row = |name: FactName| {
        let declaration = name.declaration();
        let accepted = declaration.form.accepted();
        let accepted = accepted.strip_prefix("write ").unwrap().to_owned();
        let meaning = declaration.meaning.to_owned();
        let personal = if declaration.personal { "yes" } else { "" };
        [
            as_code(&name.to_string()),
            accepted,
            meaning,
            personal.to_owned(),
        ]
    };
    table(
        ["Fact", "Accepted", "Meaning", "Personal"],
        FactName::iter().map(row),
    )
}
