//! Step 2: the policy in force, its cap usage, and the policy code's own verdict. No model takes part
//! in it.

use std::collections::BTreeSet;
use std::sync::Arc;

use rust_decimal::Decimal;
use serde_json::value::RawValue;

use crate::agent::JudgedExpense;
use crate::agent::ask::StepRun;
use crate::agent::prompts::facts::{DecideFacts, PolicyFacts};
use crate::agent::validate::{self, AnswerRef};
use crate::domain::approvers::Approvers;
use crate::domain::cap::Cap;
use crate::domain::counter::Counter;
use crate::domain::decision::PolicyRef;
use crate::domain::expense::{ConvertedAmount, Expense};
use crate::domain::facts::FactName;
use crate::domain::ruling::{Finding, Role, Ruling};
use crate::domain::step::Step;
use crate::ledger::{Ledger, LedgerError, Reservation, ReservedCap, StoredDecision};
use crate::policy::Policy;
use crate::policy::allowance::UnknownPlace;
use crate::policy::evaluate::{CapUsage, RuleFacts, Verdict, evaluate};
use crate::policy::rule::Rule;
use crate::policy::stated::Stated;
use crate::policy::subject::Subject;
use crate::rulebook::Rulebook;

/// The result of the policy lookup.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The category that was looked up.
    pub category: String,
    /// The policy; absent if none can judge the expense.
    pub found: Option<Found>,
    /// What the evidence leaves open; absent if it leaves nothing open that changes the verdict.
    pub ambiguity: Option<Ambiguity>,
    /// What was checked.
    pub run: StepRun,
}

/// The evidence points to several categories, and the verdict depends on which of them it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ambiguity {
    /// The category that was looked up and those that are stricter, in alphabetical order.
    pub categories: Vec<String>,
    /// The roles that have to approve the expense in all of them together.
    pub approvers: Approvers,
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
    /// Its caps, and what the verdict saw used of them.
    pub caps: Vec<Cap>,
    /// What policy code says about the expense.
    pub verdict: Verdict,
    /// The share of the caps that an approval takes.
    pub reservation: Reservation,
    /// The rules that may be set aside for one expense, each with the lowest role that may do so.
    pub exceptions: Vec<(String, Role)>,
    /// The facts that the policy's rules look at.
    pub facts_read: Arc<BTreeSet<FactName>>,
    /// The JSON Schema of the advice.
    pub decision_schema: Arc<RawValue>,
    /// The numbers that the policy's texts state.
    pub stated: Arc<Stated>,
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
        planned: Option<Decimal>,
    ) -> Result<Self, UnknownPlace> {
        let mut facts = DecideFacts {
            category: policy.category.clone(),
            today: judged.today,
            expense: (&judged.expense).into(),
            converted_amount,
            policy: PolicyFacts {
                text: policy.text.clone(),
                currency: policy.currency,
                rules: Vec::new(),
            },
        };
        let mut rules = policy.rules_for(&facts.subject());
        if judged.expense.plan {
            rules.retain(|rule| rule.kind.holds_for_plans());
        }
        facts.policy.rules = with_usage(&rules, &facts.subject(), usage, planned)?;
        let subject = facts.subject();
        let verdict = evaluate(&facts.policy.rules, &subject);
        let rules_with_usage = facts.policy.rules.iter();
        let caps = rules_with_usage.filter_map(|rule| rule.limit(&subject));
        let caps: Vec<(&Counter, Finding)> = caps.collect();
        Ok(Self {
            policy: PolicyRef {
                id: policy.category.clone(),
                version: policy.version.clone(),
                hash: policy.hash.clone(),
                rules: rules.iter().map(|rule| rule.id.clone()).collect(),
            },
            uncorroborated_limit: policy.uncorroborated_limit,
            caps: caps
                .iter()
                .map(|(counter, found)| {
                    let (rule, limit, used) = (found.rule.clone(), found.limit, found.used);
                    Cap::new(rule, counter, &judged.expense, limit, used)
                })
                .collect(),
            reservation: reservation(policy, judged, subject.amount, &rules, &verdict, caps),
            verdict,
            exceptions: rules
                .iter()
                .filter_map(|rule| Some((rule.id.clone(), rule.exception?)))
                .collect(),
            facts_read: Arc::clone(&policy.facts),
            decision_schema: Arc::clone(&policy.decision_schema),
            stated: Arc::clone(&policy.stated),
            facts,
        })
    }
}

/// The rules with what is used of them. `planned` is what a plan allows the expense to cost: up to that
/// amount and the tolerance of the first rule on plans, thresholds of approval are settled.
fn with_usage(
    rules: &[&Rule],
    subject: &Subject<'_>,
    usage: &CapUsage,
    planned: Option<Decimal>,
) -> Result<Vec<RuleFacts>, UnknownPlace> {
    let settled = planned.and_then(|planned| {
        let mut tolerances = rules.iter().filter_map(|rule| rule.tolerance());
        Some(planned + tolerances.next()?)
    });
    let with_usage = rules.iter().map(|rule| {
        let rule = rule.at(subject)?;
        Ok(match settled {
            Some(settled) => RuleFacts::new(&rule.settled_up_to(settled), usage),
            None => RuleFacts::new(&rule, usage),
        })
    });
    with_usage.collect()
}

