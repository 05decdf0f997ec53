//! `export`: the decisions of a period, one line each, for people (CSV) and programs (NDJSON). How
//! they are read is in `ledger::export`.

use std::collections::BTreeMap;
use std::io::Write;

use clap::{Args, ValueEnum};
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::cli::ledger::{note_if_empty, reading_ledger};
use crate::cli::period::{Moment, moment, period};
use crate::config::Config;
use crate::domain::decision::Decision;
use crate::ledger::{Exported, StoredDecision};

/// What to export.
#[derive(Args, Clone, Debug)]
pub struct Export {
    /// The first day in UTC, or the first moment, by when requests were received
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub from: Moment,

    /// The last day, included, or the first moment after the period
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub to: Moment,

    /// Export only the decisions of this tenant
    #[arg(long, value_name = "TENANT")]
    pub tenant: Option<String>,

    /// The format of the lines
    #[arg(long, value_name = "FORMAT", default_value = "csv")]
    pub format: Format,
}

/// The formats of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table with a header, for spreadsheets
    Csv,
    /// The whole decision as JSON, with its resolution
    Ndjson,
}

/// Writes the decisions of a period in the order they were received. Says in `notes` if the ledger is
/// empty.
///
/// # Errors
/// When the ledger cannot be read, or the output cannot be written.
pub fn run(
    config: &Config,
    wanted: &Export,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> anyhow::Result<()> {
    let period = period(wanted.from, wanted.to)?;
    reading_ledger(config, async |ledger| {
        let mut lines = Lines::new(wanted.format, out)?;
        let tenants = wanted
            .tenant
            .as_deref()
            .map(|tenant_id| ledger.recorded_tenants.names_of(tenant_id));
        let mut after = None;
        loop {
            let page = ledger.export(period, tenants.as_deref(), after).await?;
            let Some(last) = page.last() else {
                lines.finish()?;
                break;
            };
            after = Some(last.stored.decision.id);
            for exported in &page {
                lines.write(exported)?;
            }
        }
        match after {
            Some(_) => Ok(()),
            None => note_if_empty(config, ledger, notes).await,
        }
    })
}

/// A writer of lines in one of the formats.
enum Lines<'a> {
    Csv(Box<csv::Writer<&'a mut dyn Write>>),
    Ndjson(&'a mut dyn Write),
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

impl<'a> Lines<'a> {
    fn new(format: Format, out: &'a mut dyn Write) -> anyhow::Result<Self> {
        Ok(match format {
            Format::Ndjson => Self::Ndjson(out),
            Format::Csv => {
                let mut table = csv::Writer::from_writer(out);
                table.write_record(HEADER)?;
                Self::Csv(Box::new(table))
            }
        })
    }

    fn write(&mut self, exported: &Exported) -> anyhow::Result<()> {
        match self {
            Self::Csv(table) => table.write_record(row(exported))?,
            Self::Ndjson(out) => {
                let line = Line {
                    decision: &exported.stored.decision,
                    attached: &exported.attached,
                    superseded_by: exported.stored.superseded_by,
                    record_hash: &exported.record_hash,
                };
                serde_json::to_writer(&mut **out, &line)?;
                writeln!(out)?;
            }
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Csv(mut table) => table.flush()?,
            Self::Ndjson(out) => out.flush()?,
        }
        Ok(())
    }
}

/// The columns of the table; `row` fills them in this order.
const HEADER: [&str; 31] = [
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
];

/// The line of one decision.
fn row(exported: &Exported) -> [String; 31] {
    let StoredDecision {
        decision,
        resolution,
        superseded_by,
    } = &exported.stored;
    let expense = &decision.expense;
    let submitter = decision.submitted_by.as_ref();
    let resolution = resolution.as_ref();
    let shown =
        |amount: Option<Decimal>| amount.map(|amount| amount.to_string()).unwrap_or_default();
    let id = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    let text = |text: Option<&str>| text.map(harmless).unwrap_or_default();
    [
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
        text(
            decision
                .policy
                .as_ref()
                .map(|policy| policy.version.as_str()),
        ),
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
    ]
}

/// A text that a spreadsheet does not evaluate: one that looks like a formula gets a quote in front.
fn harmless(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}
