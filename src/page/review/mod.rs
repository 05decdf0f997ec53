//! The review queue: the open decisions of a role, the oldest first, and beside it everything that is
//! needed to resolve one of them. Several can be resolved with one reason; each is a request of its own,
//! judged by itself.

mod item;
mod queue;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use uuid::Uuid;

use crate::domain::body::uuid;
use crate::domain::ruling::Role;
use crate::http::expenses::find;
use crate::ledger::StoredDecision;
use crate::page::PageState;
use crate::page::decision::head;
use crate::page::failure::Failure;
use crate::page::form::FormFields;
use crate::page::format;
use crate::page::layout::document;
use crate::page::resolve::act::{self, Refused, resolved_words};
use crate::page::viewer::Viewer;
use queue::Queue;

/// The path of the view.
pub(super) const PATH: &str = "/ui/review";
/// Where the form for several decisions is sent.
pub(super) const PICKED_PATH: &str = "/ui/review/picked";
/// Open decisions on one page, and the most whose resolution is told.
const PER_PAGE: u8 = 25;

/// The state of the view, as its address holds it.
#[derive(Clone, Debug, Default)]
pub(super) struct Address {
    /// Only decisions for which this role is the lowest that can resolve them.
    role: Option<Role>,
    /// The decision after which the page begins.
    after: Option<Uuid>,
    /// The decision that is shown beside the queue.
    item: Option<Uuid>,
    /// The person who acts, where the key belongs to no single person.
    actor: Option<String>,
    /// The decisions that were just resolved.
    resolved: Vec<Uuid>,
}

impl Address {
    fn parse(fields: &[(String, String)]) -> Self {
        let mut address = Self::default();
        for (name, value) in fields {
            match name.as_str() {
                "role" => address.role = value.parse().ok(),
                "after" => address.after = uuid(value),
                "item" => address.item = uuid(value),
                "actor" if !value.trim().is_empty() => {
                    address.actor = Some(value.trim().to_owned());
                }
                "resolved" => address.resolved.extend(uuid(value)),
                _ => {}
            }
        }
        address
    }

    /// The URL of the view with this state.
    fn href(&self, viewer: &Viewer) -> String {
        self.href_of(PATH, viewer)
    }

    /// The URL of a path with this state.
    fn href_of(&self, path: &str, viewer: &Viewer) -> String {
        let text = |id: Option<Uuid>| id.map(|id| id.to_string());
        let values = [
            ("role", self.role.map(|role| role.to_string())),
            ("after", text(self.after)),
            ("item", text(self.item)),
            ("actor", self.actor.clone()),
        ];
        let resolved = self
            .resolved
            .iter()
            .map(|id| ("resolved", Some(id.to_string())));
        let values: Vec<(&str, String)> = values
            .into_iter()
            .chain(resolved)
            .filter_map(|(name, value)| Some((name, value?)))
            .collect();
        let borrowed: Vec<(&str, &str)> = values
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        viewer.href(path, &borrowed)
    }

    /// The same view with another decision beside the queue.
    fn at(&self, item: Option<Uuid>) -> Self {
        Self {
            item,
            resolved: Vec::new(),
            ..self.clone()
        }
    }
}

/// The forms of the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    /// The one for the decision that is shown.
    One,
    /// The one for the decisions that are ticked.
    Picked,
}

/// What a form led to, where some decisions were not resolved.
struct Told<'a> {
    form: Sent,
    /// The refusals, each with its decision.
    refused: Vec<(Uuid, Refused)>,
    /// What was typed.
    typed: &'a FormFields,
}

impl Told<'_> {
    /// What was typed into a form, if it is the one that was sent.
    fn typed(&self, form: Sent) -> Option<&FormFields> {
        (self.form == form).then_some(self.typed)
    }

    fn is_refused(&self, id: Uuid) -> bool {
        self.refused.iter().any(|(refused, _)| *refused == id)
    }
}

/// `GET /ui/review`
pub(super) async fn show(
    State(page): State<PageState>,
    viewer: Viewer,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Markup, Failure> {
    render(&page, &viewer, Address::parse(&parameters), None).await
}

/// `POST /ui/review`: resolves one decision, and shows the oldest one that still waits.
pub(super) async fn resolve(
    State(page): State<PageState>,
    viewer: Viewer,
    Query(parameters): Query<Vec<(String, String)>>,
    fields: FormFields,
) -> Result<Response, Failure> {
    let item = fields.get("item").unwrap_or_default();
    let seen = fields.get("state").unwrap_or_default();
    let id = uuid(item).ok_or_else(|| Failure::not_found("There is no such decision"))?;
    let picked = vec![(id, seen.to_owned())];
    resolve_each(&page, &viewer, &parameters, (Sent::One, &fields), picked).await
}

/// `POST /ui/review/picked`: resolves every decision that was picked.
pub(super) async fn resolve_picked(
    State(page): State<PageState>,
    viewer: Viewer,
    Query(parameters): Query<Vec<(String, String)>>,
    fields: FormFields,
) -> Result<Response, Failure> {
    let picked: Vec<(Uuid, String)> = fields
        .all("picked")
        .filter_map(|picked| picked.split_once(':'))
        .filter_map(|(id, seen)| Some((uuid(id)?, seen.to_owned())))
        .collect();
    if picked.is_empty() {
        let detail = "Tick at least one decision of the queue, then send the form again.";
        let title = "No decision was picked";
        return Err(Failure::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            title,
            detail,
        ));
    }
    resolve_each(&page, &viewer, &parameters, (Sent::Picked, &fields), picked).await
}

