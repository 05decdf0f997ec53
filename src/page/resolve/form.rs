//! The form that resolves a decision. It offers what the person may do and says why they may not do the
//! rest, in the words of the API, which asks the same function.

use std::sync::Arc;

use maud::{Markup, html};

use crate::agent::resolve::offer::{Asking, Offer};
use crate::agent::resolve::refusal::Refusal;
use crate::domain::body::{MAX_ID_CHARS, MAX_TEXT_CHARS};
use crate::domain::resolution::Action;
use crate::domain::ruling::{Outcome, Role};
use crate::ledger::{LedgerError, StoredDecision};
use crate::page::form::FormFields;
use crate::page::viewer::Viewer;
use crate::page::{PageState, login};

/// What one person may do with one decision.
pub(in crate::page) struct Offers {
    /// Whether the person has a key. Without one nothing can be resolved, whatever it is.
    has_key: bool,
    /// Whether the key belongs to no single person, so that the form asks who acts.
    asks_for_actor: bool,
    /// An approval as it was decided, or in the category of the agent.
    approve: Offer,
    deny: Offer,
    withdraw: Offer,
    /// Every category that an expense in review can be filed under, with an approval in it.
    categories: Vec<(String, Offer)>,
}

impl Offers {
    /// What this person may do with an open decision; `None` if it is not open.
    pub(in crate::page) async fn of(
        page: &PageState,
        viewer: &Viewer,
        stored: &StoredDecision,
        actor: Option<&str>,
    ) -> Result<Option<Self>, LedgerError> {
        let decision = &stored.decision;
        if stored.pending().is_none() {
            return Ok(None);
        }
        let Some(api_key) = &viewer.identity.api_key else {
            return Ok(Some(Self::without_key()));
        };
        let rulebook = page.app.rulebook(&decision.tenant_id);
        let policies = Arc::clone(&rulebook.policies);
        let asking = Asking {
            stored: stored.clone(),
            api_key: Arc::clone(api_key),
            actor: actor.map(str::to_owned),
            rulebook,
        };
        let agent = &page.app.agent;
        let mut categories = Vec::new();
        if decision.outcome == Outcome::NeedsReview {
            for category in policies.categories() {
                let offer = agent
                    .offer(&asking, Action::Approve, Some(category))
                    .await?;
                categories.push((category.to_owned(), offer));
            }
        }
        Ok(Some(Self {
            has_key: true,
            asks_for_actor: api_key.user_id.is_none(),
            approve: agent.offer(&asking, Action::Approve, None).await?,
            deny: agent.offer(&asking, Action::Deny, None).await?,
            withdraw: agent.offer(&asking, Action::Withdraw, None).await?,
            categories,
        }))
    }

    fn without_key() -> Self {
        let refused = Offer::Refused(crate::agent::resolve::offer::Refused {
            refusal: Refusal::RoleMissing,
            detail: String::new(),
        });
        Self {
            has_key: false,
            asks_for_actor: false,
            approve: refused.clone(),
            deny: refused.clone(),
            withdraw: refused,
            categories: Vec::new(),
        }
    }

    /// Whether some approval can be asked for: of all of it, of less, or in another category.
    fn can_approve(&self) -> bool {
        let may_be_asked_for = |offer: &Offer| match offer {
            Offer::Allowed(_) => true,
            Offer::Refused(refused) => {
                matches!(
                    refused.refusal,
                    Refusal::ExceptionNeeded | Refusal::InvalidResolution
                ) && is_allowed(&self.deny)
            }
        };
        may_be_asked_for(&self.approve)
            || self
                .categories
                .iter()
                .any(|(_, offer)| may_be_asked_for(offer))
    }

    /// The roles in which the person may act on it, the lowest first.
    fn roles(&self) -> Vec<Role> {
        let offers = [&self.deny, &self.withdraw];
        let allowed = offers.into_iter().find_map(|offer| match offer {
            Offer::Allowed(roles) => Some(roles.iter().flatten().copied().collect()),
            Offer::Refused(_) => None,
        });
        allowed.unwrap_or_default()
    }

    /// The lowest role of the person that may approve it, if a lower one may only deny it.
    fn lowest_approver(&self) -> Option<String> {
        let lowest = lowest_role(&self.approve)?;
        (self.roles().first() != Some(&lowest)).then(|| lowest.to_string())
    }

    /// Whether the person withdraws it without a role: it is their own.
    fn is_own(&self) -> bool {
        matches!(&self.withdraw, Offer::Allowed(roles) if roles.first() == Some(&None))
    }

    /// What the person may not do, and why; the same reason is told once.
    fn refusals(&self) -> Vec<(String, &str)> {
        let mut told: Vec<(String, &str)> = Vec::new();
        for (name, offer) in [
            ("Approve", &self.approve),
            ("Deny", &self.deny),
            ("Withdraw", &self.withdraw),
        ] {
            let Offer::Refused(refused) = offer else {
                continue;
            };
            match told
                .iter_mut()
                .find(|(_, detail)| *detail == refused.detail)
            {
                Some((names, _)) => {
                    names.push_str(", ");
                    names.push_str(&name.to_lowercase());
                }
                None => told.push((name.to_owned(), &refused.detail)),
            }
        }
        told
    }
}

fn is_allowed(offer: &Offer) -> bool {
    matches!(offer, Offer::Allowed(_))
}

/// Where a form is sent, and what it carries.
pub(in crate::page) struct Form<'a> {
    /// The address of the form.
    pub(in crate::page) action: String,
    /// The decision.
    pub(in crate::page) stored: &'a StoredDecision,
    /// The state of the decision as it is shown.
    pub(in crate::page) state: String,
    /// The person who acts, if the address names one.
    pub(in crate::page) actor: Option<&'a str>,
    /// What was typed into a form that was refused.
    pub(in crate::page) typed: Option<&'a FormFields>,
}

