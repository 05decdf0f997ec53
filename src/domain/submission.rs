//! Untrusted JSON text to an [`Expense`]. Every fault of a body is reported at once, and the amount is read from the
//! JSON text itself, so that no number ever passes through a binary float.

use std::fmt;

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};

use crate::domain::expense::{Expense, calendar_date};
use crate::domain::money::{self, Currency};
use crate::redact::redact;

/// Characters a transaction may have.
pub const MAX_TRANSACTION_CHARS: usize = 2_000;
/// Characters a merchant's name may have.
pub const MAX_MERCHANT_CHARS: usize = 200;
/// Characters a trip's or a user's id may have.
pub const MAX_ID_CHARS: usize = 128;

/// Faults of one body that are listed; a body with more was not written for this service.
const MAX_FAULTS: usize = 32;

const FIELDS: [&str; 9] =
    ["transaction", "amount", "currency", "merchant", "mcc", "date", "trip_id", "receipt", "user_id"];

/// The body of `POST /v1/expenses`, as a client writes it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"transaction": "Flight to Chicago, $650", "amount": 650.00}))]
pub struct Submission {
    /// What was bought, in free text: 1 to 2,000 characters, no control characters but line breaks.
    pub transaction: String,
    /// Decimal string or number: above zero, up to 12 digits and the currency's minor digits.
    #[schema(schema_with = amount_schema)]
    pub amount: serde_json::Value,
    /// ISO 4217 code in capitals. Default: `USD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// The merchant's name: 1 to 200 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merchant: Option<String>,
    /// Merchant category code: a string of four digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcc: Option<String>,
    /// Calendar date `YYYY-MM-DD`. Default: the day of receipt, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Expenses with the same trip share that trip's cap: 1 to 128 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trip_id: Option<String>,
    /// Whether a receipt is attached. Default: `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<bool>,
    /// The employee: 1 to 128 characters. Default: the baggage member `user.id`, else `anonymous`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
}

/// OpenAPI has no type for "a decimal string or a number", so it is put together.
fn amount_schema() -> Schema {
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(r"^\d{1,12}(\.\d{1,4})?$"));
    let number = ObjectBuilder::new().schema_type(Type::Number);
    let description = "Decimal string or number: above zero, up to 12 digits and the currency's minor digits.";
    OneOfBuilder::new().item(text).item(number).description(Some(description)).into()
}

/// What a body that leaves them out means.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// The day of receipt, UTC.
    pub date: Date,
    /// The employee that came with the request.
    pub user_id: String,
}

/// One field of a body that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldFault {
    /// The field's name, or `body` when the JSON as a whole is meant.
    pub field: String,
    /// What was wrong and what would be accepted.
    pub message: String,
}

/// Why a body is no expense.
#[derive(Debug, thiserror::Error)]
pub enum SubmissionError {
    /// The text is not JSON at all.
    #[error("the body is not JSON: {0}; send an object such as {{\"transaction\": \"Taxi\", \"amount\": \"45.00\"}}")]
    NotJson(String),
    /// It is JSON, but these fields are wrong, unknown or given twice.
    #[error("{} of the body cannot be taken", count(.0.len()))]
    Faults(Vec<FieldFault>),
}

fn count(n_fields: usize) -> String {
    if n_fields == 1 { "one field".to_owned() } else { format!("{n_fields} fields") }
}

/// An expense, and what the body that brought it meant.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// The expense.
    pub expense: Expense,
    /// A hash of its meaning: the same for `45` and `"45.00"`, and on whichever day a body without a date is sent again.
    pub fingerprint: String,
}

/// Reads an expense from a request body.
///
/// # Errors
/// [`SubmissionError::NotJson`] for broken JSON, [`SubmissionError::Faults`] with every fault otherwise.
pub fn parse(body: &[u8], defaults: Defaults) -> Result<Submitted, SubmissionError> {
    let text = std::str::from_utf8(body).map_err(|error| SubmissionError::NotJson(error.to_string()))?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| SubmissionError::NotJson(error.to_string()))?;
    let Ok(Members(members)) = serde_json::from_str(text) else {
        let message = "write a JSON object such as {\"transaction\": \"Taxi\", \"amount\": \"45.00\"}".to_owned();
        return Err(SubmissionError::Faults(vec![FieldFault { field: "body".to_owned(), message }]));
    };
    let mut fields = Fields { members: &members, faults: Vec::new() };
    fields.refuse_unknown_and_repeated();

    let transaction = fields.required("transaction", TRANSACTION, transaction_text);
    let currency = fields.optional("currency", "write an ISO 4217 code in capitals such as \"USD\"", |raw| {
        string(raw)?.parse::<Currency>().ok()
    });
    let amount = fields.amount(currency);
    let merchant = fields.optional("merchant", MERCHANT, |raw| line(raw, MAX_MERCHANT_CHARS));
    let mcc = fields.optional("mcc", "write a string of four digits such as \"5812\"", |raw| {
        string(raw).filter(|code| code.len() == 4 && code.bytes().all(|byte| byte.is_ascii_digit()))
    });
    let date =
        fields.optional("date", "write a calendar date such as \"2026-03-14\"", |raw| calendar_date(&string(raw)?));
    let trip_id = fields.optional("trip_id", ID, |raw| line(raw, MAX_ID_CHARS));
    let receipt = fields.optional("receipt", "write true or false", value::<bool>);
    let user_id = fields.optional("user_id", ID, |raw| line(raw, MAX_ID_CHARS));

    let (Some(transaction), Some(amount)) = (transaction, amount) else {
        return Err(SubmissionError::Faults(fields.faults));
    };
    if !fields.faults.is_empty() {
        return Err(SubmissionError::Faults(fields.faults));
    }
    let given_date = date.flatten();
    let expense = Expense {
        transaction,
        amount,
        currency: currency.flatten().unwrap_or(Currency::USD),
        merchant: merchant.flatten(),
        mcc: mcc.flatten(),
        date: given_date.unwrap_or(defaults.date),
        trip_id: trip_id.flatten(),
        receipt: receipt.flatten().unwrap_or(false),
        user_id: user_id.flatten().unwrap_or(defaults.user_id),
    };
    let fingerprint = fingerprint(&expense, given_date.is_some());
    Ok(Submitted { expense, fingerprint })
}

