//! The queue itself: which open decisions are shown, how long each has waited, and the form that
//! resolves several of them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use maud::{Markup, html};
use strum::IntoEnumIterator;
use uuid::Uuid;

use crate::domain::body::MAX_TEXT_CHARS;
use crate::domain::ruling::Role;
use crate::ledger::review_queue::MAX_COUNTED;
use crate::ledger::{LedgerError, Page, PageRequest, StoredDecision};
use crate::page::PageState;
use crate::page::format;
use crate::page::resolve::form::{actor_field, role_field};
use crate::page::review::{Address, PER_PAGE, PICKED_PATH, Sent, Told};
use crate::page::viewer::Viewer;

/// A page of the queue.
pub(super) struct Queue {
    page: Page,
    /// The state of each decision on the page, which the form carries.
    states: Vec<String>,
    counts: BTreeMap<Role, u64>,
}

impl Queue {
    /// Reads the page of an address.
    pub(super) async fn read(
        page: &PageState,
        viewer: &Viewer,
        address: &Address,
    ) -> Result<Self, LedgerError> {
        let ledger = &page.app.agent.ledger;
        let tenant_id = &viewer.identity.tenant_id;
        let seen_by = viewer.identity.own_only();
        let roles = match address.role {
            Some(role) => vec![role],
            None => roles_of(viewer),
        };
        let request = PageRequest {
            after: address.after,
            limit: PER_PAGE.into(),
        };
        let page = ledger.waiting(tenant_id, seen_by, &roles, request).await?;
        let mut states = Vec::new();
        for stored in &page.decisions {
            let state = ledger.state(tenant_id, stored.decision.id).await?;
            states.push(state.to_string());
        }
        Ok(Self {
            page,
            states,
            // A person who sees only their own decisions does not learn how many others there are.
            counts: match seen_by {
                None => ledger.waiting_by_role(tenant_id).await?,
                Some(_) => BTreeMap::new(),
            },
        })
    }

    /// The oldest decision on the page.
    pub(super) fn first(&self) -> Option<Uuid> {
        Some(self.page.decisions.first()?.decision.id)
    }

    /// The decisions before and after one of the page.
    pub(super) fn neighbours(&self, id: Uuid) -> (Option<Uuid>, Option<Uuid>) {
        let ids: Vec<Uuid> = self
            .page
            .decisions
            .iter()
            .map(|stored| stored.decision.id)
            .collect();
        // A decision that is not on the page, such as one just resolved, is followed by the first.
        let Some(index) = ids.iter().position(|other| *other == id) else {
            return (None, ids.first().copied());
        };
        let before = index.checked_sub(1).and_then(|index| ids.get(index));
        (before.copied(), ids.get(index + 1).copied())
    }

    /// The roles to choose among, with how many decisions wait for each.
    pub(super) fn tabs(&self, viewer: &Viewer, address: &Address) -> Markup {
        let of = |role| Address {
            role,
            after: None,
            ..address.at(None)
        };
        let count = |n: u64| match n > MAX_COUNTED {
            true => format!("{MAX_COUNTED}+"),
            false => n.to_string(),
        };
        let all = if viewer.has_roles() {
            "All that you can resolve"
        } else {
            "All"
        };
        html! {
            nav.tabs aria-label="Roles" {
                a href=(of(None).href(viewer)) aria-current=[address.role.is_none().then_some("true")] { (all) }
                @for role in Role::iter() {
                    a href=(of(Some(role)).href(viewer)) aria-current=[(address.role == Some(role)).then_some("true")] {
                        (role) @if let Some(n) = self.counts.get(&role) { " " span.muted { (count(*n)) } }
                    }
                }
            }
        }
    }