/// The form, and what the person may not do.
pub(in crate::page) fn form(offers: &Offers, form: &Form<'_>, viewer: &Viewer) -> Markup {
    if !offers.has_key {
        return no_key(viewer);
    }
    let can_act = offers.can_approve() || is_allowed(&offers.deny) || is_allowed(&offers.withdraw);
    html! {
        @for (names, detail) in offers.refusals() {
            p.notice.refusal { b { (names) ": " } (detail) "." }
        }
        @if can_act { (fields(offers, form)) }
    }
}

fn no_key(viewer: &Viewer) -> Markup {
    html! {
        p.notice {
            "You can read without a key, but not resolve. "
            a href=(viewer.href(login::PATH, &[])) { "Log in" } " with an API key that has a role, or open the page by the \
            link that the service printed when it started."
        }
    }
}

fn fields(offers: &Offers, form: &Form<'_>) -> Markup {
    let typed = |name: &'static str| form.typed.and_then(|typed| typed.get(name));
    let expense = &form.stored.decision.expense;
    let approver = offers.lowest_approver();
    html! {
        form.resolve data-once method="post" action=(form.action) {
            input type="hidden" name="item" value=(form.stored.decision.id);
            input type="hidden" name="state" value=(form.state);
            div.fields {
                @if offers.asks_for_actor { (actor_field(typed("actor").or(form.actor))) }
                @if !offers.is_own() { (role_field(&offers.roles(), typed("role").or(approver.as_deref()))) }
                @if offers.can_approve() {
                    label { "Amount in " (expense.currency)
                        input.number name="amount" inputmode="decimal" size="10" placeholder=(expense.amount) value=[typed("amount")];
                    }
                    @if !offers.categories.is_empty() { (category_field(offers, form, typed("category"))) }
                }
            }
            label { "Reason" textarea name="reason" rows="2" required maxlength=(MAX_TEXT_CHARS) { (typed("reason").unwrap_or_default()) } }
            p.actions {
                @if offers.can_approve() { button.primary name="action" value="approve" { "Approve" } " " }
                @if is_allowed(&offers.deny) { button name="action" value="deny" { "Deny" } " " }
                @if is_allowed(&offers.withdraw) { button name="action" value="withdraw" { "Withdraw" } }
            }
            @if let Some(role) = &approver { p.small { "Approving all of it takes the role " b { (role) } " or a higher one." } }
            (other_categories(offers, form.stored.decision.category.as_deref()))
            @if offers.can_approve() {
                p.muted.small { "Approving pays the whole expense, or the amount that you write, which can be less." }
            }
        }
    }
}

/// Why an approval of all of it is refused in some categories, and which role it takes in the others, if
/// that is not the same one everywhere. The form says this of the decided category elsewhere.
fn other_categories(offers: &Offers, decided: Option<&str>) -> Markup {
    let least = offers.roles().first().copied();
    let asks_for_more = |(_, offer): &(String, Offer)| {
        matches!(offer, Offer::Allowed(_)) && lowest_role(offer) != least
    };
    let has_several_roles = offers.categories.iter().any(asks_for_more);
    let notes = offers.categories.iter().filter_map(|(category, offer)| {
        let note = match offer {
            Offer::Refused(refused) if is_allowed(&offers.deny) => refused.detail.clone(),
            Offer::Allowed(_) if has_several_roles && decided != Some(category) => {
                format!("takes the role {} or a higher one", lowest_role(offer)?)
            }
            _ => return None,
        };
        Some((category, note))
    });
    let notes: Vec<_> = notes.collect();
    html! {
        @if !notes.is_empty() {
            ul.small.muted { @for (category, note) in notes { li { "As " (category) ": " (note) "." } } }
        }
    }
}

/// The lowest role in which the person may do what is offered.
fn lowest_role(offer: &Offer) -> Option<Role> {
    match offer {
        Offer::Allowed(roles) => roles.iter().flatten().next().copied(),
        Offer::Refused(_) => None,
    }
}

/// The field for the person who acts, where the key belongs to no single person.
pub(in crate::page) fn actor_field(value: Option<&str>) -> Markup {
    html! {
        label { "You are" input name="actor" value=[value] required maxlength=(MAX_ID_CHARS) size="12" autocomplete="username"; }
    }
}

/// The roles that may be chosen, the first one by default.
pub(in crate::page) fn role_field(roles: &[Role], typed: Option<&str>) -> Markup {
    html! {
        label { "As"
            select name="role" {
                @for role in roles {
                    @let role = role.to_string();
                    option selected[typed == Some(&*role)] { (role) }
                }
            }
        }
    }
}

/// The categories to file an expense in review under, each with what stands against it.
fn category_field(offers: &Offers, form: &Form<'_>, typed: Option<&str>) -> Markup {
    let decided = form.stored.decision.category.as_deref();
    // Without this the browser would choose the first category in place of one that is not loaded any more.
    let is_offered = |chosen: &&str| {
        offers
            .categories
            .iter()
            .any(|(offered, _)| offered == chosen)
    };
    let chosen = typed.or(decided).filter(is_offered);
    html! {
        label { "Category"
            select name="category" {
                @if chosen.is_none() { option value="" { "choose" } }
                @for (category, offer) in &offers.categories {
                    option value=(category) selected[chosen == Some(category)] {
                        (category)
                        @if decided == Some(category) { " (the agent's)" }
                        @if !is_allowed(offer) { ": not as it is" }
                    }
                }
            }
        }
    }
}
