//! `audit`: how often the reasoning failed in a span of time, by what and where, and the traces to
//! look at. What is asked for stands here; what is found is a [`Report`], filled from the ledger or
//! from a Jaeger, and shown as text or JSON.

mod jaeger;
mod ledger;
pub mod report;
mod spans;
mod text;

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use reqwest::Url;
use rust_decimal::Decimal;
use serde::Serialize;

use crate::cli::window::{Moment, moment, period};
use crate::config::{Config, TraceUrl};
use crate::ledger::Period;
use report::{Report, Run, Scope};

/// What is to be audited, and when it counts as too bad.
#[derive(Args, Clone, Debug)]
pub struct Audit {
    /// The first day in UTC, or the first moment, by when requests came in
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub from: Option<Moment>,

    /// The last day, included, or the first moment after the last [default: now]
    #[arg(long, value_name = "WHEN", value_parser = moment, requires = "from")]
    pub to: Option<Moment>,

    /// The time until now, instead of `--from`
    #[arg(
        long, value_name = "TIME", default_value = "24h", conflicts_with = "from", value_parser = humantime::parse_duration
    )]
    pub last: Duration,

    /// Where to look
    #[arg(long, value_name = "SOURCE", default_value = "ledger")]
    pub source: Source,

    /// The Jaeger to ask with `--source jaeger`; without `--trace-url`, links lead to it
    #[arg(long, value_name = "URL", default_value = "http://localhost:16686")]
    pub jaeger: Url,

    /// Only the decisions of this tenant; in a Jaeger, as its traces name it
    #[arg(long, value_name = "TENANT")]
    pub tenant: Option<String>,

    /// End with exit code 3 when the semantic error rate is above this
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub fail_above: Option<Decimal>,

    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

/// What knows of decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::Display, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Source {
    /// The ledger, which holds every decision
    Ledger,
    /// A Jaeger, which holds what was sent to it and what it still keeps
    Jaeger,
}

/// The audit was done, and what it found is too bad.
#[derive(Debug, thiserror::Error)]
#[error("the semantic error rate is {rate}, above {limit} %")]
pub struct AboveLimit {
    /// What it is.
    pub rate: report::Rate,
    /// What it may be, in percent.
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

/// Audits, and prints what was found.
///
/// # Errors
/// When the source cannot be read; [`AboveLimit`] when the rate is above the limit.
pub fn run(config: &Config, wanted: &Audit, out: &mut dyn Write) -> anyhow::Result<()> {
    let period = wanted.period(Timestamp::now())?;
    let links = config
        .trace_url
        .clone()
        .or_else(|| TraceUrl::parse(wanted.jaeger.as_str()));
    let links = links.context(
        "--jaeger is no link to a web page; write a URL such as \"http://localhost:16686\"",
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
        bar: bar(period)?,
    };
    match wanted.source {
        Source::Ledger => ledger::read(config, period, wanted.tenant.as_deref(), &mut progress)?,
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
                let from = now
                    .checked_sub(self.last)
                    .context("--last goes back to before time began")?;
                Ok(Period { from, until: now })
            }
        }
    }
}

/// A report on its way, with the bar that shows how far it has come: both sources read in the order
/// of time.
struct Progress {
    report: Report,
    links: TraceUrl,
    bar: ProgressBar,
}

impl Progress {
    /// Takes one decision in.
    fn add(&mut self, run: Run) {
        self.report.add(run, &self.links);
    }

    /// Everything before a moment has been taken in.
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

/// On a terminal's standard error, and nowhere else.
fn bar(period: Period) -> anyhow::Result<ProgressBar> {
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} %, {msg}, {eta} left")?;
    Ok(ProgressBar::new(millis_between(period.from, period.until)).with_style(style))
}

fn millis_between(from: Timestamp, until: Timestamp) -> u64 {
    u64::try_from(until.as_millisecond().saturating_sub(from.as_millisecond())).unwrap_or(0)
}
