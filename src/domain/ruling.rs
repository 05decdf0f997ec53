//! The policy engine's vocabulary: outcomes, rulings, roles, windows, and what a rule found. How a
//! ruling comes about is in `policy::evaluate`; how it becomes an outcome is in `agent::combine`.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoStaticStr, VariantNames};
use utoipa::ToSchema;

/// What becomes of an expense.
#[derive(Serialize, Deserialize, ToSchema, Display, EnumString, IntoStaticStr, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Within policy, nothing further needed.
    Approved,
    /// Within the caps, but a named role has to agree.
    NeedsApproval,
    /// Against policy.
    Denied,
    /// The machine is not to be trusted here; a person decides.
    NeedsReview,
}

/// What the policy engine or the model holds of an expense, from lenient to strict.
#[derive(Serialize, Deserialize, ToSchema, Display, EnumString, IntoStaticStr, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ruling {
    /// Nothing stands against it.
    Approved,
    /// A role has to agree.
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

/// Who can approve what a threshold asks for, from the lowest to the highest.
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

/// What has to be handed in before an expense can be approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// The receipt.
    Receipt,
}

/// The span of time, or the thing, that a limit counts over.
#[derive(Serialize, Deserialize, ToSchema, Display, EnumString, IntoStaticStr, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Window {
    /// This expense alone.
    Expense,
    /// One calendar day.
    Day,
    /// All expenses with one trip id.
    Trip,
    /// One calendar year.
    Year,
    /// Purchases at one merchant, within the days that the rule says.
    Merchant,
}

/// One rule that speaks against approving an expense as it is. Amounts are in the policy's
/// currency. A rule that names no amount, such as one against old expenses, allows nothing: its
/// `limit` and `allowable` are zero, and all of the expense is `exceeded`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// The rule's id.
    pub rule: String,
    /// What the rule asks for.
    pub effect: Ruling,
    /// What the limit counts over.
    pub window: Window,
    /// The cap, or the threshold above which a role or a receipt is asked for; zero where a rule
    /// allows nothing.
    #[schema(example = "500.00")]
    pub limit: Decimal,
    /// What the window already holds, this expense apart.
    #[schema(example = "0.00")]
    pub used: Decimal,
    /// This expense.
    #[schema(example = "650.00")]
    pub amount: Decimal,
    /// How much of this expense the rule lets pass: `limit` less `used`, at least zero.
    #[schema(example = "500.00")]
    pub allowable: Decimal,
    /// How much of this expense is above that.
    #[schema(example = "150.00")]
    pub exceeded: Decimal,
    /// One sentence for a person.
    pub message: String,
}
