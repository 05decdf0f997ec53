//! A person resolves a decision that the agent left open. This module checks that the caps allow it,
//! and `permission` that the person may do it; neither questions the person's judgement. An approval
//! of an expense in review has to pass the same rules as an approval by the agent. `offer` tells with
//! the same checks, before the person acts, what they may do.

pub mod offer;
mod permission;

use std::sync::Arc;

use jiff::Timestamp;
use rust_decimal::Decimal;
use strum::{IntoStaticStr, VariantArray};
use tokio::time::Instant;
use uuid::Uuid;

use crate::agent::lookup::{Found, Lookup, lookup};
use crate::agent::people::{ActorError, actor};
use crate::agent::{Agent, JudgedExpense, MAX_RECORD_ATTEMPTS};
use crate::clock::day_of;
use crate::domain::decision::Decision;
use crate::domain::expense::{ConvertedAmount, Expense};
use crate::domain::overturned::{Judgement, judgement};
use crate::domain::resolution::{Action, Resolution, ResolutionRequest};
use crate::domain::ruling::{Finding, Outcome};
use crate::domain::step::Step;
use crate::keys::ApiKey;
use crate::ledger::{CapChange, LedgerError, RecordError, StoredDecision};
use crate::rulebook::Rulebook;
use crate::spelling::is_same_person;
use crate::telemetry::spans::step::step;
use permission::{may_resolve, role, set_aside};

/// A resolution that a person asks for, and what came with the request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The decision to resolve.
    pub stored: StoredDecision,
    /// What the person wants.
    pub wanted: ResolutionRequest,
    /// The API key of the request.
    pub api_key: Arc<ApiKey>,
    /// What an approval of an expense in review is judged by: the policies loaded today, in the
    /// versions of the purchase's day.
    pub rulebook: Rulebook,
    /// The trace of the request: 32 hex digits.
    pub trace_id: String,
    /// When the request came in.
    pub received_at: Timestamp,
}

/// A resolution that is in the ledger.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The decision it resolves.
    pub decision: Decision,
    /// The resolution.
    pub resolution: Resolution,
    /// The hash of its record; absent when an earlier request recorded it.
    pub record_hash: Option<String>,
}

/// Why a resolution is refused, for programs. The HTTP API has a code of the same name for each.
#[derive(IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The API key belongs to another person than the one named as actor.
    AnotherActor,
    /// The API key does not have the role that the person acts in.
    RoleMissing,
    /// The role is lower than the expense asks for.
    RoleTooLow,
    /// The expense is the person's own, or the person handed it in.
    OwnExpense,
    /// A rule denies the expense, and the role may not set that rule aside.
    ExceptionNeeded,
    /// The decision is not open.
    NotOpen,
    /// The decision has been resolved before, in another way.
    AlreadySettled,
    /// The expense was decided anew, so the newer decision is the one to resolve.
    AlreadySuperseded,
    /// A field of the body does not fit the expense.
    InvalidResolution,
}

/// Why an expense was not resolved; nothing was recorded.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The person may not do this, or the expense is not open.
    #[error("{detail}")]
    Refused {
        /// Why, for programs.
        refusal: Refusal,
        /// What would be allowed, or what has become of the expense, for people.
        detail: String,
    },
    /// A field of the body does not fit the expense.
    #[error("`{field}`: {message}")]
    Field {
        /// Which one.
        field: &'static str,
        /// What is wrong and what would be accepted.
        message: String,
    },
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// The expense of a decision, to be judged again with another amount.
fn judged(decision: &Decision, rulebook: Rulebook, amount: Decimal) -> JudgedExpense {
    JudgedExpense {
        tenant_id: decision.tenant_id.clone(),
        // The report of this lookup is not kept, so no time is counted from here.
        arrived: Instant::now(),
        today: day_of(decision.received_at),
        rulebook,
        expense: Expense {
            amount,
            ..decision.expense.clone()
        },
    }
}

