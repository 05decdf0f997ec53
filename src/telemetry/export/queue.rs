//! The span queue: ended spans that the backend does not have yet, within a bound on memory, and a
//! count of every span that ever began. `sender` empties it; what the queue holds, and what it
//! evicts when it is full, is in `held`.
//!
//! # Why not the SDK's `BatchSpanProcessor`
//!
//! A trace is the evidence of a decision, so no span may disappear without being counted. The batch
//! processor and the OTLP exporter of version 0.33 lose spans in five ways, and an `Ok` from their
//! `force_flush` or `shutdown` does not prove a delivery:
//!
//! 1. The queue is full: each new span is dropped. The first loss is logged, the number only at
//!    shutdown.
//! 2. The retries are used up: a backend that is away gets four attempts within a second, and one
//!    that hangs gets one, because the time limit of an attempt is the budget of all of them. Then
//!    the batch is dropped.
//! 3. The connection breaks during an attempt: gRPC reports the code `Unknown`, which is never
//!    retried, so each restart of a Collector loses a batch or two.
//! 4. The message is too large: batches are bounded by spans and not by bytes, so one above the
//!    receiver's limit (4 MiB by default) is sent and refused until it is dropped.
//! 5. The runtime on which the exporter was built has stopped: nothing is sent any more, and
//!    `shutdown` still returns `Ok`.
//!
//! Here memory is bounded in bytes, a full queue evicts whole traces, the sender retries for as
//! long as there is room to wait and splits by bytes, it runs on a runtime of its own, and each
//! span that is lost is counted.
//!
//! # Protocol
//!
//! One mutex guards the counts and the spans, so that a snapshot always adds up:
//! `started = exported + sampled_out + dropped + in_flight`. It is a standard mutex because it is
//! never held across an await; nothing inside it waits, encodes or sends.
//!
//! - Threads that work on requests call [`Queue::start`] and [`Queue::end`]. Neither waits for the
//!   backend: `end` evicts where it exceeds a bound.
//! - One task, the sender, calls [`Queue::take`], and then [`Queue::confirm`], [`Queue::give_back`]
//!   or [`Queue::discard`] exactly once before the next `take`. Until then the batch still counts
//!   as memory in use.
//! - `filled` wakes the sender. A notification that arrives while it is sending is stored, so none
//!   is lost.
//! - `progress` wakes threads that block in [`Queue::wait_until_sent`], which are those that flush
//!   or shut down. It is notified whenever a batch is accounted for, and when the sender stops.
//! - [`Queue::close`] is final. It counts all that is held as dropped, so the outcome of a batch
//!   that is still being sent is ignored afterwards.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::trace::TraceId;
use serde::Serialize;
use tokio::sync::Notify;

use crate::lock::lock;
use crate::telemetry::export::held::{Held, Sending, count};
use crate::telemetry::export::traces::{EndedSpan, Trace};
use crate::telemetry::sampling::Ratio;
use crate::telemetry::settings::Bounds;

/// What became of every span that began. Each figure is counted where it happens; none is
/// calculated from the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SpanCounts {
    /// Spans that began.
    pub started: u64,
    /// Spans that the backend accepted.
    pub exported: u64,
    /// Spans of traces that tail sampling did not keep.
    pub sampled_out: u64,
    /// Spans that are lost: the queue was full, the backend refused them, or the program stopped.
    pub dropped: u64,
    /// Spans that are open, wait, or are being sent.
    pub in_flight: u64,
}

/// The spans of one message.
#[derive(Debug)]
pub struct Batch(Vec<Trace>);

impl Batch {
    /// The encoded spans.
    pub fn spans(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.0
            .iter()
            .flat_map(|trace| &trace.spans)
            .map(|span| &*span.encoded)
    }

    /// The number of spans.
    pub fn n_spans(&self) -> usize {
        self.0.iter().map(|trace| trace.spans.len()).sum()
    }

    fn n_bytes(&self) -> usize {
        self.0.iter().map(Trace::n_bytes).sum()
    }

    fn trace_ids(&self) -> HashSet<TraceId> {
        self.0
            .iter()
            .flat_map(|trace| trace.spans.first())
            .map(|span| span.trace_id)
            .collect()
    }
}

/// The queue; the documentation of this module says who calls which method.
#[derive(Debug)]
pub struct Queue {
    bounds: Bounds,
    state: Mutex<State>,
    /// Notified when a whole message waits, and when a flush asks for a smaller one.
    filled: Notify,
    /// Notified when a batch was accounted for.
    progress: Condvar,
}

#[derive(Debug)]
struct State {
    started: u64,
    exported: u64,
    sampled_out: u64,
    dropped: u64,
    /// Spans that have not ended.
    open: u64,
    held: Held,
    /// Whether the sender has stopped.
    is_abandoned: bool,
    /// Whether spans that end from now on are dropped.
    is_closed: bool,
}

