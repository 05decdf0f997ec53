//! The view "Overview": a form to try an expense, a button that posts the transactions of the demo, what
//! happened in the last hours, and the latest decisions. What the forms do is in `posting`.

use axum::extract::{Query, State};
use maud::{Markup, html};
use serde::Deserialize;
use uuid::Uuid;

use crate::domain::body::{MAX_ID_CHARS, MAX_TEXT_CHARS};
use crate::domain::submission::MAX_MERCHANT_CHARS;
use crate::ledger::PageRequest;
use crate::ledger::search::Search;
use crate::page::fact_fields::{self, COMMON};
use crate::page::failure::Failure;
use crate::page::form::FormFields;
use crate::page::layout::document;
use crate::page::viewer::Viewer;
use crate::page::{PageState, figures, list, live, rows};

/// The path of the view.
pub(super) const PATH: &str = "/ui/";
/// Where the form of one expense is sent.
pub(super) const EXPENSE_PATH: &str = "/ui/expense";
/// Where the button of the demo is sent.
pub(super) const DEMO_PATH: &str = "/ui/demo";
/// The latest decisions that are shown.
const N_LATEST: u32 = 10;
/// The receipts that an expense can have, and how the form calls them.
const RECEIPTS: [(&str, &str); 3] = [
    ("", "none"),
    ("true", "attached"),
    ("itemized", "attached, lists every item"),
];
/// The flight of the README, which is denied.
const FLIGHT: [(&str, &str); 3] = [
    ("transaction", "Flight to Chicago, $650"),
    ("amount", "650.00"),
    ("currency", "USD"),
];

/// The parameters of the URL.
#[derive(Deserialize)]
pub(super) struct Chosen {
    /// The time range of the figures.
    range: Option<String>,
}

/// `GET /ui/`
pub(super) async fn show(
    State(page): State<PageState>,
    viewer: Viewer,
    Query(chosen): Query<Chosen>,
) -> Result<Markup, Failure> {
    let flight = FLIGHT.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let form = FormFields(flight.to_vec());
    draw(&page, &viewer, &form, None, chosen.range.as_deref()).await
}

/// The view with these values in the form, with what is wrong with them, and with the figures of a
/// time range.
pub(super) async fn draw(
    page: &PageState,
    viewer: &Viewer,
    form: &FormFields,
    refusal: Option<&str>,
    range: Option<&str>,
) -> Result<Markup, Failure> {
    let figures = figures::section(page, viewer, range).await?;
    let identity = &viewer.identity;
    let ledger = &page.app.agent.ledger;
    let n_known = ledger.chain_length(&identity.tenant_id).await?;
    let newest = PageRequest {
        after: None,
        limit: N_LATEST,
    };
    let everything = Search::default();
    let latest = ledger
        .search(
            &identity.tenant_id,
            identity.own_only(),
            &everything,
            newest,
        )
        .await?;
    let content = html! {
        h1 { "Overview" }
        div.start {
            (expense_form(viewer, form, refusal))
            (demo(page, viewer))
        }
        (figures)
        div.bar {
            h2 { "Latest decisions" }
            // The answer to a form has no address from which the script could draw it again.
            @if refusal.is_none() {
                (live::announcement(viewer, &[("limit", &N_LATEST.to_string())], n_known))
            }
        }
        div #rows {
            @if latest.decisions.is_empty() { (rows::none("There are no decisions yet.")) }
            @else { (rows::table(viewer, &latest.decisions)) }
        }
        p { a href=(viewer.href(list::PATH, &[])) { "All decisions" } }
    };
    Ok(document(page, viewer, PATH, "Overview", &content))
}

fn expense_form(viewer: &Viewer, form: &FormFields, refusal: Option<&str>) -> Markup {
    let more = ["date", "trip_id", "user_id", "mcc", "receipt"];
    let facts = COMMON.map(<&str>::from);
    let has_more = more
        .iter()
        .chain(&facts)
        .any(|name| form.get(name).is_some());
    let field = |label: &str, name: &str, class: Option<&str>, max_chars: usize| {
        html! {
            label class=[class] {
                (label)
                input name=(name) value=[form.get(name)] maxlength=(max_chars);
            }
        }
    };
    html! {
        section.panel {
            h2 #try { "Try an expense" }
            @if let Some(refusal) = refusal { p.notice.failed role="alert" { (refusal) } }
            form method="post" action=(viewer.href(EXPENSE_PATH, &[])) data-once aria-labelledby="try" {
                input type="hidden" name="key" value=(Uuid::new_v4());
                div.fields {
                    label.wide {
                        "What was bought"
                        input name="transaction" value=[form.get("transaction")] maxlength=(MAX_TEXT_CHARS) required;
                    }
                }
                div.fields {
                    label.short { "Amount" input name="amount" value=[form.get("amount")] inputmode="decimal" required; }
                    label.short { "Currency" input name="currency" value=[form.get("currency")] maxlength="3"; }
                    (field("Merchant", "merchant", Some("wide"), MAX_MERCHANT_CHARS))
                    button.primary { "Decide" }
                }
                details open[has_more] {
                    summary { "More fields" }
                    div.fields {
                        (field("Employee", "user_id", None, MAX_ID_CHARS))
                        label { "Date" input type="date" name="date" value=[form.get("date")]; }
                        (field("Trip", "trip_id", None, MAX_ID_CHARS))
                        (field("Merchant category code", "mcc", None, 4))
                        label {
                            "Receipt"
                            select name="receipt" {
                                @for (value, words) in RECEIPTS {
                                    option value=(value) selected[form.get("receipt") == Some(value)] { (words) }
                                }
                            }
                        }
                    }
                    div.fields { @for name in COMMON { (fact_fields::field(name, form)) } }
                }
            }
        }
    }
}

/// The button for the demo, and how to see failures when the model makes none.
fn demo(page: &PageState, viewer: &Viewer) -> Markup {
    html! {
        section.panel {
            h2 #demo { "Demo" }
            p { "Forty expenses of a small company: most are approved, some are denied or wait for a person." }
            form method="post" action=(viewer.href(DEMO_PATH, &[])) data-once aria-labelledby="demo" {
                input type="hidden" name="key" value=(Uuid::new_v4());
                button { "Post the forty of the demo" }
            }
            @if page.is_faultless {
                p.muted.small {
                    "The offline model makes no mistakes. To see how they are found, start the service with "
                    code { "--model-fault misclassify:0.12" }
                    ", and post the forty again."
                }
            }
        }
    }
}
