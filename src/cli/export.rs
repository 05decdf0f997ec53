//! `export`: the decisions of a period, a line each, for people (CSV) and programs (NDJSON).

use std::io::Write;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::cli::ledger::with_ledger;
use crate::cli::window::{Moment, moment, period};
use crate::config::Config;
use crate::domain::decision::Decision;
use crate::domain::resolution::Resolution;
use crate::ledger::{Entry, Exported};

/// What is to be exported.
#[derive(Args, Clone, Debug)]
pub struct Export {
    /// The first day in UTC, or the first moment, by when requests came in
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub from: Moment,

    /// The last day, included, or the first moment after the last
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub to: Moment,

    /// Only the decisions of this tenant
    #[arg(long, value_name = "TENANT")]
    pub tenant: Option<String>,

    /// How a line is written
    #[arg(long, value_name = "FORMAT", default_value = "csv")]
    pub format: Format,
}

/// The ways to write a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table with a header, for spreadsheets
    Csv,
    /// The whole decision as JSON
    Ndjson,
}

/// Writes the decisions of a period in the order they came in.
///
/// # Errors
/// When the ledger cannot be read, or nobody reads what is written.
pub fn run(config: &Config, wanted: &Export, out: &mut dyn Write) -> anyhow::Result<()> {
    let period = period(wanted.from, wanted.to)?;
    with_ledger(config, async |ledger| {
        let mut lines = Lines::new(wanted.format, out)?;
        let mut after = None;
        loop {
            let page = ledger
                .export(period, wanted.tenant.as_deref(), after)
                .await?;
            let Some(last) = page.last() else {
                return lines.finish();
            };
            after = Some(last.entry.decision.id);
            for exported in &page {
                lines.write(exported)?;
            }
        }
    })
}

/// Where lines go.
enum Lines<'a> {
    Csv(Box<csv::Writer<&'a mut dyn Write>>),
    Ndjson(&'a mut dyn Write),
}

/// One decision as JSON.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    decision: &'a Decision,
    resolution: &'a Option<Resolution>,
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
                let Exported {
                    entry:
                        Entry {
                            decision,
                            resolution,
                        },
                    record_hash,
                } = exported;
                serde_json::to_writer(
                    &mut **out,
                    &Line {
                        decision,
                        resolution,
                        record_hash,
                    },
                )?;
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

const HEADER: [&str; 25] = [
    "id",
    "received_at",
    "tenant_id",
    "user_id",
    "date",
    "transaction",
    "merchant",
    "mcc",
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
    "resolution_actor",
    "resolution_reason",
    "resolution_category",
    "trace_id",
    "record_hash",
];

fn row(
    Exported {
        entry: Entry {
            decision,
            resolution,
        },
        record_hash,
    }: &Exported,
) -> [String; 25] {
    let expense = &decision.expense;
    let resolved = resolution.as_ref();
    let shown = |amount: Option<rust_decimal::Decimal>| {
        amount.map(|amount| amount.to_string()).unwrap_or_default()
    };
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
        resolved
            .map(|resolution| resolution.action.to_string())
            .unwrap_or_default(),
        shown(resolved.and_then(|resolution| resolution.amount)),
        text(resolved.map(|resolution| resolution.actor.as_str())),
        text(resolved.map(|resolution| resolution.reason.as_str())),
        text(resolved.and_then(|resolution| resolution.category.as_deref())),
        decision.trace_id.clone(),
        record_hash.clone().unwrap_or_default(),
    ]
}

/// A text that no spreadsheet takes for a formula: those it would begin with a quote.
fn harmless(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}
