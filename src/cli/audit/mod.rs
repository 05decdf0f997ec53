//! `audit`: reports how often, where and in which checks the reasoning failed in a period, and which
//! traces to look at. The arguments are here. The result is a [`Report`], filled from the ledger
//! (`ledger`) or from a Jaeger (`jaeger`, `spans`), and written as text (`text`) or JSON. What people
//! made of the decisions is in `overturned`.

mod jaeger;
mod ledger;
pub mod overturned;
pub mod report;
pub mod run;
mod spans;
mod text;

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use jiff::Timestamp;
use reqwest::Url;
use rust_decimal::Decimal;
use serde::Serialize;

use crate::cli::period::{Moment, moment, period};
use crate::cli::progress::progress_bar;
use crate::cli::service_url;
use crate::config::Config;
use crate::config::trace_url::TraceUrl;
use crate::ledger::Period;
use report::{Report, Scope};
use run::Run;

/// The arguments of `audit`.
#[derive(Args, Clone, Debug)]
pub struct Audit {
    /// Audit requests received from this day in UTC, or from this timestamp on
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub from: Option<Moment>,

    /// The last day, included, or the timestamp at which the period ends [default: now]
    #[arg(long, value_name = "WHEN", value_parser = moment, requires = "from")]
    pub to: Option<Moment>,

    /// Without `--from`, audit this much time until now
    #[arg(
        long,
        value_name = "TIME",
        default_value = "24h",
        conflicts_with = "from",
        value_parser = humantime::parse_duration
    )]
    pub last: Duration,

    /// The source of the decisions
    #[arg(long, value_name = "SOURCE", default_value = "ledger")]
    pub source: Source,

    /// The Jaeger to query with `--source jaeger`; links lead to it unless `--trace-url` is set
    #[arg(long, value_name = "URL", default_value = "http://localhost:16686", value_parser = service_url)]
    pub jaeger: Url,

    /// Audit only this tenant; with `--source jaeger`, give the name by which traces show the tenant
    #[arg(long, value_name = "TENANT")]
    pub tenant: Option<String>,

    /// Exit with code 3 if the semantic error rate is above this
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub fail_above: Option<Decimal>,

    /// Write the report as JSON
    #[arg(long)]
    pub json: bool,
}

/// Where decisions are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::Display, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Source {
    /// The ledger, which holds every decision
    Ledger,
    /// A Jaeger, which holds the traces that were sent to it and have not expired
    Jaeger,
}

/// The audit was done, and the error rate is above the limit.
#[derive(Debug, thiserror::Error)]
#[error("the semantic error rate is {rate}, above {limit} %")]
pub struct AboveLimit {
    /// The measured rate.
    pub rate: report::Rate,
    /// The highest rate that is accepted, in percent.
    pub limit: Decimal,
}

fn percent(text: &str) -> Result<Decimal, &'static str> {
    let percent = text
        .strip_suffix('%')
        .and_then(|number| Decimal::from_str_exact(number.trim_end()).ok());
    let in_range = |percent: &Decimal| (Decimal::ZERO..=Decimal::ONE_HUNDRED).contains(percent);
    percent
        .filter(in_range)
        .ok_or("write a percentage from 0% to 100%, such as 5% or 0.5%")
}

/// Audits the period, and prints the report. Says in `notes` if the ledger is empty.
///
/// # Errors
/// When the source cannot be read; [`AboveLimit`] when the rate is above the limit.
pub fn run(
    config: &Config,
    wanted: &Audit,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> anyhow::Result<()> {
    let period = wanted.period(Timestamp::now())?;
    let links = config
        .http
        .trace_url
        .clone()
        .or_else(|| TraceUrl::parse(wanted.jaeger.as_str()));
    let links = links.context(
        "--jaeger is not a link to a web page; write a URL such as \"http://localhost:16686\"",
    )?;
    let scope = Scope {
        source: wanted.source,
        from: period.from,
        until: period.until,
        tenant: wanted.tenant.clone(),
    };
    let mut progress = Progress {
        report: Report::new(scope),
        links,
        bar: progress_bar(Some(millis_between(period.from, period.until)))?,
    };
    match wanted.source {
        Source::Ledger => ledger::read(
            config,
            period,
            wanted.tenant.as_deref(),
            &mut progress,
            notes,
        )?,
        Source::Jaeger => jaeger::read(config, period, wanted, &mut progress)?,
    }
    let report = progress.finish();
    match wanted.json {
        true => {
            serde_json::to_writer_pretty(&mut *out, &report)?;
            writeln!(out)?;
        }
        false => text::write(&report, out)?,
    }
    let rate = report.semantic_errors;
    match wanted.fail_above {
        Some(limit) if rate.is_above(limit) => Err(AboveLimit { rate, limit }.into()),
        _ => Ok(()),
    }
}

impl Audit {
    fn period(&self, now: Timestamp) -> anyhow::Result<Period> {
        match self.from {
            Some(from) => period(from, self.to.unwrap_or(Moment::At(now))),
            None => {
                let from = now.checked_sub(self.last).context(
                    "--last goes back to before the first moment that can be represented",
                )?;
                Ok(Period { from, until: now })
            }
        }
    }
}

/// A report in progress, with the bar that shows how much of the period has been read. Both sources
/// are read in order of time.
struct Progress {
    report: Report,
    links: TraceUrl,
    bar: ProgressBar,
}

impl Progress {
    /// Adds one decision.
    fn add(&mut self, run: Run) {
        self.report.add(run, &self.links);
    }

    /// Moves the bar: everything before this moment has been read.
    fn reached(&self, moment: Timestamp) {
        self.bar
            .set_message(format!("{} decisions", self.report.semantic_errors.of));
        self.bar
            .set_position(millis_between(self.report.scope.from, moment));
    }

    fn finish(self) -> Report {
        self.bar.finish_and_clear();
        self.report
    }
}

fn millis_between(from: Timestamp, until: Timestamp) -> u64 {
    u64::try_from(until.as_millisecond().saturating_sub(from.as_millisecond())).unwrap_or(0)
}
