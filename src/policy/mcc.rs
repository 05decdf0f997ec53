//! Merchant category codes (ISO 18245), as policy files write them in evidence and in rules.

use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// A single code such as `"5812"`, or a range such as `"3000-3999"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Codes(RangeInclusive<u16>);

/// The text is neither a code nor a range of codes.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is neither four digits nor a range such as `3000-3999`")]
pub struct InvalidCodes(String);

impl Codes {
    /// Reads a code or a range; `None` when a code does not have four digits, or when the range is
    /// empty.
    pub fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = code(first)?..=code(last)?;
        (!range.is_empty()).then_some(Self(range))
    }

    /// Every code of the range, as four digits.
    pub fn iter(&self) -> impl Iterator<Item = String> + use<> {
        self.0.clone().map(|code| format!("{code:04}"))
    }

    /// Whether the range includes a code.
    pub fn contains(&self, text: &str) -> bool {
        code(text).is_some_and(|code| self.0.contains(&code))
    }
}

/// The number written as four digits; `None` for any other text.
fn code(text: &str) -> Option<u16> {
    // `parse` alone would also accept a sign, such as in `+581`.
    if text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

impl fmt::Display for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.0.start(), self.0.end());
        if first == last {
            write!(f, "{first:04}")
        } else {
            write!(f, "{first:04}-{last:04}")
        }
    }
}

impl TryFrom<String> for Codes {
    type Error = InvalidCodes;

    fn try_from(text: String) -> Result<Self, InvalidCodes> {
        Self::parse(&text).ok_or(InvalidCodes(text))
    }
}

impl From<Codes> for String {
    fn from(codes: Codes) -> Self {
        codes.to_string()
    }
}
