//! The semantic checks by name, and the result of one check. The checks themselves are in
//! `agent::validate`.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantNames};
use utoipa::ToSchema;

use crate::domain::step::Step;

/// The semantic checks, by the thing each one looks at.
#[derive(Serialize, Deserialize, ToSchema, Display, EnumString, IntoStaticStr, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValidationType {
    /// The answer is what the schema asks for.
    AnswerSchema,
    /// The label is one of the loaded categories.
    CategoryMembership,
    /// Merchant category code, merchant and words agree with the category.
    CategoryEvidence,
    /// The lookup found a policy that can be used.
    ToolResult,
    /// The model's decision is the policy engine's verdict.
    DecisionConsistency,
    /// Every cited rule was retrieved, and at least one is cited.
    CitationGrounding,
    /// Every amount in the reason is in the input or a fact of the policy.
    AmountGrounding,
}

/// One check of one answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Validation {
    /// What was checked.
    #[serde(rename = "type")]
    pub kind: ValidationType,
    /// The step whose answer it was.
    pub step: Step,
    /// Which answer of that step, from 1.
    pub attempt: u32,
    /// Whether the check held.
    pub passed: bool,
    /// Whether a later answer of the same step passed this check.
    pub repaired: bool,
    /// Only the checked field: a label, a decision, a rule id or an amount, never free text.
    pub input: Option<String>,
    /// What would have passed.
    pub expected: Vec<String>,
    /// One sentence for a person.
    pub message: String,
    /// The answer's id, as the model's provider gave it.
    pub response_id: Option<String>,
}

impl Validation {
    /// Whether the check failed and no later answer mended it.
    pub fn finally_failed(&self) -> bool {
        !self.passed && !self.repaired
    }
}

/// The types of the checks among these that finally failed, each once, in order.
pub fn failed_types(validations: &[Validation]) -> Vec<ValidationType> {
    let mut failed = Vec::new();
    for validation in validations
        .iter()
        .filter(|validation| validation.finally_failed())
    {
        if !failed.contains(&validation.kind) {
            failed.push(validation.kind);
        }
    }
    failed
}
