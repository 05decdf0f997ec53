//! The vocabulary of rulings: outcomes, roles, windows, and what one rule found. How policy code
//! comes to a ruling is in `policy::evaluate`; how a ruling becomes an outcome is in
//! `agent::combine`.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoStaticStr, VariantNames};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::facts::FactName;

/// What becomes of an expense.
#[derive(Serialize, Deserialize, ToSchema, Display, EnumString, IntoStaticStr, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Within policy; nothing else is needed.
    Approved,
    /// No rule is broken, but a role has to approve.
    NeedsApproval,
    /// A rule is broken.
    Denied,
    /// The agent's reasoning cannot be trusted, so a person decides.
    NeedsReview,
}

/// What policy code (the verdict) or the model (the advice) says about an expense, from lenient to
/// strict.
#[derive(Serialize, Deserialize, ToSchema, Display, EnumString, IntoStaticStr, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ruling {
    /// No rule speaks against it.
    Approved,
    /// A role has to approve.
    NeedsApproval,
    /// It breaks a rule.
    Denied,
}

impl From<Ruling> for Outcome {
    fn from(ruling: Ruling) -> Self {
        match ruling {
            Ruling::Approved => Self::Approved,
            Ruling::NeedsApproval => Self::NeedsApproval,
            Ruling::Denied => Self::Denied,
        }
    }
}

/// Who can approve an expense, from the lowest role to the highest.
#[derive(Serialize, Deserialize, ToSchema, Display, EnumIter, EnumString, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The employee's manager.
    Manager,
    /// The head of the department.
    Director,
    /// A vice president.
    Vp,
    /// The chief financial officer.
    Cfo,
}

/// What has to be submitted before an expense can be approved. In JSON one word: `receipt`,
/// `itemized_receipt`, `merchant`, `mcc`, or the name of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Missing {
    /// A receipt.
    Receipt,
    /// A receipt that lists every item.
    ItemizedReceipt,
    /// The merchant's name.
    Merchant,
    /// The merchant category code.
    Mcc,
    /// A fact.
    Fact(FactName),
}

impl PartialSchema for Missing {
    fn schema() -> RefOr<Schema> {
        let others = ["receipt", "itemized_receipt", "merchant", "mcc"];
        let words = others.iter().chain(FactName::VARIANTS).copied();
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "What has to be submitted before an expense can be approved.",
            ))
            .enum_values(Some(words))
            .into()
    }
}

impl ToSchema for Missing {}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Receipt => f.write_str("receipt"),
            Self::ItemizedReceipt => f.write_str("itemized_receipt"),
            Self::Merchant => f.write_str("merchant"),
            Self::Mcc => f.write_str("mcc"),
            Self::Fact(name) => name.fmt(f),
        }
    }
}

impl From<Missing> for String {
    fn from(missing: Missing) -> Self {
        missing.to_string()
    }
}

impl TryFrom<String> for Missing {
    type Error = strum::ParseError;

    fn try_from(word: String) -> Result<Self, strum::ParseError> {
        Ok(match word.as_str() {
            "receipt" => Self::Receipt,
            "itemized_receipt" => Self::ItemizedReceipt,
            "merchant" => Self::Merchant,
            "mcc" => Self::Mcc,
            _ => Self::Fact(word.parse()?),
        })
    }
}

/// What a limit adds up over.
#[derive(Serialize, Deserialize, ToSchema, Display, EnumString, IntoStaticStr, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Window {
    /// This expense alone.
    Expense,
    /// One calendar day.
    Day,
    /// One ISO week, Monday to Sunday.
    Week,
    /// One calendar month.
    Month,
    /// One quarter of a calendar year.
    Quarter,
    /// All expenses with the same trip id.
    Trip,
    /// One year: the calendar year, or one that begins on the day that the rule names.
    Year,
    /// Purchases at the same merchant, within the days that the rule names.
    Merchant,
}

/// What one rule says against approving an expense as it is. Amounts are in the policy's currency.
/// A rule that names no amount, such as one against old expenses, allows nothing: its `limit` and
/// `allowable` are zero, and the whole expense is `exceeded`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// The rule's id.
    pub rule: String,
    /// What the rule asks for: `needs_approval` or `denied`.
    pub effect: Ruling,
    /// What the limit adds up over.
    pub window: Window,
    /// The cap, or the threshold above which a role or a receipt is needed; zero if the rule
    /// allows nothing.
    #[schema(example = "500.00")]
    pub limit: Decimal,
    /// How much of the window is already used, without this expense.
    #[schema(example = "0.00")]
    pub used: Decimal,
    /// The amount of this expense.
    #[schema(example = "650.00")]
    pub amount: Decimal,
    /// How much of this expense the rule allows: `limit` minus `used`, at least zero.
    #[schema(example = "500.00")]
    pub allowable: Decimal,
    /// How much of this expense is above `allowable`.
    #[schema(example = "150.00")]
    pub exceeded: Decimal,
    /// One sentence for a person.
    pub message: String,
}
