//! What a person may do with an open expense: in which role, for which amount, and which rules the
//! role may set aside. Who acts, and whose an expense is, is in `people`. Nothing is recorded here.

use rust_decimal::Decimal;

use crate::agent::lookup::Found;
use crate::agent::people::is_own;
use crate::agent::resolve::Request;
use crate::agent::resolve::refusal::{
    Refusal, ResolveError, already_resolved, already_superseded, not_open,
};
use crate::domain::approvers::still_to_approve;
use crate::domain::decision::Submitter;
use crate::domain::resolution::{Action, ResolutionRequest};
use crate::domain::ruling::{Finding, Outcome, Role, Ruling};
use crate::ledger::StoredDecision;
use crate::policy::evaluate::Verdict;
use crate::spelling::is_same_person;

/// Checks that a decision is open and that a person may resolve it. The employee, and the people who
/// handed the expense in, can only withdraw it, and need no role for that. Returns the amount that an
/// approval approves. Pure, so that [`offer`](super::offer) can ask before the person does.
pub(super) fn may_resolve(
    request: &Request,
    submitters: &[Submitter],
    actor: &str,
) -> Result<Decimal, ResolveError> {
    let decision = &request.stored.decision;
    if request.stored.resolution.is_some() {
        return Err(already_resolved());
    }
    if request.stored.superseded_by.is_some() {
        return Err(already_superseded());
    }
    let pending = request.stored.pending();
    let needed = pending.ok_or_else(|| not_open(decision.outcome))?;
    if let Some(role) = request.wanted.role
        && !request.api_key.roles.contains(&role)
    {
        return Err(ResolveError::Refused {
            refusal: Refusal::RoleMissing,
            detail: format!("this key does not have the role {role}; send a key that has it"),
        });
    }
    let is_own = is_own(decision, submitters, &request.api_key, actor);
    match (is_own, request.wanted.action) {
        (true, Action::Withdraw) => {}
        (true, Action::Approve | Action::Deny) => {
            let detail = "people cannot approve or deny an expense that is their own or that they \
                          handed in; ask another person, or withdraw it";
            return Err(ResolveError::Refused {
                refusal: Refusal::OwnExpense,
                detail: detail.to_owned(),
            });
        }
        (false, Action::Approve) if has_approved(request, actor) => {
            let detail =
                "you have approved this expense already; another person has to approve it too";
            return Err(ResolveError::Refused {
                refusal: Refusal::AlreadyApproved,
                detail: detail.to_owned(),
            });
        }
        (false, _) => is_high_enough(role(request)?, needed)?,
    }
    approved_amount(&request.stored, &request.wanted)
}

/// Whether the actor gave one of the approvals so far. A key that belongs to a person stays that
/// person's, whatever name the file of keys gives them now.
fn has_approved(request: &Request, actor: &str) -> bool {
    let Request {
        stored, api_key, ..
    } = request;
    stored.approvals.iter().any(|approval| {
        is_same_person(&approval.actor, actor)
            || (api_key.user_id.is_some() && approval.api_key == api_key.id)
    })
}

/// The roles that still have to approve once the person has: those that the decision names and those
/// that the verdict asks for, without the ones that are satisfied.
pub(super) fn awaits(
    request: &Request,
    verdict: Option<&Verdict>,
) -> Result<Vec<Role>, ResolveError> {
    let StoredDecision {
        decision,
        approvals,
        ..
    } = &request.stored;
    let mut approvers = decision.asked();
    if let Some(verdict) = verdict {
        approvers.extend(&verdict.approvers);
    }
    let mut left = approvers.roles();
    for role in approvals.iter().filter_map(|approval| approval.role) {
        left = still_to_approve(&left, role).unwrap_or(left);
    }
    let role = role(request)?;
    match left.first() {
        None => Ok(left),
        Some(lowest) => still_to_approve(&left, role).ok_or_else(|| too_low(role, *lowest)),
    }
}

/// The role in which a person acts who is not withdrawing an expense of their own.
pub(super) fn role(request: &Request) -> Result<Role, ResolveError> {
    request.wanted.role.ok_or_else(|| ResolveError::Field {
        field: "role",
        message:
            "only the employee, and the person who handed the expense in, withdraw it without \
                  a role; write the role in which you act"
                .to_owned(),
    })
}

fn is_high_enough(role: Role, needed: Role) -> Result<(), ResolveError> {
    match role >= needed {
        true => Ok(()),
        false => Err(too_low(role, needed)),
    }
}

fn too_low(role: Role, needed: Role) -> ResolveError {
    ResolveError::Refused {
        refusal: Refusal::RoleTooLow,
        detail: format!(
            "the role {role} cannot resolve this expense; it takes the role {needed} or a higher one"
        ),
    }
}

/// What is approved: the whole expense, or less of it; never more than an earlier approval.
fn approved_amount(
    stored: &StoredDecision,
    wanted: &ResolutionRequest,
) -> Result<Decimal, ResolveError> {
    let decision = &stored.decision;
    if wanted.category.is_some() && decision.outcome != Outcome::NeedsReview {
        let message = "only an expense in review can get another category; omit it".to_owned();
        return Err(ResolveError::Field {
            field: "category",
            message,
        });
    }
    let all = decision.expense.amount;
    let approved = stored.approvals.last().and_then(|latest| latest.amount);
    let most = approved.unwrap_or(all);
    let amount = wanted.amount.unwrap_or(most);
    if amount <= most {
        return Ok(amount);
    }
    if most < all {
        let message = format!(
            "it is more than the {most} that were approved before; write a smaller amount, or omit it"
        );
        return Err(ResolveError::Field {
            field: "amount",
            message,
        });
    }
    Err(ResolveError::Field {
        field: "amount",
        message: format!(
            "it is more than the expense, which is {all}; write a smaller amount, or omit it"
        ),
    })
}

/// The violations, if the persons who approve may set every one of their rules aside: the one who acts,
/// and those who approved before or have to after.
pub(super) fn set_aside(
    request: &Request,
    found: &Found,
    awaits: &[Role],
) -> Result<Vec<Finding>, ResolveError> {
    // Of those who follow, any may act in a higher role than the one that is asked for.
    let role = match awaits {
        [] => highest_so_far(request)?,
        _ => Role::Cfo,
    };
    let violations: Vec<Finding> = found
        .verdict
        .findings
        .iter()
        .filter(|finding| finding.effect == Ruling::Denied)
        .cloned()
        .collect();
    for violation in &violations {
        let needed = found
            .exceptions
            .iter()
            .find(|(rule, _)| *rule == violation.rule)
            .map(|(_, role)| *role);
        if needed.is_some_and(|needed| role >= needed) {
            continue;
        }
        let who = needed.map_or("no role may set it aside".to_owned(), |needed| {
            format!("it takes the role {needed} or a higher one to set it aside")
        });
        let detail = format!(
            "the rule {} allows {} of this expense, and {who}",
            violation.rule, violation.allowable
        );
        return Err(ResolveError::Refused {
            refusal: Refusal::ExceptionNeeded,
            detail,
        });
    }
    Ok(violations)
}

/// The highest role in which the expense was approved, with that of the person who acts.
fn highest_so_far(request: &Request) -> Result<Role, ResolveError> {
    let before = &request.stored.approvals;
    let before = before.iter().filter_map(|approval| approval.role).max();
    Ok(before.max(Some(role(request)?)).unwrap_or(Role::Manager))
}
