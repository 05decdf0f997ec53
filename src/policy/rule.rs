//! The kinds of rules a policy can hold, as files and prompts spell them.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use strum::{EnumDiscriminants, EnumString, VariantNames};
use utoipa::ToSchema;

use crate::domain::ruling::{Role, Window};
use crate::policy::mcc::Codes;
use crate::policy::phrase::Phrase;

/// One rule of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rule {
    /// Unique among all policies; what the model cites and a finding names.
    pub id: String,
    /// What the rule asks.
    #[serde(flatten)]
    pub kind: RuleKind,
    /// The rule in one sentence for people.
    pub text: String,
    /// Who may set the rule aside for one expense; nobody when absent. Only for rules that deny.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<Role>,
}

/// What a rule asks. Amounts are in the policy's currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumDiscriminants)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[strum_discriminants(name(KindName), vis(pub(super)), derive(EnumString, VariantNames))]
#[strum_discriminants(
    strum(serialize_all = "snake_case"),
    doc = "The kinds by name, as policy files write them."
)]
pub enum RuleKind {
    /// No more than `max` in a window; `max` itself passes.
    Cap {
        /// What the cap counts over.
        per: Window,
        /// The most that passes.
        max: Decimal,
    },
    /// A role agrees to an expense above an amount; the amount itself needs nobody.
    Approval {
        /// The most that needs nobody.
        above: Decimal,
        /// Who agrees.
        role: Role,
    },
    /// A role agrees to every expense.
    ApprovalAlways {
        /// Who agrees.
        role: Role,
    },
    /// A receipt comes with an expense above an amount.
    Receipt {
        /// The most that needs no receipt.
        above: Decimal,
    },
    /// A role agrees to a purchase that, with earlier ones at the same merchant, is above a limit
    /// which none of the earlier ones was above on its own. Silent when the expense names no
    /// merchant.
    Split {
        /// The most days between two purchases that count together.
        days: u16,
        /// The most that the purchases together need nobody for.
        limit: Decimal,
        /// Who agrees.
        role: Role,
    },
    /// No expense whose purchase is longer ago.
    MaxAge {
        /// The most days from the purchase to the day of receipt, UTC.
        days: u16,
    },
    /// No expense dated after the day it comes in.
    Future {
        /// Days of tolerance: the day of receipt is UTC's, and east of it tomorrow has begun.
        days: u16,
    },
    /// Nothing bought from certain lines of business. Silent when the merchant category code is
    /// unknown.
    BlockedMcc {
        /// The codes, ISO 18245.
        #[schema(value_type = Vec<String>, example = json!(["7995", "7800-7802"]))]
        mcc: Vec<Codes>,
    },
    /// Nothing bought from certain merchants. Without a merchant's name the text of the transaction
    /// is read for one.
    BlockedMerchant {
        /// Words of their names.
        #[schema(value_type = Vec<String>, example = json!(["casino*"]))]
        merchant: Vec<Phrase>,
    },
}

impl RuleKind {
    /// Whether breaking the rule denies an expense; else somebody is asked.
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
