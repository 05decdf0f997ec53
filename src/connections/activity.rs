//! What one connection is doing: waiting for a request, receiving the head of one, or working on
//! requests. [`Activity::overdue`] resolves when it has done the same for too long.
//!
//! The connection's task, the tasks of its requests and the acceptor share an activity. Its state is
//! behind a mutex that is held for a few instructions. Whoever brings the time limit forward, or
//! evicts the connection, wakes the connection's task through `changed`, which keeps one wake-up for
//! a task that is not waiting yet. A limit that moves further away needs no wake-up: the task looks
//! at the state again when the earlier limit is reached.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::connections::{CloseReason, ConnectionLimits};
use crate::lock::lock;

/// What the first bytes of a connection over HTTP/2 begin with.
const HTTP_2: &[u8] = b"PRI";

/// What a connection is doing.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    /// Requests whose response has not ended.
    n_requests: usize,
    /// When the connection was opened, or its last request ended.
    quiet_since: Instant,
    /// When the first byte of a head arrived, while the head is incomplete.
    head_since: Option<Instant>,
    /// When bytes were last read or written.
    moved_at: Instant,
    /// Which protocol the client speaks; `None` before its first byte.
    is_http_2: Option<bool>,
    is_evicted: bool,
}

impl Activity {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let state = State {
            n_requests: 0,
            quiet_since: now,
            head_since: None,
            moved_at: now,
            is_http_2: None,
            is_evicted: false,
        };
        Self {
            state: Mutex::new(state),
            changed: Notify::new(),
        }
    }

    /// Bytes were read.
    pub(super) fn received(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut state = lock(&self.state);
        state.moved_at = Instant::now();
        let is_http_2 = *state
            .is_http_2
            .get_or_insert_with(|| bytes.starts_with(HTTP_2));
        // Over HTTP/2, bytes without a request may be a ping, which begins no head.
        if state.n_requests == 0 && state.head_since.is_none() && !is_http_2 {
            state.head_since = Some(state.moved_at);
            self.changed.notify_one();
        }
    }

    /// Bytes were written.
    pub(super) fn sent(&self) {
        lock(&self.state).moved_at = Instant::now();
    }

    /// A request begins. It ends when the guard is dropped, after the last part of its response.
    pub(super) fn begin(self: &Arc<Self>) -> InProgress {
        let mut state = lock(&self.state);
        state.n_requests += 1;
        state.head_since = None;
        state.moved_at = Instant::now();
        InProgress(Arc::clone(self))
    }

    /// Whether a request is in progress.
    pub(super) fn is_busy(&self) -> bool {
        lock(&self.state).n_requests > 0
    }

    /// Since when the connection has been without a request; `None` while it has one.
    pub(super) fn quiet_since(&self) -> Option<Instant> {
        let state = lock(&self.state);
        (state.n_requests == 0).then_some(state.quiet_since)
    }

    /// Makes the connection close.
    pub(super) fn evict(&self) {
        lock(&self.state).is_evicted = true;
        self.changed.notify_one();
    }

    /// Resolves when the connection is to be closed, with the reason.
    pub(super) async fn overdue(&self, limits: &ConnectionLimits) -> CloseReason {
        loop {
            let (reason, limit) = lock(&self.state).limit(limits);
            if limit <= Instant::now() {
                return reason;
            }
            tokio::select! {
                () = sleep_until(limit) => {}
                () = self.changed.notified() => {}
            }
        }
    }
}

impl State {
    /// Until when the connection may go on as it does now, and why it is closed then.
    fn limit(&self, limits: &ConnectionLimits) -> (CloseReason, Instant) {
        match self.head_since {
            _ if self.is_evicted => (CloseReason::Evicted, self.quiet_since),
            _ if self.n_requests > 0 => {
                (CloseReason::Stalled, self.moved_at + limits.stall_timeout)
            }
            Some(since) => (CloseReason::SlowHead, since + limits.head_timeout),
            None => (CloseReason::Idle, self.quiet_since + limits.idle_timeout),
        }
    }
}

/// A request in progress.
pub(super) struct InProgress(Arc<Activity>);

impl Drop for InProgress {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.n_requests -= 1;
        if state.n_requests == 0 {
            state.quiet_since = Instant::now();
            self.0.changed.notify_one();
        }
    }
}