async fn resolve_each(
    page: &PageState,
    viewer: &Viewer,
    parameters: &[(String, String)],
    (form, fields): (Sent, &FormFields),
    picked: Vec<(Uuid, String)>,
) -> Result<Response, Failure> {
    let mut resolved = Vec::new();
    let mut refused = Vec::new();
    for (id, seen) in picked {
        match act::resolve(page, viewer, id, &seen, fields).await? {
            Ok(()) => resolved.push(id),
            Err(why) => refused.push((id, why)),
        }
    }
    let mut address = Address::parse(parameters);
    address.resolved = resolved;
    if let Some(actor) = fields.get("actor") {
        address.actor = Some(actor.to_owned());
    }
    let Some((first, why)) = refused.first() else {
        address.item = None;
        return Ok(Redirect::to(&address.href(viewer)).into_response());
    };
    address.item = Some(*first);
    let status = why.status;
    let told = Told {
        form,
        refused,
        typed: fields,
    };
    let view = render(page, viewer, address, Some(told)).await?;
    Ok((status, view).into_response())
}

async fn render(
    page: &PageState,
    viewer: &Viewer,
    address: Address,
    told: Option<Told<'_>>,
) -> Result<Markup, Failure> {
    let queue = Queue::read(page, viewer, &address).await?;
    let item = match address.item.or(queue.first()) {
        Some(id) => find(&page.app, &viewer.identity, &id.to_string())
            .await
            .ok(),
        None => None,
    };
    let shown = item.as_ref().map(|stored| stored.decision.id);
    let resolved = resolved(page, viewer, &address).await?;
    let content = html! {
        h1 { "Review" }
        (outcomes(viewer, &resolved, told.as_ref()))
        (queue.tabs(viewer, &address))
        div.review .chosen[address.item.is_some()] {
            (queue.list(page, viewer, &address, shown, told.as_ref()))
            @match &item {
                Some(stored) => { (item::show(page, viewer, &address, stored, &queue, told.as_ref()).await?) }
                None => { section.item { p { "Nothing waits here." } } }
            }
        }
        (keys())
    };
    Ok(document(page, viewer, PATH, "Review", &content))
}

/// The decisions that were just resolved.
async fn resolved(
    page: &PageState,
    viewer: &Viewer,
    address: &Address,
) -> Result<Vec<StoredDecision>, Failure> {
    let mut resolved = Vec::new();
    for id in address.resolved.iter().take(PER_PAGE.into()) {
        let stored = find(&page.app, &viewer.identity, &id.to_string()).await;
        let stored = stored.ok();
        resolved.extend(stored.filter(|stored| stored.n_acts() > 0));
    }
    Ok(resolved)
}

/// What the last form did, decision by decision.
fn outcomes(viewer: &Viewer, resolved: &[StoredDecision], told: Option<&Told<'_>>) -> Markup {
    html! {
        @if !resolved.is_empty() {
            ul.notice role="status" {
                @for stored in resolved {
                    @let expense = &stored.decision.expense;
                    li {
                        a href=(head::path(viewer, stored.decision.id, &[])) { (format::amount(expense.amount, expense.currency)) " " (expense.transaction) }
                        @if let Some(act) = stored.acts().last() { ": " (resolved_words(act)) "." }
                    }
                }
            }
        }
        @if let Some(told) = told {
            ul.notice.failed role="alert" {
                @for (id, why) in &told.refused {
                    li { b { "Refused " } (head::link(viewer, *id)) ": " (why.words) "." }
                }
            }
        }
    }
}

/// The keys, for a reader who opens this or presses `?`.
fn keys() -> Markup {
    let keys = [
        ("j", "the next decision"),
        ("k", "the previous decision"),
        (
            "a",
            "approve: write the reason, then Ctrl+Enter; with a reason it sends at once",
        ),
        ("d", "deny, in the same way"),
        ("c", "choose the category"),
        ("Esc", "leave a field, so that the keys work again"),
        ("?", "show or hide these keys"),
    ];
    html! {
        details.keys #keys {
            summary { "Keys" }
            dl { @for (key, does) in keys { dt { kbd { (key) } } dd { (does) } } }
        }
    }
}
