//! The arithmetic of the policy: the rules of the category, each cap as a bar, what the rules found, and
//! the text of the policy.

use maud::{Markup, html};
use rust_decimal::Decimal;

use crate::domain::cap::Cap;
use crate::domain::decision::{Decision, PolicyRef};
use crate::domain::money::Currency;
use crate::domain::ruling::{Finding, Ruling};
use crate::page::format;
use crate::policy::rule::Rule;
use crate::policy::{Policies, Policy};

/// The width of a bar in the units of its picture.
const WIDTH: Decimal = Decimal::ONE_THOUSAND;

/// A policy to show, and whether it is the one that the decision rests on.
struct Shown<'a> {
    policy: &'a Policy,
    is_original: bool,
}

/// The policy of a decision. The rules come from the file as it was, if it is still loaded, else from
/// the one in force on the day of the purchase.
pub(in crate::page) fn section(decision: &Decision, policies: &Policies) -> Markup {
    let (_, currency) = decision.policy_amount();
    let shown = shown(decision, policies);
    html! {
        @if let Some(used) = &decision.policy { (which(used, shown.as_ref())) }
        @else { p { "No policy judged this expense." } }
        @if !decision.findings.is_empty() || shown.is_some() {
            div.scroll {
                table.rules {
                    thead { tr {
                        th scope="col" { "Rule" }
                        th scope="col" { "This expense" }
                        th scope="col" { "Found" }
                    } }
                    tbody {
                        @match &shown {
                            Some(shown) => { @for rule in &shown.policy.rules { (rule_row(decision, rule, currency)) } }
                            None => { @for finding in &decision.findings { (finding_row(finding, currency)) } }
                        }
                    }
                }
            }
        }
        @if let Some(Shown { policy, .. }) = &shown {
            details { summary { "Text of the policy" } pre.text { (policy.text) } }
        }
    }
}

fn shown<'a>(decision: &Decision, policies: &'a Policies) -> Option<Shown<'a>> {
    let used = decision.policy.as_ref();
    let original = used.and_then(|used| policies.iter().find(|policy| policy.hash == used.hash));
    let in_force = || policies.in_force(decision.category.as_deref()?, decision.expense.date);
    original
        .map(|policy| Shown {
            policy,
            is_original: true,
        })
        .or_else(|| {
            in_force().map(|policy| Shown {
                policy,
                is_original: false,
            })
        })
}

/// Which policy was used, and which one is shown.
fn which(used: &PolicyRef, shown: Option<&Shown<'_>>) -> Markup {
    html! {
        p {
            b { (used.id) } " version " b { (used.version) } ", file " code { (used.hash) } ". "
            @match shown {
                Some(Shown { is_original: true, .. }) => { "The same file is loaded now." }
                Some(Shown { policy, .. }) => {
                    "The file was changed since; the rules below are those of version " b { (policy.version) } ", file "
                    code { (policy.hash) } ". The findings are those of the decision."
                }
                None => { "It is no longer loaded; only its findings are known." }
            }
        }
    }
}

/// A rule, with the arithmetic of a cap whether or not the expense is above it.
fn rule_row(decision: &Decision, rule: &Rule, currency: Currency) -> Markup {
    let finding = decision
        .findings
        .iter()
        .find(|finding| finding.rule == rule.id);
    let cap = decision.caps.iter().find(|cap| cap.rule == rule.id);
    let (amount, _) = decision.policy_amount();
    html! {
        tr .failed[finding.is_some_and(denies)] {
            td { code { (rule.id) } br; (rule.text) }
            td {
                @match (cap, finding) {
                    (Some(cap), _) => { (cap_bar(cap, amount, currency)) }
                    (None, Some(finding)) => { (finding_bar(finding, currency)) }
                    (None, None) => {}
                }
            }
            td {
                @match finding {
                    Some(finding) => { (found(finding, currency)) }
                    None if decision.policy.is_some() => { "complies" }
                    None => { span.muted { "not evaluated" } }
                }
            }
        }
    }
}

/// A finding of a rule that is no longer loaded.
fn finding_row(finding: &Finding, currency: Currency) -> Markup {
    html! {
        tr .failed[denies(finding)] {
            td { code { (finding.rule) } br; (finding.message) }
            td { (finding_bar(finding, currency)) }
            td { (found(finding, currency)) }
        }
    }
}

fn denies(finding: &Finding) -> bool {
    finding.effect == Ruling::Denied
}

fn found(finding: &Finding, currency: Currency) -> Markup {
    let Finding {
        exceeded,
        allowable,
        ..
    } = finding;
    html! {
        @if denies(finding) { b.failed { "denies" } } @else { b { "needs approval" } }
        br;
        (format::amount(*exceeded, currency)) " above, " (format::amount(*allowable, currency)) " allowed"
    }
}

fn finding_bar(finding: &Finding, currency: Currency) -> Markup {
    let Finding {
        limit,
        used,
        amount,
        ..
    } = finding;
    html! {
        @if limit.is_zero() { span.muted { "nothing is allowed" } }
        @else { (bar(*limit, *used, *amount, currency, None)) }
    }
}

fn cap_bar(cap: &Cap, amount: Decimal, currency: Currency) -> Markup {
    let mut window = match &cap.window_key {
        Some(key) => format!("{} {key}", cap.window),
        None => cap.window.to_string(),
    };
    if let Some(by) = cap.by {
        window = format!("{window} by {by}");
    }
    if !cap.over.is_empty() {
        window = format!("{window} over {}", cap.over.join(", "));
    }
    bar(cap.limit, cap.used, amount, currency, Some(&window))
}

/// A limit as a bar: what was used before, this expense, and the part of it above the limit.
fn bar(
    limit: Decimal,
    used: Decimal,
    amount: Decimal,
    currency: Currency,
    window: Option<&str>,
) -> Markup {
    let sum = used + amount;
    let whole = limit.max(sum).max(Decimal::ONE);
    let at = |value: Decimal| (value.max(Decimal::ZERO) * WIDTH / whole).round();
    let (used_to, within_to, above_to) = (at(used), at(sum.min(limit).max(used)), at(sum));
    let words = format!(
        "{used} {currency} used before, {amount} {currency} this expense, limit {limit} {currency}"
    );
    html! {
        figure.cap {
            svg viewBox="0 0 1000 24" preserveAspectRatio="none" role="img" aria-label=(words) {
                title { (words) }
                rect.ground x="0" y="4" width="1000" height="16" {}
                rect.used x="0" y="4" width=(used_to) height="16" {}
                rect.this x=(used_to) y="4" width=(within_to - used_to) height="16" {}
                rect.above x=(within_to) y="4" width=((above_to - within_to).max(Decimal::ZERO)) height="16" {}
                rect.limit x=(at(limit).min(WIDTH - Decimal::TWO)) y="0" width="2" height="24" {}
            }
            figcaption.small {
                @if let Some(window) = window { span.muted { (window) ": " } }
                @if !used.is_zero() { span.muted { "used " } (format::amount(used, currency)) span.muted { " + " } }
                span.muted { "this " } (format::amount(amount, currency))
                span.muted { " of " } (format::amount(limit, currency))
            }
        }
    }
}
