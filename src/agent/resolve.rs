//! A person settles what the agent left open. Who may do it, and whether the caps let him, is
//! decided here; what he makes of the expense is his. An approval of an expense in review goes
//! through the same rules as the machine's would have.

use std::sync::Arc;

use jiff::Timestamp;
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::agent::lookup::{Found, lookup};
use crate::agent::{Agent, Case, MAX_RECORD_ATTEMPTS};
use crate::domain::decision::Decision;
use crate::domain::expense::{ConvertedAmount, Expense};
use crate::domain::resolution::{Action, Resolution, Settlement};
use crate::domain::ruling::{Finding, Outcome, Role, Ruling};
use crate::domain::step::Step;
use crate::keys::ApiKey;
use crate::ledger::{Entry, LedgerError, RecordError, Share};
use crate::rulebook::Rulebook;
use crate::telemetry::spans::step::step;

/// A settlement that was asked for, and what came with its request.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is open.
    pub entry: Entry,
    /// What is to be done with it.
    pub settlement: Settlement,
    /// The key that was shown.
    pub key: Arc<ApiKey>,
    /// What an approval of an expense in review has to go by: the rules of today, in the version
    /// of the purchase's day.
    pub rulebook: Rulebook,
    /// The trace of the request: 32 hex digits.
    pub trace_id: String,
    /// When the request came in.
    pub received_at: Timestamp,
}

/// A settlement that is in the ledger.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The decision it settles.
    pub decision: Decision,
    /// The settlement.
    pub resolution: Resolution,
    /// The hash of its record; absent when an earlier request had recorded it.
    pub record_hash: Option<String>,
}

/// Why an expense was not settled; nothing was recorded.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The person may not do this.
    #[error("{detail}")]
    Forbidden {
        /// Stable, for programs.
        code: &'static str,
        /// What would be allowed, for people.
        detail: String,
    },
    /// The expense is not open.
    #[error("{detail}")]
    Conflict {
        /// Stable, for programs.
        code: &'static str,
        /// What has become of it, for people.
        detail: String,
    },
    /// A field of the body does not fit the expense.
    #[error("`{field}`: {message}")]
    Field {
        /// Which one.
        field: &'static str,
        /// What was wrong and what would be accepted.
        message: String,
    },
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Agent {
    /// Settles an expense. The resolution is in the ledger when this returns.
    ///
    /// # Errors
    /// When the person may not, the expense is not open, or the ledger fails.
    pub async fn resolve(&self, request: &Request) -> Result<Resolved, ResolveError> {
        step(Step::Resolve, async {
            let Entry {
                decision,
                resolution,
            } = &request.entry;
            let actor = actor(request)?;
            if let Some(resolution) = resolution {
                return repeated(decision, resolution, &actor, &request.settlement);
            }
            let needed = decision
                .pending()
                .ok_or_else(|| not_open(decision.outcome))?;
            may_settle(request, &actor, needed)?;
            let amount = approved_amount(decision, &request.settlement)?;
            match (request.settlement.action, decision.outcome) {
                (Action::Approve, Outcome::NeedsReview) => {
                    self.approve_reviewed(request, actor, amount).await
                }
                (Action::Approve, _) => {
                    let converted_amount =
                        decision.converted_amount.as_ref().map(|all| all.of(amount));
                    let kept = converted_amount
                        .as_ref()
                        .map_or(amount, |converted| converted.amount);
                    let approval = Approval {
                        amount: Some(amount),
                        converted_amount,
                        category: decision.category.clone(),
                        exceptions: Vec::new(),
                    };
                    let resolution = resolution_of(request, actor, approval);
                    Ok(self
                        .settle(&request.entry, resolution, &Share::Keep(kept))
                        .await?)
                }
                (Action::Deny | Action::Withdraw, _) => {
                    let resolution = resolution_of(request, actor, Approval::default());
                    Ok(self
                        .settle(&request.entry, resolution, &Share::Keep(Decimal::ZERO))
                        .await?)
                }
            }
        })
        .await
    }

    /// Approves an expense that has taken nothing of any cap yet: by the rules of its category,
    /// those set aside that the person's role may set aside.
    async fn approve_reviewed(
        &self,
        request: &Request,
        actor: String,
        amount: Decimal,
    ) -> Result<Resolved, ResolveError> {
        let Entry { decision, .. } = &request.entry;
        let category = request
            .settlement
            .category
            .clone()
            .or_else(|| decision.category.clone());
        let category = category.ok_or_else(|| ResolveError::Field {
            field: "category",
            message: "the machine found none, so say which one it is filed under".to_owned(),
        })?;
        let case = case_of(
            request,
            Expense {
                amount,
                ..decision.expense.clone()
            },
        );
        for _ in 0..MAX_RECORD_ATTEMPTS {
            let looked_up = step(Step::PolicyLookup, lookup(self, &case, &category)).await?;
            let found = looked_up.found.ok_or_else(|| ResolveError::Field {
                field: "category",
                message: looked_up.run.report.error.unwrap_or_default(),
            })?;
            let set_aside = set_aside(&found, request.settlement.role)?;
            let mut reservation = found.reservation.clone();
            reservation.caps.retain(|(window, max)| {
                !set_aside
                    .iter()
                    .any(|finding| finding.window == *window && finding.limit == *max)
            });
            let approval = Approval {
                amount: Some(amount),
                converted_amount: found.facts.converted_amount.clone(),
                category: Some(category.clone()),
                exceptions: set_aside
                    .iter()
                    .map(|finding| finding.rule.clone())
                    .collect(),
            };
            let resolution = resolution_of(request, actor.clone(), approval);
            match self
                .settle(&request.entry, resolution, &Share::Take(reservation))
                .await
            {
                Err(RecordError::CapMoved) => {}
                result => return Ok(result?),
            }
        }
        Err(LedgerError::Contended.into())
    }

    async fn settle(
        &self,
        open: &Entry,
        resolution: Resolution,
        share: &Share,
    ) -> Result<Resolved, RecordError> {
        let record_hash = self.ledger.resolve(open, &resolution, share).await?;
        Ok(Resolved {
            decision: open.decision.clone(),
            resolution,
            record_hash: Some(record_hash),
        })
    }
}

