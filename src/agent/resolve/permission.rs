//! What a person may do with an open expense: in which role, for which amount, and which rules the
//! role may set aside. Who acts, and whose an expense is, is in `people`. Nothing is recorded here.

use rust_decimal::Decimal;

use crate::agent::lookup::Found;
use crate::agent::people::is_own;
use crate::agent::resolve::{
    Refusal, Request, ResolveError, already_resolved, already_superseded, not_open,
};
use crate::domain::decision::{Decision, Submitter};
use crate::domain::resolution::{Action, ResolutionRequest};
use crate::domain::ruling::{Finding, Outcome, Role, Ruling};

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
