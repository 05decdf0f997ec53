//! The lines of an export: each decision as a row of a table, for spreadsheets, or as JSON with the
//! records that belong to it. Which decisions are exported is decided by the subcommand `export` and by
//! the page; how they are read is in `ledger::export`.

use std::collections::BTreeMap;
use std::io::{self, Write};

use clap::ValueEnum;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::Value;
use strum::{IntoEnumIterator, VariantNames};
use uuid::Uuid;

use crate::domain::decision::Decision;
use crate::domain::facts::{FactName, FactValue};
use crate::domain::resolution::Resolution;
use crate::ledger::{Exported, StoredDecision};

/// The formats of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table with a header, for spreadsheets
    Csv,
    /// The whole decision as JSON, with its resolution and feedback
    Ndjson,
}

/// A writer of lines in one of the formats.
pub enum Lines<W: Write> {
    /// Rows of a table.
    Csv(Box<csv::Writer<W>>),
    /// JSON objects.
    Ndjson(W),
}

/// One decision as JSON, with the records that belong to it by their kind.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    decision: &'a Decision,
    #[serde(flatten)]
    attached: &'a BTreeMap<&'static str, Value>,
    superseded_by: Option<Uuid>,
    record_hash: &'a Option<String>,
}

impl<W: Write> Lines<W> {
    /// Begins an export; a table begins with the names of its columns.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn begin(format: Format, out: W) -> io::Result<Self> {
        let mut lines = Self::resume(format, out);
        if let Self::Csv(table) = &mut lines {
            table.write_record(HEADER.iter().chain(FactName::VARIANTS))?;
        }
        Ok(lines)
    }

    /// Goes on with an export whose beginning was written elsewhere.
    pub fn resume(format: Format, out: W) -> Self {
        match format {
            Format::Csv => Self::Csv(Box::new(csv::Writer::from_writer(out))),
            Format::Ndjson => Self::Ndjson(out),
        }
    }

    /// Writes the line of one decision.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn write(&mut self, exported: &Exported) -> io::Result<()> {
        match self {
            Self::Csv(table) => table.write_record(row(exported).chain(facts(exported)))?,
            Self::Ndjson(out) => {
                let line = Line {
                    decision: &exported.stored.decision,
                    attached: &exported.attached,
                    superseded_by: exported.stored.superseded_by,
                    record_hash: &exported.record_hash,
                };
                serde_json::to_writer(&mut *out, &line)?;
                writeln!(out)?;
            }
        }
        Ok(())
    }

    /// Writes what is still buffered.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Csv(table) => table.flush(),
            Self::Ndjson(out) => out.flush(),
        }
    }
}

/// The columns of the table before those of the facts; `row` fills them in this order.
const HEADER: [&str; 36] = [
    "id",
    "received_at",
    "tenant_id",
    "user_id",
    "date",
    "transaction",
    "merchant",
    "mcc",
    "category_hint",
    "trip_id",
    "amount",
    "currency",
    "receipt",
    "category",
    "outcome",
    "reason",
    "approver",
    "reimbursable",
    "policy_version",
    "resolution",
    "resolution_amount",
    "resolution_credited",
    "resolution_actor",
    "resolution_reason",
    "resolution_category",
    "supersedes",
    "superseded_by",
    "trace_id",
    "record_hash",
    "submitted_by",
    "submitted_by_key",
    "approvals",
    "pending",
    "plan",
    "under",
    "fulfilled_by",
];

/// The line of one decision, without the facts of its expense.
fn row(exported: &Exported) -> impl Iterator<Item = String> {
    let StoredDecision {
        decision,
        approvals,
        resolution,
        superseded_by,
        fulfilled_by,
    } = &exported.stored;
    let pending = exported.stored.pending();
    let expense = &decision.expense;
    let submitter = decision.submitted_by.as_ref();
    let resolution = resolution.as_ref();
    let policy = decision.policy.as_ref();
    let shown =
        |amount: Option<Decimal>| amount.map(|amount| amount.to_string()).unwrap_or_default();
    let id = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    let text = |text: Option<&str>| text.map(harmless).unwrap_or_default();
    let cells: [String; HEADER.len()] = [
        decision.id.to_string(),
        decision.received_at.to_string(),
        harmless(&decision.tenant_id),
        harmless(&expense.user_id),
        expense.date.to_string(),
        harmless(&expense.transaction),
        text(expense.merchant.as_deref()),
        text(expense.mcc.as_deref()),
        text(expense.category_hint.as_deref()),
        text(expense.trip_id.as_deref()),
        expense.amount.to_string(),
        expense.currency.to_string(),
        expense.receipt.to_string(),
        text(decision.category.as_deref()),
        decision.outcome.to_string(),
        harmless(&decision.reason),
        decision
            .approver
            .map(|role| role.to_string())
            .unwrap_or_default(),
        shown(decision.reimbursable),
        text(policy.map(|policy| policy.version.as_str())),
        resolution
            .map(|resolution| resolution.action.to_string())
            .unwrap_or_default(),
        shown(resolution.and_then(|resolution| resolution.amount)),
        shown(resolution.and_then(|resolution| resolution.credited)),
        text(resolution.map(|resolution| resolution.actor.as_str())),
        text(resolution.map(|resolution| resolution.reason.as_str())),
        text(resolution.and_then(|resolution| resolution.category.as_deref())),
        id(decision.supersedes),
        id(*superseded_by),
        decision.trace_id.clone(),
        exported.record_hash.clone().unwrap_or_default(),
        text(submitter.and_then(|submitter| submitter.people().next())),
        text(submitter.map(|submitter| submitter.api_key.as_str())),
        harmless(&approved_by(approvals)),
        pending.map(|role| role.to_string()).unwrap_or_default(),
        expense.plan.to_string(),
        id(expense.under),
        id(*fulfilled_by),
    ];
    cells.into_iter()
}

/// Who approved before the resolution, each with the role.
fn approved_by(approvals: &[Resolution]) -> String {
    let approvals = approvals.iter().map(|approval| match approval.role {
        Some(role) => format!("{} ({role})", approval.actor),
        None => approval.actor.clone(),
    });
    approvals.collect::<Vec<_>>().join("; ")
}

/// The facts of the expense, written as `decide` reads them.
fn facts(exported: &Exported) -> impl Iterator<Item = String> {
    let facts = &exported.stored.decision.expense.facts;
    FactName::iter().map(|name| match facts.get(name) {
        Some(FactValue::Text(text)) => harmless(text),
        Some(FactValue::Words(words)) => words.join(";"),
        Some(other) => other.to_string(),
        None => String::new(),
    })
}

/// A text that a spreadsheet does not evaluate: one that looks like a formula gets a quote in front.
fn harmless(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}