impl Queue {
    /// An empty queue that keeps this share of ordinary traces.
    pub fn new(bounds: Bounds, ratio: Ratio) -> Self {
        let state = State {
            started: 0,
            exported: 0,
            sampled_out: 0,
            dropped: 0,
            open: 0,
            held: Held::new(bounds, ratio),
            is_abandoned: false,
            is_closed: false,
        };
        Self {
            bounds,
            state: Mutex::new(state),
            filled: Notify::new(),
            progress: Condvar::new(),
        }
    }

    /// A snapshot of the counts.
    pub fn counts(&self) -> SpanCounts {
        let state = self.lock();
        SpanCounts {
            started: state.started,
            exported: state.exported,
            sampled_out: state.sampled_out,
            dropped: state.dropped,
            in_flight: state.open + state.held.n_spans(),
        }
    }

    /// The bound on memory, in bytes.
    pub fn max_bytes(&self) -> usize {
        self.bounds.max_bytes
    }

    /// Memory of all spans that have ended and are not delivered, in bytes.
    pub fn n_bytes(&self) -> usize {
        self.lock().held.n_bytes()
    }

    /// Counts a span that begins.
    pub fn start(&self) {
        let mut state = self.lock();
        state.started += 1;
        state.open += 1;
    }

    /// Adds a span that has ended. Never waits: a full queue evicts the oldest trace in which no
    /// check failed.
    pub fn end(&self, span: EndedSpan) {
        let mut state = self.lock();
        state.open = state.open.saturating_sub(1);
        if state.is_closed || state.held.belongs_to_evicted(&span) {
            state.dropped += 1;
            return;
        }
        state.sampled_out += state.held.push(span);
        state.dropped += state.held.evict_excess();
        let is_filled = state.held.is_filled();
        drop(state);
        if is_filled {
            self.flush();
        }
    }

    /// Takes the oldest spans for one message.
    pub fn take(&self, max_message_bytes: usize) -> Option<Batch> {
        let mut state = self.lock();
        let batch = Batch(state.held.take(max_message_bytes, Instant::now()));
        state.held.sending = Sending {
            n_spans: batch.n_spans(),
            n_bytes: batch.n_bytes(),
            trace_ids: batch.trace_ids(),
        };
        (!batch.0.is_empty()).then_some(batch)
    }

    /// Accounts for a batch that the backend accepted, except for the spans that it rejected.
    pub fn confirm(&self, batch: &Batch, n_rejected: u64) {
        let n_spans = count(batch.n_spans());
        let n_rejected = n_rejected.min(n_spans);
        self.finish_sending(|state| {
            state.exported += n_spans - n_rejected;
            state.dropped += n_rejected;
        });
    }

    /// Puts a batch back that could not be delivered, so that it is sent again.
    pub fn give_back(&self, batch: Batch) {
        self.finish_sending(|state| {
            batch
                .0
                .into_iter()
                .rev()
                .for_each(|trace| state.held.give_back(trace));
        });
    }

    /// Drops a batch that will never be delivered.
    pub fn discard(&self, batch: &Batch) {
        self.confirm(batch, count(batch.n_spans()));
    }

    fn finish_sending(&self, account: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        // Once the queue is closed, the batch has been counted as dropped.
        if !state.is_closed {
            state.held.sending = Sending::default();
            account(&mut state);
            self.progress.notify_all();
        }
    }

    /// Wakes the sender, however few spans wait.
    pub fn flush(&self) {
        self.filled.notify_one();
    }

    /// Waits until a whole message waits, or until a flush.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Keeps every trace that still waits for its tail sampling decision.
    pub fn keep_undecided(&self) {
        self.lock().held.keep_undecided();
    }

    /// Blocks until every span that is to be sent is accounted for, or until the sender has
    /// stopped, at most for `limit`. Returns whether nothing is left to be sent.
    pub fn wait_until_sent(&self, limit: Duration) -> bool {
        let must_wait = |state: &mut State| state.held.n_queued() > 0 && !state.is_abandoned;
        let waited = self
            .progress
            .wait_timeout_while(self.lock(), limit, must_wait);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.held.n_queued() == 0
    }

    /// Notes that the sender has stopped and will take no more batches.
    pub fn abandon(&self) {
        self.lock().is_abandoned = true;
        self.progress.notify_all();
    }

    /// Drops all spans that are held, and every span that ends from now on. Returns the number of
    /// spans that were held.
    pub fn close(&self) -> u64 {
        let mut state = self.lock();
        let n_lost = state.held.n_spans();
        state.held.clear();
        state.dropped += n_lost;
        state.is_closed = true;
        n_lost
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}
