//! The one value that everything else is a projection of: span attributes, ledger row, HTTP body
//! and page all show a [`Decision`] and compute nothing. Outcomes, roles and findings are in
//! `ruling`, the checks in `validation`, the steps in `step`; how a decision is made is in `agent`.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantNames};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::approvers::{ApprovedBy, Approvers};
use crate::domain::cap::Cap;
use crate::domain::credit::Returned;
use crate::domain::expense::{ConvertedAmount, Expense};
use crate::domain::money::Currency;
use crate::domain::ruling::{Finding, Missing, Outcome, Role, Ruling};
use crate::domain::step::StepReport;
use crate::domain::validation::{Validation, ValidationType, failed_types};

/// How the reasoning went, independently of the business result.
#[derive(Serialize, Deserialize, ToSchema, Display, EnumString, IntoStaticStr, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AgentOutcome {
    /// Every check passed.
    Success,
    /// A check failed, and a repair or the policy code's verdict made up for it.
    Corrected,
    /// The reasoning could not be trusted, so a person decides.
    Escalated,
    /// The model did not answer.
    Error,
}

/// An earlier decision that may concern the same purchase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Duplicate {
    /// The earlier decision.
    pub id: Uuid,
    /// How similar the two expenses are, from 0 to 1: 1 if amount, date, merchant and text are the
    /// same.
    #[schema(example = "1.0")]
    pub score: Decimal,
}

/// Who handed an expense in: the holder of the API key of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Submitter {
    /// The id of the API key.
    pub api_key: String,
    /// The person whom the key belonged to; absent for a key of a program that acts for several
    /// people.
    pub user_id: Option<String>,
    /// The person for whom such a program sent the request, named by its baggage. Absent if that is
    /// the employee.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baggage_user_id: Option<String>,
}

impl Submitter {
    /// The people who handed the expense in, as far as they are known.
    pub fn people(&self) -> impl Iterator<Item = &str> {
        let people = [&self.user_id, &self.baggage_user_id];
        people.into_iter().flatten().map(String::as_str)
    }
}

/// The policy that a decision rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyRef {
    /// The policy's category.
    pub id: String,
    /// The version that its file names.
    pub version: String,
    /// The first 16 hex digits of the SHA-256 of its file.
    pub hash: String,
    /// The ids of its rules.
    pub rules: Vec<String>,
}

