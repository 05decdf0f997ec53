//! The verdict of a policy on an expense. Pure arithmetic on exact decimals, without IO, clock and
//! model.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::domain::approvers::Approvers;
use crate::domain::counter::Counter;
use crate::domain::ruling::{Finding, Missing, Ruling};
use crate::policy::condition::Conditions;
use crate::policy::rule::{Rule, RuleKind};
use crate::policy::subject::Subject;
use crate::policy::terms::Terms;

/// What is already used of the caps of a policy: earlier expenses that were approved or are pending
/// approval. Amounts are in the policy's currency.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CapUsage {
    /// What each counter holds. One that is not here holds nothing.
    pub counted: Vec<(Counter, Decimal)>,
    /// How alike the most similar earlier expense is, from 0 to 1; zero if there is none, or when no
    /// rule looks at earlier expenses.
    pub similarity: Decimal,
    /// At the merchant of the expense; empty when the expense names no merchant, or when no rule
    /// looks at earlier purchases.
    pub purchases: Vec<Purchase>,
}

/// One other purchase at the merchant of an expense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purchase {
    /// Days between the purchase and the expense; either may be the earlier one.
    pub n_days_apart: u32,
    /// The amount in the policy's currency.
    pub amount: Decimal,
}

impl CapUsage {
    /// What a counter holds. A single expense is a window that contains nothing else, and what counts
    /// at a merchant depends on the rule: see [`Self::at_merchant`].
    pub fn of(&self, counter: &Counter) -> Decimal {
        let counted = self.counted.iter().find(|(known, _)| known == counter);
        counted.map_or(Decimal::ZERO, |(_, used)| *used)
    }

    /// Adds to what a counter holds.
    pub fn add(&mut self, counter: &Counter, amount: Decimal) {
        match self.counted.iter_mut().find(|(known, _)| known == counter) {
            Some((_, used)) => *used += amount,
            None => self.counted.push((counter.clone(), amount)),
        }
    }

    /// The sum of the purchases at the merchant within some days, without those above a limit: they
    /// needed an approval on their own.
    pub fn at_merchant(&self, days: u16, limit: Decimal) -> Decimal {
        let counts = |purchase: &&Purchase| {
            purchase.n_days_apart <= u32::from(days) && purchase.amount <= limit
        };
        self.purchases
            .iter()
            .filter(counts)
            .map(|purchase| purchase.amount)
            .sum()
    }
}

/// A rule with what is already used of it: everything that is needed to apply it to an amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleFacts {
    /// The rule.
    #[serde(flatten)]
    pub rule: Rule,
    /// What is already used; zero unless the rule is a cap, an allowance or about split purchases. For
    /// a rule on duplicates, how similar the most similar earlier expense is.
    pub used: Decimal,
}

impl RuleFacts {
    /// Combines a rule with the usage of its window.
    pub fn new(rule: &Rule, usage: &CapUsage) -> Self {
        let used = match &rule.kind {
            RuleKind::Split { days, limit, .. } => usage.at_merchant(*days, *limit),
            RuleKind::Duplicate { .. } => usage.similarity,
            _ => rule
                .counter()
                .map_or(Decimal::ZERO, |counter| usage.of(counter)),
        };
        // The model must not know who could grant an exception, and sees only rules that hold.
        Self {
            rule: Rule {
                exception: None,
                conditions: Conditions::default(),
                ..rule.clone()
            },
            used,
        }
    }

    fn terms(&self, subject: &Subject<'_>) -> Terms {
        Terms::of(&self.rule.kind, self.used, subject)
    }

    /// Applies this rule to an expense. An expense that complies with the rule gets a finding too,
    /// in which nothing is exceeded.
    pub fn assess(&self, subject: &Subject<'_>) -> Finding {
        self.finding(subject, &self.terms(subject))
    }

    /// What this rule adds up, and the finding with its limit for an expense. `None` if it limits no
    /// sum, or if the limit is not known for want of a fact: it then asks for an approval, whatever is
    /// used.
    pub fn limit(&self, subject: &Subject<'_>) -> Option<(&Counter, Finding)> {
        let counter = self.rule.counter()?;
        let terms = self.terms(subject);
        let is_known = terms.missing.is_empty();
        is_known.then(|| (counter, self.finding(subject, &terms)))
    }