impl Agent {
    /// Resolves an expense. The resolution is in the ledger when this returns.
    ///
    /// # Errors
    /// When the person may not resolve it, the expense is not open, or the ledger fails.
    pub async fn resolve(&self, request: &Request) -> Result<Resolved, ResolveError> {
        step(Step::Resolve, async {
            let StoredDecision {
                decision,
                resolution,
                ..
            } = &request.stored;
            let actor = actor(&request.api_key, request.wanted.actor.as_deref())?;
            if let Some(resolution) = resolution {
                return repeated(decision, resolution, &actor, &request.wanted);
            }
            let submitters = self.submitters(decision).await?;
            let amount = may_resolve(request, &submitters, &actor)?;
            match (request.wanted.action, decision.outcome) {
                (Action::Approve, Outcome::NeedsReview) => {
                    self.approve_reviewed(request, actor, amount).await
                }
                (Action::Approve, _) => self.approve_pending(request, actor, amount).await,
                (Action::Deny | Action::Withdraw, _) => {
                    let resolution = resolution_of(request, actor, Approval::default());
                    let keep_nothing = CapChange::Keep(Decimal::ZERO);
                    Ok(self
                        .record_resolution(&request.stored, resolution, keep_nothing)
                        .await?)
                }
            }
        })
        .await
    }

    /// Approves an expense that waited for approval: it keeps its share of the caps, or the part of
    /// it that was approved, less what credits have taken off.
    async fn approve_pending(
        &self,
        request: &Request,
        actor: String,
        amount: Decimal,
    ) -> Result<Resolved, ResolveError> {
        // What is paid of the amount is known only when the resolution is recorded: credits may have
        // come meanwhile.
        let approval = Approval {
            category: request.stored.decision.category.clone(),
            ..Approval::default()
        };
        let resolution = resolution_of(request, actor, approval);
        Ok(self
            .record_resolution(&request.stored, resolution, CapChange::Keep(amount))
            .await?)
    }

    /// Approves an expense in review, which has no share of any cap yet. It has to pass the rules of
    /// its category, except those that the person's role may set aside.
    async fn approve_reviewed(
        &self,
        request: &Request,
        actor: String,
        amount: Decimal,
    ) -> Result<Resolved, ResolveError> {
        let category = filed_under(request)?;
        let judged = judged(&request.stored.decision, request.rulebook.clone(), amount);
        for _ in 0..MAX_RECORD_ATTEMPTS {
            let looked_up = lookup(&self.ledger, &judged, &category, &[]);
            let looked_up = step(Step::PolicyLookup, looked_up).await?;
            let (found, set_aside) = passes_the_rules(request, looked_up)?;
            // The ledger checks the caps again when it records, so a cap that is set aside must not be
            // among them.
            let mut reservation = found.reservation.clone();
            reservation
                .caps
                .retain(|cap| !set_aside.iter().any(|finding| finding.rule == cap.rule));
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
                .record_resolution(&request.stored, resolution, CapChange::Take(&reservation))
                .await
            {
                // Another expense took a share of a cap since the lookup.
                Err(RecordError::CapMoved) => {}
                result => return Ok(result?),
            }
        }
        Err(LedgerError::Contended.into())
    }

    async fn record_resolution(
        &self,
        open: &StoredDecision,
        mut resolution: Resolution,
        change: CapChange<'_>,
    ) -> Result<Resolved, RecordError> {
        let write = self.ledger.resolve(open, &mut resolution, change);
        let record_hash = self.recording(Step::RecordResolution, write).await?;
        self.imply_feedback(&open.decision, &resolution).await;
        Ok(Resolved {
            decision: open.decision.clone(),
            resolution,
            record_hash: Some(record_hash),
        })
    }
}

impl Resolved {
    /// How the resolution judges what the machine proposed; `None` if there is nothing to judge.
    pub fn judgement(&self) -> Option<Judgement> {
        judgement(&self.decision, &self.resolution)
    }
}

