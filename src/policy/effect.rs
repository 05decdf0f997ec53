//! What a broken rule leads to. Each kind of rule has an effect of its own; some kinds let the policy
//! file choose another one.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::approvers::ApprovedBy;
use crate::domain::ruling::{Role, Ruling};

/// What a broken rule leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The expense is denied.
    Denied,
    /// These have to approve.
    Asks(ApprovedBy),
}

impl Effect {
    /// The ruling on the expense.
    pub fn ruling(&self) -> Ruling {
        match self {
            Self::Denied => Ruling::Denied,
            Self::Asks(_) => Ruling::NeedsApproval,
        }
    }

    /// Who has to approve.
    pub fn asks(&self) -> Option<&ApprovedBy> {
        match self {
            Self::Denied => None,
            Self::Asks(by) => Some(by),
        }
    }
}

/// The effect that a policy file chose in place of the kind's own; without one, the kind's own holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChosenEffect {
    /// `denied`, or `needs_approval`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    effect: Option<Ruling>,
    /// The role that approves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
}

impl ChosenEffect {
    /// The choice of an effect in a rule whose kind has another one.
    pub fn new(chosen: &Effect, own: &Effect) -> Self {
        if chosen == own {
            return Self::default();
        }
        Self {
            effect: Some(chosen.ruling()),
            role: match chosen {
                Effect::Asks(ApprovedBy::Role(role)) => Some(*role),
                _ => None,
            },
        }
    }

    /// The effect of a rule whose kind has an effect of its own.
    pub fn or(self, own: Effect) -> Effect {
        match (self.effect, self.role) {
            (None, _) => own,
            (Some(Ruling::Denied), _) | (_, None) => Effect::Denied,
            (Some(_), Some(role)) => Effect::Asks(ApprovedBy::Role(role)),
        }
    }
}
