//! The forms that the values of facts have, and how each is read: from JSON, and from the text of a
//! table's cell.

use std::sync::LazyLock;

use iso_currency::Country;
use regex::Regex;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::domain::body::{is_line, is_text};
use crate::domain::expense::calendar_date;
use crate::domain::facts::FactValue;
use crate::domain::money;

/// Characters that an address may have.
pub const MAX_URL_CHARS: usize = 2_000;
/// What an address looks like: HTTPS, a plain host, and no name or password before it. The service
/// never opens it, so what is behind it does not matter; but a person is shown it as a link.
pub const HTTPS_URL: &str =
    r"^https://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?([/?#][!-~]*)?$";

/// What the values of a fact look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A whole number from 1 on.
    Count {
        /// The largest that is accepted.
        max: u16,
    },
    /// A distance above zero, with at most one decimal.
    Distance,
    /// One of some words.
    Choice(&'static [&'static str]),
    /// Any of some words, each at most once.
    Choices(&'static [&'static str]),
    /// A country, by the two letters of its ISO 3166 code.
    Country,
    /// A text without line breaks.
    Line {
        /// The most characters.
        max: u16,
    },
    /// A text that may have several lines.
    Text {
        /// The fewest characters.
        min: u16,
        /// The most characters.
        max: u16,
    },
    /// A calendar date.
    Date,
    /// The address of a page, by HTTPS.
    Url,
}

impl Form {
    /// A text without line breaks of at most `max` characters.
    pub(super) const fn line(max: u16) -> Self {
        Self::Line { max }
    }

    /// What is accepted, as an instruction to whoever wrote something else.
    pub fn accepted(self) -> String {
        match self {
            Self::Count { max } => format!("write a whole number from 1 to {max}"),
            Self::Distance => {
                "write a distance above zero with at most one decimal, such as \"12.5\"".to_owned()
            }
            Self::Choice(words) => format!("write one of \"{}\"", words.join("\", \"")),
            Self::Choices(words) => format!(
                "write a list of any of \"{}\", each at most once",
                words.join("\", \"")
            ),
            Self::Country => {
                "write the two capital letters of an ISO 3166 country code, such as \"DE\""
                    .to_owned()
            }
            Self::Line { max } => format!(
                "write 1 to {max} characters without control characters, and no blank at either end"
            ),
            Self::Text { min, max } => format!(
                "write {min} to {max} characters of text that is not blank and has no control characters but line breaks"
            ),
            Self::Date => "write a calendar date such as \"2026-03-14\"".to_owned(),
            Self::Url => format!(
                "write an address such as \"https://receipts.example/17\", in ASCII, of at most \
                 {MAX_URL_CHARS} characters and without a user name"
            ),
        }
    }

    /// A value from the text of a JSON value; `None` if it has another form. A number is read from its
    /// digits, so that it never passes through a binary float.
    pub fn of_raw_json(self, raw: &str) -> Option<FactValue> {
        match serde_json::from_str(raw).ok()? {
            Value::Number(_) if self.is_number() => self.of_text(raw),
            value => self.of_json(&value),
        }
    }

    /// A text as a request writes the value in JSON. A text of another form stays a text, so that
    /// whoever reads the request says what is wrong with it.
    pub fn json_of_text(self, text: &str) -> Value {
        self.of_text(text)
            .map_or_else(|| text.into(), |value| json!(value))
    }

    /// Whether its values are numbers.
    pub const fn is_number(self) -> bool {
        matches!(self, Self::Count { .. } | Self::Distance)
    }

    /// A value from JSON; `None` if it has another form.
    pub fn of_json(self, value: &Value) -> Option<FactValue> {
        match (self, value) {
            (_, Value::Number(number)) if self.is_number() => self.of_text(&number.to_string()),
            // A number in quotes is a distance, as it is an amount, but not a count.
            (Self::Count { .. }, _) => None,
            (Self::Choices(known), Value::Array(given)) => {
                let given: Option<Vec<&str>> = given.iter().map(Value::as_str).collect();
                choices(known, &given?)
            }
            (Self::Choices(_), _) => None,
            (_, Value::String(text)) => self.of_text(text),
            _ => None,
        }
    }

    /// A value from a text, such as a cell of a table; `None` if it has another form. The words of a
    /// list are separated by semicolons.
    pub fn of_text(self, text: &str) -> Option<FactValue> {
        match self {
            Self::Count { max } => text
                .parse()
                .ok()
                .filter(|count| (1..=max).contains(count))
                .map(FactValue::Count),
            Self::Distance => money::parse_amount(text, 1)
                .ok()
                .filter(|distance| !distance.is_zero())
                // One distance is written in one way, whether as 12 or as 12.0.
                .map(|distance| FactValue::Decimal(distance + Decimal::new(0, 1))),
            Self::Choice(words) => words
                .contains(&text)
                .then(|| FactValue::Text(text.to_owned())),
            Self::Choices(known) => {
                let given: Vec<&str> = text.split(';').map(str::trim).collect();
                choices(known, &given)
            }
            Self::Country => text
                .parse::<Country>()
                .is_ok()
                .then(|| FactValue::Text(text.to_owned())),
            Self::Line { max } => {
                is_line(text, max.into()).then(|| FactValue::Text(text.to_owned()))
            }
            Self::Text { min, max } => (text.trim().chars().count() >= min.into()
                && is_text(text, max.into()))
            .then(|| FactValue::Text(text.to_owned())),
            Self::Date => calendar_date(text).map(FactValue::Date),
            Self::Url => is_https(text).then(|| FactValue::Text(text.to_owned())),
        }
    }
}

/// Known words, each given at most once, in the order in which they are known.
fn choices(known: &'static [&'static str], given: &[&str]) -> Option<FactValue> {
    let words: Vec<&'static str> = known
        .iter()
        .copied()
        .filter(|word| given.contains(word))
        .collect();
    (words.len() == given.len()).then_some(FactValue::Words(words))
}

fn is_https(text: &str) -> bool {
    static ADDRESS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(HTTPS_URL).expect("the pattern is constant"));
    text.len() <= MAX_URL_CHARS && ADDRESS.is_match(text)
}

/// The codes of all countries, in alphabetical order.
pub fn countries() -> impl Iterator<Item = String> {
    let pairs = ('A'..='Z').flat_map(|one| ('A'..='Z').map(move |other| format!("{one}{other}")));
    pairs.filter(|code| code.parse::<Country>().is_ok())
}