/// What was decided about one expense, and everything that led to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Decision {
    /// UUIDv7, so that ids sort by the time of receipt.
    pub id: Uuid,
    /// What became of the expense.
    pub outcome: Outcome,
    /// The category; absent if no answer of the model could be used.
    pub category: Option<String>,
    /// One or two sentences for the employee.
    pub reason: String,
    /// The lowest role that can approve it, the first of `approvers` if there are several; absent
    /// unless it needs approval.
    pub approver: Option<Role>,
    /// The lowest role that can review it; absent unless it needs review.
    #[serde(default)]
    pub reviewer: Option<Role>,
    /// The roles that have to approve it in a row, each by another person, from the lowest to the
    /// highest; absent if one approval is enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<Role>,
    /// What has to be submitted before it can be approved.
    pub missing: Vec<Missing>,
    /// What the rules say against approving the expense as it is, the strictest first.
    pub findings: Vec<Finding>,
    /// Every cap of the policy. If the expense took its share, what was used is exactly what the share
    /// was added to; otherwise it is what the verdict rests on. Empty if no policy judged the expense,
    /// for a credit, and in records of earlier versions.
    #[serde(default)]
    pub caps: Vec<Cap>,
    /// How much of the expense may be paid under its policy, in the policy's currency. If the
    /// expense is approved or pending approval, all of it. If it is denied, what every broken
    /// rule still allows: a new expense could ask for this much, but nothing is paid, because a
    /// denial takes no share of the caps. If it is a credit, what is taken back, below zero; zero
    /// if nothing was paid for the purchase yet. If it needs review, absent.
    #[schema(example = "500.00")]
    pub reimbursable: Option<Decimal>,
    /// Earlier decisions, approved or pending approval, that may concern the same purchase, the
    /// most similar first. A note for people, which changes an outcome only under a rule on
    /// duplicates.
    #[serde(default)]
    pub duplicates: Vec<Duplicate>,
    /// Every check, in order.
    pub validations: Vec<Validation>,
    /// The policy code's verdict; absent if there is no policy that can judge the expense.
    pub policy_verdict: Option<Ruling>,
    /// The model's advice; absent if no answer could be read.
    pub model_decision: Option<Ruling>,
    /// How the reasoning went.
    pub agent_outcome: AgentOutcome,
    /// Whether policy code overruled a more lenient model.
    #[serde(rename = "override")]
    pub is_override: bool,
    /// Whether another expense took a share of a cap while the model thought. Verdict, findings and
    /// outcome then follow from the cap as it was when this decision was recorded, and the checks
    /// compare the advice with the verdict before that.
    pub cap_moved: bool,
    /// Whether any evidence points to a category. If none does, the category rests on the model's
    /// word alone.
    pub category_corroborated: bool,
    /// The policy that the decision rests on.
    pub policy: Option<PolicyRef>,
    /// The decision that this one supersedes: the model had not answered then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<Uuid>,
    /// The name of the model.
    pub model: String,
    /// The steps in order, with their model calls.
    pub steps: Vec<StepReport>,
    /// Input tokens of all calls.
    pub input_tokens: u64,
    /// Output tokens of all calls.
    pub output_tokens: u64,
    /// What all calls cost, in US dollars; absent if the cost of one is unknown.
    pub cost_usd: Option<Decimal>,
    /// The trace that shows how the decision was made: 32 hex digits.
    pub trace_id: String,
    /// The request's own span in that trace: 16 hex digits.
    #[serde(default)]
    pub span_id: String,
    /// The span of the agent's run in that trace, to which feedback links: 16 hex digits. Absent in
    /// records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_span_id: Option<String>,
    /// The tenant that the decision belongs to.
    pub tenant_id: String,
    /// Who handed the expense in; absent when the service required no API key, and in records of
    /// earlier versions.
    #[serde(default)]
    pub submitted_by: Option<Submitter>,
    /// When the request came in.
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Timestamp,
    /// The expense, as it was read from the request.
    #[serde(flatten)]
    pub expense: Expense,
    /// The expense's amount in the policy's currency, which findings and caps are in; absent if
    /// that is the expense's currency, or there is no rate.
    pub converted_amount: Option<ConvertedAmount>,
}

impl Decision {
    /// Completes the decision with what is known only inside the write that records it: the earlier
    /// decisions about the same purchase, and what a credit returns of its purchase.
    pub fn complete(&mut self, duplicates: Vec<Duplicate>, returned: Option<Returned>) {
        self.duplicates = duplicates;
        if let Some(returned) = returned {
            self.reimbursable = Some(returned.reimbursable());
            self.reason = returned.reason();
        }
    }

    /// Sets what is used of the cap of a rule to what the ledger holds while it adds the share of this
    /// expense: others may have taken theirs since the verdict.
    pub fn set_used(&mut self, rule: &str, used: Decimal) {
        if let Some(cap) = self.caps.iter_mut().find(|cap| cap.rule == rule) {
            cap.set_used(used);
        }
    }

    /// The lowest role that can act on the decision first; absent if it was never open. Approvals
    /// change whom it waits for: see `StoredDecision::pending`.
    pub fn pending(&self) -> Option<Role> {
        self.approver.or(self.reviewer)
    }

    /// The roles that have to approve the decision, as far as they were known when it was made.
    pub fn asked(&self) -> Approvers {
        let mut approvers = Approvers::default();
        match (self.approvers.as_slice(), self.pending()) {
            ([], Some(role)) => approvers.ask(&ApprovedBy::Role(role)),
            ([], None) => {}
            (roles, _) => approvers.ask(&ApprovedBy::Roles(roles.to_vec())),
        }
        approvers
    }

    /// The expense's amount in the policy's currency, or in its own if it was not converted.
    pub fn policy_amount(&self) -> (Decimal, Currency) {
        let own = (self.expense.amount, self.expense.currency);
        self.converted_amount
            .as_ref()
            .map_or(own, |converted| (converted.amount, converted.currency))
    }

    /// The name of the model, if it was asked; no model is asked about a credit.
    pub fn asked_model(&self) -> Option<&str> {
        self.steps
            .iter()
            .any(|step| !step.calls.is_empty())
            .then_some(&*self.model)
    }

    /// The types of the checks that failed for good, each once, in order.
    pub fn failed_types(&self) -> Vec<ValidationType> {
        failed_types(&self.validations)
    }
}
