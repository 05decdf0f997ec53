//! Who has to approve an expense: one role, or several in a row, each by another person. What asks for
//! them is in `policy`; who has approved already is in the ledger's `StoredDecision`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::ruling::Role;

/// Whom one rule asks, as policy files and prompts write it: `role = "manager"`, or
/// `roles = ["manager", "cfo"]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovedBy {
    /// A person with this role, or with a higher one.
    Role(Role),
    /// One person after the other, from the lowest role to the highest.
    Roles(Vec<Role>),
}

/// Whom all rules that ask for an approval ask together. A role that a rule asks for alone is satisfied
/// by any approval in that role or a higher one. Roles in a row add up, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approvers {
    alone: Option<Role>,
    in_a_row: BTreeSet<Role>,
}

impl Approvers {
    /// Adds what a rule asks for.
    pub fn ask(&mut self, by: &ApprovedBy) {
        match by {
            ApprovedBy::Role(role) => self.alone = self.alone.max(Some(*role)),
            ApprovedBy::Roles(roles) => self.in_a_row.extend(roles),
        }
    }

    /// Adds what other rules ask for.
    pub fn extend(&mut self, other: &Self) {
        self.alone = self.alone.max(other.alone);
        self.in_a_row.extend(&other.in_a_row);
    }

    /// The roles that have to approve, one after the other, from the lowest to the highest.
    pub fn roles(&self) -> Vec<Role> {
        let highest = self.in_a_row.last().copied();
        let more = self.alone.filter(|alone| Some(*alone) > highest);
        self.in_a_row.iter().copied().chain(more).collect()
    }

    /// The highest of these roles; `None` if no approval is asked for.
    pub fn highest(&self) -> Option<Role> {
        self.alone.max(self.in_a_row.last().copied())
    }

    /// Whether the approvals that another verdict asks for are not all among these.
    pub fn lack(&self, other: &Self) -> bool {
        let mut both = self.clone();
        both.extend(other);
        both.roles() != self.roles()
    }
}

/// The roles that still have to approve once a person has approved in `role`: the highest that the
/// person's role covers is satisfied. `None` if the role covers none of them.
pub fn still_to_approve(roles: &[Role], role: Role) -> Option<Vec<Role>> {
    let covered = roles.iter().rposition(|asked| *asked <= role)?;
    let mut left = roles.to_vec();
    left.remove(covered);
    Some(left)
}
