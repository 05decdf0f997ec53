//! One row of a file, before it is decided.

use std::io::Read;

use crate::domain::body::{BodyError, FieldError};
use crate::http::error::{Code, Problem};

/// Where the bytes come from: a file or standard input.
pub(super) type Input = Box<dyn Read + Send>;

/// One row.
pub(super) struct Row {
    /// Its number in the file: the number of the line, or of the table's row. The header is row 1.
    pub number: usize,
    /// Its end, as an offset in bytes from the start of the file.
    pub end: u64,
    /// A line of a batch, or what is wrong with the row.
    pub line: Result<String, Problem>,
}

/// A problem with one field of a row, because of which the row cannot be sent.
pub(super) fn row_problem(field: &str, message: String) -> Problem {
    let error = FieldError {
        field: field.to_owned(),
        message,
    };
    Problem::body(BodyError::Fields(vec![error]), Code::InvalidExpense)
}
