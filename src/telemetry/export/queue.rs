//! Spans that have ended and are not delivered, within a bound of bytes, and the count of every
//! span that ever began. One lock holds both, so that a snapshot always adds up:
//! `started = exported + sampled_out + dropped + in_flight`.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::trace::TraceId;
use serde::Serialize;
use tokio::sync::Notify;

use crate::telemetry::export::tail::Undecided;
use crate::telemetry::export::traces::{EndedSpan, Trace, Traces};
use crate::telemetry::sampling::Ratio;
use crate::telemetry::settings::Bounds;

/// Where every span that began has got to. Each figure is counted where it happens, none is the
/// rest of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SpanCounts {
    /// Spans that began.
    pub started: u64,
    /// Spans that the backend took.
    pub exported: u64,
    /// Spans of traces that sampling left out.
    pub sampled_out: u64,
    /// Spans that are lost: no room was left, the backend refused them, or the program stopped.
    pub dropped: u64,
    /// Spans that have not ended, wait, or are under way.
    pub in_flight: u64,
}

/// Traces that are remembered as given up, at most.
const MAX_GIVEN_UP: usize = 4_096;
/// Messages that a full queue makes at least.
pub(super) const MESSAGES_OF_A_QUEUE: usize = 4;

/// Spans on their way to the backend.
#[derive(Debug)]
pub struct Batch(Vec<Trace>);

impl Batch {
    /// The spans, encoded.
    pub fn spans(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.0
            .iter()
            .flat_map(|trace| &trace.spans)
            .map(|span| &*span.encoded)
    }

    /// How many they are.
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

/// The queue.
#[derive(Debug)]
pub struct Queue {
    bounds: Bounds,
    state: Mutex<State>,
    /// A whole message waits, or what is here is to be sent anyway.
    filled: Notify,
    /// Something was settled.
    settled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    started: u64,
    exported: u64,
    sampled_out: u64,
    dropped: u64,
    /// Spans that have not ended.
    open: u64,
    /// Present where not all traces are kept.
    undecided: Option<Undecided>,
    waiting: Traces,
    sending: Sending,
    /// Traces that were given up before they had ended: what comes of them later goes as well.
    given_up: HashSet<TraceId>,
    /// Nobody takes batches any more.
    is_abandoned: bool,
    /// Nothing is taken in any more.
    is_closed: bool,
}

/// What is under way, which still takes memory.
#[derive(Debug, Default)]
struct Sending {
    n_spans: usize,
    n_bytes: usize,
    trace_ids: HashSet<TraceId>,
}

impl Queue {
    /// An empty queue, for this share of ordinary traces.
    pub fn new(bounds: Bounds, ratio: Ratio) -> Self {
        // Half of the room, so that verdicts can be waited for while the backend is away.
        let undecided = (ratio != Ratio::ALL).then(|| Undecided::new(ratio, bounds.max_bytes / 2));
        let state = Mutex::new(State {
            undecided,
            ..State::default()
        });
        Self {
            bounds,
            state,
            filled: Notify::new(),
            settled: Condvar::new(),
        }
    }

    /// Where every span is, at one moment.
    pub fn counts(&self) -> SpanCounts {
        let state = self.lock();
        SpanCounts {
            started: state.started,
            exported: state.exported,
            sampled_out: state.sampled_out,
            dropped: state.dropped,
            in_flight: state.open + state.n_held(),
        }
    }

    /// The most memory that what has ended and is not delivered may take.
    pub fn max_bytes(&self) -> usize {
        self.bounds.max_bytes
    }

    /// Memory of what has ended and is not delivered.
    pub fn n_bytes(&self) -> usize {
        self.lock().n_bytes()
    }

    /// A span began.
    pub fn start(&self) {
        let mut state = self.lock();
        state.started += 1;
        state.open += 1;
    }

    /// A span ended. Never waits: where no room is left, the oldest trace without a failed check
    /// goes.
    pub fn end(&self, span: EndedSpan) {
        let mut state = self.lock();
        state.open = state.open.saturating_sub(1);
        if state.is_closed || state.is_of_given_up(&span) {
            state.dropped += 1;
            return;
        }
        state.admit(span);
        while state.exceeds(&self.bounds) {
            let Some(evicted) = state.evict() else { break };
            state.dropped += count(evicted.spans.len());
            state.note_given_up(&evicted);
        }
        let is_filled = state.is_filled(&self.bounds);
        drop(state);
        if is_filled {
            self.flush();
        }
    }

    /// Takes what is oldest, for one message.
    pub fn take(&self, max_message_bytes: usize) -> Option<Batch> {
        let mut state = self.lock();
        let overdue = state
            .undecided
            .as_mut()
            .map(|undecided| undecided.forward_overdue(Instant::now()));
        overdue
            .into_iter()
            .flatten()
            .for_each(|span| state.waiting.push(span));
        let batch = Batch(
            state
                .waiting
                .take(max_message_bytes, self.bounds.max_batch_spans),
        );
        state.sending = Sending {
            n_spans: batch.n_spans(),
            n_bytes: batch.n_bytes(),
            trace_ids: batch.trace_ids(),
        };
        (!batch.0.is_empty()).then_some(batch)
    }

