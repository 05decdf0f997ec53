//! Posting expenses from the overview: one that a person typed, or the forty of the demo. Both are
//! requests to the API. The forms hold an idempotency key, so that a form that is sent twice has one
//! effect, and the browser is sent on to what came of it, so that reloading sends nothing.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Map, Value, json};
use tokio::time::timeout;
use uuid::Uuid;

use crate::demo::transactions;
use crate::domain::body::uuid;
use crate::page::api::Api;
use crate::page::decision::head;
use crate::page::fact_fields;
use crate::page::failure::Failure;
use crate::page::form::FormFields;
use crate::page::viewer::Viewer;
use crate::page::{PageState, list, overview};

/// The fields of the form that become fields of the expense.
const TEXTS: [&str; 8] = [
    "transaction",
    "amount",
    "currency",
    "merchant",
    "mcc",
    "date",
    "trip_id",
    "user_id",
];

/// `POST /ui/expense`: decides an expense and opens its tree.
pub(super) async fn expense(
    State(page): State<PageState>,
    viewer: Viewer,
    form: FormFields,
) -> Result<Response, Failure> {
    let mut expense: Map<String, Value> = TEXTS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), form.get(name)?.into())))
        .collect();
    if let Some(receipt) = form.get("receipt") {
        let receipt = match receipt {
            "true" => true.into(),
            word => word.into(),
        };
        expense.insert("receipt".to_owned(), receipt);
    }
    for name in fact_fields::COMMON {
        if let Some(text) = form.get(name.into()) {
            let value = name.declaration().form.json_of_text(text);
            expense.insert(name.to_string(), value);
        }
    }
    let key = idempotency_key("try", run(&form));
    let answer = page.api.send_expense(&viewer, key, &expense.into()).await?;
    if let Some(id) = answer.body["id"].as_str().and_then(uuid)
        && answer.status.is_success()
    {
        return Ok(Redirect::to(&head::path(&viewer, id, &[])).into_response());
    }
    let view = overview::draw(&page, &viewer, &form, Some(&answer.problem()), None).await?;
    Ok((answer.status, view).into_response())
}

/// `POST /ui/demo`: posts the transactions of the demo, with employees of their own, because those of
/// an earlier run have used up their caps. They are posted one after the other, so that the faults of
/// the offline model hit the same ones in every run. With a slow model this takes longer than a
/// browser waits; the rest is then posted in the background, and the live list announces it.
pub(super) async fn demo(
    State(page): State<PageState>,
    viewer: Viewer,
    form: FormFields,
) -> Result<Response, Failure> {
    let list = viewer.href(list::PATH, &[]);
    let wait = page.app.config.deadline / 2;
    let api = page.api.clone();
    let app = Arc::clone(&page.app);
    let posting = async move {
        tokio::select! {
            posted = post_demo(&api, &viewer, run(&form)) => posted,
            // The decision in progress is finished; the others would hold the drain.
            () = app.stopping.cancelled() => Ok(()),
        }
    };
    let posting = page.app.decisions.spawn(posting);
    if let Ok(posted) = timeout(wait, posting).await {
        posted.map_err(|error| Failure::of_error(&error))??;
    }
    Ok(Redirect::to(&list).into_response())
}

/// Posts the transactions of the demo until one is refused.
async fn post_demo(api: &Api, viewer: &Viewer, run: Uuid) -> Result<(), Failure> {
    let run_id = run.simple().to_string();
    let submissions = transactions(Some(&run_id[..8]));
    let submissions = submissions.map_err(|error| Failure::of_error(&error))?;
    for (n_decided, submission) in submissions.iter().enumerate() {
        let key = idempotency_key(&format!("demo-{n_decided}"), run);
        let expense = json!(submission);
        let answer = api.send_expense(viewer, key, &expense).await?;
        if !answer.status.is_success() {
            let n_refused = submissions.len() - n_decided;
            let detail = format!(
                "{n_refused} of {} were not decided: {}",
                submissions.len(),
                answer.problem()
            );
            let title = "The demo could not be posted";
            return Err(Failure::new(answer.status, title, detail));
        }
    }
    Ok(())
}

/// The id of one sending of a form, which the form holds.
fn run(form: &FormFields) -> Uuid {
    let given = form.get("key").and_then(uuid);
    given.unwrap_or_else(Uuid::new_v4)
}

fn idempotency_key(what: &str, run: Uuid) -> HeaderValue {
    HeaderValue::from_str(&format!("{what}-{run}")).expect("a UUID is ASCII")
}
