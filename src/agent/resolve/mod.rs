//! A person resolves a decision that the agent left open, or is one of several who approve it in a row.
//! This module checks that the caps allow it, and `permission` that the person may do it; neither
//! questions the person's judgement. An approval of an expense in review has to pass the same rules as
//! an approval by the agent. `offer` tells with the same checks, before the person acts, what they may
//! do.

pub mod offer;
mod permission;
pub mod refusal;

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use rust_decimal::Decimal;
use tokio::time::Instant;
use uuid::Uuid;

use crate::agent::lookup::{Found, Lookup, lookup};
use crate::agent::people::actor;
use crate::agent::{Agent, JudgedExpense, MAX_RECORD_ATTEMPTS};
use crate::clock::day_of;
use crate::domain::decision::Decision;
use crate::domain::expense::{ConvertedAmount, Expense};
use crate::domain::overturned::{Judgement, judgement};
use crate::domain::resolution::{Action, Resolution, ResolutionRequest};
use crate::domain::ruling::{Finding, Outcome, Role};
use crate::domain::step::Step;
use crate::keys::ApiKey;
use crate::ledger::{CapChange, LedgerError, RecordError, StoredDecision};
use crate::rulebook::Rulebook;
use crate::spelling::is_same_person;
use crate::telemetry::spans::step::step;
use permission::{awaits, may_resolve, set_aside};
use refusal::{Refusal, ResolveError, already_resolved};

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

/// A resolution that is in the ledger, or an approval that others have to follow.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The decision, as it stands now.
    pub stored: StoredDecision,
    /// What the person did.
    pub resolution: Resolution,
    /// The hash of its record; absent when an earlier request recorded it.
    pub record_hash: Option<String>,
}

impl Agent {
    /// The expense of a decision, to be judged again with another amount.
    async fn judged(
        &self,
        decision: &Decision,
        rulebook: Rulebook,
        amount: Decimal,
    ) -> Result<JudgedExpense, LedgerError> {
        let plan = match decision.expense.under {
            Some(id) => self.ledger.get(&decision.tenant_id, id).await?,
            None => None,
        };
        Ok(JudgedExpense {
            tenant_id: decision.tenant_id.clone(),
            // The report of this lookup is not kept, so no time is counted from here.
            arrived: Instant::now(),
            today: day_of(decision.received_at),
            rulebook,
            expense: Expense {
                amount,
                ..decision.expense.clone()
            },
            plan: plan.map(Arc::new),
        })
    }

    /// Resolves an expense, or approves it as one of several. What the person did is in the ledger when
    /// this returns.
    ///
    /// # Errors
    /// When the person may not resolve it, the expense is not open, or the ledger fails.
    pub async fn resolve(&self, request: &Request) -> Result<Resolved, ResolveError> {
        step(Step::Resolve, async {
            let mut request = Cow::Borrowed(request);
            loop {
                let result = self.act(&request).await;
                let was_open = request.stored.resolution.is_none();
                match result {
                    Err(ResolveError::Refused {
                        refusal: Refusal::AlreadySettled,
                        ..
                    }) if was_open => {}
                    result => return result,
                }
                // Another person acted since the decision was read, and may have left it open for
                // this one.
                let StoredDecision { decision, .. } = &request.stored;
                let now = self.ledger.get(&decision.tenant_id, decision.id).await?;
                match now {
                    Some(now) if now.n_acts() > request.stored.n_acts() => {
                        request.to_mut().stored = now;
                    }
                    _ => return result,
                }
            }
        })
        .await
    }

