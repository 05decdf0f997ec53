//! The windows of caps, found by walking through the calendar day by day.

use jiff::civil::{Date, Weekday};

/// Whether a window of this kind begins on a day.
fn begins_on(per: &str, year_begins: (i8, i8), day: Date) -> bool {
    match per {
        "day" => true,
        "week" => day.weekday() == Weekday::Monday,
        "month" => day.day() == 1,
        "quarter" => day.day() == 1 && [1, 4, 7, 10].contains(&day.month()),
        "year" => (day.month(), day.day()) == year_begins,
        _ => panic!("{per} is no window of days"),
    }
}

/// The first and the last day of the window that a day is in.
pub(super) fn days(per: &str, year_begins: &str, day: Date) -> (Date, Date) {
    let (month, month_day) = year_begins.split_once('-').unwrap();
    let year_begins = (month.parse().unwrap(), month_day.parse().unwrap());
    let (mut first, mut last) = (day, day);
    while !begins_on(per, year_begins, first) {
        first = first.yesterday().unwrap();
    }
    loop {
        let next = last.tomorrow().unwrap();
        if begins_on(per, year_begins, next) {
            return (first, last);
        }
        last = next;
    }
}

/// The name of the window that a day is in.
pub(super) fn key(per: &str, year_begins: &str, day: Date) -> String {
    let (first, _) = days(per, year_begins, day);
    match per {
        "week" => first.strftime("%G-W%V").to_string(),
        "month" => first.strftime("%Y-%m").to_string(),
        "quarter" => format!("{}-Q{}", first.year(), (first.month() + 2) / 3),
        "year" if year_begins == "01-01" => first.year().to_string(),
        _ => first.to_string(),
    }
}
