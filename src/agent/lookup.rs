//! Step 2: the policy in force, its cap usage, and the policy code's own verdict. No model takes part
//! in it.

use std::sync::Arc;

use rust_decimal::Decimal;
use serde_json::value::RawValue;

use crate::agent::JudgedExpense;
use crate::agent::ask::StepRun;
use crate::agent::prompts::facts::{DecideFacts, PolicyFacts};
use crate::agent::validate::{self, AnswerRef};
use crate::domain::decision::PolicyRef;
use crate::domain::expense::{ConvertedAmount, Expense};
use crate::domain::ruling::Role;
use crate::domain::step::Step;
use crate::ledger::{Ledger, LedgerError, Reservation};
use crate::policy::Policy;
use crate::policy::evaluate::{CapUsage, RuleFacts, Verdict, evaluate};
use crate::rulebook::Rulebook;

/// The result of the policy lookup.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The category that was looked up.
    pub category: String,
    /// The policy; absent if none can judge the expense.
    pub found: Option<Found>,
    /// What was checked.
    pub run: StepRun,
}

/// A policy, and what it says about one expense.
#[derive(Clone, Debug)]
pub struct Found {
    /// Which policy.
    pub policy: PolicyRef,
    /// What the verdict rests on: the expense, and the policy with its cap usage.
    pub facts: DecideFacts,
    /// The amount above which an approval needs more evidence than the model's word.
    pub uncorroborated_limit: Decimal,
    /// What policy code says about the expense.
    pub verdict: Verdict,
    /// The share of the caps that an approval takes.
    pub reservation: Reservation,
    /// The rules that may be set aside for one expense, each with the lowest role that may do so.
    pub exceptions: Vec<(String, Role)>,
    /// The JSON Schema of the advice.
    pub decision_schema: Arc<RawValue>,
}

impl Found {
    /// The expense's amount in the policy's currency.
    pub fn amount(&self) -> Decimal {
        self.facts.subject().amount
    }

    fn new(
        policy: &Policy,
        judged: &JudgedExpense,
        converted_amount: Option<ConvertedAmount>,
        usage: &CapUsage,
    ) -> Self {
        let rules = policy
            .rules
            .iter()
            .map(|rule| RuleFacts::new(rule, usage))
            .collect();
        let facts = DecideFacts {
            category: policy.category.clone(),
            today: judged.today,
            expense: (&judged.expense).into(),
            converted_amount,
            policy: PolicyFacts {
                text: policy.text.clone(),
                currency: policy.currency,
                rules,
            },
        };
        let verdict = evaluate(&facts.policy.rules, &facts.subject());
        Self {
            policy: PolicyRef {
                id: policy.category.clone(),
                version: policy.version.clone(),
                hash: policy.hash.clone(),
                rules: policy.rules.iter().map(|rule| rule.id.clone()).collect(),
            },
            uncorroborated_limit: policy.uncorroborated_limit,
            reservation: Reservation {
                category: policy.category.clone(),
                amount: facts.subject().amount,
                currency: policy.currency,
                caps: policy.caps().collect(),
                // A split rule that has a finding already asks its role for approval, so a purchase
                // recorded in the meantime changes nothing.
                splits: policy
                    .splits()
                    .filter(|(id, ..)| !verdict.has_found(id))
                    .map(|(_, days, limit)| (days, limit))
                    .collect(),
            },
            verdict,
            exceptions: policy.exceptions().collect(),
            decision_schema: Arc::clone(&policy.decision_schema),
            facts,
        }
    }
}

/// Looks up the policy of a category and evaluates it.
///
/// # Errors
/// When the ledger cannot read the cap usage.
pub async fn lookup(
    ledger: &Ledger,
    judged: &JudgedExpense,
    category: &str,
) -> Result<Lookup, LedgerError> {
    let expense = &judged.expense;
    let mut run = StepRun::new(Step::PolicyLookup);
    run.report.attempts = 1;
    let usable = usable_policy(&judged.rulebook, category, expense);
    let found = match &usable {
        Ok((policy, converted_amount)) => {
            let usage = ledger.usage(&judged.tenant_id, policy, expense).await?;
            Some(Found::new(policy, judged, converted_amount.clone(), &usage))
        }
        Err(_) => None,
    };
    let answer_ref = AnswerRef {
        step: Step::PolicyLookup,
        attempt: 1,
        response_id: None,
    };
    let result = usable
        .map(|(policy, _)| format!("{} version {} is in force", policy.category, policy.version));
    run.report.error = result.as_ref().err().cloned();
    run.report.result = found.as_ref().map(|found| found.policy.id.clone());
    run.validations
        .push(validate::tool_result(&answer_ref, category, result));
    Ok(Lookup {
        category: category.to_owned(),
        found,
        run,
    })
}

/// The policy in force and the amount in its currency, or why no policy can judge this expense.
fn usable_policy<'a>(
    rulebook: &'a Rulebook,
    category: &str,
    expense: &Expense,
) -> Result<(&'a Policy, Option<ConvertedAmount>), String> {
    let date = expense.date;
    let policy = rulebook
        .policies
        .in_force(category, date)
        .ok_or_else(|| format!("no {category} policy is in force on {date}"))?;
    let converted_amount = rulebook
        .rates
        .convert(expense, policy.currency)
        .map_err(|error| error.to_string())?;
    Ok((policy, converted_amount))
}
