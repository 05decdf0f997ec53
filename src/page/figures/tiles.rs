//! The figures as tiles and tables: a number, of how many, and a link to the list of exactly these.

use std::collections::BTreeMap;

use maud::{Markup, html};
use rust_decimal::Decimal;
use strum::IntoEnumIterator;

use crate::domain::figures::{Durations, Figures, Series};
use crate::domain::money::Currency;
use crate::domain::ruling::{Outcome, Role};
use crate::domain::share::{Percent, Share};
use crate::domain::step::Step;
use crate::ledger::review_queue::MAX_COUNTED;
use crate::ledger::{Ledger, LedgerError, PageRequest};
use crate::page::decision::head;
use crate::page::plot::{self, Plot};
use crate::page::viewer::Viewer;
use crate::page::{format, list};

/// The tiles of a time range.
pub(super) fn all(viewer: &Viewer, series: &Series) -> Markup {
    let total = &series.total;
    let from = series.from().to_string();
    let href = |parameter: Option<(&str, &str)>| {
        let parameters: Vec<_> = parameter.into_iter().chain([("from", &*from)]).collect();
        viewer.href(list::PATH, &parameters)
    };
    let n = total.n_decisions();
    html! {
        dl.tiles {
            (tile("Decisions", &href(None), &number(n), &by_outcome(total, href)))
            (tile("Semantic errors", &href(Some(("failed", "true"))), &number(total.n_failed),
                &html! { "with a check that failed for good, of " (share(total.n_failed, n)) }))
            (tile("Overrides", &href(Some(("override", "true"))), &number(total.n_overrides),
                &html! { "in which policy code overruled the model, of " (share(total.n_overrides, n)) }))
            (tile("Resolved", &href(Some(("resolved", "true"))), &number(total.n_resolved),
                &html! { "of " (open(total)) " that asked for a person" }))
            (tile("Overturned", &href(Some(("overturned", "true"))), &number(total.n_overturned),
                &html! {
                    "by a person, of the "
                    a href=(href(Some(("judged", "true")))) { (share(total.n_overturned, total.n_judged)) }
                    " approved or denied"
                }))
            (tile("Paid", &href(Some(("paid", "true"))), &amounts(&total.paid),
                &html! { "by " (total.n_paid) " approved expenses and credits" }))
            (tile("Model cost", &href(Some(("priced", "true"))),
                &format::amount(total.cost_usd, Currency::USD),
                &html! { "of " (total.n_priced) " decisions with a known cost" }))
        }
    }
}

fn tile(name: &str, href: &str, figure: &Markup, note: &Markup) -> Markup {
    html! {
        div {
            dt { (name) }
            dd { a href=(href) { (figure) } p.small { (note) } }
        }
    }
}

fn number(n: i64) -> Markup {
    html! { span.number { (n) } }
}

/// How many decisions there are in all, and if they are enough, which share of them `n` is, with its
/// interval.
fn share(n: i64, of: i64) -> String {
    let share = Share {
        n: u64::try_from(n).unwrap_or_default(),
        of: u64::try_from(of).unwrap_or_default(),
    };
    match share.percent() {
        Some(Percent { value, low, high }) => format!("{of}, {value} % ({low} to {high} %)"),
        None => of.to_string(),
    }
}

/// Decisions that were left open to a person.
fn open(figures: &Figures) -> i64 {
    figures.n_of(Outcome::NeedsApproval) + figures.n_of(Outcome::NeedsReview)
}

fn by_outcome(total: &Figures, href: impl Fn(Option<(&str, &str)>) -> String) -> Markup {
    html! {
        @for (outcome, n) in &total.outcomes {
            span.line { a href=(href(Some(("outcome", outcome.into())))) { (format::outcome(outcome.into())) " " (n) } }
        }
    }
}

/// Amounts by the code of their currency.
pub(super) fn amounts(by_code: &BTreeMap<String, Decimal>) -> Markup {
    let known = by_code
        .iter()
        .filter_map(|(code, amount)| Some((code.parse().ok()?, *amount)));
    let amounts: Vec<(Currency, Decimal)> = known.collect();
    html! {
        @if amounts.is_empty() { "0" }
        @for (currency, amount) in amounts { span.line { (format::amount(amount, currency)) } " " }
    }
}

/// How long the steps took, over the whole time range and part by part.
pub(super) fn steps(viewer: &Viewer, series: &Series) -> Markup {
    let from = series.from().to_string();
    let names = super::parts(series);
    let href = |step: &Step| {
        let step = step.to_string();
        viewer.href(list::PATH, &[("timed_step", &step), ("from", &from)])
    };
    html! {
        @if !series.total.durations.is_empty() {
            h3 { "Time by step" }
            div.plots {
                @for (step, durations) in &series.total.durations {
                    div {
                        (latency(series, &names, *step))
                        p.small {
                            "Half within " b { (written(durations, 50)) } ", 95 % within " b { (written(durations, 95)) }
                            ", of " a href=(href(step)) { (durations.len()) }
                        }
                    }
                }
            }
        }
    }
}

fn written(durations: &Durations, per_cent: u8) -> String {
    format::micros(percentile(durations, per_cent))
}

fn percentile(durations: &Durations, per_cent: u8) -> i64 {
    let micros = durations.percentile(per_cent);
    micros
        .and_then(|micros| i64::try_from(micros).ok())
        .unwrap_or_default()
}

/// The percentiles of a step, part by part.
fn latency(series: &Series, names: &[String], step: Step) -> Markup {
    let values = |per_cent| {
        let parts = series
            .parts
            .iter()
            .map(|figures| figures.durations.get(&step));
        parts.map(move |durations| durations.map_or(0, |durations| percentile(durations, per_cent)))
    };
    Plot {
        title: &step.to_string().replace('_', " "),
        parts: names,
        series: vec![
            plot::Series {
                name: "95 % within",
                class: "p95",
                values: values(95).collect(),
            },
            plot::Series {
                name: "half within",
                class: "p50",
                values: values(50).collect(),
            },
        ],
        is_stacked: false,
        written: format::micros,
    }
    .draw()
}

/// What waits for a person, and since when, however long ago it was received.
///
/// # Errors
/// When the ledger cannot be read.
pub(super) async fn waiting(ledger: &Ledger, viewer: &Viewer) -> Result<Markup, LedgerError> {
    let tenant_id = &viewer.identity.tenant_id;
    let counts = ledger.waiting_by_role(tenant_id).await?;
    let mut rows = Vec::new();
    for role in Role::iter() {
        let n = counts.get(&role).copied().unwrap_or_default();
        let first = PageRequest {
            after: None,
            limit: 1,
        };
        let oldest = match n {
            0 => None,
            _ => ledger
                .waiting(tenant_id, None, &[role], first)
                .await?
                .decisions
                .into_iter()
                .next(),
        };
        rows.extend(oldest.map(|oldest| (role.to_string(), n, oldest.decision)));
    }
    Ok(html! {
        h3 { "Waiting for a person" }
        @if rows.is_empty() { p.muted { "Nothing waits." } }
        @else {
            div.scroll { table {
                thead { tr { th { "Role, at least" } th.number { "Decisions" } th { "The oldest was received" } } }
                tbody {
                    @for (role, n, oldest) in rows {
                        tr {
                            td { a href=(viewer.href(list::PATH, &[("pending", &role)])) { (role) } }
                            td.number { @if n > MAX_COUNTED { "more than " (MAX_COUNTED) } @else { (n) } }
                            td {
                                a href=(head::path(viewer, oldest.id, &[])) { (format::time(oldest.received_at)) }
                            }
                        }
                    }
                }
            } }
        }
    })
}
