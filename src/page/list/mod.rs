//! The view "Decisions": a tenant's decisions, newest first, that pass the filters of the URL. Which
//! parameters there are is in `page::search`, the form that fills them in `filters`, the same list as a
//! file in `export`.

pub(super) mod export;
mod filters;

use axum::extract::{Query, State};
use maud::{Markup, html};
use uuid::Uuid;

use crate::ledger::search::{Found, Stopped};
use crate::page::failure::Failure;
use crate::page::layout::document;
use crate::page::viewer::Viewer;
use crate::page::{PageState, format, live, rows, search};

/// The path of the view.
pub(super) const PATH: &str = "/ui/decisions";

/// The most decisions on a page, so that it stays small.
const MAX_ROWS: u32 = 50;

/// The parameters that say which page of the list is shown; the others are filters.
const OF_PAGE: [&str; 2] = ["cursor", "limit"];

/// The parameters of a list, without empty ones.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn new(parameters: Vec<(String, String)>) -> Self {
        let is_given = |(name, value): &(String, String)| name != "tenant" && !value.is_empty();
        Self(parameters.into_iter().filter(is_given).collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(given, _)| given == name);
        values.next().map(|(_, value)| value.as_str())
    }

    /// The filters: all parameters but those of a page, and but this one.
    fn filters_but<'a>(&'a self, name: &str) -> Vec<(&'a str, &'a str)> {
        let filters = self.0.iter();
        filters
            .filter(|(given, _)| !OF_PAGE.contains(&given.as_str()) && given != name)
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }

    fn filters(&self) -> Vec<(&str, &str)> {
        self.filters_but("cursor")
    }
}

/// `GET /ui/decisions`
pub(super) async fn show(
    State(page): State<PageState>,
    viewer: Viewer,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Markup, Failure> {
    let (wanted, mut range) = search::parse(&parameters)?;
    range.limit = range.limit.min(MAX_ROWS);
    let parameters = Parameters::new(parameters);
    let identity = &viewer.identity;
    let ledger = &page.app.agent.ledger;
    // Before the list is read, so that nothing which is recorded meanwhile is missed.
    let n_known = ledger.chain_length(&identity.tenant_id).await?;
    let found = ledger
        .search(&identity.tenant_id, identity.own_only(), &wanted, range)
        .await?;
    let content = html! {
        div.bar {
            h1 { "Decisions" }
            @if range.after.is_none() {
                (live::announcement(&viewer, &parameters.filters(), n_known))
            }
        }
        (filters::form(&page, &viewer, &parameters))
        (filters::chips(&viewer, &parameters))
        div #rows {
            @if found.decisions.is_empty() { (rows::none(nothing(&parameters, &found))) }
            @else { (rows::table(&viewer, &found.decisions)) }
            @if let Some(stopped) = &found.stopped { (how_far(stopped)) }
        }
        div.bar { (pager(&viewer, &parameters, &found)) (export::links(&viewer, &parameters)) }
    };
    Ok(document(&page, &viewer, PATH, "Decisions", &content))
}

/// Why the list is empty.
fn nothing(parameters: &Parameters, found: &Found) -> &'static str {
    if found.next.is_some() {
        "None of the decisions compared so far matches."
    } else if parameters.0.is_empty() {
        "There are no decisions yet. Post an expense on the overview."
    } else {
        "No decision matches."
    }
}

/// How far a search looked that stopped before the end.
fn how_far(stopped: &Stopped) -> Markup {
    html! {
        p.muted {
            "Compared " (stopped.n_compared) " decisions, back to " (format::time(stopped.received_at))
            ". Go on to compare older ones."
        }
    }
}

/// Links to the first page and to the next one.
fn pager(viewer: &Viewer, parameters: &Parameters, found: &Found) -> Markup {
    let page_after = |cursor: Uuid| {
        let cursor = cursor.to_string();
        let mut next = parameters.filters();
        next.push(("cursor", &cursor));
        if let Some(limit) = parameters.get("limit") {
            next.push(("limit", limit));
        }
        viewer.href(PATH, &next)
    };
    html! {
        p.pager {
            @if parameters.get("cursor").is_some() {
                a href=(viewer.href(PATH, &parameters.filters())) { "Newest" } " "
            }
            @if let Some(next) = found.next {
                a rel="next" href=(page_after(next)) {
                    @if found.stopped.is_some() { "Go on" } @else { "Older" }
                }
            }
        }
    }
}
