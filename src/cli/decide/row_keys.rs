//! The idempotency keys of rows, so that the same file can be sent again and nothing is decided
//! twice.

use std::collections::HashMap;

use jiff::civil::Date;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::cli::decide::cells;
use crate::cli::decide::row::{Content, Credit};
use crate::domain::expense::ANONYMOUS;
use crate::domain::submission::{Defaults, Submitted, parse};
use crate::http::batch::lines::KeyedLine;

/// Makes the idempotency key of each row from a hash of what the row means and from its place among
/// equal rows: two equal coffees on one day are two expenses. Neither the name of the file nor the
/// number of the row is part of a key. So when a file is renamed, when rows are corrected, added or
/// sorted, or when two exports overlap, no decided row is decided again.
pub(super) struct RowKeys {
    prefix: String,
    n_equal: HashMap<u128, usize>,
}

impl RowKeys {
    /// Keys that begin with a prefix.
    pub(super) fn new(prefix: String) -> Self {
        Self {
            prefix,
            n_equal: HashMap::new(),
        }
    }

    /// What to do with a line. A line that is not JSON gets no key, and a line that has a key keeps
    /// it. A credit that does not name its purchase waits for one if `matches_refunds`.
    pub(super) fn content(&mut self, text: String, matches_refunds: bool) -> Content {
        if let Ok(KeyedLine { expense, .. }) = serde_json::from_str::<KeyedLine>(&text) {
            return match is_zero(expense.get()) {
                true => Content::Skipped,
                false => Content::Line(text),
            };
        }
        if is_zero(&text) {
            return Content::Skipped;
        }
        let credit = matches_refunds.then(|| unmatched(&text)).flatten();
        let hash = hash(&text, credit.as_ref());
        let Ok(expense) = RawValue::from_string(text.clone()) else {
            return Content::Line(text);
        };
        let n_equal = self.n_equal.entry(hash).or_default();
        *n_equal += 1;
        let key = format!("{}-{hash:032x}-{n_equal}", self.prefix);
        match credit {
            Some(credit) => Content::Credit(Box::new(Credit {
                text,
                expense: credit.expense,
                key,
                ordinal: *n_equal,
            })),
            None => Content::Line(keyed(key, expense).unwrap_or(text)),
        }
    }
}

/// A line with its key.
pub(super) fn keyed(idempotency_key: String, expense: Box<RawValue>) -> Option<String> {
    let line = KeyedLine {
        idempotency_key,
        expense,
    };
    serde_json::to_string(&line).ok()
}

/// Whether a line is an expense whose amount is zero. The API refuses it, but a card statement may
/// contain it.
fn is_zero(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Amount<'a> {
        #[serde(borrow)]
        amount: &'a RawValue,
    }
    serde_json::from_str::<Amount<'_>>(text)
        .is_ok_and(|line| cells::is_zero(line.amount.get().trim_matches('"')))
}

/// A line as a credit, if it lacks nothing but the purchase that it refunds.
fn unmatched(text: &str) -> Option<Submitted> {
    // A purchase that exists nowhere, so that the other fields can be checked.
    let filled = refunding(text, Uuid::nil())?;
    parse(filled.as_bytes(), defaults()).ok()
}

/// A line with the purchase that it refunds. The purchase is appended to the text, so that the
/// other fields stay exactly as they were written.
pub(super) fn refunding(text: &str, purchase: Uuid) -> Option<String> {
    let open = text.trim_end().strip_suffix('}')?;
    Some(format!("{open},\"refunds\":\"{purchase}\"}}"))
}

/// The values of fields that a line leaves out. With this date, a credit without a date comes after
/// every purchase.
fn defaults() -> Defaults {
    Defaults {
        date: Date::constant(9999, 12, 31),
        user_id: ANONYMOUS.to_owned(),
    }
}

/// The hash of what a row means, so that `45` and `"45.00"` give the same key. For a row that is not
/// an expense, the hash of its text.
fn hash(text: &str, credit: Option<&Submitted>) -> u128 {
    let meaning = match credit {
        Some(credit) => Some(credit.fingerprint()),
        None => parse(text.as_bytes(), defaults())
            .ok()
            .map(|submitted| submitted.fingerprint()),
    };
    let digest = Sha256::digest(meaning.as_deref().unwrap_or(text));
    digest
        .iter()
        .take(16)
        .fold(0, |hash, byte| hash << 8 | u128::from(*byte))
}