    /// Makes one attempt to do what a person wants, on the decision as it was read.
    async fn act(&self, request: &Request) -> Result<Resolved, ResolveError> {
        let StoredDecision {
            decision,
            resolution,
            ..
        } = &request.stored;
        let actor = actor(&request.api_key, request.wanted.actor.as_deref())?;
        if let Some(repeated) = repeated(request, &actor) {
            return Ok(repeated);
        }
        if resolution.is_some() {
            return Err(already_resolved());
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
    }

    /// Approves an expense that waited for approval: it keeps its share of the caps, or the part of
    /// it that was approved, less what credits have taken off. While others still have to approve, it
    /// keeps all of it.
    async fn approve_pending(
        &self,
        request: &Request,
        actor: String,
        amount: Decimal,
    ) -> Result<Resolved, ResolveError> {
        // What is paid of the amount is known only when the resolution is recorded: credits may have
        // come meanwhile.
        let approval = Approval {
            amount: Some(amount),
            category: request.stored.decision.category.clone(),
            awaits: awaits(request, None)?,
            ..Approval::default()
        };
        let change = match approval.awaits.as_slice() {
            [] => CapChange::Keep(amount),
            _ => CapChange::None,
        };
        let resolution = resolution_of(request, actor, approval);
        Ok(self
            .record_resolution(&request.stored, resolution, change)
            .await?)
    }

    /// Approves an expense in review, which has no share of any cap yet: the last of those who approve
    /// takes it. It has to pass the rules of its category, except those that may be set aside.
    async fn approve_reviewed(
        &self,
        request: &Request,
        actor: String,
        amount: Decimal,
    ) -> Result<Resolved, ResolveError> {
        let category = filed_under(request)?;
        let decision = &request.stored.decision;
        for _ in 0..MAX_RECORD_ATTEMPTS {
            let rulebook = request.rulebook.clone();
            let judged = self.judged(decision, rulebook, amount).await?;
            let looked_up = lookup(&self.ledger, &judged, &category, &[]);
            let looked_up = step(Step::PolicyLookup, looked_up).await?;
            let Passed {
                found,
                awaits,
                set_aside,
            } = passes_the_rules(request, looked_up)?;
            let is_last = awaits.is_empty();
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
                exceptions: match is_last {
                    true => set_aside
                        .iter()
                        .map(|finding| finding.rule.clone())
                        .collect(),
                    false => Vec::new(),
                },
                awaits,
            };
            let resolution = resolution_of(request, actor.clone(), approval);
            let change = match is_last {
                true => CapChange::Take(&reservation),
                false => CapChange::None,
            };
            match self
                .record_resolution(&request.stored, resolution, change)
                .await
            {
                // Another expense took a share of a cap, or the plan, since the lookup.
                Err(RecordError::CapMoved | RecordError::PlanUsed) => {}
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
        // An approval that others have to follow is no judgement yet.
        if resolution.is_final() {
            self.imply_feedback(&open.decision, &resolution).await;
        }
        Ok(Resolved {
            stored: open.after(resolution.clone()),
            resolution,
            record_hash: Some(record_hash),
        })
    }
}

impl Resolved {
    /// How the resolution judges what the machine proposed; `None` if there is nothing to judge, or
    /// others still have to approve.
    pub fn judgement(&self) -> Option<Judgement> {
        let resolution = self.stored.resolution.as_ref()?;
        judgement(&self.stored.decision, resolution)
    }
}

/// The category that an expense in review is approved in: the one that earlier approvals chose, if there
/// are any.
fn filed_under(request: &Request) -> Result<String, ResolveError> {
    let StoredDecision {
        decision,
        approvals,
        ..
    } = &request.stored;
    let wanted = request.wanted.category.as_ref();
    let chosen = approvals.last().and_then(|latest| latest.category.as_ref());
    if let (Some(wanted), Some(chosen)) = (wanted, chosen)
        && wanted != chosen
    {
        let message = format!(
            "it was approved in the category {chosen} before; omit the category, or deny the expense"
        );
        return Err(ResolveError::Field {
            field: "category",
            message,
        });
    }
    let category = wanted.or(chosen).or(decision.category.as_ref());
    category.cloned().ok_or_else(|| ResolveError::Field {
        field: "category",
        message: "the agent found no category; write the one to file the expense under".to_owned(),
    })
}

/// What an approval of an expense in review rests on.
struct Passed {
    /// The policy by which it is approved.
    found: Found,
    /// The roles that still have to approve after the person.
    awaits: Vec<Role>,
    /// The findings that are set aside.
    set_aside: Vec<Finding>,
}

/// Checks that an expense in review may be approved by the rules of its category.
fn passes_the_rules(request: &Request, looked_up: Lookup) -> Result<Passed, ResolveError> {
    let found = looked_up.found.ok_or_else(|| ResolveError::Field {
        field: "category",
        message: looked_up.run.report.error.unwrap_or_default(),
    })?;
    let awaits = awaits(request, Some(&found.verdict))?;
    let set_aside = set_aside(request, &found, &awaits)?;
    Ok(Passed {
        found,
        awaits,
        set_aside,
    })
}

/// What the person did before, if they want the same again: it gets the same answer.
fn repeated(request: &Request, actor: &str) -> Option<Resolved> {
    let Request { stored, wanted, .. } = request;
    let is_same = |done: &&Resolution| {
        is_same_person(&done.actor, actor)
            && (done.action, done.role, &done.reason)
                == (wanted.action, wanted.role, &wanted.reason)
            && wanted
                .amount
                .is_none_or(|amount| done.approved() == Some(amount))
            && wanted
                .category
                .as_ref()
                .is_none_or(|category| done.category.as_ref() == Some(category))
    };
    let resolution = stored.acts().find(is_same)?.clone();
    Some(Resolved {
        stored: stored.clone(),
        resolution,
        record_hash: None,
    })
}

/// What is approved; the default is nothing.
#[derive(Default)]
struct Approval {
    amount: Option<Decimal>,
    converted_amount: Option<ConvertedAmount>,
    category: Option<String>,
    exceptions: Vec<String>,
    awaits: Vec<Role>,
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
        awaits,
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
        awaits,
        tenant_id: request.stored.decision.tenant_id.clone(),
        trace_id: request.trace_id.clone(),
        resolved_at: request.received_at,
    }
}
