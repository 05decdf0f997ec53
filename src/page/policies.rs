//! The view "Policies": what is in force for the tenant, in words, with versions, dates and hashes.

use axum::extract::State;
use jiff::civil::Date;
use maud::{Markup, html};
use rust_decimal::Decimal;

use crate::domain::approvers::ApprovedBy;
use crate::page::failure::Failure;
use crate::page::layout::document;
use crate::page::viewer::Viewer;
use crate::page::{PageState, format, list};
use crate::policy::allowance::Allowance;
use crate::policy::rule::{ReceiptForm, Rule, RuleKind};
use crate::policy::unit::PerUnit;
use crate::policy::{Policies, Policy};

/// The path of the view.
pub(super) const PATH: &str = "/ui/policies";

/// `GET /ui/policies`
pub(super) async fn show(State(page): State<PageState>, viewer: Viewer) -> Result<Markup, Failure> {
    let policies = &page.app.rulebook(&viewer.identity.tenant_id).policies;
    let today = page.app.clock.today();
    let content = html! {
        h1 { "Policies" }
        p.muted { "In force on " (today) ". The model advises; these rules decide." }
        @for category in policies.categories() {
            (in_category(&viewer, policies, category, today))
        }
    };
    Ok(document(&page, &viewer, PATH, "Policies", &content))
}

/// The policy of a category that is in force, then its other versions.
fn in_category(viewer: &Viewer, policies: &Policies, category: &str, today: Date) -> Markup {
    let in_force = policies.in_force(category, today);
    let others: Vec<&Policy> = policies
        .iter()
        .filter(|policy| policy.category == category)
        .filter(|policy| in_force.is_none_or(|in_force| in_force.hash != policy.hash))
        .collect();
    html! {
        section.policy {
            h2 #(category) {
                (category) " "
                a.small href=(viewer.href(list::PATH, &[("category", category)])) { "decisions" }
            }
            @match in_force {
                Some(policy) => { (version(viewer, policy, true)) }
                None => { p.muted { "No version is in force today: an expense of this category goes to review." } }
            }
            @for policy in others {
                details {
                    summary {
                        "Version " (policy.version) ", "
                        @if policy.effective_from > today { "from " (policy.effective_from) }
                        @else { (dates(policy)) }
                    }
                    (version(viewer, policy, false))
                }
            }
        }
    }
}

/// One version, each of its rules a link to the decisions in which it has a finding. Only the rules of
/// the version in force have anchors, because other versions have rules of the same names.
fn version(viewer: &Viewer, policy: &Policy, is_in_force: bool) -> Markup {
    html! {
        p.muted {
            "Version " b { (policy.version) } ", " (dates(policy)) ", amounts in " (policy.currency)
            ", file " code title="the first 16 hex digits of its SHA-256" { (policy.hash) }
        }
        p.prose { (policy.text.trim()) }
        div.scroll {
            table.demands {
                thead { tr { th { "Rule" } th { "In words" } th { "What it asks for" } th { "Exception by" } } }
                tbody {
                    @for rule in &policy.rules {
                        tr id=[is_in_force.then_some(&rule.id)] {
                            td.nowrap {
                                a href=(viewer.href(list::PATH, &[("rule", &rule.id)])) { code { (rule.id) } }
                            }
                            td { (rule.text) }
                            td { (demand(rule, policy)) @if !rule.conditions.is_empty() { "; " (rule.conditions) } }
                            td { @if let Some(role) = rule.exception { (role) } @else { span.muted { "nobody" } } }
                        }
                    }
                }
            }
        }
        p.muted {
            "Without evidence for this category, an expense above "
            (amount(policy.uncorroborated_limit, policy)) " goes to a person."
            @if policy.catch_all { " Expenses that fit no other category belong here." }
        }
    }
}

fn dates(policy: &Policy) -> Markup {
    html! {
        "in force from " (policy.effective_from)
        @if let Some(last) = policy.effective_to { " to " (last) }
    }
}

