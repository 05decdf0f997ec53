//! Which decisions can be superseded. A decision that the model did not answer, because of an
//! outage, is not final: until a person resolves it, the employee may submit the expense again in
//! its place. A decision with advice cannot be superseded, however bad the advice: otherwise an
//! employee could ask until the model agrees.

use strum::{IntoStaticStr, VariantArray};

use crate::domain::decision::AgentOutcome;
use crate::domain::ruling::Outcome;
use crate::ledger::{LedgerError, RecordError, StoredDecision};
use crate::llm::ModelError;

/// Why a decision cannot be superseded, for programs. The HTTP API has a code of the same name for
/// each.
#[derive(IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SupersedeRefusal {
    /// A person resolved it, or gave one of the approvals that it needs.
    AlreadySettled,
    /// Another decision superseded it.
    AlreadySuperseded,
    /// The model answered, so the decision rests on its advice.
    HasAdvice,
}

/// Why an expense was not decided; nothing was recorded.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The decision that it should supersede cannot be superseded.
    #[error("the decision cannot be superseded")]
    NotSuperseded(SupersedeRefusal),
    /// Another purchase took over the plan that it was to be made under.
    #[error("another purchase took over the plan")]
    PlanUsed,
    /// The model could not be asked in time, because other calls waited for it too. The expense can
    /// be sent again in a moment, so this is no reason for a review.
    #[error("{}", ModelError::Overloaded)]
    Overloaded,
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<RecordError> for RunError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::AlreadyResolved => Self::NotSuperseded(SupersedeRefusal::AlreadySettled),
            RecordError::AlreadySuperseded => {
                Self::NotSuperseded(SupersedeRefusal::AlreadySuperseded)
            }
            RecordError::PlanUsed => Self::PlanUsed,
            error => Self::Ledger(error.into()),
        }
    }
}

/// Whether an expense may still be decided anew in place of this decision.
pub fn can_be_superseded(decision: &StoredDecision) -> bool {
    check(decision).is_ok()
}

/// Checks that a decision can be superseded. The ledger checks again when it records, because a
/// person may resolve the decision meanwhile.
pub(super) fn check(old: &StoredDecision) -> Result<(), RunError> {
    let decision = &old.decision;
    // A decision that holds a share of a cap cannot be superseded. Decisions without advice are
    // denials or reviews, and hold no share, so this is only a safeguard.
    let holds_share = matches!(decision.outcome, Outcome::Approved | Outcome::NeedsApproval);
    let refusal = if old.superseded_by.is_some() {
        SupersedeRefusal::AlreadySuperseded
    } else if old.n_acts() > 0 {
        SupersedeRefusal::AlreadySettled
    } else if decision.agent_outcome != AgentOutcome::Error || holds_share {
        SupersedeRefusal::HasAdvice
    } else {
        return Ok(());
    };
    Err(RunError::NotSuperseded(refusal))
}
