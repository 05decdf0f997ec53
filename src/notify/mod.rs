//! Notifications tell a receiver that an expense begins to wait for a person, has waited for a day, or
//! waits no longer. They are webhooks, signed as [Standard Webhooks](https://www.standardwebhooks.com)
//! defines, and sent at least once, those of one expense in order.
//!
//! `message` is what a notification says, `attempt` is one request to a receiver, `worker` decides what is
//! sent when, and `unclaimed` deletes what has no receiver. What is still to be sent is in `ledger::outbox`, so nothing is lost when the
//! process dies. A receiver that is slow, hostile or gone delays nothing but its own notifications: the
//! workers hold a handful of them in memory and read nothing of a response but its head.

pub mod attempt;
pub mod message;
mod unclaimed;
pub mod worker;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use reqwest::Url;

use crate::ledger::Notified;
use crate::notify::message::Secret;

/// How long after its event a notification is tried again.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(3 * 24);

/// Who is notified, and how.
#[derive(Clone, Debug, Default)]
pub struct NotifyConfig {
    /// The receivers; without one nothing is written or sent.
    pub receivers: Vec<Receiver>,
    /// Time limit of one attempt.
    pub timeout: Duration,
}

/// A receiver of notifications.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// The tenant whose notifications it gets, in its one spelling; `None` for all tenants that have
    /// no receiver of their own.
    pub tenant_id: Option<String>,
    /// Where the notifications are sent.
    pub url: Url,
    /// What they are signed with. Several while one secret replaces another.
    pub secrets: Vec<Secret>,
}

/// The receiver as log lines may show it: without the path, which is often a secret.
impl fmt::Display for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url.origin().ascii_serialization())
    }
}

impl NotifyConfig {
    /// The tenants that have a receiver.
    pub fn notified(&self) -> Notified {
        let named: BTreeSet<String> = self.named_tenants().map(str::to_owned).collect();
        match self.receivers.len() {
            0 => Notified::None,
            n_receivers if n_receivers == named.len() => Notified::Only(Arc::new(named)),
            _ => Notified::All,
        }
    }

    /// The tenants that have a receiver of their own.
    fn named_tenants(&self) -> impl Iterator<Item = &str> {
        let receivers = self.receivers.iter();
        receivers.filter_map(|receiver| receiver.tenant_id.as_deref())
    }
}
