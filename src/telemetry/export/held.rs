//! What the span queue holds: traces that wait for their tail sampling decision, traces that wait
//! to be sent, and the batch that is being sent. Decides what is evicted when a bound is exceeded.
//! Locking and counting are in `queue`.

use std::collections::HashSet;
use std::time::Instant;

use opentelemetry::trace::TraceId;

use crate::telemetry::export::tail::TailBuffer;
use crate::telemetry::export::traces::{EndedSpan, Trace, Traces};
use crate::telemetry::sampling::Ratio;
use crate::telemetry::settings::Bounds;

/// A full queue makes at least this many messages.
pub(super) const MESSAGES_OF_A_QUEUE: usize = 4;
/// How many evicted traces are remembered.
const MAX_EVICTED: usize = 4_096;

/// Spans that have ended and are not yet exported, sampled out or dropped.
#[derive(Debug)]
pub(super) struct Held {
    bounds: Bounds,
    /// Present unless all traces are kept.
    tail: Option<TailBuffer>,
    waiting: Traces,
    /// The batch that is being sent.
    pub(super) sending: Sending,
    /// Traces that were evicted before their local root had ended. Their later spans are dropped as
    /// well, because the rest of a trace is of no use and could displace a whole trace.
    evicted: HashSet<TraceId>,
}

/// A batch that is being sent, whose memory is still in use.
#[derive(Debug, Default)]
pub(super) struct Sending {
    pub(super) n_spans: usize,
    pub(super) n_bytes: usize,
    pub(super) trace_ids: HashSet<TraceId>,
}

impl Held {
    /// Holds no spans yet, and keeps this share of ordinary traces.
    pub(super) fn new(bounds: Bounds, ratio: Ratio) -> Self {
        // The tail buffer gets half of the memory, so that traces can still wait for their decision
        // while the backend is away.
        let tail = (ratio != Ratio::ALL).then(|| TailBuffer::new(ratio, bounds.max_bytes / 2));
        Self {
            bounds,
            tail,
            waiting: Traces::default(),
            sending: Sending::default(),
            evicted: HashSet::new(),
        }
    }

    /// Whether a span belongs to an evicted trace. The local root is the last span of a trace, so
    /// the trace is forgotten with it.
    pub(super) fn belongs_to_evicted(&mut self, span: &EndedSpan) -> bool {
        match span.is_local_root {
            true => self.evicted.remove(&span.trace_id),
            false => self.evicted.contains(&span.trace_id),
        }
    }

    /// Adds a span. Returns how many spans are sampled out, if this one leads to a decision.
    pub(super) fn push(&mut self, span: EndedSpan) -> u64 {
        let Some(tail) = &mut self.tail else {
            self.waiting.push(span);
            return 0;
        };
        let decision = tail.push(span);
        self.enqueue(decision.kept);
        count(decision.n_sampled_out)
    }

    /// Evicts traces until the bounds hold. Returns how many spans were evicted.
    pub(super) fn evict_excess(&mut self) -> u64 {
        let mut n_evicted = 0;
        while self.exceeds_bounds() {
            let Some(trace) = self.evict() else { break };
            n_evicted += count(trace.spans.len());
            self.note_evicted(&trace);
        }
        n_evicted
    }

    /// Evicts the oldest ordinary trace. If there is none, evicts the oldest trace that waits, in
    /// which a check failed or may still fail, and only then a trace without a sampling decision.
    /// The batch that is being sent cannot be evicted, and later spans of its traces are spared
    /// like traces with failed checks, so that these traces stay whole for as long as possible.
    fn evict(&mut self) -> Option<Trace> {
        let evicted = self
            .waiting
            .pop_ordinary(&self.sending.trace_ids)
            .or_else(|| self.waiting.pop_oldest());
        evicted.or_else(|| self.tail.as_mut().and_then(TailBuffer::pop_oldest))
    }

    fn note_evicted(&mut self, trace: &Trace) {
        let Some(first) = trace.spans.first().filter(|_| !trace.has_local_root()) else {
            return;
        };
        // Bounded, because some local roots never end.
        if self.evicted.len() >= MAX_EVICTED {
            self.evicted.clear();
        }
        self.evicted.insert(first.trace_id);
    }

    /// Takes the oldest traces that fit into one message.
    pub(super) fn take(&mut self, max_message_bytes: usize, now: Instant) -> Vec<Trace> {
        if let Some(tail) = &mut self.tail {
            let overdue = tail.keep_overdue(now);
            self.enqueue(overdue);
        }
        self.waiting
            .take(max_message_bytes, self.bounds.max_batch_spans)
    }

    /// Puts a trace back in front of all others.
    pub(super) fn give_back(&mut self, trace: Trace) {
        self.waiting.give_back(trace);
    }

    /// Keeps every trace that still waits for its decision.
    pub(super) fn keep_undecided(&mut self) {
        if let Some(tail) = &mut self.tail {
            let kept = tail.keep_all();
            self.enqueue(kept);
        }
    }

    fn enqueue(&mut self, spans: Vec<EndedSpan>) {
        spans.into_iter().for_each(|span| self.waiting.push(span));
    }

    /// Forgets all spans.
    pub(super) fn clear(&mut self) {
        self.tail = None;
        self.waiting = Traces::default();
        self.sending = Sending::default();
    }

    /// Memory of all spans, in bytes.
    pub(super) fn n_bytes(&self) -> usize {
        let tail = self.tail.as_ref().map_or(0, |tail| tail.traces().n_bytes());
        tail + self.waiting.n_bytes() + self.sending.n_bytes
    }

    /// Spans that are to be sent: those that wait, and those that are being sent.
    pub(super) fn n_queued(&self) -> u64 {
        count(self.waiting.n_spans()) + count(self.sending.n_spans)
    }

    /// All spans.
    pub(super) fn n_spans(&self) -> u64 {
        let tail = self.tail.as_ref();
        self.n_queued() + tail.map_or(0, |tail| count(tail.traces().n_spans()))
    }

    /// Whether a whole message waits, or so much of the memory is used that waiting for one would
    /// risk an eviction.
    pub(super) fn is_filled(&self) -> bool {
        let Bounds {
            max_bytes,
            max_spans,
            max_batch_spans,
        } = self.bounds;
        let max_spans = max_spans.map_or(usize::MAX, |max| max / MESSAGES_OF_A_QUEUE);
        self.waiting.n_spans() >= max_batch_spans.min(max_spans)
            || self.waiting.n_bytes() >= max_bytes / MESSAGES_OF_A_QUEUE
    }

    fn exceeds_bounds(&self) -> bool {
        let exceeds = |max| self.n_spans() > count(max);
        self.n_bytes() > self.bounds.max_bytes || self.bounds.max_spans.is_some_and(exceeds)
    }
}

/// A number of spans, in the integer type of the counts.
pub(super) fn count(n: usize) -> u64 {
    n.try_into().unwrap_or(u64::MAX)
}
