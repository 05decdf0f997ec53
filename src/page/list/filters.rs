//! The form with the filters of the list, and the filters in force. The form is sent as a GET, so that
//! the URL holds them.

use maud::{Markup, html};
use strum::VariantNames;

use super::{PATH, Parameters};
use crate::domain::body::MAX_ID_CHARS;
use crate::domain::decision::AgentOutcome;
use crate::domain::expense::calendar_date;
use crate::domain::ruling::{Outcome, Role};
use crate::domain::validation::ValidationType;
use crate::page::PageState;
use crate::page::viewer::Viewer;

/// The filters that the form has a field for, with the names that people read.
const NAMES: [(&str, &str); 16] = [
    ("text", "Words"),
    ("outcome", "Outcome"),
    ("category", "Category"),
    ("user_id", "Employee"),
    ("from", "From"),
    ("until", "Until"),
    ("failed", "A check failed"),
    ("failed_validation", "Failed check"),
    ("pending", "Waits for"),
    ("resolved", "Resolved"),
    ("agent_outcome", "Reasoning"),
    ("override", "Model overruled"),
    ("rule", "Rule"),
    ("model", "Model"),
    ("prompt", "Prompt"),
    ("prompt_version", "Prompt version"),
];

/// The filters that only links set, such as those of the figures, with the names that people read.
const SET_BY_LINKS: [(&str, &str); 5] = [
    ("judged", "Approved or denied by a person"),
    ("overturned", "Overturned"),
    ("paid", "Paid"),
    ("priced", "Known model cost"),
    ("timed_step", "Known time of"),
];

/// The filters behind "More filters".
const MORE: [&str; 10] = [
    "failed",
    "failed_validation",
    "pending",
    "resolved",
    "agent_outcome",
    "override",
    "rule",
    "model",
    "prompt",
    "prompt_version",
];

const YES_OR_NO: [(&str, &str); 2] = [("true", "yes"), ("false", "no")];

fn name_of(filter: &str) -> &str {
    let mut names = NAMES.iter().chain(&SET_BY_LINKS);
    let known = names.find(|(name, _)| *name == filter);
    known.map_or(filter, |(_, shown)| *shown)
}

/// The form.
pub(super) fn form(page: &PageState, viewer: &Viewer, parameters: &Parameters) -> Markup {
    let policies = &page.app.rulebook(&viewer.identity.tenant_id).policies;
    let categories: Vec<&str> = policies.categories().collect();
    let mut rules: Vec<&str> = Vec::new();
    for rule in policies.iter().flat_map(|policy| &policy.rules) {
        // The versions of a policy have rules of the same names.
        if !rules.contains(&rule.id.as_str()) {
            rules.push(&rule.id);
        }
    }
    let choice = |name, values: &[&str]| choice(name, &in_words(values), parameters);
    let yes_or_no = |name| {
        let values = YES_OR_NO.map(|(value, shown)| (value.to_owned(), shown.to_owned()));
        self::choice(name, &values, parameters)
    };
    let has_more = MORE.iter().any(|name| parameters.get(name).is_some());
    html! {
        form.filters method="get" action=(PATH) data-tidy {
            @if let Some(tenant) = viewer.tenant_in_url() {
                input type="hidden" name="tenant" value=(tenant);
            }
            // Another filter is added to those of the link, so these stay in force.
            @for (name, _) in SET_BY_LINKS {
                @if let Some(value) = parameters.get(name) { input type="hidden" name=(name) value=(value); }
            }
            div.fields {
                (line("text", Some("wide"), parameters))
                (choice("outcome", Outcome::VARIANTS))
                (choice("category", &categories))
                (line("user_id", None, parameters))
                (day("from", parameters))
                (day("until", parameters))
                button.primary { "Show" }
            }
            details open[has_more] {
                summary { "More filters" }
                div.fields {
                    (yes_or_no("failed"))
                    (choice("failed_validation", ValidationType::VARIANTS))
                    (choice("pending", Role::VARIANTS))
                    (yes_or_no("resolved"))
                    (choice("agent_outcome", AgentOutcome::VARIANTS))
                    (yes_or_no("override"))
                    (choice("rule", &rules))
                    (line("model", None, parameters))
                    (line("prompt", None, parameters))
                    (line("prompt_version", None, parameters))
                }
            }
        }
    }
}

/// The filters in force, each a link to the list without it.
pub(super) fn chips(viewer: &Viewer, parameters: &Parameters) -> Markup {
    let filters = parameters.filters();
    html! {
        @if !filters.is_empty() {
            ul.chips aria-label="Filters in force" {
                @for (name, value) in &filters {
                    li {
                        a href=(viewer.href(PATH, &parameters.filters_but(name))) {
                            span.muted { (name_of(name)) ": " } bdi { (value) }
                            span aria-hidden="true" { " ×" } span.only-read { ", remove" }
                        }
                    }
                }
                li { a href=(viewer.href(PATH, &[])) { "Remove all" } }
            }
        }
    }
}

/// Values with the words that are shown for them.
fn in_words(values: &[&str]) -> Vec<(String, String)> {
    let with_words = |value: &&str| ((*value).to_owned(), value.replace('_', " "));
    values.iter().map(with_words).collect()
}

/// A choice of one value or any. A value that is in force but not among the choices, such as a rule of
/// an earlier policy, is a choice as well.
fn choice(name: &str, values: &[(String, String)], parameters: &Parameters) -> Markup {
    let chosen = parameters.get(name);
    let other = chosen.filter(|chosen| !values.iter().any(|(value, _)| value == chosen));
    html! {
        label {
            (name_of(name))
            select name=(name) {
                option value="" { "any" }
                @for (value, shown) in values {
                    option value=(value) selected[chosen == Some(value)] { (shown) }
                }
                @if let Some(other) = other { option value=(other) selected { (other) } }
            }
        }
    }
}

fn line(name: &str, class: Option<&str>, parameters: &Parameters) -> Markup {
    html! {
        label class=[class] {
            (name_of(name))
            input name=(name) value=[parameters.get(name)] maxlength=(MAX_ID_CHARS);
        }
    }
}

/// A day. A link may name a moment within a day, which the browser's calendar cannot show.
fn day(name: &str, parameters: &Parameters) -> Markup {
    let value = parameters.get(name);
    let is_moment = value.is_some_and(|value| calendar_date(value).is_none());
    html! {
        label {
            (name_of(name))
            input type=(if is_moment { "text" } else { "date" }) name=(name) value=[value];
        }
    }
}