fn fingerprint(expense: &Expense, has_date: bool) -> String {
    let mut meaning = json!(expense);
    if !has_date {
        meaning["date"] = serde_json::Value::Null;
    }
    hex::encode(Sha256::digest(meaning.to_string()))
}

const TRANSACTION: &str =
    "write 1 to 2000 characters of text that is not blank and has no control characters but line breaks";
const MERCHANT: &str = "write 1 to 200 characters without control characters, and no blank at either end";
const ID: &str = "write 1 to 128 characters without control characters, and no blank at either end";

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

/// Takes fields out of the members and collects what is wrong with them.
struct Fields<'a> {
    members: &'a [(String, Box<RawValue>)],
    faults: Vec<FieldFault>,
}

impl Fields<'_> {
    fn refuse_unknown_and_repeated(&mut self) {
        for (index, (name, _)) in self.members.iter().enumerate() {
            if !FIELDS.contains(&name.as_str()) {
                let shown: String = redact(name).chars().take(MAX_ID_CHARS).collect();
                self.fault(&shown, format!("this field is unknown; accepted are {}", FIELDS.join(", ")));
            } else if self.members[..index].iter().any(|(earlier, _)| earlier == name) {
                self.fault(name, "this field is given twice; write it once".to_owned());
            }
        }
    }

    fn fault(&mut self, field: &str, message: String) {
        if self.faults.len() == MAX_FAULTS {
            return;
        }
        self.faults.push(FieldFault { field: field.to_owned(), message });
    }

    /// The raw text of a field; JSON null counts as absent.
    fn raw(&self, name: &str) -> Option<&str> {
        let (_, raw) = self.members.iter().find(|(member, _)| member == name)?;
        Some(raw.get()).filter(|text| *text != "null")
    }

    /// `Some(None)` when the field is absent, `None` when it is wrong (the fault is noted).
    fn optional<T>(&mut self, name: &str, accepted: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
        let Some(raw) = self.raw(name) else { return Some(None) };
        let parsed = parse(raw);
        if parsed.is_none() {
            self.fault(name, accepted.to_owned());
        }
        parsed.map(Some)
    }

    fn required<T>(&mut self, name: &str, accepted: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let given = self.optional(name, accepted, parse)?;
        if given.is_none() {
            self.fault(name, format!("this field is required; {accepted}"));
        }
        given
    }

    /// Where the currency is wrong, the amount is judged in dollars, so that its faults are named as well.
    fn amount(&mut self, currency: Option<Option<Currency>>) -> Option<Decimal> {
        let currency = currency.flatten().unwrap_or(Currency::USD);
        let accepted = |error: money::AmountError| format!("{error}, as a decimal string or number, for {currency}");
        let Some(raw) = self.raw("amount") else {
            self.fault("amount", "this field is required; write a decimal such as \"45.00\"".to_owned());
            return None;
        };
        let text = string(raw).unwrap_or_else(|| raw.to_owned());
        match money::parse_amount(&text, currency.minor_digits()) {
            Ok(amount) if amount.is_zero() => {
                self.fault("amount", "the amount is zero; write an amount above zero".to_owned());
                None
            }
            Ok(amount) => Some(amount),
            Err(error) => {
                self.fault("amount", accepted(error));
                None
            }
        }
    }
}

fn value<T: DeserializeOwned>(raw: &str) -> Option<T> {
    serde_json::from_str(raw).ok()
}

fn string(raw: &str) -> Option<String> {
    value(raw)
}

fn line(raw: &str, max_chars: usize) -> Option<String> {
    string(raw).filter(|text| is_line(text, max_chars))
}

/// Whether a text can be a name or an id: not empty, not too long, no control characters, no blank at either end.
pub fn is_line(text: &str, max_chars: usize) -> bool {
    (1..=max_chars).contains(&text.chars().count()) && text.trim() == text && !text.contains(char::is_control)
}

fn transaction_text(raw: &str) -> Option<String> {
    let is_refused = |c: char| c.is_control() && c != '\n' && c != '\r';
    string(raw).filter(|text| {
        text.chars().count() <= MAX_TRANSACTION_CHARS && !text.trim().is_empty() && !text.contains(is_refused)
    })
}
