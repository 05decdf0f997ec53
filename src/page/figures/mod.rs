//! The figures of the overview: how many decisions ended how, how often the reasoning failed or a
//! person disagreed, what is paid, how long the steps took, and what waits for whom. Each figure links to
//! the list that it counts. They are kept by the hour in `ledger::figures`; looking at them is what
//! brings them up to date.

mod tiles;

use std::sync::Arc;

use maud::{Markup, html};
use strum::VariantArray;

use crate::domain::figures::{Figures, Series, TimeRange};
use crate::domain::money::{Currency, to_minor};
use crate::domain::ruling::Outcome;
use crate::error_chain::error_chain;
use crate::ledger::{Counted, LedgerError};
use crate::page::failure::Failure;
use crate::page::plot::{self, Plot};
use crate::page::viewer::Viewer;
use crate::page::{PageState, format, list};

/// Records that are counted at a time: decoding them takes a few milliseconds.
const RECORDS_AT_ONCE: u32 = 200;
/// How often that is done before an answer; the rest is counted after it.
const TIMES_BEFORE_ANSWER: usize = 2;
/// Currencies of which the payments are drawn.
const DRAWN_CURRENCIES: usize = 3;

/// The figures of the time range that the parameter `range` of the URL names.
///
/// # Errors
/// When the ledger cannot be read.
pub(super) async fn section(
    page: &PageState,
    viewer: &Viewer,
    range: Option<&str>,
) -> Result<Markup, Failure> {
    if viewer.identity.own_only().is_some() {
        return Ok(html! {});
    }
    let range = range
        .and_then(|range| range.parse().ok())
        .unwrap_or(TimeRange::Day);
    let tenant_id = &viewer.identity.tenant_id;
    let counted = count(page, tenant_id).await?;
    let ledger = &page.app.agent.ledger;
    let series = ledger
        .figures(tenant_id, range, page.app.clock.now())
        .await?;
    let waiting = tiles::waiting(ledger, viewer).await?;
    Ok(html! {
        section.figures aria-labelledby="figures" {
            div.bar {
                h2 #figures { "Decisions of the last " (words(range)) }
                nav aria-label="Time range" { (ranges(viewer, range)) }
            }
            (age(&series, counted))
            (tiles::all(viewer, &series))
            (waiting)
            (plots(&series))
            (tiles::steps(viewer, &series))
            (table(viewer, &series))
        }
    })
}

fn words(range: TimeRange) -> &'static str {
    match range {
        TimeRange::Day => "24 hours",
        TimeRange::Week => "7 days",
        TimeRange::Month => "30 days",
    }
}

fn ranges(viewer: &Viewer, chosen: TimeRange) -> Markup {
    html! {
        @for range in TimeRange::VARIANTS {
            a href=(viewer.href("/ui/", &[("range", &range.to_string())]))
                aria-current=[(*range == chosen).then_some("true")] { (words(*range)) }
        }
    }
}

/// Counts what was recorded since the last look, some of it at once and the rest in the background. A
/// ledger that cannot be written to leaves the figures as old as they are.
async fn count(page: &PageState, tenant_id: &str) -> Result<Counted, LedgerError> {
    let ledger = &page.app.agent.ledger;
    for _ in 0..TIMES_BEFORE_ANSWER {
        match ledger.count(tenant_id, RECORDS_AT_ONCE).await {
            Ok(counted) if counted.n_behind() <= 0 => return Ok(counted),
            Ok(_) => {}
            Err(error) => {
                let error = error_chain(&error);
                tracing::warn!(error, "the figures of the overview are not up to date");
                return ledger.counted(tenant_id).await;
            }
        }
    }
    count_in_background(page.clone(), tenant_id.to_owned());
    ledger.counted(tenant_id).await
}

/// Counts the rest, unless a task counts already: one at a time leaves most of the processors to the
/// decisions. The task ends when everything is counted, when the ledger fails, or when the service
/// stops; the next look at the figures continues.
fn count_in_background(page: PageState, tenant_id: String) {
    let Ok(permit) = Arc::clone(&page.counting).try_acquire_owned() else {
        return;
    };
    tokio::spawn(async move {
        let _permit = permit;
        while !page.app.is_draining() {
            match page
                .app
                .agent
                .ledger
                .count(&tenant_id, RECORDS_AT_ONCE)
                .await
            {
                Ok(counted) if counted.n_behind() > 0 => tokio::task::yield_now().await,
                Ok(_) | Err(_) => return,
            }
        }
    });
}

