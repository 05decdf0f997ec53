//! Why a person cannot resolve a decision, for programs and in words.

use strum::{IntoStaticStr, VariantArray};

use crate::agent::people::ActorError;
use crate::domain::ruling::Outcome;
use crate::ledger::{LedgerError, RecordError};

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
    /// The person is one of those who approved the expense, and another has to.
    AlreadyApproved,
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

pub(super) fn already_resolved() -> ResolveError {
    ResolveError::Refused {
        refusal: Refusal::AlreadySettled,
        detail: "this expense has already been resolved".to_owned(),
    }
}

pub(super) fn already_superseded() -> ResolveError {
    ResolveError::Refused {
        refusal: Refusal::AlreadySuperseded,
        detail: "this expense was decided anew; resolve the decision in `superseded_by` instead"
            .to_owned(),
    }
}

pub(super) fn not_open(outcome: Outcome) -> ResolveError {
    let detail = format!(
        "the outcome of this expense is {outcome}; only needs_approval and needs_review can be resolved"
    );
    ResolveError::Refused {
        refusal: Refusal::NotOpen,
        detail,
    }
}
