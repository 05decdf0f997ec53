//! The period that a subcommand covers, as it is written on the command line: days in UTC, or
//! timestamps.

use anyhow::{Context, bail};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::domain::expense::calendar_date;
use crate::ledger::Period;

/// One end of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub enum Moment {
    /// A whole day in UTC.
    #[strum(to_string = "{0}")]
    Day(Date),
    /// A moment within a day.
    #[strum(to_string = "{0}")]
    At(Timestamp),
}

/// Reads one end of a period.
///
/// # Errors
/// A message that names the accepted formats.
pub(super) fn moment(text: &str) -> Result<Moment, &'static str> {
    let day = calendar_date(text).map(Moment::Day);
    day.or_else(|| text.parse().ok().map(Moment::At)).ok_or(
        "write a calendar date such as 2026-03-14, or a timestamp such as 2026-03-14T09:30:00Z",
    )
}

/// The period between two ends. If it ends with a day, that day is included; if it ends with a
/// moment, the moment is not.
///
/// # Errors
/// When it ends before or as it begins, or on the last day of the calendar.
pub(super) fn period(from: Moment, to: Moment) -> anyhow::Result<Period> {
    let begin = |day: Date| anyhow::Ok(day.to_zoned(TimeZone::UTC)?.timestamp());
    let starts_at = match from {
        Moment::Day(day) => begin(day)?,
        Moment::At(moment) => moment,
    };
    let until = match to {
        Moment::Day(day) => begin(
            day.tomorrow()
                .context("--to is the last day of the calendar; write an earlier one")?,
        )?,
        Moment::At(moment) => moment,
    };
    if until <= starts_at {
        bail!("--to {to} is not after --from {from}; write a later one");
    }
    Ok(Period {
        from: starts_at,
        until,
    })
}