/// From when on the figures count, and up to when.
fn age(series: &Series, counted: Counted) -> Markup {
    html! {
        p.muted.small {
            "Received since " (format::time(series.from())) ", whenever they were resolved. "
            "Hours and days are in UTC. "
            @if counted.n_behind() <= 0 { "Counted just now." }
            @else {
                "Counted up to "
                @match counted.last_at { Some(at) => (format::time(at)), None => "the beginning" }
                "; " (counted.n_behind()) " newer records are being counted. Reload the page to see them."
            }
        }
    }
}

/// The names of the parts of a series.
fn parts(series: &Series) -> Vec<String> {
    let pattern = match series.range {
        TimeRange::Day => "%H:%M",
        TimeRange::Week | TimeRange::Month => "%b %-d",
    };
    series
        .begins()
        .map(|begin| begin.strftime(pattern).to_string())
        .collect()
}

fn plots(series: &Series) -> Markup {
    let names = parts(series);
    let values = |value: &dyn Fn(&Figures) -> i64| series.parts.iter().map(value).collect();
    let part = match series.range {
        TimeRange::Day => "hour",
        TimeRange::Week | TimeRange::Month => "day",
    };
    let outcomes = [
        (Outcome::Approved, "approved"),
        (Outcome::NeedsApproval, "needs approval"),
        (Outcome::Denied, "denied"),
        (Outcome::NeedsReview, "needs review"),
    ];
    let by_outcome = outcomes.map(|(outcome, name)| plot::Series {
        name,
        class: outcome.into(),
        values: values(&|figures| figures.n_of(outcome)),
    });
    let failed = plot::Series {
        name: "semantic errors",
        class: "failure",
        values: values(&|figures| {
            let per_mille = (figures.n_failed * 1000).checked_div(figures.n_decisions());
            per_mille.unwrap_or_default()
        }),
    };
    let title = format!("Decisions per {part}");
    let error_title = format!("Semantic errors per {part}, share of the decisions");
    html! {
        div.plots {
            (Plot { title: &title, parts: &names, series: by_outcome.into(), is_stacked: true, written: |n| n.to_string() }.draw())
            (Plot { title: &error_title, parts: &names, series: vec![failed], is_stacked: true, written: format::per_mille }.draw())
            @for code in drawn_currencies(series) { (paid(series, &names, part, code)) }
        }
    }
}

/// Amounts in different currencies cannot be compared, so the first currencies by code are drawn; the
/// tile shows all of them.
fn drawn_currencies(series: &Series) -> impl Iterator<Item = &String> {
    let paid = series
        .total
        .paid
        .iter()
        .filter(|(_, amount)| !amount.is_zero());
    paid.map(|(code, _)| code).take(DRAWN_CURRENCIES)
}

fn paid(series: &Series, names: &[String], part: &str, code: &str) -> Markup {
    let Ok(currency) = code.parse::<Currency>() else {
        return html! {};
    };
    // Whole units: the plot shows proportions, and the table the amounts.
    let amounts = series.parts.iter().map(|figures| {
        let amount = figures.paid.get(code).copied().unwrap_or_default();
        to_minor(amount, currency) / 10_i64.pow(currency.minor_digits())
    });
    let title = format!("Paid per {part}, {code}");
    let series = plot::Series {
        name: "paid",
        class: "paid",
        values: amounts.collect(),
    };
    Plot {
        title: &title,
        parts: names,
        series: vec![series],
        is_stacked: true,
        written: |n| n.to_string(),
    }
    .draw()
}

/// The numbers of the plots, each part a link to its list.
fn table(viewer: &Viewer, series: &Series) -> Markup {
    let begins: Vec<_> = series.begins().collect();
    let link = |part: usize| {
        let from = begins[part].to_string();
        let until = begins.get(part + 1).map(ToString::to_string);
        let mut period = vec![("from", &*from)];
        period.extend(until.as_deref().map(|until| ("until", until)));
        viewer.href(list::PATH, &period)
    };
    html! {
        details {
            summary { "The plots as a table" }
            div.scroll {
                table {
                    thead {
                        tr {
                            th { "From (UTC)" }
                            @for name in ["Approved", "Needs approval", "Denied", "Needs review", "Semantic errors", "Overrides"] {
                                th.number { (name) }
                            }
                            th.amount { "Paid" }
                        }
                    }
                    tbody {
                        @for (part, figures) in series.parts.iter().enumerate() {
                            @if figures.n_decisions() > 0 {
                                tr {
                                    td { a href=(link(part)) { (begins[part].strftime("%Y-%m-%d %H:%M")) } }
                                    @for outcome in [Outcome::Approved, Outcome::NeedsApproval, Outcome::Denied, Outcome::NeedsReview] {
                                        td.number { (figures.n_of(outcome)) }
                                    }
                                    td.number.failed[figures.n_failed > 0] { (figures.n_failed) }
                                    td.number { (figures.n_overrides) }
                                    td.amount { (tiles::amounts(&figures.paid)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
