//! Parses untrusted JSON objects field by field and reports every field that is not accepted.
//! Amounts are parsed from the JSON text itself, so that no number ever passes through a binary
//! float. Which fields a body has is decided in `submission`, `resolution` and
//! `feedback`.
//!
//! A body is parsed in two passes. The first splits the object into its members and keeps the text
//! of each value; the second parses each value as its field asks, so that one wrong value does not
//! hide the others. Only text that the first pass does not accept is parsed once more, to tell JSON
//! that is no object from text that is not JSON. Before that, a line of a batch is parsed for its
//! key and, to keep the expenses of one employee in order, for the employee (`http::batch`).
//! Nothing else parses a body: the fingerprint of an idempotency key is made from the parsed
//! expense.
//!
//! Hand-written, although `eserde` reports several errors of a body too: it hands over numbers that
//! are already parsed, and an amount is exact only when it comes from the text.

use std::fmt;

use rust_decimal::Decimal;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::money::{self, Currency};
use crate::redact::redact;
use crate::spelling::is_visible;

/// Characters that an id of a trip, a user or a tenant may have.
pub const MAX_ID_CHARS: usize = 128;
/// Characters that a free text may have.
pub const MAX_TEXT_CHARS: usize = 2_000;

/// The most errors listed for one body; a body with more was not written for this service.
const MAX_ERRORS: usize = 32;

/// What is accepted as an id.
pub const ID: &str =
    "write 1 to 128 characters without control characters, and no blank at either end";
/// What is accepted as a free text.
pub(super) const TEXT: &str = "write 1 to 2000 characters of text that is not blank and has no control characters but line breaks";

/// One field of a body that is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// The field's name, or `body` when the error concerns the JSON as a whole.
    pub field: String,
    /// What is wrong, and what would be accepted.
    pub message: String,
}

/// Why a body is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The text is not JSON at all.
    #[error("the body is not JSON: {0}; send an object such as {1}")]
    NotJson(String, &'static str),
    /// It is JSON, but these fields are wrong, unknown or given twice.
    #[error("{} of the body cannot be accepted", in_words(.0.len()))]
    Fields(Vec<FieldError>),
}

fn in_words(n_fields: usize) -> String {
    if n_fields == 1 {
        "one field".to_owned()
    } else {
        format!("{n_fields} fields")
    }
}

/// The members of one JSON object in the order given, repeated names included.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// The fields of one body, and the errors found so far.
pub(super) struct Fields {
    members: Vec<(String, Box<RawValue>)>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// Reads a body that may have the `accepted` fields; `example` is a body for error messages.
    pub(super) fn read(
        body: &[u8],
        accepted: &[&str],
        example: &'static str,
    ) -> Result<Self, BodyError> {
        let text = std::str::from_utf8(without_mark(body))
            .map_err(|error| BodyError::NotJson(error.to_string(), example))?;
        let Ok(Members(members)) = serde_json::from_str(text) else {
            serde_json::from_str::<IgnoredAny>(text)
                .map_err(|error| BodyError::NotJson(error.to_string(), example))?;
            let message = format!("write a JSON object such as {example}");
            return Err(BodyError::Fields(vec![FieldError {
                field: "body".to_owned(),
                message,
            }]));
        };
        let mut fields = Self {
            members: Vec::new(),
            errors: Vec::new(),
        };
        for (name, raw) in members {
            if !accepted.contains(&name.as_str()) {
                let shown: String = redact(&name).chars().take(MAX_ID_CHARS).collect();
                fields.report(
                    &shown,
                    format!(
                        "this field is unknown; accepted are {}",
                        accepted.join(", ")
                    ),
                );
            } else if fields.raw_member(&name).is_some() {
                fields.report(&name, "this field is given twice; write it once".to_owned());
            } else {
                fields.members.push((name, raw));
            }
        }
        Ok(fields)
    }

    /// Adds an error, unless there are too many already.
    pub(super) fn report(&mut self, field: &str, message: String) {
        if self.errors.len() == MAX_ERRORS {
            return;
        }
        self.errors.push(FieldError {
            field: field.to_owned(),
            message,
        });
    }

