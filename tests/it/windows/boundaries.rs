//! Where each window begins and ends, and that expenses on both sides of an end do not count together.

use expense_agent::domain::counter::Counter;
use jiff::ToSpan;
use jiff::civil::{Date, date};
use proptest::prelude::*;

use super::{app_with, cap, cap_of, toner};
use crate::harness::expenses::of_user;
use crate::harness::store::on_each_store;

/// A counter that is written as a window, and for a year perhaps its first day.
fn counter(written: &str) -> Counter {
    let (per, begins) = match written.split_once(' ') {
        Some((per, begins)) => (per, Some(begins.parse().unwrap())),
        None => (written, None),
    };
    Counter {
        begins,
        ..Counter::per(per.parse().unwrap())
    }
}

/// A window, a day in it, its first day, its last day, and its name.
const PERIODS: [(&str, &str, &str, &str, &str); 24] = [
    (
        "day",
        "2026-03-14",
        "2026-03-14",
        "2026-03-14",
        "2026-03-14",
    ),
    // Weeks begin on Monday, and a week belongs to the year of its Thursday.
    ("week", "2026-03-14", "2026-03-09", "2026-03-15", "2026-W11"),
    ("week", "2026-03-09", "2026-03-09", "2026-03-15", "2026-W11"),
    ("week", "2026-03-15", "2026-03-09", "2026-03-15", "2026-W11"),
    ("week", "2026-03-16", "2026-03-16", "2026-03-22", "2026-W12"),
    ("week", "2026-01-01", "2025-12-29", "2026-01-04", "2026-W01"),
    ("week", "2027-01-03", "2026-12-28", "2027-01-03", "2026-W53"),
    ("week", "2024-12-30", "2024-12-30", "2025-01-05", "2025-W01"),
    ("month", "2026-02-28", "2026-02-01", "2026-02-28", "2026-02"),
    ("month", "2028-02-29", "2028-02-01", "2028-02-29", "2028-02"),
    ("month", "2026-12-31", "2026-12-01", "2026-12-31", "2026-12"),
    (
        "quarter",
        "2026-01-01",
        "2026-01-01",
        "2026-03-31",
        "2026-Q1",
    ),
    (
        "quarter",
        "2026-03-31",
        "2026-01-01",
        "2026-03-31",
        "2026-Q1",
    ),
    (
        "quarter",
        "2026-05-31",
        "2026-04-01",
        "2026-06-30",
        "2026-Q2",
    ),
    (
        "quarter",
        "2026-12-31",
        "2026-10-01",
        "2026-12-31",
        "2026-Q4",
    ),
    ("year", "2026-12-31", "2026-01-01", "2026-12-31", "2026"),
    (
        "year 04-06",
        "2026-04-05",
        "2025-04-06",
        "2026-04-05",
        "2025-04-06",
    ),
    (
        "year 04-06",
        "2026-04-06",
        "2026-04-06",
        "2027-04-05",
        "2026-04-06",
    ),
    (
        "year 04-06",
        "2028-02-29",
        "2027-04-06",
        "2028-04-05",
        "2027-04-06",
    ),
    (
        "year 03-01",
        "2028-02-29",
        "2027-03-01",
        "2028-02-29",
        "2027-03-01",
    ),
    (
        "year 03-01",
        "2028-03-01",
        "2028-03-01",
        "2029-02-28",
        "2028-03-01",
    ),
    (
        "year 02-28",
        "2028-02-29",
        "2028-02-28",
        "2029-02-27",
        "2028-02-28",
    ),
    (
        "year 12-31",
        "2026-12-30",
        "2025-12-31",
        "2026-12-30",
        "2025-12-31",
    ),
    (
        "year 12-31",
        "2026-12-31",
        "2026-12-31",
        "2027-12-30",
        "2026-12-31",
    ),
];

#[test]
fn each_window_begins_and_ends_on_its_days() {
    for (window, day, first, last, key) in PERIODS {
        let period = counter(window).period(day.parse().unwrap()).unwrap();
        assert_eq!(
            (
                period.first.to_string(),
                period.last.to_string(),
                period.key
            ),
            (first.to_owned(), last.to_owned(), key.to_owned()),
            "{window} {day}"
        );
    }
    for window in ["expense", "trip", "merchant"] {
        assert_eq!(counter(window).period(date(2026, 3, 14)), None, "{window}");
    }
}

#[test]
fn the_first_and_the_last_day_that_can_be_written_have_windows() {
    for window in ["day", "week", "month", "quarter", "year", "year 04-06"] {
        for day in [date(0, 1, 1), date(9999, 12, 31)] {
            let period = counter(window).period(day).unwrap();
            assert!(period.first <= day && day <= period.last, "{window} {day}");
        }
    }
}

fn days() -> impl Strategy<Value = Date> {
    (0_i64..80_000).prop_map(|n_days| date(1950, 1, 1).checked_add(n_days.days()).unwrap())
}

proptest! {
    /// Windows of days follow each other without a gap, and all days of one have its name.
    #[test]
    fn every_day_is_in_one_window(
        day in days(), other in days(),
        window in prop::sample::select(vec!["day", "week", "month", "quarter", "year", "year 04-06", "year 02-28", "year 12-31"]),
    ) {
        let counter = counter(window);
        let period = counter.period(day).unwrap();
        prop_assert!(period.first <= day && day <= period.last);
        let is_inside = period.first <= other && other <= period.last;
        prop_assert_eq!(counter.period(other).unwrap() == period, is_inside);
        for end in [period.first, period.last] {
            prop_assert_eq!(counter.period(end).unwrap(), period.clone());
        }
        let next = counter.period(period.last.tomorrow().unwrap()).unwrap();
        prop_assert_eq!(next.first, period.last.tomorrow().unwrap());
        prop_assert_ne!(next.key, period.key);
    }
}

#[tokio::test]
async fn expenses_count_together_up_to_the_ends_of_the_window_and_the_limit_is_included() {
    on_each_store(async |store| {
        for periods in PERIODS.chunk_by(|one, next| one.0 == next.0) {
            let window = periods[0].0;
            let keys = match window.split_once(' ') {
                Some((per, begins)) => format!("per = \"{per}\"\nbegins = \"{begins}\""),
                None => format!("per = \"{window}\""),
            };
            let rules = cap("window", &keys, "100.00");
            let (app, _folder) = app_with("office.toml", &rules, &store.store).await;
            for (_, day, first, last, key) in periods {
                let user_id = format!("{window} {day}");
                let yesterday = first.parse::<Date>().unwrap().yesterday().unwrap();
                let tomorrow = last.parse::<Date>().unwrap().tomorrow().unwrap();
                for (amount, date, outcome, used) in [
                    ("100.00", &*yesterday.to_string(), "approved", "0.00"),
                    ("100.00", &*tomorrow.to_string(), "approved", "0.00"),
                    ("30.00", first, "approved", "0.00"),
                    ("30.00", last, "approved", "30.00"),
                    ("40.01", day, "denied", "60.00"),
                    ("40.00", day, "approved", "60.00"),
                    ("0.01", first, "denied", "100.00"),
                ] {
                    let decision = app.decide(of_user(toner(amount, date), &user_id)).await;
                    let cap = cap_of(&decision, "window");
                    assert_eq!(
                        (&decision["outcome"], &cap["used"]),
                        (&outcome.into(), &used.into()),
                        "{window} {day}: {amount} on {date}: {decision:#}"
                    );
                    if date == *day {
                        assert_eq!(cap["window_key"], *key, "{window} {day}");
                    }
                }
            }
            app.stop().await;
        }
    })
    .await;
}
