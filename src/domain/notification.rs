//! The events of which a receiver is notified: what happens to an expense that waits for a person. How a notification is stored until it is sent is in `ledger::outbox`, what it says and how
//! it is sent in `notify`.

use jiff::{SignedDuration, Timestamp};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// How long a decision waits before it is overdue.
pub const OVERDUE_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// An event in the life of an expense, in the order in which they happen. An expense has each at most
/// once, unless several people approve it in a row: then it begins to wait again after each of them.
#[derive(
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
)]
pub enum NotificationType {
    /// The expense begins to wait for a person.
    #[strum(serialize = "expense.waiting")]
    Waiting,
    /// It has waited for [`OVERDUE_AFTER`].
    #[strum(serialize = "expense.overdue")]
    Overdue,
    /// A person resolved it.
    #[strum(serialize = "expense.resolved")]
    Resolved,
    /// It was decided anew while it waited, so its decision waits no longer.
    #[strum(serialize = "expense.superseded")]
    Superseded,
}

/// When a decision that was received at this moment is overdue.
pub fn overdue_at(received_at: Timestamp) -> Timestamp {
    received_at
        .saturating_add(OVERDUE_AFTER)
        .unwrap_or(Timestamp::MAX)
}