    fn raw_member(&self, name: &str) -> Option<&str> {
        self.members
            .iter()
            .find(|(member, _)| member == name)
            .map(|(_, raw)| raw.get())
    }

    /// The raw text of a field; JSON null counts as absent.
    fn raw(&self, name: &str) -> Option<&str> {
        self.raw_member(name).filter(|text| *text != "null")
    }

    /// The names of the fields that have a value, in the order given.
    pub(super) fn given(&self) -> impl Iterator<Item = &str> {
        let members = self.members.iter().filter(|(_, raw)| raw.get() != "null");
        members.map(|(name, _)| name.as_str())
    }

    /// Parses a field that may be absent: `Some(None)` when it is, `None` when its value is wrong.
    /// The error is then reported.
    pub(super) fn optional<T>(
        &mut self,
        name: &str,
        accepted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Option<T>> {
        let Some(raw) = self.raw(name) else {
            return Some(None);
        };
        let parsed = parse(raw);
        if parsed.is_none() {
            self.report(name, accepted.to_owned());
        }
        parsed.map(Some)
    }

    /// Parses a field that must be present: `None` when it is absent or wrong. The error is then
    /// reported.
    pub(super) fn required<T>(
        &mut self,
        name: &str,
        accepted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let given = self.optional(name, accepted, parse)?;
        if given.is_none() {
            self.report(name, format!("this field is required; {accepted}"));
        }
        given
    }

    /// An amount in a currency, with its sign; zero is an error.
    pub(super) fn amount(&mut self, name: &str, currency: Currency) -> Option<Option<Decimal>> {
        let Some(raw) = self.raw(name) else {
            return Some(None);
        };
        let text = string(raw).unwrap_or_else(|| raw.to_owned());
        let (is_negative, digits) = text
            .strip_prefix('-')
            .map_or((false, text.as_str()), |digits| (true, digits));
        match money::parse_amount(digits, currency.minor_digits()) {
            Ok(amount) if amount.is_zero() => {
                self.report(
                    name,
                    "the amount is zero; write an amount above zero".to_owned(),
                );
                None
            }
            Ok(amount) => Some(Some(if is_negative { -amount } else { amount })),
            Err(error) => {
                self.report(
                    name,
                    format!("{error}, as a decimal string or number, for {currency}"),
                );
                None
            }
        }
    }

    /// The value, or the errors if there are any.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, BodyError> {
        value
            .filter(|_| self.errors.is_empty())
            .ok_or(BodyError::Fields(self.errors))
    }
}

/// A text without the byte order mark that some editors and spreadsheets write before it. It is not
/// part of JSON, but RFC 8259 allows a parser to ignore it.
pub fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text)
}

pub(super) fn value<T: DeserializeOwned>(raw: &str) -> Option<T> {
    serde_json::from_str(raw).ok()
}

pub(super) fn string(raw: &str) -> Option<String> {
    value(raw)
}

/// A UUID in its usual form, of 36 characters. The crate would accept other forms too, which are not the
/// `uuid` of JSON Schema.
pub fn uuid(text: &str) -> Option<Uuid> {
    Some(text)
        .filter(|text| text.len() == "00000000-0000-7000-8000-000000000000".len())
        .and_then(|text| text.parse().ok())
}

pub(super) fn line(raw: &str, max_chars: usize) -> Option<String> {
    string(raw).filter(|text| is_line(text, max_chars))
}

/// Whether a text can be a name or an id: not empty, not too long, not invisible, without control
/// characters, and without a blank at either end.
pub fn is_line(text: &str, max_chars: usize) -> bool {
    (1..=max_chars).contains(&text.chars().count())
        && text.trim() == text
        && !text.contains(char::is_control)
        && is_visible(text)
}

pub(super) fn free_text(raw: &str) -> Option<String> {
    string(raw).filter(|text| is_text(text, MAX_TEXT_CHARS))
}

/// Whether a text can be a free text: not too long, not invisible, and without control characters
/// other than line breaks.
pub fn is_text(text: &str, max_chars: usize) -> bool {
    let is_refused = |c: char| c.is_control() && c != '\n' && c != '\r';
    text.chars().count() <= max_chars && is_visible(text) && !text.contains(is_refused)
}