    /// The backend took a batch, except for so many of its spans.
    pub fn settle(&self, batch: &Batch, n_rejected: u64) {
        let n_spans = count(batch.n_spans());
        let n_rejected = n_rejected.min(n_spans);
        self.sent(|state| {
            state.exported += n_spans - n_rejected;
            state.dropped += n_rejected;
        });
    }

    /// A batch could not be delivered, and is to be tried again.
    pub fn give_back(&self, batch: Batch) {
        self.sent(|state| {
            batch
                .0
                .into_iter()
                .rev()
                .for_each(|trace| state.waiting.give_back(trace))
        });
    }

    /// A batch will never be delivered.
    pub fn discard(&self, batch: &Batch) {
        self.settle(batch, count(batch.n_spans()));
    }

    /// A batch is not under way any more. What comes after the close was counted by it.
    fn sent(&self, account: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        if !state.is_closed {
            state.sending = Sending::default();
            account(&mut state);
            self.settled.notify_all();
        }
    }

    /// Asks for what is here to be sent now.
    pub fn flush(&self) {
        self.filled.notify_one();
    }

    /// Waits until a whole message is there, or until what is here is asked for.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Waits for no more verdicts: whatever has none is kept.
    pub fn forward_undecided(&self) {
        let mut state = self.lock();
        let forwarded = state.undecided.as_mut().map(Undecided::forward_all);
        forwarded
            .into_iter()
            .flatten()
            .for_each(|span| state.waiting.push(span));
    }

    /// Blocks until everything that is to be sent is settled, at most so long, or until nobody
    /// takes batches any more.
    pub fn wait_until_settled(&self, limit: Duration) -> bool {
        let is_unsettled = |state: &mut State| state.n_queued() > 0 && !state.is_abandoned;
        let waited = self
            .settled
            .wait_timeout_while(self.lock(), limit, is_unsettled);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.n_queued() == 0
    }

    /// Nobody will take batches any more.
    pub fn abandon(&self) {
        self.lock().is_abandoned = true;
        self.settled.notify_all();
    }

    /// Gives up what is here, and whatever ends from now on. Returns how many spans were here.
    pub fn close(&self) -> u64 {
        let mut state = self.lock();
        let n_lost = state.n_held();
        (state.undecided, state.waiting, state.sending) = Default::default();
        state.dropped += n_lost;
        state.is_closed = true;
        n_lost
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Figures and maps change together or not at all, so a panic elsewhere leaves nothing half
        // done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether a span is the rest of a trace that was given up; its local root is the last of it.
    fn is_of_given_up(&mut self, span: &EndedSpan) -> bool {
        match span.is_local_root {
            true => self.given_up.remove(&span.trace_id),
            false => self.given_up.contains(&span.trace_id),
        }
    }

    fn note_given_up(&mut self, evicted: &Trace) {
        let Some(first) = evicted.spans.first().filter(|_| !evicted.has_local_root()) else {
            return;
        };
        // Roots that never end must not fill the memory.
        if self.given_up.len() >= MAX_GIVEN_UP {
            self.given_up.clear();
        }
        self.given_up.insert(first.trace_id);
    }

    /// Takes a span in, and passes on what its trace is kept with.
    fn admit(&mut self, span: EndedSpan) {
        let Some(undecided) = &mut self.undecided else {
            return self.waiting.push(span);
        };
        let verdict = undecided.push(span);
        self.sampled_out += count(verdict.n_sampled_out);
        verdict
            .kept
            .into_iter()
            .for_each(|span| self.waiting.push(span));
    }

    /// What is under way cannot go, and the rest of its traces does not go before others do; what
    /// failed, and then what may yet fail, goes last.
    fn evict(&mut self) -> Option<Trace> {
        let evicted = self
            .waiting
            .pop_ordinary(&self.sending.trace_ids)
            .or_else(|| self.waiting.pop_oldest());
        evicted.or_else(|| self.undecided.as_mut().and_then(Undecided::pop_oldest))
    }

    fn n_bytes(&self) -> usize {
        let undecided = self
            .undecided
            .as_ref()
            .map_or(0, |undecided| undecided.traces().n_bytes());
        undecided + self.waiting.n_bytes() + self.sending.n_bytes
    }

    /// Spans that are to be sent.
    fn n_queued(&self) -> u64 {
        count(self.waiting.n_spans()) + count(self.sending.n_spans)
    }

    /// Spans that have ended and are not settled.
    fn n_held(&self) -> u64 {
        self.n_queued()
            + self
                .undecided
                .as_ref()
                .map_or(0, |undecided| count(undecided.traces().n_spans()))
    }

    /// Whether what waits is a whole message, or takes so much of the room that it must not wait
    /// for company.
    fn is_filled(&self, bounds: &Bounds) -> bool {
        let max_spans = bounds
            .max_spans
            .map_or(usize::MAX, |max| max / MESSAGES_OF_A_QUEUE);
        self.waiting.n_spans() >= bounds.max_batch_spans.min(max_spans)
            || self.waiting.n_bytes() >= bounds.max_bytes / MESSAGES_OF_A_QUEUE
    }

    fn exceeds(&self, bounds: &Bounds) -> bool {
        self.n_bytes() > bounds.max_bytes
            || bounds
                .max_spans
                .is_some_and(|max| self.n_held() > count(max))
    }
}

fn count(n: usize) -> u64 {
    n.try_into().unwrap_or(u64::MAX)
}
