//! Which decisions can be decided anew. An outage of the model is no reason for a decision that
//! stays: as long as no person resolved it, the employee may submit the expense again in its place.
//! Advice that was given stays, however bad: otherwise an employee could ask until the model agrees.

use strum::{IntoStaticStr, VariantArray};

use crate::domain::decision::AgentOutcome;
use crate::domain::ruling::Outcome;
use crate::ledger::{LedgerError, RecordError, StoredDecision};

/// Why a decision is not superseded, for programs. The HTTP API has a code of the same name for
/// each.
#[derive(IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stays {
    /// A person resolved it.
    AlreadySettled,
    /// Another decision superseded it.
    AlreadySuperseded,
    /// The model answered, so the decision rests on its advice.
    HasAdvice,
}

/// Why an expense was not decided; nothing was recorded.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The decision that it should supersede stays.
    #[error("the decision to supersede stays")]
    Stays(Stays),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<RecordError> for RunError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::AlreadyResolved => Self::Stays(Stays::AlreadySettled),
            RecordError::AlreadySuperseded => Self::Stays(Stays::AlreadySuperseded),
            error => Self::Ledger(error.into()),
        }
    }
}

/// Checks that a decision can be superseded. The ledger checks again when it records, because a
/// person may resolve the decision meanwhile.
pub(super) fn check(old: &StoredDecision) -> Result<(), RunError> {
    let decision = &old.decision;
    // A decision without advice is a denial or a review, so it holds no share of any cap.
    let holds_share = matches!(decision.outcome, Outcome::Approved | Outcome::NeedsApproval);
    let stays = if old.superseded_by.is_some() {
        Stays::AlreadySuperseded
    } else if old.resolution.is_some() {
        Stays::AlreadySettled
    } else if decision.agent_outcome != AgentOutcome::Error || holds_share {
        Stays::HasAdvice
    } else {
        return Ok(());
    };
    Err(RunError::Stays(stays))
}
