//! The rules of a policy and their kinds, as policy files and prompts write them. How a rule is
//! applied is in `evaluate`.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use strum::{EnumDiscriminants, EnumString, VariantNames};
use utoipa::ToSchema;

use crate::domain::counter::Counter;
use crate::domain::ruling::Role;
use crate::policy::mcc::Codes;
use crate::policy::phrase::Phrase;

/// One rule of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rule {
    /// Unique among all policies; cited by the model and named by findings.
    pub id: String,
    /// The kind of the rule, with its parameters.
    #[serde(flatten)]
    pub kind: RuleKind,
    /// The rule in one sentence, for people.
    pub text: String,
    /// The role that may grant an exception from the rule for one expense; absent when exceptions
    /// are not possible. Only for rules that deny.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<Role>,
}

/// What a rule demands. Amounts are in the policy's currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumDiscriminants)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[strum_discriminants(name(KindName), vis(pub), derive(EnumString, VariantNames))]
#[strum_discriminants(
    strum(serialize_all = "snake_case"),
    doc = "The kinds by name, as policy files write them."
)]
pub enum RuleKind {
    /// No more than `max` in a window; `max` itself is allowed.
    Cap {
        /// What it adds up.
        #[serde(flatten)]
        counter: Counter,
        /// The most that is allowed.
        max: Decimal,
    },
    /// A role must approve an expense above an amount; the amount itself needs no approval.
    Approval {
        /// The most that needs no approval.
        above: Decimal,
        /// The role that approves.
        role: Role,
    },
    /// A role must approve every expense.
    ApprovalAlways {
        /// The role that approves.
        role: Role,
    },
    /// An expense above an amount needs a receipt.
    Receipt {
        /// The most that needs no receipt.
        above: Decimal,
    },
    /// A role must approve a purchase that exceeds a limit together with other purchases at the same
    /// merchant, none of which exceeded the limit on its own. Does not apply to an expense that
    /// names no merchant.
    Split {
        /// The most days between two purchases that are added up.
        days: u16,
        /// The most that the purchases may cost together without an approval.
        limit: Decimal,
        /// The role that approves.
        role: Role,
    },
    /// An expense must not be older than a number of days.
    MaxAge {
        /// The most days from the purchase to the day on which the expense is received, UTC.
        days: u16,
    },
    /// An expense must not be dated in the future.
    Future {
        /// Days of tolerance: "today" is the day in UTC, and east of it tomorrow has already begun.
        days: u16,
    },
    /// Purchases in some merchant categories are denied. Does not apply to an expense without a
    /// merchant category code.
    BlockedMcc {
        /// The codes, ISO 18245.
        #[schema(value_type = Vec<String>, example = json!(["7995", "7800-7802"]))]
        mcc: Vec<Codes>,
    },
    /// Purchases at some merchants are denied. When the expense names no merchant, the rule looks for
    /// one in the text of the transaction.
    BlockedMerchant {
        /// Phrases that occur in their names.
        #[schema(value_type = Vec<String>, example = json!(["casino*"]))]
        merchant: Vec<Phrase>,
    },
}

impl RuleKind {
    /// Whether a violation denies the expense; otherwise a role must approve it.
    pub fn denies(&self) -> bool {
        match self {
            Self::Cap { .. }
            | Self::MaxAge { .. }
            | Self::Future { .. }
            | Self::BlockedMcc { .. }
            | Self::BlockedMerchant { .. } => true,
            Self::Approval { .. }
            | Self::ApprovalAlways { .. }
            | Self::Receipt { .. }
            | Self::Split { .. } => false,
        }
    }
}
