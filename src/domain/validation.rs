//! The semantic checks by name, and the result of one check. The checks themselves are in
//! `agent::validate`.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantNames};
use utoipa::ToSchema;

use crate::domain::step::Step;

/// What a semantic check checks.
#[derive(Serialize, Deserialize, ToSchema, Display, EnumString, IntoStaticStr, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValidationType {
    /// The answer has the form that the schema asks for.
    AnswerSchema,
    /// The category is one of those loaded.
    CategoryMembership,
    /// Merchant category code, merchant and text agree with the category.
    CategoryEvidence,
    /// The lookup found a policy that can judge the expense.
    ToolResult,
    /// The model's decision is the policy code's verdict.
    DecisionConsistency,
    /// At least one rule is cited, and every cited rule was retrieved.
    CitationGrounding,
    /// Every amount in the reason is in the input or follows from the policy.
    AmountGrounding,
}

/// The result of one check of one answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Validation {
    /// What was checked.
    #[serde(rename = "type")]
    pub kind: ValidationType,
    /// The step whose answer was checked.
    pub step: Step,
    /// Which answer of that step, from 1.
    pub attempt: u32,
    /// Whether the check passed.
    pub passed: bool,
    /// Whether a later answer of the same step passed this check.
    pub repaired: bool,
    /// The checked field alone: a category, a decision, a rule id or an amount, never free text.
    pub input: Option<String>,
    /// What would have passed.
    pub expected: Vec<String>,
    /// One sentence for a person.
    pub message: String,
    /// The provider's id of the answer.
    pub response_id: Option<String>,
}

impl Validation {
    /// Whether the check failed and no later answer repaired it.
    pub fn failed_for_good(&self) -> bool {
        !self.passed && !self.repaired
    }
}

/// The types of the checks among these that failed for good, each once, in order.
pub fn failed_types(validations: &[Validation]) -> Vec<ValidationType> {
    let mut failed = Vec::new();
    for validation in validations
        .iter()
        .filter(|validation| validation.failed_for_good())
    {
        if !failed.contains(&validation.kind) {
            failed.push(validation.kind);
        }
    }
    failed
}
