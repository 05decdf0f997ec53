//! Which expenses a cap adds up: its window, the categories that it spans, and whose they are. Pure
//! calendar arithmetic; what is used of a counter is kept in `ledger`, and whether a cap allows an
//! expense is decided in `policy`.

use std::fmt;
use std::str::FromStr;

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};
use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoEnumIterator as _, VariantNames};
use utoipa::ToSchema;

use crate::domain::expense::{Expense, calendar_date};
use crate::domain::facts::{FactName, Facts};
use crate::domain::ruling::Window;

/// The expenses that count together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counter {
    /// The window.
    pub per: Window,
    /// The first day of the year, for a window of a year; absent for the calendar year.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "04-06")]
    pub begins: Option<YearStart>,
    /// The categories whose expenses count together, in alphabetical order; absent for those of the
    /// policy's own category.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub over: Vec<String>,
    /// The fact whose expenses count together, whoever handed them in; absent for those of one
    /// employee.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<By>,
}

/// What expenses count together by, other than the employee.
#[derive(Serialize, Deserialize, ToSchema, Display, EnumString, EnumIter, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The department.
    Department,
    /// The cost centre.
    CostCenter,
    /// The project.
    Project,
    /// The recipient of a gift.
    Recipient,
}

impl By {
    /// The fact of an expense that says it.
    pub fn fact(self) -> FactName {
        match self {
            Self::Department => FactName::Department,
            Self::CostCenter => FactName::CostCenter,
            Self::Project => FactName::Project,
            Self::Recipient => FactName::Recipient,
        }
    }

    /// Everything that expenses can count together by.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }
}

/// The days of a window, and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    /// The first day.
    pub first: Date,
    /// The last day.
    pub last: Date,
    /// The name: `2026-03-14`, `2026-W11`, `2026-03`, `2026-Q1`, `2026`, or the first day of a year
    /// that does not begin on the first of January.
    pub key: String,
}

impl Counter {
    /// The expenses of the policy's own category in a window.
    pub const fn per(window: Window) -> Self {
        Self {
            per: window,
            begins: None,
            over: Vec::new(),
            by: None,
        }
    }

    /// The days that count together with a day; `None` if the window is not one of days.
    pub fn period(&self, date: Date) -> Option<Period> {
        let (year, month) = (date.year(), date.month());
        let (first, last, key) = match self.per {
            Window::Day => (date, date, date.to_string()),
            Window::Week => {
                let week = date.iso_week_date();
                let n_days = i64::from(date.weekday().since(Weekday::Monday));
                let first = date.saturating_sub(n_days.days());
                let key = format!("{:04}-W{:02}", week.year(), week.week());
                (first, first.saturating_add(6.days()), key)
            }
            Window::Month => (
                date.first_of_month(),
                date.last_of_month(),
                format!("{year:04}-{month:02}"),
            ),
            Window::Quarter => {
                let n_quarter = (month - 1) / 3;
                let first = date
                    .first_of_month()
                    .saturating_sub(((month - 1) % 3).months());
                let last = first.saturating_add(2.months()).last_of_month();
                (first, last, format!("{year:04}-Q{}", n_quarter + 1))
            }
            Window::Year => self.year(date),
            Window::Expense | Window::Trip | Window::Merchant => return None,
        };
        Some(Period { first, last, key })
    }

    fn year(&self, date: Date) -> (Date, Date, String) {
        let Some(start) = self.begins else {
            let key = format!("{:04}", date.year());
            return (date.first_of_year(), date.last_of_year(), key);
        };
        let this_year = start.in_year_of(date);
        let first = match this_year <= date {
            true => this_year,
            false => start.in_year_of(date.saturating_sub(1.year())),
        };
        let last = match first.checked_add(1.year()) {
            Ok(next) => next.saturating_sub(1.day()),
            Err(_) => Date::MAX,
        };
        (first, last, first.to_string())
    }

    /// The fact that it needs and that is not known.
    pub fn lacks(&self, facts: &Facts) -> Option<FactName> {
        self.by.map(By::fact).filter(|name| !facts.has(*name))
    }

    /// The name of the window of an expense; `None` for a window of one expense, and if the expense
    /// does not say which one it is in.
    pub fn key(&self, expense: &Expense) -> Option<String> {
        match self.per {
            _ if self.lacks(&expense.facts).is_some() => None,
            Window::Trip => expense.trip_id.clone(),
            _ => self.period(expense.date).map(|period| period.key),
        }
    }
}

impl From<Window> for Counter {
    fn from(window: Window) -> Self {
        Self::per(window)
    }
}

/// The day on which a year begins. Never the 29th of February, which most years do not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct YearStart {
    month: i8,
    day: i8,
}

/// The text is not a day of every year.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a day of every year; write month and day, such as \"04-06\"")]
pub struct NotInEveryYear(String);

impl YearStart {
    /// Whether years that begin on this day are calendar years.
    pub fn is_new_year(self) -> bool {
        (self.month, self.day) == (1, 1)
    }

    /// This day in the year of a date.
    fn in_year_of(self, date: Date) -> Date {
        date.with()
            .month(self.month)
            .day(self.day)
            .build()
            .expect("every year has this day")
    }
}

impl FromStr for YearStart {
    type Err = NotInEveryYear;

    fn from_str(text: &str) -> Result<Self, NotInEveryYear> {
        /// A year without a 29th of February.
        const COMMON_YEAR: &str = "2026";
        let date = format!("{COMMON_YEAR}-{text}");
        let date = calendar_date(&date).ok_or_else(|| NotInEveryYear(text.to_owned()))?;
        Ok(Self {
            month: date.month(),
            day: date.day(),
        })
    }
}

impl TryFrom<String> for YearStart {
    type Error = NotInEveryYear;

    fn try_from(text: String) -> Result<Self, NotInEveryYear> {
        text.parse()
    }
}

impl From<YearStart> for String {
    fn from(start: YearStart) -> Self {
        start.to_string()
    }
}

impl fmt::Display for YearStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}-{:02}", self.month, self.day)
    }
}