    /// The page of the queue, with the form that resolves several at once. If some were refused, these
    /// stay ticked, and the form has what was typed.
    pub(super) fn list(
        &self,
        page: &PageState,
        viewer: &Viewer,
        address: &Address,
        shown: Option<Uuid>,
        told: Option<&Told<'_>>,
    ) -> Markup {
        let typed = told.and_then(|told| told.typed(Sent::Picked));
        let is_picked = |id| typed.is_some() && told.is_some_and(|told| told.is_refused(id));
        let typed = |name: &'static str| typed.and_then(|typed| typed.get(name));
        let now = page.app.clock.now();
        let action = address.at(shown).href_of(PICKED_PATH, viewer);
        let key = viewer.identity.api_key.as_ref();
        html! {
            section.queue aria-label="Queue" {
                form data-once method="post" action=(action) {
                    ol.waiting {
                        @for (stored, state) in self.page.decisions.iter().zip(&self.states) {
                            (entry(stored, (state, is_picked(stored.decision.id)), viewer, address, shown, now))
                        }
                    }
                    @if address.after.is_some() || self.page.next.is_some() {
                        p.small {
                            @if address.after.is_some() {
                                a href=(Address { after: None, ..address.at(None) }.href(viewer)) { "The oldest" } " "
                            }
                            @if self.page.next.is_some() {
                                a href=(Address { after: self.page.next, ..address.at(None) }.href(viewer)) { "More" }
                            }
                        }
                    }
                    @if let Some(key) = key.filter(|key| !key.roles.is_empty() && !self.page.decisions.is_empty()) {
                        @let roles = highest_first(&key.roles);
                        @let lowest = roles.last().map(|role| role.to_string());
                        fieldset {
                            legend { "With the ticked ones" }
                            div.fields {
                                @if key.user_id.is_none() { (actor_field(address.actor.as_deref())) }
                                // The lowest, so that nothing is set aside unless the person asks for it.
                                (role_field(&roles, typed("role").or(lowest.as_deref())))
                            }
                            label { "Reason for all of them" textarea name="reason" rows="2" required maxlength=(MAX_TEXT_CHARS) { (typed("reason").unwrap_or_default()) } }
                            p.actions {
                                button name="action" value="approve" { "Approve them" } " "
                                button name="action" value="deny" { "Deny them" }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The roles whose decisions a viewer's queue holds: every role up to the highest of the key, or all of
/// them for a viewer without a role.
fn roles_of(viewer: &Viewer) -> Vec<Role> {
    let key = viewer.identity.api_key.as_ref();
    let highest = key.and_then(|key| key.roles.iter().max());
    Role::iter()
        .filter(|role| highest.is_none_or(|highest| role <= highest))
        .collect()
}

fn highest_first(roles: &[Role]) -> Vec<Role> {
    let mut roles = roles.to_vec();
    roles.sort_by(|one, other| other.cmp(one));
    roles
}

fn entry(
    stored: &StoredDecision,
    (state, is_picked): (&str, bool),
    viewer: &Viewer,
    address: &Address,
    shown: Option<Uuid>,
    now: Timestamp,
) -> Markup {
    let decision = &stored.decision;
    let expense = &decision.expense;
    let is_shown = shown == Some(decision.id);
    let failed = decision.failed_types();
    html! {
        li .shown[is_shown] {
            input type="checkbox" name="picked" value=(format!("{}:{state}", decision.id)) checked[is_picked]
                aria-label=(format!("Pick {} {}", expense.amount, expense.currency));
            a href=(address.at(Some(decision.id)).href(viewer)) aria-current=[is_shown.then_some("true")] {
                span.line {
                    span.what { (expense.transaction) }
                    (format::amount(expense.amount, expense.currency))
                }
                span.line.small.muted {
                    span.what {
                        (expense.user_id)
                        @if let Some(role) = stored.pending() { " · " (role) }
                        @for kind in failed { " · " span.failed { "failed: " (kind) } }
                    }
                    span.nowrap title=(decision.received_at) { (age(decision.received_at, now)) }
                }
            }
        }
    }
}

/// How long something has waited: the largest unit, and the next one.
pub(super) fn age(since: Timestamp, now: Timestamp) -> String {
    let minutes = now.duration_since(since).as_secs().max(0) / 60;
    match (minutes / 1_440, minutes / 60 % 24, minutes % 60) {
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}
