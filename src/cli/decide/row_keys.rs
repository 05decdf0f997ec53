//! The idempotency keys of rows, so that the same file can be sent again and nothing is decided
//! twice.

use std::collections::HashMap;

use jiff::civil::Date;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::domain::expense::ANONYMOUS;
use crate::domain::submission::{Defaults, parse};
use crate::http::batch::KeyedLine;

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

    /// A line with its key. A line that is not JSON gets no key, and a line that has a key keeps it.
    pub(super) fn keyed(&mut self, text: String) -> String {
        if serde_json::from_str::<KeyedLine>(&text).is_ok() {
            return text;
        }
        let hash = hash(&text);
        let Ok(expense) = RawValue::from_string(text.clone()) else {
            return text;
        };
        let n_equal = self.n_equal.entry(hash).or_default();
        *n_equal += 1;
        let idempotency_key = format!("{}-{hash:032x}-{n_equal}", self.prefix);
        let keyed = serde_json::to_string(&KeyedLine {
            idempotency_key,
            expense,
        });
        keyed.unwrap_or(text)
    }
}

/// The hash of what a row means, so that `45` and `"45.00"` give the same key. For a row that is not
/// an expense, the hash of its text.
fn hash(text: &str) -> u128 {
    let defaults = Defaults {
        date: Date::constant(1970, 1, 1),
        user_id: ANONYMOUS.to_owned(),
    };
    let meaning = parse(text.as_bytes(), defaults).map(|submitted| submitted.fingerprint());
    let digest = Sha256::digest(meaning.as_deref().unwrap_or(text));
    digest
        .iter()
        .take(16)
        .fold(0, |hash, byte| hash << 8 | u128::from(*byte))
}
