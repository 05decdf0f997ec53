//! What a policy holds of an expense: pure arithmetic on exact decimals, no IO, no clock and no
//! model.

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::domain::ruling::{Finding, Missing, Role, Ruling, Window};
use crate::policy::phrase::Words;
use crate::policy::rule::{Rule, RuleKind};

/// What the rules look at of one expense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    /// Its amount in the policy's currency.
    pub amount: Decimal,
    /// Whether a receipt is attached.
    pub receipt: bool,
    /// The day of the purchase.
    pub date: Date,
    /// The day of receipt, UTC.
    pub today: Date,
    /// The merchant category code, if known.
    pub mcc: Option<&'a str>,
    /// The merchant's name, if known.
    pub merchant: Option<&'a str>,
    /// What the employee wrote.
    pub transaction: &'a str,
}

/// What an employee already has approved, or pending approval, in each window. Amounts in the
/// policy's currency.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// On the expense's day.
    pub day: Decimal,
    /// On its trip; zero when it names none.
    pub trip: Decimal,
    /// In its calendar year.
    pub year: Decimal,
    /// At its merchant; empty when it names none, or no rule asks.
    pub purchases: Vec<Purchase>,
}

/// One earlier purchase at the merchant of an expense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purchase {
    /// Days between it and the expense, whichever came first.
    pub n_days_apart: u32,
    /// Its amount in the policy's currency.
    pub amount: Decimal,
}

impl Usage {
    /// What one window holds; an expense alone holds nothing beside itself.
    pub fn of(&self, window: Window) -> Decimal {
        match window {
            Window::Expense | Window::Merchant => Decimal::ZERO,
            Window::Day => self.day,
            Window::Trip => self.trip,
            Window::Year => self.year,
        }
    }

    /// What was bought at the merchant within some days, in purchases that do not go above a limit
    /// on their own.
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

/// A rule with what its window already holds: all that is needed to judge an amount by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleFacts {
    /// The rule.
    #[serde(flatten)]
    pub rule: Rule,
    /// What is already used of it; zero for anything but caps and split purchases.
    pub used: Decimal,
}

impl RuleFacts {
    /// Puts a rule beside the usage of its window.
    pub fn new(rule: &Rule, usage: &Usage) -> Self {
        let used = match rule.kind {
            RuleKind::Cap { per, .. } => usage.of(per),
            RuleKind::Split { days, limit, .. } => usage.at_merchant(days, limit),
            _ => Decimal::ZERO,
        };
        // Who may set a rule aside is nothing the model needs to know.
        Self {
            rule: Rule {
                exception: None,
                ..rule.clone()
            },
            used,
        }
    }

    /// The most this rule lets pass, over which window, and what happens above it.
    fn terms(&self, subject: &Subject<'_>) -> (Decimal, Window, Ruling) {
        // A rule that names no amount lets all of an expense pass or nothing of it, so that its
        // findings read like any.
        let forbidden_if = |is_forbidden: bool| {
            let limit = if is_forbidden {
                Decimal::ZERO
            } else {
                subject.amount
            };
            (limit, Window::Expense, Ruling::Denied)
        };
        match &self.rule.kind {
            RuleKind::Cap { per, max } => (*max, *per, Ruling::Denied),
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
                let name = Words::of(subject.merchant.unwrap_or(subject.transaction));
                forbidden_if(merchant.iter().any(|phrase| phrase.occurs_in(&name)))
            }
        }
    }

    /// How an expense stands to this rule, whether or not it breaks it.
    pub fn assess(&self, subject: &Subject<'_>) -> Finding {
        let amount = subject.amount;
        let (limit, window, effect) = self.terms(subject);
        // A difference keeps the larger scale of its operands, so the amount decides how many
        // decimals are shown.
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

/// Days from one date to another; negative when the other one is earlier.
fn n_days(from: Date, to: Date) -> i32 {
    (to - from).get_days()
}

/// What the policy engine holds of one expense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The ruling.
    pub ruling: Ruling,
    /// The rules that speak against approving, the strictest first.
    pub findings: Vec<Finding>,
    /// Who has to agree, also where another rule denies and nobody is asked.
    pub approver: Option<Role>,
    /// What has to be handed in, likewise.
    pub missing: Vec<Missing>,
}

impl Verdict {
    /// Whether a rule speaks against approving.
    pub fn has_found(&self, rule: &str) -> bool {
        self.findings.iter().any(|finding| finding.rule == rule)
    }

    /// The ruling in words, for when the model's reason cannot be used.
    pub fn reason(&self) -> String {
        match self.findings.first() {
            None => "Within policy.".to_owned(),
            // Where nothing is allowed, an amount would explain nothing.
            Some(finding) if finding.effect == Ruling::Denied && !finding.limit.is_zero() => {
                format!(
                    "{} {} of this expense is above the {} that the limit still allows.",
                    finding.message, finding.exceeded, finding.allowable
                )
            }
            Some(finding) => finding.message.clone(),
        }
    }

    /// How much of an amount may be paid: the least that a broken rule still allows, else all of
    /// it. A role that has to agree takes nothing away.
    pub fn reimbursable(&self, amount: Decimal) -> Decimal {
        let broken = self
            .findings
            .iter()
            .filter(|finding| finding.effect == Ruling::Denied);
        broken
            .map(|finding| finding.allowable)
            .min()
            .unwrap_or(amount)
    }
}

/// Judges an expense by every rule.
pub fn evaluate(rules: &[RuleFacts], subject: &Subject<'_>) -> Verdict {
    let mut findings = Vec::new();
    let mut approver = None;
    let mut missing = Vec::new();
    for facts in rules {
        let finding = facts.assess(subject);
        let asked_of = match facts.rule.kind {
            RuleKind::Approval { role, .. } | RuleKind::ApprovalAlways { role } => Some(role),
            // One purchase alone is not split, whatever it costs.
            RuleKind::Split { .. } if facts.used.is_zero() => continue,
            RuleKind::Split { role, .. } => Some(role),
            RuleKind::Receipt { .. } if subject.receipt => continue,
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
        approver = approver.max(asked_of);
        findings.push(finding);
    }
    // A stable sort keeps the order of the file among equals.
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
