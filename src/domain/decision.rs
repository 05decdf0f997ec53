//! The one value that everything else is a projection of: span attributes, ledger row, HTTP body
//! and page all show a [`Decision`] and compute nothing. The rules' vocabulary is in `ruling`, the
//! checks are in `validation` and the steps in `step`; how a decision is made is in `agent`.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::expense::{ConvertedAmount, Expense};
use crate::domain::money::Currency;
use crate::domain::ruling::{Finding, Missing, Outcome, Role, Ruling};
use crate::domain::step::StepReport;
use crate::domain::validation::{Validation, ValidationType, failed_types};

/// How the reasoning went, whatever the business result.
#[derive(Serialize, Deserialize, ToSchema, Display, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AgentOutcome {
    /// Every check passed.
    Success,
    /// A repair was needed, or policy code stood in for the model.
    Corrected,
    /// The machine was not trusted.
    Escalated,
    /// A dependency failed.
    Error,
}

/// An earlier decision that may be about the same purchase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Duplicate {
    /// The earlier decision.
    pub id: Uuid,
    /// How alike the two expenses are, from 0 to 1: 1 when amount, date, merchant and text are the
    /// same.
    #[schema(example = "1.0")]
    pub score: Decimal,
}

/// The policy a decision was made under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyRef {
    /// Its category.
    pub id: String,
    /// Its version, as its file says.
    pub version: String,
    /// Beginning of the SHA-256 of its file.
    pub hash: String,
    /// The ids of its rules.
    pub rules: Vec<String>,
}

/// What was decided about one expense, and everything that led to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Decision {
    /// UUIDv7, so ids sort by the time of receipt.
    pub id: Uuid,
    /// What became of the expense.
    pub outcome: Outcome,
    /// The category, unless no answer could be used.
    pub category: Option<String>,
    /// One or two sentences for the employee.
    pub reason: String,
    /// Who has to agree, when approval is asked for.
    pub approver: Option<Role>,
    /// Who has to look at it at least, when the machine is not to be trusted.
    #[serde(default)]
    pub reviewer: Option<Role>,
    /// What has to be handed in.
    pub missing: Vec<Missing>,
    /// The rules that speak against approving the expense as it is, the strictest first.
    pub findings: Vec<Finding>,
    /// How much of the expense policy lets be paid, in the policy's currency: all of it when it is
    /// approved or pending approval, what every broken rule still allows when it is denied,
    /// what a credit takes back, below zero. Absent when a person has to decide. A denial
    /// takes nothing of the caps, so what it tells is for a new expense to ask for,
    /// and nothing to pay by.
    #[schema(example = "500.00")]
    pub reimbursable: Option<Decimal>,
    /// Earlier decisions, approved or pending approval, that may be about the same purchase, the
    /// most alike first. A note for people, which changes no outcome.
    #[serde(default)]
    pub duplicates: Vec<Duplicate>,
    /// Every check made, in order.
    pub validations: Vec<Validation>,
    /// What the policy engine holds; absent without a policy.
    pub policy_verdict: Option<Ruling>,
    /// What the model advised; absent when no answer could be read.
    pub model_decision: Option<Ruling>,
    /// How the reasoning went.
    pub agent_outcome: AgentOutcome,
    /// Whether policy code overruled a more lenient model.
    #[serde(rename = "override")]
    pub is_override: bool,
    /// Whether another expense took a cap while the model thought. Verdict, findings and outcome
    /// are then those of the cap as it was when this decision was recorded; the checks are
    /// those of the verdict the model was held against.
    pub cap_moved: bool,
    /// Whether anything but the model's word speaks for the category.
    pub category_corroborated: bool,
    /// The policy it was made under.
    pub policy: Option<PolicyRef>,
    /// The model that was asked.
    pub model: String,
    /// The steps in order, with their model calls.
    pub steps: Vec<StepReport>,
    /// Tokens read in all calls.
    pub input_tokens: u64,
    /// Tokens written in all calls.
    pub output_tokens: u64,
    /// What all calls cost; absent when the price of one is unknown.
    pub cost_usd: Option<Decimal>,
    /// The trace that shows how it came about: 32 hex digits.
    pub trace_id: String,
    /// The request's own span in that trace: 16 hex digits.
    #[serde(default)]
    pub span_id: String,
    /// The tenant it belongs to.
    pub tenant_id: String,
    /// When the request came in.
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Timestamp,
    /// The expense itself, as it was understood.
    #[serde(flatten)]
    pub expense: Expense,
    /// Its amount in the policy's currency, which findings and caps are in; absent when it is in
    /// that currency already, or cannot be converted.
    pub converted_amount: Option<ConvertedAmount>,
}

impl Decision {
    /// Completes the decision with what is known only inside the write that records it: the earlier
    /// decisions about the same purchase, and what a credit takes back of its purchase's share,
    /// below zero.
    pub fn complete(&mut self, duplicates: Vec<Duplicate>, refunded: Option<Decimal>) {
        self.duplicates = duplicates;
        if refunded.is_some() {
            self.reimbursable = refunded;
        }
    }

    /// The lowest role that can settle it; absent when nothing is open.
    pub fn pending(&self) -> Option<Role> {
        self.approver.or(self.reviewer)
    }

    /// Its amount in the currency of its policy, as far as it is known.
    pub fn policy_amount(&self) -> (Decimal, Currency) {
        let own = (self.expense.amount, self.expense.currency);
        self.converted_amount
            .as_ref()
            .map_or(own, |converted| (converted.amount, converted.currency))
    }

    /// The model, if it was asked anything: about a credit it is not.
    pub fn asked_model(&self) -> Option<&str> {
        self.steps
            .iter()
            .any(|step| !step.calls.is_empty())
            .then_some(&*self.model)
    }

    /// The types of the checks that finally failed, each once, in order.
    pub fn failed_types(&self) -> Vec<ValidationType> {
        failed_types(&self.validations)
    }
}
