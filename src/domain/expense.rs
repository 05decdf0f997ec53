//! One expense, after every field was checked. How it is read from JSON is in `submission`.

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::facts::Facts;
use crate::domain::money::{self, Currency};
use crate::domain::receipt::{Receipt, receipt_schema};
use crate::redact::redact;

/// The employee of an expense if neither its body, nor the baggage, nor the API key names one.
pub const ANONYMOUS: &str = "anonymous";

/// An expense's amount in the currency of its policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConvertedAmount {
    /// Exact amount, rounded up to the currency's minor digits.
    #[schema(example = "48.83")]
    pub amount: Decimal,
    /// ISO 4217 code.
    #[schema(value_type = String, example = "USD")]
    pub currency: Currency,
    /// How much of `currency` one unit of the expense's own currency is worth.
    #[schema(example = "1.085")]
    pub rate: Decimal,
    /// The first day on which the rate is valid.
    #[schema(value_type = String, format = Date, example = "2026-01-01")]
    pub rate_date: Date,
}

impl ConvertedAmount {
    /// Another amount of the same purchase, at the same rate.
    pub fn of(&self, amount: Decimal) -> Self {
        // Only a part of what was converted before is ever asked for, so the result cannot be too
        // large; if it is, the whole amount is the most that can be taken or freed.
        let amount = money::convert(amount, self.rate, self.currency).unwrap_or(self.amount);
        Self {
            amount,
            ..self.clone()
        }
    }
}

/// One transaction that an employee asks to have paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Expense {
    /// What was bought, in free text: 1 to 2,000 characters.
    pub transaction: String,
    /// Exact amount in `currency`, with all of the currency's minor digits: above zero, or below
    /// zero for a credit.
    #[schema(example = "650.00")]
    pub amount: Decimal,
    /// ISO 4217 code.
    #[schema(value_type = String, example = "USD")]
    pub currency: Currency,
    /// The merchant's name as the card statement shows it.
    pub merchant: Option<String>,
    /// Merchant category code, ISO 18245: four digits.
    pub mcc: Option<String>,
    /// The category that the card statement names in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category_hint: Option<String>,
    /// The day of the purchase.
    #[schema(value_type = String, format = Date, example = "2026-03-14")]
    pub date: Date,
    /// Expenses with the same trip id share the trip's cap.
    pub trip_id: Option<String>,
    /// Which receipt is attached.
    #[schema(schema_with = receipt_schema)]
    pub receipt: Receipt,
    /// The employee (`user.id` in traces).
    pub user_id: String,
    /// The purchase that this credit returns money of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refunds: Option<Uuid>,
    /// Whether it is a plan: no purchase yet, but one to agree on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plan: bool,
    /// The plan that this purchase was agreed on in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under: Option<Uuid>,
    /// What else is known of it.
    #[serde(flatten)]
    #[schema(ignore)]
    pub facts: Facts,
}

impl Expense {
    /// The expense without the personal data and secrets in its free text. Ids stay, because caps
    /// and searches use them.
    pub fn redacted(self) -> Self {
        let redacted = |text: String| redact(&text).into_owned();
        Self {
            transaction: redacted(self.transaction),
            merchant: self.merchant.map(redacted),
            category_hint: self.category_hint.map(redacted),
            facts: self.facts.redacted(),
            ..self
        }
    }
}

/// Parses an ISO calendar date. jiff also accepts date-times, time zones and dates without dashes;
/// the contract is the ten characters of `YYYY-MM-DD`.
pub fn calendar_date(text: &str) -> Option<Date> {
    Some(text)
        .filter(|text| text.len() == "YYYY-MM-DD".len())
        .and_then(|text| text.parse().ok())
}
