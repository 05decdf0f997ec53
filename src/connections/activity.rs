//! What one connection is doing: waiting for a request, receiving the head of one, or working on
//! requests. [`Activity::overdue`] resolves when the connection has done one of them for too long.
//!
//! A request is in progress from its head to the end of its response. While the rest of its body is
//! missing and its response has not begun, the service waits for the client: such a request keeps
//! its connection from being idle, but not from being evicted. [`InProgress`] tracks this. The lock
//! of a request is acquired before that of its connection's state, never after it.
//!
//! The connection's task, the tasks of its requests and the acceptor share an activity. Its state
//! is behind a mutex that is held for a few instructions. A method that brings the time limit
//! forward, or that evicts the connection, wakes the connection's task through `changed`, which
//! keeps one wake-up for a task that is not waiting yet. A limit that moves further away needs no
//! wake-up: the task looks at the state again when the earlier limit is reached.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::connections::{CloseReason, ConnectionLimits};
use crate::lock::lock;

/// The first bytes of every connection over HTTP/2.
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
    /// How many of these wait for the rest of their body.
    n_awaited: usize,
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
            n_awaited: 0,
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
    pub(super) fn begin(self: &Arc<Self>) -> Arc<InProgress> {
        let mut state = lock(&self.state);
        state.n_requests += 1;
        state.head_since = None;
        state.moved_at = Instant::now();
        Arc::new(InProgress {
            activity: Arc::clone(self),
            phase: Mutex::new(Phase::Working),
        })
    }

    /// Whether a request is in progress.
    pub(super) fn is_busy(&self) -> bool {
        lock(&self.state).n_requests > 0
    }

    /// What the connection waits for its client to send, and since when; `None` while there is work
    /// to do. The smallest of these values belongs to the connection to evict: those without a
    /// request sort first, and then the longest wait.
    pub(super) fn waits_since(&self) -> Option<(Awaited, Instant)> {
        let state = lock(&self.state);
        match state.n_requests {
            0 => Some((Awaited::Request, state.quiet_since)),
            n if n == state.n_awaited => Some((Awaited::Body, state.moved_at)),
            _ => None,
        }
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

/// What a connection waits for its client to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Awaited {
    /// A request.
    Request,
    /// The rest of a body.
    Body,
}

/// A request in progress.
pub(super) struct InProgress {
    activity: Arc<Activity>,
    phase: Mutex<Phase>,
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The service works on it.
    Working,
    /// It waits for the rest of its body.
    Awaiting,
    /// Its response has begun; from then on its body may be read as slowly as the response is sent.
    Answered,
}

impl InProgress {
    /// The body was polled; `is_pending` means that no more of it had arrived.
    pub(super) fn polled(&self, is_pending: bool) {
        let mut phase = lock(&self.phase);
        match (*phase, is_pending) {
            (Phase::Working, true) => self.enter(&mut phase, Phase::Awaiting),
            (Phase::Awaiting, false) => self.enter(&mut phase, Phase::Working),
            _ => {}
        }
    }

    /// The response begins.
    pub(super) fn answered(&self) {
        self.enter(&mut lock(&self.phase), Phase::Answered);
    }

    fn enter(&self, phase: &mut Phase, next: Phase) {
        let mut state = lock(&self.activity.state);
        state.n_awaited -= usize::from(*phase == Phase::Awaiting);
        state.n_awaited += usize::from(next == Phase::Awaiting);
        *phase = next;
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.answered();
        let mut state = lock(&self.activity.state);
        state.n_requests -= 1;
        if state.n_requests == 0 {
            state.quiet_since = Instant::now();
            self.activity.changed.notify_one();
        }
    }
}
