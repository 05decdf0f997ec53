//! What a policy holds of an expense: pure arithmetic on exact decimals, no IO, no clock and no model.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::domain::decision::{Finding, Missing, Role, Ruling, Window};
use crate::policy::rule::{Rule, RuleKind};

/// What an employee already has approved, or pending approval, in each window. Amounts in the policy's currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// On the expense's day.
    pub day: Decimal,
    /// On its trip; zero when it names none.
    pub trip: Decimal,
    /// In its calendar year.
    pub year: Decimal,
}

impl Usage {
    /// What one window holds; an expense alone holds nothing beside itself.
    pub fn of(&self, window: Window) -> Decimal {
        match window {
            Window::Expense => Decimal::ZERO,
            Window::Day => self.day,
            Window::Trip => self.trip,
            Window::Year => self.year,
        }
    }
}

/// A rule with what its window already holds: all that is needed to judge an amount by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleFacts {
    /// The rule.
    #[serde(flatten)]
    pub rule: Rule,
    /// What is already used of it; zero for anything but a cap.
    pub used: Decimal,
}

impl RuleFacts {
    /// Puts a rule beside the usage of its window.
    pub fn new(rule: &Rule, usage: &Usage) -> Self {
        let used = match rule.kind {
            RuleKind::Cap { per, .. } => usage.of(per),
            _ => Decimal::ZERO,
        };
        Self { rule: rule.clone(), used }
    }

    /// The most this rule lets pass, over which window, and what happens above it.
    fn terms(&self) -> (Decimal, Window, Ruling) {
        match self.rule.kind {
            RuleKind::Cap { per, max } => (max, per, Ruling::Denied),
            RuleKind::Approval { above, .. } | RuleKind::Receipt { above } => {
                (above, Window::Expense, Ruling::NeedsApproval)
            }
            RuleKind::ApprovalAlways { .. } => (Decimal::ZERO, Window::Expense, Ruling::NeedsApproval),
        }
    }

    /// How an amount stands to this rule, whether or not it breaks it.
    pub fn assess(&self, amount: Decimal) -> Finding {
        let (limit, window, effect) = self.terms();
        // A difference keeps the larger scale of its operands, so the amount decides how many decimals are shown.
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

/// What the policy engine holds of one expense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The ruling.
    pub ruling: Ruling,
    /// The rules that speak against approving, the strictest first.
    pub findings: Vec<Finding>,
    /// Who has to agree, when approval is asked for.
    pub approver: Option<Role>,
    /// What has to be handed in.
    pub missing: Vec<Missing>,
}

impl Verdict {
    /// The ruling in words, for when the model's reason cannot be used.
    pub fn reason(&self) -> String {
        match self.findings.first() {
            None => "Within policy.".to_owned(),
            Some(finding) if finding.effect == Ruling::Denied => format!(
                "{} {} of this expense is above the {} that the limit still allows.",
                finding.message, finding.exceeded, finding.allowable
            ),
            Some(finding) => finding.message.clone(),
        }
    }

    /// How much of an amount may be paid: the least that a broken rule still allows, else all of it. A role that has to
    /// agree takes nothing away.
    pub fn reimbursable(&self, amount: Decimal) -> Decimal {
        let broken = self.findings.iter().filter(|finding| finding.effect == Ruling::Denied);
        broken.map(|finding| finding.allowable).min().unwrap_or(amount)
    }
}

/// Judges an amount, in the policy's currency, by every rule.
pub fn evaluate(rules: &[RuleFacts], amount: Decimal, has_receipt: bool) -> Verdict {
    let mut findings = Vec::new();
    let mut approver = None;
    let mut missing = Vec::new();
    for facts in rules {
        let finding = facts.assess(amount);
        let asked_of = match facts.rule.kind {
            RuleKind::Cap { .. } => None,
            RuleKind::Approval { role, .. } | RuleKind::ApprovalAlways { role } => Some(role),
            RuleKind::Receipt { .. } if has_receipt => continue,
            RuleKind::Receipt { .. } => Some(Role::Manager),
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
    let ruling = findings.first().map_or(Ruling::Approved, |finding| finding.effect);
    if ruling == Ruling::Denied {
        approver = None;
        missing.clear();
    }
    Verdict { ruling, findings, approver, missing }
}
