//! Connections of clients: how many may be open, which of them is closed for a new one, and how
//! long each may do nothing. `axum::serve` has none of these limits: a client that sends half a
//! request and waits would keep its connection for ever, and enough of them use up the files that
//! the process may open, so that probes are refused and policy files cannot be read.
//!
//! [`Connections`] knows every open connection. `activity` follows what one of them does, and
//! `server` accepts them and serves their requests with the router. Nothing here knows the routes.

mod activity;
pub mod server;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use strum::{IntoStaticStr, VariantArray};

use crate::lock::lock;
use activity::Activity;

/// Limits of connections.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Maximum number of open connections.
    pub max_open: usize,
    /// How long a client may take to send the head of a request, from its first byte.
    pub head_timeout: Duration,
    /// How long a connection may be open without a request.
    pub idle_timeout: Duration,
    /// How long nothing may be read or written while a request is in progress. Longer than the
    /// deadline of a request.
    pub stall_timeout: Duration,
}

/// Why the service closed a connection, in the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum CloseReason {
    /// The maximum was open, and none of them waited for its client.
    Refused,
    /// The maximum was open, and this one had waited for its client for the longest time.
    Evicted,
    /// The head of a request did not arrive in time.
    SlowHead,
    /// No request came in time.
    Idle,
    /// A client neither sent the rest of its request nor read its response.
    Stalled,
}

/// Every open connection, and how many were closed for each reason.
///
/// A connection leaves the map when it ends, or when it is evicted, whichever comes first, so the
/// size of the map is the number of connections that count. The lock of the map is acquired before
/// that of an activity, never after it.
#[derive(Debug, Default)]
pub struct Connections {
    open: Mutex<BTreeMap<u64, Arc<Activity>>>,
    next_id: AtomicU64,
    /// By the position of the reason among its variants.
    closed: [AtomicU64; CloseReason::VARIANTS.len()],
}

impl Connections {
    /// The number of open connections.
    pub fn n_open(&self) -> usize {
        lock(&self.open).len()
    }

    /// How many connections the service closed, by reason.
    pub fn n_closed(&self) -> impl Iterator<Item = (CloseReason, u64)> {
        let reasons = CloseReason::VARIANTS.iter().copied();
        reasons.zip(
            self.closed
                .iter()
                .map(|count| count.load(Ordering::Relaxed)),
        )
    }

    fn count(&self, reason: CloseReason) {
        self.closed[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A place for a new connection. When all places are taken, the connection that has been
    /// without a request for the longest time makes room; if every connection has a request, the
    /// one whose client has been sending no more of a body for the longest time. So idle clients
    /// keep no others out. `None` when no connection waits for its client.
    fn admit(self: &Arc<Self>, max_open: usize) -> Option<Admitted> {
        let mut open = lock(&self.open);
        if open.len() >= max_open && !evict_oldest(&mut open) {
            self.count(CloseReason::Refused);
            return None;
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let activity = Arc::new(Activity::new());
        open.insert(id, Arc::clone(&activity));
        Some(Admitted {
            connections: Arc::clone(self),
            id,
            activity,
        })
    }

    /// Closes the connection that has waited for its client for the longest time, if there is one.
    fn make_room(&self) {
        evict_oldest(&mut lock(&self.open));
    }
}

fn evict_oldest(open: &mut BTreeMap<u64, Arc<Activity>>) -> bool {
    let waiting = open
        .iter()
        .filter_map(|(id, activity)| Some((activity.waits_since()?, *id)));
    let oldest = waiting.min().and_then(|(_, id)| open.remove(&id));
    if let Some(activity) = &oldest {
        activity.evict();
    }
    oldest.is_some()
}

/// The place of an open connection; dropping it frees the place.
struct Admitted {
    connections: Arc<Connections>,
    id: u64,
    activity: Arc<Activity>,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        lock(&self.connections.open).remove(&self.id);
    }
}
