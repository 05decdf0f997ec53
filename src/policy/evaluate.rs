//! The verdict of a policy on an expense. Pure arithmetic on exact decimals, without IO, clock and
//! model.

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::domain::counter::Counter;
use crate::domain::facts::Facts;
use crate::domain::receipt::Receipt;
use crate::domain::ruling::{Finding, Missing, Role, Ruling, Window};
use crate::policy::phrase::Readings;
use crate::policy::rule::{Rule, RuleKind};

/// The facts of an expense that rules look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The amount in the policy's currency.
    pub amount: Decimal,
    /// Which receipt is attached.
    pub receipt: Receipt,
    /// The day of the purchase.
    pub date: Date,
    /// The day on which this service received the expense, UTC.
    pub today: Date,
    /// The merchant category code, if known.
    pub mcc: Option<&'a str>,
    /// The merchant's name, if known.
    pub merchant: Option<&'a str>,
    /// What the employee wrote.
    pub transaction: &'a str,
    /// What else is known.
    pub facts: &'a Facts,
}

/// What is already used of the caps of a policy: earlier expenses that were approved or are pending
/// approval. Amounts are in the policy's currency.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CapUsage {
    /// What each counter holds. One that is not here holds nothing.
    pub counted: Vec<(Counter, Decimal)>,
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
    /// What is already used; zero unless the rule is a cap or about split purchases.
    pub used: Decimal,
}

impl RuleFacts {
    /// Combines a rule with the usage of its window.
    pub fn new(rule: &Rule, usage: &CapUsage) -> Self {
        let used = match &rule.kind {
            RuleKind::Cap { counter, .. } => usage.of(counter),
            RuleKind::Split { days, limit, .. } => usage.at_merchant(*days, *limit),
            _ => Decimal::ZERO,
        };
        // The model must not know who could grant an exception.
        Self {
            rule: Rule {
                exception: None,
                ..rule.clone()
            },
            used,
        }
    }

    /// What the rule adds up, if it is a cap.
    pub fn counter(&self) -> Option<&Counter> {
        match &self.rule.kind {
            RuleKind::Cap { counter, .. } => Some(counter),
            _ => None,
        }
    }

    /// The limit of this rule, the window that the limit is for, and the ruling above the limit.
    fn terms(&self, subject: &Subject<'_>) -> (Decimal, Window, Ruling) {
        // A rule without an amount allows the whole expense or nothing of it, so that its findings
        // have the same form as those of other rules.
        let forbidden_if = |is_forbidden: bool| {
            let limit = if is_forbidden {
                Decimal::ZERO
            } else {
                subject.amount
            };
            (limit, Window::Expense, Ruling::Denied)
        };
        match &self.rule.kind {
            RuleKind::Cap { counter, max } => (*max, counter.per, Ruling::Denied),
            RuleKind::Approval { above, .. } | RuleKind::Receipt { above } => {
                (*above, Window::Expense, Ruling::NeedsApproval)
            }
            RuleKind::ApprovalAlways { .. } => {
                (Decimal::ZERO, Window::Expense, Ruling::NeedsApproval)
            }
            RuleKind::Split { limit, .. } => (*limit, Window::Merchant, Ruling::NeedsApproval),
            RuleKind::MaxAge { days } => {
                forbidden_if(n_days(subject.date, subject.today) > i32::from(*days))
            }
            RuleKind::Future { days } => {
                forbidden_if(n_days(subject.today, subject.date) > i32::from(*days))
            }
            RuleKind::BlockedMcc { mcc } => forbidden_if(
                subject
                    .mcc
                    .is_some_and(|code| mcc.iter().any(|codes| codes.contains(code))),
            ),
            RuleKind::BlockedMerchant { merchant } => {
                let name = Readings::of(subject.merchant.unwrap_or(subject.transaction));
                forbidden_if(merchant.iter().any(|phrase| phrase.is_hidden_in(&name)))
            }
        }
    }

    /// Applies this rule to an expense. An expense that complies with the rule gets a finding too,
    /// in which nothing is exceeded.
    pub fn assess(&self, subject: &Subject<'_>) -> Finding {
        let amount = subject.amount;
        let (limit, window, effect) = self.terms(subject);
        // A sum has the larger scale of its operands. Adding a zero with the scale of the amount
        // therefore shows every number with as many decimals as the amount.
        let zero = Decimal::new(0, amount.scale());
        let allowable = (limit - self.used).max(zero) + zero;
        let exceeded = (amount - allowable).max(zero);
        Finding {
            rule: self.rule.id.clone(),
            effect,
            window,
            limit: limit + zero,
            used: self.used + zero,
            amount,
            allowable,
            exceeded,
            message: self.rule.text.clone(),
        }
    }
}

/// Days from one date to another; negative when the second date is earlier.
fn n_days(from: Date, to: Date) -> i32 {
    (to - from).get_days()
}

/// What the policy engine says about one expense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The strictest effect of the findings; approved without findings.
    pub ruling: Ruling,
    /// The findings with an exceeded amount, the strictest first.
    pub findings: Vec<Finding>,
    /// The role that must approve, even when another rule denies and no approval is requested.
    pub approver: Option<Role>,
    /// What the employee must still submit, even when another rule denies.
    pub missing: Vec<Missing>,
}

impl Verdict {
    /// Whether it asks for more than another verdict: a stricter ruling, or the same from a higher role.
    pub fn is_stricter_than(&self, other: &Self) -> bool {
        (self.ruling, self.approver) > (other.ruling, other.approver)
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
    let mut approver = None;
    let mut missing = Vec::new();
    for facts in rules {
        let finding = facts.assess(subject);
        let rule_approver = match facts.rule.kind {
            RuleKind::Approval { role, .. } | RuleKind::ApprovalAlways { role } => Some(role),
            // A single purchase is not split, however large its amount.
            RuleKind::Split { .. } if facts.used.is_zero() => continue,
            RuleKind::Split { role, .. } => Some(role),
            RuleKind::Receipt { .. } if subject.receipt != Receipt::Absent => continue,
            RuleKind::Receipt { .. } => Some(Role::Manager),
            RuleKind::Cap { .. }
            | RuleKind::MaxAge { .. }
            | RuleKind::Future { .. }
            | RuleKind::BlockedMcc { .. }
            | RuleKind::BlockedMerchant { .. } => None,
        };
        if finding.exceeded.is_zero() {
            continue;
        }
        if matches!(facts.rule.kind, RuleKind::Receipt { .. }) {
            missing.push(Missing::Receipt);
        }
        approver = approver.max(rule_approver);
        findings.push(finding);
    }
    // A stable sort: findings with the same effect keep the order of the file.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.effect));
    let ruling = findings
        .first()
        .map_or(Ruling::Approved, |finding| finding.effect);
    Verdict {
        ruling,
        findings,
        approver,
        missing,
    }
}
