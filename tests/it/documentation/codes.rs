//! The table of problem codes, generated from the enum that defines them.

use expense_agent::agent::resolve::refusal::Refusal;
use expense_agent::http::error::Code;
use strum::VariantArray;

use super::{as_code, rust_below, table};

/// Every code of the error contract, with its status and its meaning.
pub(super) fn codes_table() -> String {
    let row = |code: &Code| {
        [
            as_code(&code.to_string()),
            code.status().as_u16().to_string(),
            code.meaning(),
        ]
    };
    table(
        ["Code", "Status", "Meaning"],
        Code::VARIANTS.iter().map(row),
    )
}

#[test]
fn every_code_of_a_problem_has_a_meaning() {
    for code in Code::VARIANTS {
        assert!(!code.meaning().is_empty(), "{code}");
    }
}

/// A span has the refusal and the problem has the code; the same name finds both in one search.
#[test]
fn a_refused_resolution_has_the_same_name_on_its_span_and_in_its_problem() {
    for refusal in Refusal::VARIANTS {
        let name: &str = refusal.into();
        assert_eq!(Code::from(*refusal).to_string(), name);
    }
}

/// A literal would not change when the enum changes.
#[test]
fn no_code_of_a_problem_is_written_as_a_literal() {
    let source = rust_below("src");
    for code in Code::VARIANTS {
        let literal = format!("\"{code}\"");
        assert!(
            !source.contains(&literal),
            "src writes {literal}; use http::error::Code"
        );
    }
}
