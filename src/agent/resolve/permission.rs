//! What a person may do with an open expense: who acts, in which role, for which amount, and which
//! rules the role may set aside. Nothing is recorded here.

use rust_decimal::Decimal;

use crate::agent::lookup::Found;
use crate::agent::resolve::{Refusal, Request, ResolveError};
use crate::domain::decision::Decision;
use crate::domain::resolution::ResolutionRequest;
use crate::domain::ruling::{Finding, Outcome, Role, Ruling};

/// Who acts: the person whom the key belongs to, else the one that the body names.
pub(super) fn actor(request: &Request) -> Result<String, ResolveError> {
    match (&request.api_key.user_id, &request.wanted.actor) {
        (Some(user_id), Some(actor)) if user_id != actor => Err(ResolveError::Refused {
            refusal: Refusal::AnotherActor,
            detail: format!(
                "this key belongs to {user_id}; omit `actor`, or send the key of the person who acts"
            ),
        }),
        (Some(actor), _) | (None, Some(actor)) => Ok(actor.clone()),
        (None, None) => Err(ResolveError::Field {
            field: "actor",
            message: "this key belongs to no single person; write the person who acts".to_owned(),
        }),
    }
}

/// Checks that a person may resolve an expense that needs the role `needed` or a higher one.
pub(super) fn may_resolve(
    request: &Request,
    actor: &str,
    needed: Role,
) -> Result<(), ResolveError> {
    let role = request.wanted.role;
    if !request.api_key.roles.contains(&role) {
        return Err(ResolveError::Refused {
            refusal: Refusal::RoleMissing,
            detail: format!("this key does not have the role {role}; send a key that has it"),
        });
    }
    if actor == request.stored.decision.expense.user_id {
        let detail = "employees cannot resolve their own expenses; ask another person".to_owned();
        return Err(ResolveError::Refused {
            refusal: Refusal::OwnExpense,
            detail,
        });
    }
    is_high_enough(role, needed)
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
pub(super) fn approved_amount(
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