/// The share that an approval takes, and what has to hold still when it is taken.
fn reservation(
    policy: &Policy,
    judged: &JudgedExpense,
    amount: Decimal,
    rules: &[&Rule],
    verdict: &Verdict,
    caps: Vec<(&Counter, Finding)>,
) -> Reservation {
    let caps = caps.into_iter().map(|(counter, found)| ReservedCap {
        rule: found.rule,
        counter: counter.clone(),
        max: found.limit,
    });
    Reservation {
        category: policy.category.clone(),
        amount,
        currency: policy.currency,
        caps: caps.collect(),
        plan: judged.plan_under(policy).map(|plan| plan.decision.id),
        // A rule that has a finding already asks its role for approval, so an expense or a purchase
        // recorded in the meantime changes nothing.
        duplicate: rules
            .iter()
            .filter_map(|rule| rule.duplicate())
            .filter(|(id, _)| !verdict.has_found(id))
            .map(|(_, score)| score)
            .min(),
        splits: rules
            .iter()
            .filter_map(|rule| rule.split())
            .filter(|(id, ..)| !verdict.has_found(id))
            .map(|(_, days, limit)| (days, limit))
            .collect(),
    }
}

impl JudgedExpense {
    /// The plan that the expense takes over if this policy judges it.
    fn plan_under(&self, policy: &Policy) -> Option<&StoredDecision> {
        let covers =
            |plan: &&StoredDecision| plan.planned(&policy.category, policy.currency).is_some();
        self.plan.as_deref().filter(covers)
    }

    /// What that plan allows the expense to cost.
    fn planned(&self, policy: &Policy) -> Option<Decimal> {
        let plan = self.plan.as_deref()?;
        plan.planned(&policy.category, policy.currency)
    }
}

/// Looks up the policy of a category and evaluates it. `rivals` are the categories that the evidence
/// points to as well; their policies are evaluated only to find out whether one is stricter.
///
/// # Errors
/// When the ledger cannot read the cap usage.
pub async fn lookup(
    ledger: &Ledger,
    judged: &JudgedExpense,
    category: &str,
    rivals: &[String],
) -> Result<Lookup, LedgerError> {
    let mut run = StepRun::begin(Step::PolicyLookup, judged.arrived);
    run.report.attempts = 1;
    let looked_up = looked_up(ledger, judged, category).await?;
    let result = match &looked_up {
        Ok(found) => {
            let PolicyRef { id, version, .. } = &found.policy;
            Ok(format!("{id} version {version} is in force"))
        }
        Err(reason) => Err(reason.clone()),
    };
    let found = looked_up.ok();
    let ambiguity = match &found {
        // Nothing is stricter than a denial.
        Some(found) if found.verdict.ruling != Ruling::Denied => {
            let mut others = Vec::with_capacity(rivals.len());
            for rival in rivals {
                others.push((&**rival, self::looked_up(ledger, judged, rival).await?));
            }
            ambiguity(found, &others)
        }
        _ => None,
    };
    let answer_ref = AnswerRef {
        step: Step::PolicyLookup,
        attempt: 1,
        response_id: None,
    };
    run.report.error = result.as_ref().err().cloned();
    run.report.result = found.as_ref().map(|found| found.policy.id.clone());
    run.validations
        .push(validate::tool_result(&answer_ref, category, result));
    Ok(Lookup {
        category: category.to_owned(),
        found,
        ambiguity,
        run: run.end(),
    })
}

/// What the policy of a category says of an expense, by what the ledger holds; the inner error is why no
/// policy can judge it.
async fn looked_up(
    ledger: &Ledger,
    judged: &JudgedExpense,
    category: &str,
) -> Result<Result<Found, String>, LedgerError> {
    let (policy, converted_amount) =
        match usable_policy(&judged.rulebook, category, &judged.expense) {
            Ok(usable) => usable,
            Err(reason) => return Ok(Err(reason)),
        };
    let plan = judged.plan_under(policy);
    let usage = ledger
        .usage(&judged.tenant_id, policy, &judged.expense, plan)
        .await?;
    let planned = judged.planned(policy);
    let found = Found::new(policy, judged, converted_amount, &usage, planned);
    Ok(found.map_err(|error| error.to_string()))
}

/// Judges an expense under the policy of a category, so that a policy can be tried without a service:
/// the cap usage, and what a plan allows the expense to cost, are handed in instead of read from the
/// ledger.
///
/// # Errors
/// Why no policy can judge it.
pub fn judge(
    judged: &JudgedExpense,
    category: &str,
    usage: impl FnOnce(&Policy) -> CapUsage,
    planned: Option<Decimal>,
) -> Result<Found, String> {
    let (policy, converted_amount) = usable_policy(&judged.rulebook, category, &judged.expense)?;
    let found = Found::new(policy, judged, converted_amount, &usage(policy), planned);
    found.map_err(|error| error.to_string())
}

/// Compares a verdict with those under the rivals of its category. A rival that has no policy to judge
/// the expense counts as stricter, because a person would have to review it.
pub fn ambiguity(found: &Found, rivals: &[(&str, Result<Found, String>)]) -> Option<Ambiguity> {
    let verdict = &found.verdict;
    if verdict.ruling == Ruling::Denied {
        return None;
    }
    let mut categories = Vec::new();
    let mut approvers = verdict.approvers.clone();
    for (category, other) in rivals {
        let is_stricter = match other {
            Ok(Found { verdict: other, .. }) => {
                approvers.extend(&other.approvers);
                other.is_stricter_than(verdict)
            }
            Err(_) => true,
        };
        if is_stricter {
            categories.push((*category).to_owned());
        }
    }
    if categories.is_empty() {
        return None;
    }
    categories.push(found.policy.id.clone());
    categories.sort();
    Some(Ambiguity {
        categories,
        approvers,
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