/// What a rule asks for, from its parameters alone: its text is the author's and may say more.
fn demand(rule: &Rule, policy: &Policy) -> Markup {
    let days = |n: u16| match n {
        0 => "today".to_owned(),
        1 => "1 day".to_owned(),
        n => format!("{n} days"),
    };
    html! {
        @match &rule.kind {
            RuleKind::Cap { max, per_unit: Some(PerUnit { unit, most }), .. } => {
                "at most " (max) " " (policy.currency) " for each " (unit)
                @if let Some(most) = most { ", at most " (most) " of them" }
            }
            RuleKind::Cap { counter, max, .. } => {
                "at most " (amount(*max, policy)) " for one " (counter.per)
                @if let Some(start) = counter.begins { " that begins on " (start) }
                @if let Some(by) = counter.by { " and " (by) }
                @if !counter.over.is_empty() { ", over " (joined(&counter.over)) }
            }
            RuleKind::Allowance(allowance) => { (day_away(allowance, policy)) }
            RuleKind::Approval { above, by } => { "above " (amount(*above, policy)) ", approval by " (approvers(by)) }
            RuleKind::ApprovalAlways { by } => { "always approval by " (approvers(by)) }
            RuleKind::Preapproved { above, tolerance, by } => {
                "above " (amount(*above, policy)) ", a plan approved by " (approvers(by))
                @if !tolerance.is_zero() { ", or up to " (amount(*tolerance, policy)) " more than its amount" }
            }
            RuleKind::Receipt { above, form, .. } => {
                "above " (amount(*above, policy))
                @match form { ReceiptForm::Any => ", a receipt", ReceiptForm::Itemized => ", an itemized receipt" }
            }
            RuleKind::Required { facts, above, .. } => {
                "above " (amount(*above, policy)) ", these facts: " (joined(facts))
            }
            RuleKind::Split { days: n, limit, role } => {
                "purchases at one merchant within " (days(*n)) ", together above " (amount(*limit, policy))
                ", approval by a " (role)
            }
            RuleKind::Duplicate { score, .. } => {
                "not like an earlier expense, with a similarity from " (score) " on"
            }
            RuleKind::MaxAge { days: n, .. } => { "not older than " (days(*n)) }
            RuleKind::Future { days: n } => { "not dated after today"
                @if *n > 0 { ", with a tolerance of " (days(*n)) } }
            RuleKind::BlockedMcc { mcc } => {
                "none of the merchant categories " (joined(mcc))
            }
            RuleKind::BlockedMerchant { merchant } => { "none of the merchants " (joined(merchant)) }
            RuleKind::BlockedWords { words, but, .. } => {
                "none of the words " (joined(words))
                @if !but.is_empty() { ", but " (joined(but)) " are allowed" }
            }
            RuleKind::AllowedMcc { mcc } => { "only the merchant categories " (joined(mcc)) }
            RuleKind::AllowedMerchant { merchant } => { "only the merchants " (joined(merchant)) }
            RuleKind::Advance { days: n, role } => {
                "booked at least " (days(*n)) " before the journey, else approval by a " (role)
            }
        }
    }
}

fn day_away(allowance: &Allowance, policy: &Policy) -> Markup {
    let meals = allowance.meals.iter();
    let meals: Vec<String> = meals.map(|(meal, off)| format!("{meal} {off}")).collect();
    html! {
        @match (allowance.full, allowance.part, &allowance.table) {
            (Some(full), Some(part), _) => {
                "at most " (amount(full, policy)) " for a day away, " (amount(part, policy)) " for a part of one"
            }
            (_, _, table) => {
                "at most what the table " @if let Some(table) = table { code { (table) } } " says of a day at a place"
            }
        }
        @if !meals.is_empty() { ", less for meals that others paid for: " (meals.join(", ")) }
    }
}

/// Whom a rule asks: `a manager`, or `a manager, then a cfo`.
fn approvers(by: &ApprovedBy) -> String {
    let roles = match by {
        ApprovedBy::Role(role) => std::slice::from_ref(role),
        ApprovedBy::Roles(roles) => roles,
    };
    let roles: Vec<String> = roles.iter().map(|role| format!("a {role}")).collect();
    roles.join(", then ")
}

fn amount(amount: Decimal, policy: &Policy) -> Markup {
    format::amount(amount, policy.currency)
}

fn joined<T: ToString>(values: &[T]) -> String {
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    values.join(", ")
}
