//! Step 2: the policy in force, what is already used of its caps, and the policy engine's own verdict. No model here.

use rust_decimal::Decimal;

use crate::chain::ask::StepRun;
use crate::chain::prompt::{DecideFacts, PolicyFacts};
use crate::chain::validate::{self, Answered};
use crate::chain::{Case, Chain};
use crate::clock::day_of;
use crate::domain::decision::{PolicyRef, Step};
use crate::domain::expense::Expense;
use crate::ledger::{LedgerError, Reservation};
use crate::policy::Policy;
use crate::policy::evaluate::{RuleFacts, Usage, Verdict, evaluate};
use crate::policy::rule::RuleKind;

/// What the lookup came to.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The category that was looked up.
    pub category: String,
    /// The policy; absent when there is none that can be used.
    pub found: Option<Found>,
    /// What was checked.
    pub run: StepRun,
}

/// A policy put beside one expense.
#[derive(Clone, Debug)]
pub struct Found {
    /// Which policy.
    pub policy: PolicyRef,
    /// What the verdict rests on, and what the model is shown: the expense, and the policy with what is used of it.
    pub facts: DecideFacts,
    /// Above it, the model's word alone is not enough for an approval.
    pub uncorroborated_limit: Decimal,
    /// What the policy engine holds of the expense.
    pub verdict: Verdict,
    /// What an approval takes of the caps.
    pub reservation: Reservation,
}

impl Found {
    fn new(policy: &Policy, case: &Case, usage: &Usage) -> Self {
        let rules = policy.rules.iter().map(|rule| RuleFacts::new(rule, usage)).collect();
        let facts = DecideFacts {
            category: policy.category.clone(),
            today: day_of(case.received_at),
            expense: (&case.expense).into(),
            policy: PolicyFacts { text: policy.text.clone(), currency: policy.currency, rules },
        };
        let verdict = evaluate(&facts.policy.rules, &facts.subject());
        let caps = policy.rules.iter().filter_map(|rule| match rule.kind {
            RuleKind::Cap { per, max } => Some((per, max)),
            _ => None,
        });
        Self {
            policy: PolicyRef {
                id: policy.category.clone(),
                version: policy.version.clone(),
                hash: policy.hash.clone(),
                rules: policy.rules.iter().map(|rule| rule.id.clone()).collect(),
            },
            uncorroborated_limit: policy.uncorroborated_limit,
            verdict,
            reservation: Reservation { category: policy.category.clone(), caps: caps.collect() },
            facts,
        }
    }
}

/// Looks a category's policy up.
///
/// # Errors
/// When the ledger cannot say what is already used.
pub async fn lookup(chain: &Chain, case: &Case, category: &str) -> Result<Lookup, LedgerError> {
    let expense = &case.expense;
    let mut run = StepRun::new(Step::PolicyLookup);
    run.report.attempts = 1;
    let usable = usable_policy(chain, category, expense);
    let found = match &usable {
        Ok(policy) => {
            let usage = chain.ledger.usage(&case.tenant_id, category, expense).await?;
            Some(Found::new(policy, case, &usage))
        }
        Err(_) => None,
    };
    let at = Answered { step: Step::PolicyLookup, attempt: 1, response_id: None };
    let result = usable.map(|policy| format!("{} version {} is in force", policy.category, policy.version));
    run.report.error = result.as_ref().err().cloned();
    run.report.result = found.as_ref().map(|found| found.policy.id.clone());
    run.validations.push(validate::tool_result(&at, category, result));
    Ok(Lookup { category: category.to_owned(), found, run })
}

/// The policy in force, or why there is none that can judge this expense.
fn usable_policy<'a>(chain: &'a Chain, category: &str, expense: &Expense) -> Result<&'a Policy, String> {
    let date = expense.date;
    let policy =
        chain.policies.in_force(category, date).ok_or(format!("no {category} policy is in force on {date}"))?;
    if policy.currency != expense.currency {
        let (from, to) = (expense.currency, policy.currency);
        return Err(format!("there is no exchange rate from {from} into {to}, the currency of the {category} policy"));
    }
    Ok(policy)
}
