//! How long a server asks to wait before the next attempt. Its headers hold a number of seconds or a
//! date, as HTTP defines, or what some model endpoints write instead: fractions, units,
//! milliseconds. Waits in bodies have the same forms; `llm::failure` finds them.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::{rfc2822, strtime};
use jiff::tz::TimeZone;
use reqwest::header::{HeaderMap, HeaderName, RETRY_AFTER};

/// The obsolete forms of a date that HTTP still accepts.
const OLDER_DATES: [&str; 2] = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];

/// The longest wait that the headers ask for. `None` when none of them has a known form, or when
/// the date has passed.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let texts = |name| {
        let values = headers.get_all(name).iter();
        values.filter_map(|value| value.to_str().ok())
    };
    let milliseconds = texts(HeaderName::from_static("retry-after-ms"))
        .filter_map(|text| seconds(&format!("{text}e-3")));
    texts(RETRY_AFTER)
        .filter_map(wait)
        .chain(milliseconds)
        .max()
}

/// The wait in a text; `None` when its form is not known.
pub(crate) fn wait(text: &str) -> Option<Duration> {
    // `humantime` does not know a unit after a fraction, as in `36.5s`.
    seconds(text.strip_suffix('s').unwrap_or(text))
        .or_else(|| humantime::parse_duration(text).ok())
        .or_else(|| date(text)?.duration_since(Timestamp::now()).try_into().ok())
}

/// A number of seconds; one that is too large for a duration is the longest duration.
fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    let is_wait = seconds.is_finite() && seconds >= 0.0;
    is_wait.then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

fn date(text: &str) -> Option<Timestamp> {
    let older = |form: &&str| {
        let civil = strtime::parse(form, text).ok()?.to_datetime().ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    let date = rfc2822::parse(text).map(|date| date.timestamp());
    date.or_else(|_| text.parse())
        .ok()
        .or_else(|| OLDER_DATES.iter().find_map(older))
}
