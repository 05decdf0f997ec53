//! What a person may do with an open expense, told before they act. The answer comes from the checks
//! of a resolution itself, with the same words, so a resolution that is offered is refused only if
//! something changes in between. Nothing is recorded here.

use std::sync::Arc;

use jiff::Timestamp;

use crate::agent::Agent;
use crate::agent::lookup::lookup;
use crate::agent::people::actor;
use crate::agent::resolve::permission::may_resolve;
use crate::agent::resolve::refusal::{Refusal, ResolveError};
use crate::agent::resolve::{Request, filed_under, passes_the_rules};
use crate::domain::decision::Submitter;
use crate::domain::resolution::{Action, ResolutionRequest};
use crate::domain::ruling::{Outcome, Role};
use crate::keys::ApiKey;
use crate::ledger::{LedgerError, StoredDecision};
use crate::rulebook::Rulebook;

/// A person who asks what they may do.
#[derive(Clone, Debug)]
pub struct Asking {
    /// The decision.
    pub stored: StoredDecision,
    /// The person's API key.
    pub api_key: Arc<ApiKey>,
    /// The person who would act, for a key that belongs to no single person. Until one is named, the
    /// answer is for a person who has nothing to do with the expense.
    pub actor: Option<String>,
    /// What an approval of an expense in review would be judged by.
    pub rulebook: Rulebook,
}

/// Whether a person may do one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// The person may, in each of these roles, the lowest first. `None` is without a role.
    Allowed(Vec<Option<Role>>),
    /// The person may not.
    Refused(Refused),
}

/// Why a person may not do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why, for programs.
    pub refusal: Refusal,
    /// Why, and what would be allowed, for people: what the API answers.
    pub detail: String,
}

impl Agent {
    /// Whether a person may do this with the whole expense, filed under this category, or under the
    /// decision's if that is absent.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn offer(
        &self,
        asking: &Asking,
        action: Action,
        category: Option<&str>,
    ) -> Result<Offer, LedgerError> {
        let submitters = self.submitters(&asking.stored.decision).await?;
        let mut allowed = Vec::new();
        let mut refused = None;
        for role in roles_to_try(asking, action) {
            let request = request(asking, action, role, category);
            match self.check(&request, &submitters).await? {
                Ok(()) => allowed.push(role),
                Err(reason) => refused = Some(reason),
            }
        }
        Ok(match refused {
            Some(reason) if allowed.is_empty() => Offer::Refused(reason),
            _ => Offer::Allowed(allowed),
        })
    }

    /// Everything that a resolution checks before it is recorded.
    async fn check(
        &self,
        request: &Request,
        submitters: &[Submitter],
    ) -> Result<Result<(), Refused>, LedgerError> {
        let checked = async {
            let actor = actor(&request.api_key, request.wanted.actor.as_deref())?;
            let amount = may_resolve(request, submitters, &actor)?;
            let decision = &request.stored.decision;
            let is_approval = request.wanted.action == Action::Approve;
            if is_approval && decision.outcome == Outcome::NeedsReview {
                let category = filed_under(request)?;
                let rulebook = request.rulebook.clone();
                let judged = self.judged(decision, rulebook, amount).await?;
                let looked_up = lookup(&self.ledger, &judged, &category, &[]).await?;
                passes_the_rules(request, looked_up)?;
            }
            Ok(())
        };
        match checked.await {
            Ok(()) => Ok(Ok(())),
            Err(ResolveError::Refused { refusal, detail }) => Ok(Err(Refused { refusal, detail })),
            Err(ResolveError::Field { message, .. }) => Ok(Err(Refused {
                refusal: Refusal::InvalidResolution,
                detail: message,
            })),
            Err(ResolveError::Ledger(error)) => Err(error),
        }
    }
}

/// The roles of the key, the lowest first: if none of them may act, the refusal of the highest one is
/// told. Without a role at all it is that of the role that the expense asks for.
fn roles_to_try(asking: &Asking, action: Action) -> Vec<Option<Role>> {
    let mut roles: Vec<Option<Role>> = asking.api_key.roles.iter().copied().map(Some).collect();
    roles.sort();
    match action {
        Action::Withdraw => roles.insert(0, None),
        Action::Approve | Action::Deny if roles.is_empty() => {
            let needed = asking.stored.pending();
            roles.push(Some(needed.unwrap_or(Role::Manager)));
        }
        Action::Approve | Action::Deny => {}
    }
    roles
}

fn request(asking: &Asking, action: Action, role: Option<Role>, category: Option<&str>) -> Request {
    Request {
        stored: asking.stored.clone(),
        wanted: ResolutionRequest {
            action,
            role,
            // The empty name is that of no person.
            actor: asking
                .actor
                .clone()
                .or_else(|| asking.api_key.user_id.clone())
                .or_else(|| Some(String::new())),
            reason: String::new(),
            amount: None,
            category: category.map(str::to_owned),
        },
        api_key: Arc::clone(&asking.api_key),
        rulebook: asking.rulebook.clone(),
        trace_id: String::new(),
        received_at: Timestamp::UNIX_EPOCH,
    }
}