impl From<RecordError> for ResolveError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Settled => settled(),
            error => Self::Ledger(error.into()),
        }
    }
}

fn settled() -> ResolveError {
    ResolveError::Conflict {
        code: "already_settled",
        detail: "somebody has settled this expense already".to_owned(),
    }
}

fn not_open(outcome: Outcome) -> ResolveError {
    let detail =
        format!("this expense is {outcome}; only needs_approval and needs_review can be settled");
    ResolveError::Conflict {
        code: "not_open",
        detail,
    }
}

/// Who acts: the person the key belongs to, else the one the body names.
fn actor(request: &Request) -> Result<String, ResolveError> {
    match (&request.key.user_id, &request.settlement.actor) {
        (Some(user_id), Some(actor)) if user_id != actor => Err(ResolveError::Forbidden {
            code: "another_actor",
            detail: format!(
                "this key signs as {user_id}; leave `actor` out, or show the key of the one who acts"
            ),
        }),
        (Some(actor), _) | (None, Some(actor)) => Ok(actor.clone()),
        (None, None) => Err(ResolveError::Field {
            field: "actor",
            message: "this key belongs to no single person, so say who acts".to_owned(),
        }),
    }
}

/// The same settlement sent again is answered again; any other one comes too late.
fn repeated(
    decision: &Decision,
    resolution: &Resolution,
    actor: &str,
    wanted: &Settlement,
) -> Result<Resolved, ResolveError> {
    let is_same = resolution.actor == actor
        && (resolution.action, resolution.role, &resolution.reason)
            == (wanted.action, wanted.role, &wanted.reason)
        && wanted
            .amount
            .is_none_or(|amount| resolution.amount == Some(amount))
        && wanted
            .category
            .as_ref()
            .is_none_or(|category| resolution.category.as_ref() == Some(category));
    let resolved = Resolved {
        decision: decision.clone(),
        resolution: resolution.clone(),
        record_hash: None,
    };
    is_same.then_some(resolved).ok_or_else(settled)
}

