//! `export`: the decisions of a period, one line each, for people (CSV) and programs (NDJSON). How
//! they are read is in `ledger::export`, and how a line is written in `export`.

use std::io::Write;

use clap::Args;

use crate::cli::ledger::{note_if_empty, reading_ledger};
use crate::cli::period::{Moment, moment, period};
use crate::config::Config;
use crate::export::{Format, Lines};

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
        let mut lines = Lines::begin(wanted.format, out)?;
        let tenants = wanted
            .tenant
            .as_deref()
            .map(|tenant_id| ledger.recorded_tenants.names_of(tenant_id));
        let mut after = None;
        loop {
            let page = ledger.export(period, tenants.as_deref(), after).await?;
            let Some(last) = page.last() else {
                lines.flush()?;
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
