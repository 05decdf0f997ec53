//! Rows that were decided while the model did not answer. When the same command is run again, the
//! idempotency key of such a row brings the old decision back, so the row is sent once more, under a
//! key of its own, to supersede that decision.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::{RawValue, to_raw_value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::cli::decide::row::{Content, Row};
use crate::domain::decision::AgentOutcome;
use crate::http::batch::LineAnswer;
use crate::http::batch::lines::KeyedLine;

/// The part of an answer that says whether it was decided with the model's advice.
#[derive(Deserialize)]
struct Decided {
    id: Option<Uuid>,
    agent_outcome: Option<AgentOutcome>,
    resolution: Option<IgnoredAny>,
    superseded_by: Option<Uuid>,
}

impl Decided {
    /// The decision of an answer, if it was made without the model's advice and no person resolved it.
    fn without_advice(answer: &LineAnswer) -> Option<Self> {
        serde_json::from_str(answer.body.get())
            .ok()
            .filter(|decided: &Self| {
                decided.agent_outcome == Some(AgentOutcome::Error) && decided.resolution.is_none()
            })
    }
}

/// Whether an answer is a decision that should be made anew once the model answers again.
pub(super) fn lacks_advice(answer: &LineAnswer) -> bool {
    Decided::without_advice(answer).is_some_and(|decided| decided.superseded_by.is_none())
}

/// The row that supersedes the decision that an earlier run left without advice; `None` if the
/// answer is new, or its decision need not be superseded. The key of the new row is made of the old
/// key and of the decision's id, so that a further run brings the newer decision back and makes no
/// third one.
pub(super) fn superseding(row: &Row, answer: &LineAnswer) -> Option<Row> {
    if !answer.replayed {
        return None;
    }
    let id = Decided::without_advice(answer)?.id?;
    let line: KeyedLine = match &row.content {
        Content::Line(line) => serde_json::from_str(line).ok()?,
        _ => return None,
    };
    let key = format!("{}\0{id}", line.idempotency_key);
    let hash = hex::encode(Sha256::digest(key));
    // Raw values, so that numbers stay exactly as they were written.
    let mut expense: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(line.expense.get()).ok()?;
    expense.insert("supersedes".to_owned(), to_raw_value(&id).ok()?);
    let line = KeyedLine {
        idempotency_key: format!("anew-{hash}"),
        expense: to_raw_value(&expense).ok()?,
    };
    Some(Row {
        number: row.number,
        end: row.end,
        content: Content::Line(serde_json::to_string(&line).ok()?),
    })
}