/// Whether a person may settle what needs at least some role. Roles go upwards: who may approve
/// more may approve less.
fn may_settle(request: &Request, actor: &str, needed: Role) -> Result<(), ResolveError> {
    let role = request.settlement.role;
    if !request.key.roles.contains(&role) {
        let detail =
            format!("the key that was shown does not have the role {role}; show one that has");
        return Err(ResolveError::Forbidden {
            code: "role_missing",
            detail,
        });
    }
    if actor == request.entry.decision.expense.user_id {
        let detail = "nobody settles their own expense; ask somebody else".to_owned();
        return Err(ResolveError::Forbidden {
            code: "own_expense",
            detail,
        });
    }
    is_high_enough(role, needed)
}

fn is_high_enough(role: Role, needed: Role) -> Result<(), ResolveError> {
    let detail = || format!("a {role} cannot settle this expense; it takes a {needed}");
    (role >= needed)
        .then_some(())
        .ok_or_else(|| ResolveError::Forbidden {
            code: "role_too_low",
            detail: detail(),
        })
}

/// What is approved: all of the expense, or less of it.
fn approved_amount(decision: &Decision, settlement: &Settlement) -> Result<Decimal, ResolveError> {
    if settlement.category.is_some() && decision.outcome != Outcome::NeedsReview {
        let message = "the category of this expense is not in doubt; leave it out".to_owned();
        return Err(ResolveError::Field {
            field: "category",
            message,
        });
    }
    let all = decision.expense.amount;
    let amount = settlement.amount.unwrap_or(all);
    let message =
        || format!("it is more than the expense, which is {all}; write less, or leave it out");
    (amount <= all)
        .then_some(amount)
        .ok_or_else(|| ResolveError::Field {
            field: "amount",
            message: message(),
        })
}

/// The findings that deny, when the role may set every one of their rules aside.
fn set_aside(found: &Found, role: Role) -> Result<Vec<Finding>, ResolveError> {
    if let Some(approver) = found.verdict.approver {
        is_high_enough(role, approver)?;
    }
    let broken = found
        .verdict
        .findings
        .iter()
        .filter(|finding| finding.effect == Ruling::Denied);
    let broken: Vec<Finding> = broken.cloned().collect();
    for finding in &broken {
        let exception = found
            .exceptions
            .iter()
            .find(|(rule, _)| *rule == finding.rule)
            .map(|(_, role)| *role);
        if exception.is_some_and(|needed| role >= needed) {
            continue;
        }
        let who = exception.map_or("nobody may set it aside".to_owned(), |needed| {
            format!("it takes a {needed} to set it aside")
        });
        let detail = format!(
            "the rule {} allows {} of this expense, and {who}",
            finding.rule, finding.allowable
        );
        return Err(ResolveError::Forbidden {
            code: "exception_needed",
            detail,
        });
    }
    Ok(broken)
}

/// What is approved, if anything.
#[derive(Default)]
struct Approval {
    amount: Option<Decimal>,
    converted_amount: Option<ConvertedAmount>,
    category: Option<String>,
    exceptions: Vec<String>,
}

fn resolution_of(request: &Request, actor: String, approval: Approval) -> Resolution {
    let Settlement {
        action,
        role,
        reason,
        ..
    } = &request.settlement;
    let Approval {
        amount,
        converted_amount,
        category,
        exceptions,
    } = approval;
    Resolution {
        id: Uuid::now_v7(),
        expense_id: request.entry.decision.id,
        action: *action,
        role: *role,
        actor,
        api_key: request.key.id.clone(),
        reason: reason.clone(),
        amount,
        converted_amount,
        category,
        exceptions,
        tenant_id: request.entry.decision.tenant_id.clone(),
        trace_id: request.trace_id.clone(),
        resolved_at: request.received_at,
    }
}

/// The expense as it came in, for the rules to be asked again.
fn case_of(request: &Request, expense: Expense) -> Case {
    let Decision {
        id,
        received_at,
        tenant_id,
        ..
    } = request.entry.decision.clone();
    Case {
        id,
        received_at,
        tenant_id,
        trace_id: request.trace_id.clone(),
        span_id: String::new(),
        // No model is asked.
        model_deadline: tokio::time::Instant::now(),
        key: None,
        rulebook: request.rulebook.clone(),
        expense,
        refunds: None,
    }
}
