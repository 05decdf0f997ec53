//! The part of a decision that an audit reads, from the ledger or from traces. How it is counted is in
//! `report` and `overturned`.

use rust_decimal::Decimal;
use uuid::Uuid;

use crate::domain::overturned::Judgement;

/// The name under which decisions without a category are counted. It is not a valid category.
pub(super) const NO_CATEGORY: &str = "(none)";

/// The part of a decision that an audit reads.
#[derive(Clone, Debug)]
pub struct Run {
    /// UUIDv7 of the decision.
    pub id: Uuid,
    /// The trace of the decision.
    pub trace_id: String,
    /// The tenant.
    pub tenant_id: String,
    /// The category, unless classification failed.
    pub category: Option<String>,
    /// The model, if one was called.
    pub model: Option<String>,
    /// The outcome of the expense.
    pub outcome: String,
    /// The outcome of the reasoning.
    pub agent_outcome: String,
    /// Whether policy code overruled the model.
    pub is_override: bool,
    /// The cost in US dollars, if it is known.
    pub cost_usd: Option<Decimal>,
    /// Types of the checks that failed for good.
    pub failed_types: Vec<String>,
    /// Every check: its type, and whether it failed for good.
    pub checks: Vec<(String, bool)>,
    /// The rules that spoke against the expense as it was; empty when the source does not hold
    /// them.
    pub rules: Vec<String>,
    /// How a person's resolution judged what the machine proposed, if there is one and the source
    /// holds it.
    pub judgement: Option<Judgement>,
    /// Name and version of each step's prompt, and whether a check of that step failed for good.
    pub prompts: Vec<(String, bool)>,
}
