//! Judges one expense by the policies of a folder, without service, ledger and model: the category is
//! the one that is given, else the one to which the evidence points, and what is used of caps is given
//! too. The verdict comes from the same lookup as in the service.

use jiff::civil::Date;
use rust_decimal::Decimal;
use tokio::time::Instant;

use crate::agent::JudgedExpense;
use crate::agent::lookup::{Found, ambiguity, judge};
use crate::domain::counter::Counter;
use crate::domain::expense::Expense;
use crate::domain::ruling::{Outcome, Window};
use crate::policy::Policy;
use crate::policy::evaluate::{CapUsage, Purchase};
use crate::rulebook::Rulebook;

/// An expense, with what the service would know about it.
#[derive(Debug)]
pub(super) struct Given {
    /// The category; without one, the evidence decides.
    pub(super) category: Option<String>,
    /// The day on which it is handed in.
    pub(super) today: Date,
    /// The expense.
    pub(super) expense: Expense,
    /// What the employee has used of caps before.
    pub(super) used: Used,
}

/// What an employee has used before.
#[derive(Debug, Default)]
pub(super) struct Used {
    /// By the id of a cap, or by a window, for every cap with that window.
    pub(super) caps: Vec<(String, Decimal)>,
    /// Purchases at the same merchant.
    pub(super) purchases: Vec<Purchase>,
    /// How alike the most similar earlier expense is.
    pub(super) similarity: Decimal,
    /// What a plan that a person approved allows the expense to cost.
    pub(super) planned: Option<Decimal>,
}

/// What the policies say of an expense.
#[derive(Debug)]
pub(super) struct Judgement {
    /// The category that was looked up.
    pub(super) category: String,
    /// Whether some evidence points to a category, if none was given.
    pub(super) has_evidence: bool,
    /// The policy and its verdict, or why there is none.
    pub(super) found: Result<Found, String>,
    /// Categories to which the evidence points as well, and whose verdicts are stricter.
    pub(super) stricter: Vec<String>,
    /// What is wrong with what is said to be used.
    pub(super) unknown: Vec<String>,
}

impl Judgement {
    /// The verdict, or `needs_review` if there is none that can be trusted.
    pub(super) fn outcome(&self) -> Outcome {
        match &self.found {
            Ok(found) if self.stricter.is_empty() => found.verdict.ruling.into(),
            _ => Outcome::NeedsReview,
        }
    }

    /// Why a person has to review the expense, if that is so.
    pub(super) fn why_review(&self) -> Option<String> {
        match &self.found {
            Err(reason) => Some(reason.clone()),
            Ok(_) if self.stricter.is_empty() => None,
            Ok(_) => Some(format!(
                "the evidence also points to {}, where the verdict is stricter",
                self.stricter.join(", ")
            )),
        }
    }
}

impl Given {
    /// Judges the expense by a rulebook.
    pub(super) fn judge(&self, rulebook: &Rulebook) -> Judgement {
        let judged = JudgedExpense {
            tenant_id: String::new(),
            arrived: Instant::now(),
            today: self.today,
            rulebook: rulebook.clone(),
            expense: self.expense.clone(),
            plan: None,
        };
        let used = &self.used;
        let under =
            |category: &str| judge(&judged, category, |policy| used.of(policy), used.planned);
        let unknown = |category: &str| {
            let policy = rulebook.policies.in_force(category, self.expense.date);
            policy.map(|policy| self.used.unknown(policy))
        };
        if let Some(category) = &self.category {
            return Judgement {
                unknown: unknown(category).unwrap_or_default(),
                found: under(category),
                category: category.clone(),
                has_evidence: true,
                stricter: Vec::new(),
            };
        }
        let expense = &self.expense;
        let evidence = rulebook.policies.evidence(
            expense.mcc.as_deref(),
            expense.merchant.as_deref(),
            &expense.transaction,
            expense.category_hint.as_deref(),
        );
        let category = evidence.best().or_else(|| rulebook.policies.catch_all());
        let category = category.unwrap_or_default();
        let found = under(category);
        let rivals = evidence.rivals(category);
        let rivals: Vec<_> = rivals
            .iter()
            .map(|rival| (&**rival, under(rival)))
            .collect();
        let ambiguity = found
            .as_ref()
            .ok()
            .and_then(|found| ambiguity(found, &rivals));
        let mut stricter = ambiguity.map_or(Vec::new(), |ambiguity| ambiguity.categories);
        stricter.retain(|name| name != category);
        Judgement {
            stricter,
            unknown: unknown(category).unwrap_or_default(),
            category: category.to_owned(),
            has_evidence: !evidence.is_empty(),
            found,
        }
    }
}

impl Used {
    /// What is used of the caps of a policy.
    fn of(&self, policy: &Policy) -> CapUsage {
        let mut usage = CapUsage {
            purchases: self.purchases.clone(),
            similarity: self.similarity,
            ..CapUsage::default()
        };
        for (id, counter) in policy.caps() {
            let given = self.caps.iter();
            // The id says more than the window.
            let used = given
                .clone()
                .find(|(key, _)| key == id)
                .or_else(|| given.clone().find(|(key, _)| is_window(key, counter)));
            if let Some((_, amount)) = used
                && counter.per != Window::Expense
            {
                // As many decimals as the amounts of the policy, because findings show the number.
                let mut amount = *amount;
                amount.rescale(amount.scale().max(policy.currency.minor_digits()));
                usage.counted.push((counter.clone(), amount));
            }
        }
        usage
    }

    /// What is wrong with each key that is neither the id nor the window of a cap of a policy.
    fn unknown(&self, policy: &Policy) -> Vec<String> {
        let is_known = |key: &str| {
            policy
                .caps()
                .any(|(id, counter)| key == id || is_window(key, counter))
        };
        let unknown = self.caps.iter().filter(|(key, _)| !is_known(key));
        unknown
            .map(|(key, _)| {
                let category = &policy.category;
                format!("`{key}` is neither the id nor the window of a cap of {category}")
            })
            .collect()
    }
}

fn is_window(key: &str, counter: &Counter) -> bool {
    key == <&str>::from(counter.per)
}
