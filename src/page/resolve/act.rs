//! Sending the form: it becomes a request to the API, unless the decision changed since the person saw it.

use axum::http::{Method, StatusCode};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::domain::resolution::Resolution;
use crate::http::expenses::find;
use crate::ledger::StoredDecision;
use crate::page::PageState;
use crate::page::failure::Failure;
use crate::page::form::FormFields;
use crate::page::format;
use crate::page::viewer::Viewer;
use crate::spelling::is_same_person;

/// The fields of every resolution, as the API names them.
const FIELDS: [&str; 4] = ["action", "role", "actor", "reason"];
/// Those of an approval alone. The form has them whatever button is pressed.
const OF_APPROVAL: [&str; 2] = ["amount", "category"];

/// Why a form that was sent had no effect.
#[derive(Clone, Debug)]
pub(in crate::page) struct Refused {
    /// The status of the answer.
    pub(in crate::page) status: StatusCode,
    /// What happened, without a final stop.
    pub(in crate::page) words: String,
}

/// Resolves a decision as the fields of a form say. `seen` is the state of the decision when the person
/// saw it.
pub(in crate::page) async fn resolve(
    page: &PageState,
    viewer: &Viewer,
    id: Uuid,
    seen: &str,
    fields: &FormFields,
) -> Result<Result<(), Refused>, Failure> {
    let ledger = &page.app.agent.ledger;
    let tenant_id = &viewer.identity.tenant_id;
    let stored = match find(&page.app, &viewer.identity, &id.to_string()).await {
        Ok(stored) => stored,
        Err(problem) => {
            return Ok(Err(Refused {
                status: problem.code.status(),
                words: problem.detail,
            }));
        }
    };
    let now = ledger.state(tenant_id, stored.decision.id).await?;
    // A form that is sent twice finds what it did itself; the API repeats its answer.
    let actor = viewer.identity.actor(fields.get("actor"));
    let mut acts = stored.acts();
    let has_acted = acts.any(|act| is_same_person(&act.actor, actor));
    if stored.resolution.is_none() && !has_acted && now.to_string() != seen {
        return Ok(Err(Refused {
            status: StatusCode::CONFLICT,
            words: changed(&stored),
        }));
    }
    let is_approval = fields.get("action") == Some("approve");
    let of_approval = OF_APPROVAL.into_iter().filter(|_| is_approval);
    let body: Map<String, Value> = FIELDS
        .into_iter()
        .chain(of_approval)
        .filter_map(|name| {
            // Browsers send every line break as two characters, and count it as one.
            let value = fields.get(name)?.replace("\r\n", "\n");
            Some((name.to_owned(), value.into()))
        })
        .collect();
    let path = format!("/v1/expenses/{id}/resolution");
    let answer = page
        .api
        .send(viewer, Method::POST, &path, &body.into())
        .await?;
    if answer.status.is_success() {
        return Ok(Ok(()));
    }
    // Read again: another person may have resolved it between the check above and this answer.
    let now = find(&page.app, &viewer.identity, &id.to_string()).await;
    let resolution = now.ok().and_then(|stored| stored.resolution);
    let words = resolution.map_or(answer.problem(), |resolution| {
        format!("{}: {}", answer.problem(), resolved_words(&resolution))
    });
    Ok(Err(Refused {
        status: answer.status,
        words,
    }))
}

/// What happened to an open decision since it was shown.
fn changed(stored: &StoredDecision) -> String {
    let what = match stored.superseded_by {
        Some(_) => "the expense was decided anew, so the newer decision is the one to resolve",
        None => {
            "another person approved it, feedback was given, or a credit came; look at it as it is now, and \
             send the form again if you still want to"
        }
    };
    format!("Nothing was recorded. This decision changed since you opened it: {what}")
}

/// A resolution in a sentence without its final stop.
pub(in crate::page) fn resolved_words(resolution: &Resolution) -> String {
    let role = resolution.role.map(|role| format!(", as {role}"));
    let exceptions = match resolution.exceptions.as_slice() {
        [] => String::new(),
        rules => format!(", setting aside {}", rules.join(", ")),
    };
    let awaits = match resolution.awaits.first() {
        Some(role) => format!(", now waits for {role}"),
        None => String::new(),
    };
    format!(
        "{} by {}{}{exceptions} at {}{awaits}",
        format::resolved(resolution.action),
        resolution.actor,
        role.unwrap_or_default(),
        resolution.resolved_at.strftime("%Y-%m-%d %H:%M UTC")
    )
}
