//! One decision: its head, the tree of its run, the arithmetic of the policy, the evidence, and its
//! history. An open decision can be resolved here; `resolve` has the form.

pub(super) mod evidence;
pub(super) mod feedback;
pub(super) mod head;
pub(super) mod history;
pub(super) mod policy;
mod rows;
pub(super) mod tree;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use crate::domain::body::uuid;
use crate::domain::decision::Decision;
use crate::http::expenses::find;
use crate::ledger::StoredDecision;
use crate::ledger::related;
use crate::page::failure::Failure;
use crate::page::form::FormFields;
use crate::page::layout::document;
use crate::page::resolve::act::{self, Refused};
use crate::page::resolve::form::{Form, Offers, form};
use crate::page::viewer::Viewer;
use crate::page::{PageState, list};

/// The parameters of the view.
#[derive(Deserialize)]
pub(super) struct Parameters {
    /// The person who acts, where the key belongs to no single person.
    actor: Option<String>,
}

/// The forms of the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Resolution,
    Feedback,
}

/// What a click led to, when it did nothing.
struct Told<'a> {
    form: Sent,
    refused: Refused,
    typed: &'a FormFields,
}

/// `GET /ui/decisions/{id}`
pub(super) async fn show(
    State(page): State<PageState>,
    viewer: Viewer,
    Path(id): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Result<Markup, Failure> {
    render(&page, &viewer, &id, parameters.actor.as_deref(), None).await
}

/// `GET /ui/decisions/{id}/json`: the body that the API shows, for a browser, which has no API key.
pub(super) async fn json(
    State(page): State<PageState>,
    viewer: Viewer,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let id = find(&page.app, &viewer.identity, &id).await?.decision.id;
    let path = format!("/v1/expenses/{id}");
    let answer = page
        .api
        .send(&viewer, Method::GET, &path, &Value::Null)
        .await?;
    Ok((answer.status, Json(answer.body)))
}

/// `GET` of an address that a form was sent to, for a person who reloads or opens it: the decision.
pub(super) async fn back(viewer: Viewer, Path(id): Path<String>) -> Result<Redirect, Failure> {
    let id = uuid(&id).ok_or_else(|| Failure::not_found("There is no such decision"))?;
    Ok(Redirect::to(&head::path(&viewer, id, &[])))
}

/// `POST /ui/decisions/{id}/resolution`
pub(super) async fn resolve(
    State(page): State<PageState>,
    viewer: Viewer,
    Path(id): Path<String>,
    fields: FormFields,
) -> Result<Response, Failure> {
    let stored = find(&page.app, &viewer.identity, &id).await?;
    let seen = fields.get("state").unwrap_or_default();
    let result = act::resolve(&page, &viewer, stored.decision.id, seen, &fields).await?;
    answer(&page, &viewer, &stored, Sent::Resolution, result, &fields).await
}

/// `POST /ui/decisions/{id}/feedback`
pub(super) async fn give_feedback(
    State(page): State<PageState>,
    viewer: Viewer,
    Path(id): Path<String>,
    fields: FormFields,
) -> Result<Response, Failure> {
    let stored = find(&page.app, &viewer.identity, &id).await?;
    let result = feedback::give(&page, &viewer, &stored, &fields).await?;
    answer(&page, &viewer, &stored, Sent::Feedback, result, &fields).await
}

/// Sends the browser on to what came of a form, or shows the form again with what is wrong.
async fn answer(
    page: &PageState,
    viewer: &Viewer,
    stored: &StoredDecision,
    form: Sent,
    result: Result<(), Refused>,
    typed: &FormFields,
) -> Result<Response, Failure> {
    let id = stored.decision.id;
    let actor = typed.get("actor");
    let Err(refused) = result else {
        let parameters = Vec::from_iter(actor.map(|actor| ("actor", actor)));
        let mut target = head::path(viewer, id, &parameters);
        if form == Sent::Feedback {
            target.push_str("#feedback");
        }
        return Ok(Redirect::to(&target).into_response());
    };
    let status = refused.status;
    let told = Told {
        form,
        refused,
        typed,
    };
    let view = render(page, viewer, &id.to_string(), actor, Some(told)).await?;
    Ok((status, view).into_response())
}

async fn render(
    page: &PageState,
    viewer: &Viewer,
    id: &str,
    actor: Option<&str>,
    told: Option<Told<'_>>,
) -> Result<Markup, Failure> {
    let ledger = &page.app.agent.ledger;
    let stored = find(&page.app, &viewer.identity, id).await?;
    let decision = &stored.decision;
    let state = ledger.state(&decision.tenant_id, decision.id).await?;
    let related = ledger.related(decision, viewer.identity.own_only()).await?;
    let given = ledger.feedback(&stored).await?;
    let offers = Offers::of(page, viewer, &stored, actor).await?;
    let policies = &page.app.rulebook(&decision.tenant_id).policies;
    let content = html! {
        (head::head(&stored, viewer))
        (refusal(told.as_ref(), Sent::Resolution))
        @if let Some(offers) = &offers {
            (form(offers, &Form {
                action: head::path_below(viewer, decision.id, "resolution"),
                stored: &stored,
                state: state.to_string(),
                actor,
                typed: typed(told.as_ref(), Sent::Resolution),
            }, viewer))
        }
        (head::facts(&stored))
        section { h2 #tree { "Tree" } (tree::tree(decision)) }
        section { h2 #policy { "Policy" } (policy::section(decision, policies)) }
        section { h2 #evidence { "Evidence" } (evidence::section(decision, policies)) }
        section {
            h2 #feedback { "Feedback" }
            (refusal(told.as_ref(), Sent::Feedback))
            (feedback::section(&stored, &given, viewer, policies, (actor, typed(told.as_ref(), Sent::Feedback))))
        }
        section { h2 #history { "History" } (history::section(&stored, &related, viewer)) }
        section { h2 #links { "Links" } (links(page, viewer, decision, &state)) }
    };
    let title = format!("{} {}", decision.outcome, decision.expense.amount);
    Ok(document(page, viewer, list::PATH, &title, &content))
}

/// The decision in a trace viewer, as JSON, and in the hash chain.
fn links(page: &PageState, viewer: &Viewer, decision: &Decision, state: &related::State) -> Markup {
    let is_kept = page.app.sampling.keeps(decision);
    let trace_url = page.app.config.trace_url.as_ref().filter(|_| is_kept);
    html! {
        dl {
            dt { "Trace" }
            dd {
                @match trace_url {
                    Some(url) => { a href=(url.of(&decision.trace_id)) { code { (decision.trace_id) } } }
                    None => { code { (decision.trace_id) } }
                }
                @if !is_kept { span.muted { " (not kept: sampling left it out)" } }
            }
            dt { "Record" }
            dd { a href=(head::path_below(viewer, decision.id, "json")) { "JSON" } }
            dt { "Hash of the latest record" }
            dd {
                @match &state.record_hash {
                    Some(hash) => { code { (hash) } }
                    None => { span.muted { "none: the decision is older than the hash chain" } }
                }
            }
        }
    }
}

/// What is wrong with a form that was sent.
fn refusal(told: Option<&Told<'_>>, form: Sent) -> Markup {
    let told = told.filter(|told| told.form == form);
    html! {
        @if let Some(told) = told { p.notice.failed role="alert" { (told.refused.words) "." } }
    }
}

/// What was typed into a form that was refused.
fn typed<'a>(told: Option<&Told<'a>>, form: Sent) -> Option<&'a FormFields> {
    told.filter(|told| told.form == form).map(|told| told.typed)
}
