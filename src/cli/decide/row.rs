//! One row of a file, before it is decided.

use serde::Serialize;
use serde_json::value::to_raw_value;
use uuid::Uuid;

use crate::domain::expense::Expense;
use crate::http::batch::LineAnswer;
use crate::http::error::Problem;

/// One row.
pub(super) struct Row {
    /// Its number in the file: the number of the line, or of the table's row. The header is row 1.
    pub number: usize,
    /// Its end, as an offset in bytes from the start of the text.
    pub end: u64,
    /// What to do with it.
    pub content: Content,
}

/// What to do with a row.
pub(super) enum Content {
    /// Send this line of a batch.
    Line(String),
    /// Find the purchase that this credit refunds, then send it.
    Credit(Box<Credit>),
    /// Answer that it cannot be sent.
    Refused(Box<Problem>),
    /// Answer that there is nothing to decide.
    Skipped,
    /// Answer that a person has to say which purchase it refunds.
    Review(Review),
}

/// A credit that does not name the purchase it refunds.
pub(super) struct Credit {
    /// The row as JSON.
    pub text: String,
    /// The expense of the row. Its `refunds` is a placeholder until the purchase is found.
    pub expense: Expense,
    /// The idempotency key of the row.
    pub key: String,
    /// Its place among equal rows, from 1.
    pub ordinal: usize,
}

/// Why no purchase was chosen for a credit.
#[derive(Debug, Serialize)]
pub(super) struct Review {
    /// What a person has to do, and why.
    pub review: String,
    /// The purchases that it could refund.
    pub candidates: Vec<Uuid>,
}

/// The body of the answer to a row of amount zero.
#[derive(Serialize)]
struct Skipped {
    skipped: &'static str,
}

impl Row {
    /// The answer to a row that is not sent; `None` for one that is.
    pub(super) fn answer(&self) -> serde_json::Result<Option<LineAnswer>> {
        let body = match &self.content {
            Content::Line(_) | Content::Credit(_) => return Ok(None),
            Content::Refused(problem) => {
                return LineAnswer::refused(self.number, problem).map(Some);
            }
            Content::Skipped => to_raw_value(&Skipped {
                skipped: "the amount is zero, so there is nothing to decide",
            }),
            Content::Review(review) => to_raw_value(review),
        };
        Ok(Some(LineAnswer {
            line: self.number,
            status: 200,
            replayed: false,
            body: body?,
        }))
    }
}
