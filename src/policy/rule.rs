//! The kinds of rules a policy can hold, as files and prompts spell them.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::decision::{Role, Window};

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
}

/// What a rule asks. Amounts are in the policy's currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
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
}