/// The category that an expense in review is approved in.
fn filed_under(request: &Request) -> Result<String, ResolveError> {
    let decided = &request.stored.decision.category;
    let category = request.wanted.category.as_ref().or(decided.as_ref());
    category.cloned().ok_or_else(|| ResolveError::Field {
        field: "category",
        message: "the agent found no category; write the one to file the expense under".to_owned(),
    })
}

/// The policy by which an expense in review is approved, and the findings that the person's role sets
/// aside.
fn passes_the_rules(
    request: &Request,
    looked_up: Lookup,
) -> Result<(Found, Vec<Finding>), ResolveError> {
    let found = looked_up.found.ok_or_else(|| ResolveError::Field {
        field: "category",
        message: looked_up.run.report.error.unwrap_or_default(),
    })?;
    let set_aside = set_aside(&found, role(request)?)?;
    Ok((found, set_aside))
}

impl From<ActorError> for ResolveError {
    fn from(error: ActorError) -> Self {
        match error {
            ActorError::Another(_) => Self::Refused {
                refusal: Refusal::AnotherActor,
                detail: error.to_string(),
            },
            ActorError::Unnamed => Self::Field {
                field: "actor",
                message: error.to_string(),
            },
        }
    }
}

impl From<RecordError> for ResolveError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::AlreadyResolved => already_resolved(),
            RecordError::AlreadySuperseded => already_superseded(),
            error => Self::Ledger(error.into()),
        }
    }
}

fn already_resolved() -> ResolveError {
    ResolveError::Refused {
        refusal: Refusal::AlreadySettled,
        detail: "this expense has already been resolved".to_owned(),
    }
}

fn already_superseded() -> ResolveError {
    ResolveError::Refused {
        refusal: Refusal::AlreadySuperseded,
        detail: "this expense was decided anew; resolve the decision in `superseded_by` instead"
            .to_owned(),
    }
}

fn not_open(outcome: Outcome) -> ResolveError {
    let detail = format!(
        "the outcome of this expense is {outcome}; only needs_approval and needs_review can be resolved"
    );
    ResolveError::Refused {
        refusal: Refusal::NotOpen,
        detail,
    }
}

/// The same resolution sent again gets the same answer; a different one comes too late.
fn repeated(
    decision: &Decision,
    resolution: &Resolution,
    actor: &str,
    wanted: &ResolutionRequest,
) -> Result<Resolved, ResolveError> {
    let is_same = is_same_person(&resolution.actor, actor)
        && (resolution.action, resolution.role, &resolution.reason)
            == (wanted.action, wanted.role, &wanted.reason)
        && wanted
            .amount
            .is_none_or(|amount| resolution.approved() == Some(amount))
        && wanted
            .category
            .as_ref()
            .is_none_or(|category| resolution.category.as_ref() == Some(category));
    let resolved = Resolved {
        decision: decision.clone(),
        resolution: resolution.clone(),
        record_hash: None,
    };
    is_same.then_some(resolved).ok_or_else(already_resolved)
}

/// What is approved; the default is nothing.
#[derive(Default)]
struct Approval {
    amount: Option<Decimal>,
    converted_amount: Option<ConvertedAmount>,
    category: Option<String>,
    exceptions: Vec<String>,
}

fn resolution_of(request: &Request, actor: String, approval: Approval) -> Resolution {
    let ResolutionRequest {
        action,
        role,
        reason,
        ..
    } = &request.wanted;
    let Approval {
        amount,
        converted_amount,
        category,
        exceptions,
    } = approval;
    Resolution {
        id: Uuid::now_v7(),
        expense_id: request.stored.decision.id,
        action: *action,
        role: *role,
        actor,
        api_key: request.api_key.id.clone(),
        reason: reason.clone(),
        amount,
        credited: None,
        converted_amount,
        category,
        exceptions,
        tenant_id: request.stored.decision.tenant_id.clone(),
        trace_id: request.trace_id.clone(),
        resolved_at: request.received_at,
    }
}
