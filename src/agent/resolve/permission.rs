//! What a person may do with an open expense: who acts, in which role, for which amount, and which
//! rules the role may set aside. Nothing is recorded here.

use rust_decimal::Decimal;

use crate::agent::lookup::Found;
use crate::agent::resolve::{
    Refusal, Request, ResolveError, already_resolved, already_superseded, not_open,
};
use crate::domain::decision::{Decision, Submitter};
use crate::domain::resolution::{Action, ResolutionRequest};
use crate::domain::ruling::{Finding, Outcome, Role, Ruling};
use crate::spelling::is_same_person;

/// Who acts: the person whom the key belongs to, else the one that the body names.
pub(super) fn actor(request: &Request) -> Result<String, ResolveError> {
    match (&request.api_key.user_id, &request.wanted.actor) {
        (Some(user_id), Some(actor)) if !is_same_person(user_id, actor) => {
            Err(ResolveError::Refused {
                refusal: Refusal::AnotherActor,
                detail: format!(
                    "this key belongs to {user_id}; omit `actor`, or send the key of the person who acts"
                ),
            })
        }
        (Some(actor), _) | (None, Some(actor)) => Ok(actor.clone()),
        (None, None) => Err(ResolveError::Field {
            field: "actor",
            message: "this key belongs to no single person; write the person who acts".to_owned(),
        }),
    }
}

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
    let needed = decision
        .pending()
        .ok_or_else(|| not_open(decision.outcome))?;
    if let Some(role) = request.wanted.role
        && !request.api_key.roles.contains(&role)
    {
        return Err(ResolveError::Refused {
            refusal: Refusal::RoleMissing,
            detail: format!("this key does not have the role {role}; send a key that has it"),
        });
    }
    match (is_own(request, submitters, actor), request.wanted.action) {
        (true, Action::Withdraw) => {}
        (true, Action::Approve | Action::Deny) => {
            let detail = "people cannot approve or deny an expense that is their own or that they \
                          handed in; ask another person, or withdraw it";
            return Err(ResolveError::Refused {
                refusal: Refusal::OwnExpense,
                detail: detail.to_owned(),
            });
        }
        (false, _) => is_high_enough(role(request)?, needed)?,
    }
    approved_amount(decision, &request.wanted)
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

/// Whether an expense is the actor's own, or the actor handed it in. A key that handed it in also
/// counts as the actor's if it belongs to a person now or did then: changing its user in the file of
/// keys does not change who holds it.
fn is_own(request: &Request, submitters: &[Submitter], actor: &str) -> bool {
    let is_actor = |user_id: &str| is_same_person(actor, user_id);
    is_actor(&request.stored.decision.expense.user_id)
        || submitters.iter().any(|submitter| {
            let is_personal = submitter.user_id.is_some() || request.api_key.user_id.is_some();
            submitter.people().any(is_actor)
                || (is_personal && submitter.api_key == request.api_key.id)
        })
}

fn is_high_enough(role: Role, needed: Role) -> Result<(), ResolveError> {
    if role >= needed {
        return Ok(());
    }
    Err(ResolveError::Refused {
        refusal: Refusal::RoleTooLow,
        detail: format!(
            "the role {role} cannot resolve this expense; it takes the role {needed} or a higher one"
        ),
    })
}

/// What is approved: the whole expense, or less of it.
fn approved_amount(
    decision: &Decision,
    wanted: &ResolutionRequest,
) -> Result<Decimal, ResolveError> {
    if wanted.category.is_some() && decision.outcome != Outcome::NeedsReview {
        let message = "only an expense in review can get another category; omit it".to_owned();
        return Err(ResolveError::Field {
            field: "category",
            message,
        });
    }
    let all = decision.expense.amount;
    let amount = wanted.amount.unwrap_or(all);
    if amount <= all {
        return Ok(amount);
    }
    Err(ResolveError::Field {
        field: "amount",
        message: format!(
            "it is more than the expense, which is {all}; write a smaller amount, or omit it"
        ),
    })
}

/// The violations, if the role may set every one of their rules aside.
pub(super) fn set_aside(found: &Found, role: Role) -> Result<Vec<Finding>, ResolveError> {
    if let Some(approver) = found.verdict.approver {
        is_high_enough(role, approver)?;
    }
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