    fn finding(&self, subject: &Subject<'_>, terms: &Terms) -> Finding {
        let amount = subject.amount;
        // A sum has the larger scale of its operands. Adding a zero with the scale of the amount
        // therefore shows every number with as many decimals as the amount.
        let zero = Decimal::new(0, amount.scale());
        // A similarity is no amount.
        let used = match self.rule.kind {
            RuleKind::Duplicate { .. } => Decimal::ZERO,
            _ => self.used,
        };
        let allowable = (terms.limit - used).max(zero) + zero;
        let exceeded = (amount - allowable).max(zero);
        let message = match &terms.note {
            Some(note) => format!("{} {note}", self.rule.text),
            None => self.rule.text.clone(),
        };
        Finding {
            rule: self.rule.id.clone(),
            effect: terms.effect.ruling(),
            window: terms.window,
            limit: terms.limit + zero,
            used: used + zero,
            amount,
            allowable,
            exceeded,
            message,
        }
    }

    /// Whether the rule does not apply although the amount is above its limit.
    fn is_settled(&self, terms: &Terms) -> bool {
        match self.rule.kind {
            // A single purchase is not split, however large its amount.
            RuleKind::Split { .. } => self.used.is_zero(),
            RuleKind::Receipt { .. } | RuleKind::Required { .. } => terms.missing.is_empty(),
            _ => false,
        }
    }
}

/// What the policy engine says about one expense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The strictest effect of the findings; approved without findings.
    pub ruling: Ruling,
    /// The findings with an exceeded amount, the strictest first.
    pub findings: Vec<Finding>,
    /// The roles that must approve, even when another rule denies and no approval is requested.
    pub approvers: Approvers,
    /// What the employee must still submit, even when another rule denies.
    pub missing: Vec<Missing>,
}

impl Verdict {
    /// Whether it asks for more than another verdict: a stricter ruling, or the same with approvals that
    /// the other one does not ask for.
    pub fn is_stricter_than(&self, other: &Self) -> bool {
        let asks_more = other.approvers.lack(&self.approvers);
        self.ruling > other.ruling || (self.ruling == other.ruling && asks_more)
    }

    /// Whether a rule is among the findings.
    pub fn has_found(&self, rule: &str) -> bool {
        self.findings.iter().any(|finding| finding.rule == rule)
    }

    /// The verdict in words, in place of a reason of the model that cannot be used.
    pub fn reason(&self) -> String {
        match self.findings.first() {
            None => "Within policy.".to_owned(),
            // When the limit is zero, amounts explain nothing.
            Some(finding) if finding.effect == Ruling::Denied && !finding.limit.is_zero() => {
                format!(
                    "{} {} of this expense is above the {} that the limit still allows.",
                    finding.message, finding.exceeded, finding.allowable
                )
            }
            Some(finding) => finding.message.clone(),
        }
    }

    /// How much of an amount may be paid: the least that a denying finding still allows, otherwise
    /// the whole amount. A pending approval does not reduce it.
    pub fn reimbursable(&self, amount: Decimal) -> Decimal {
        let denying = self
            .findings
            .iter()
            .filter(|finding| finding.effect == Ruling::Denied);
        denying
            .map(|finding| finding.allowable)
            .min()
            .unwrap_or(amount)
    }
}

/// Applies every rule to an expense.
pub fn evaluate(rules: &[RuleFacts], subject: &Subject<'_>) -> Verdict {
    let mut findings = Vec::new();
    let mut approvers = Approvers::default();
    let mut missing = Vec::new();
    for facts in rules {
        let terms = facts.terms(subject);
        let finding = facts.finding(subject, &terms);
        if finding.exceeded.is_zero() || facts.is_settled(&terms) {
            continue;
        }
        if let Some(by) = terms.effect.asks() {
            approvers.ask(by);
        }
        missing.extend(terms.missing);
        findings.push(finding);
    }
    // A stable sort: findings with the same effect keep the order of the file.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.effect));
    let ruling = findings
        .first()
        .map_or(Ruling::Approved, |finding| finding.effect);
    missing.sort_unstable();
    missing.dedup();
    Verdict {
        ruling,
        findings,
        approvers,
        missing,
    }
}
