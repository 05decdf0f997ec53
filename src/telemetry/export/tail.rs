//! The tail buffer. If not all traces are kept, ended spans wait here until it is decided whether
//! to keep their trace.
//!
//! The decision is made when the local root ends, the span with which this process began its part
//! of the trace, and it covers all spans below that root. Two requests of one trace therefore get a
//! decision each. A trace that has to leave before its decision, because it waited too long or
//! memory ran out, is kept.
//!
//! A Collector can sample by tail as well, but then every span has to be sent to it first, and each
//! replica of the Collector has to see whole traces. Here the reasons are known already when the
//! root ends, and what is not kept is never sent.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

use opentelemetry::trace::{SpanId, TraceId};

use crate::telemetry::export::traces::{EndedSpan, Trace, Traces};
use crate::telemetry::sampling::Ratio;

/// The longest that a trace waits for its decision: twice the default deadline of a request.
pub const DECISION_WAIT: Duration = Duration::from_secs(60);
/// How many decisions are remembered, for spans that end after their local root.
const N_REMEMBERED: usize = 4_096;

/// Spans that wait for a decision, and the last decisions.
#[derive(Debug)]
pub struct TailBuffer {
    ratio: Ratio,
    max_bytes: usize,
    traces: Traces,
    /// Whether a span was kept, by its id. Spans that end after their parent follow it.
    decisions: Remembered<SpanId>,
    /// Traces that were kept before their decision.
    kept_early: Remembered<TraceId>,
}

/// Which spans leave the buffer when one more span has ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TailDecision {
    /// Spans that are kept.
    pub kept: Vec<EndedSpan>,
    /// The number of spans that are sampled out.
    pub n_sampled_out: usize,
}

impl TailBuffer {
    /// An empty buffer that keeps this share of ordinary traces, within this many bytes.
    pub fn new(ratio: Ratio, max_bytes: usize) -> Self {
        Self {
            ratio,
            max_bytes,
            traces: Traces::default(),
            decisions: Remembered::default(),
            kept_early: Remembered::default(),
        }
    }

    /// The spans that wait.
    pub fn traces(&self) -> &Traces {
        &self.traces
    }

    /// Adds a span. Decides at once if it is a local root, or if an earlier decision covers it.
    pub fn push(&mut self, span: EndedSpan) -> TailDecision {
        let EndedSpan {
            trace_id,
            span_id,
            parent_id,
            is_local_root,
            ..
        } = span;
        let earlier = self
            .kept_early
            .get(&trace_id)
            .or_else(|| self.decisions.get(&parent_id));
        self.traces.push(span);
        if earlier.is_none() && !is_local_root {
            let mut decision = TailDecision::default();
            while self.traces.n_bytes() > self.max_bytes {
                decision.kept.extend(self.keep_oldest());
            }
            return decision;
        }
        let spans = self.traces.take_below(trace_id, span_id);
        // An error is kept even if its trace was not: it may have happened after the root ended.
        let is_kept = earlier.unwrap_or_else(|| self.ratio.keeps(trace_id))
            || spans.iter().any(|span| span.must_keep);
        self.decisions.insert(span_id, is_kept);
        match is_kept {
            true => TailDecision {
                kept: spans,
                n_sampled_out: 0,
            },
            false => TailDecision {
                kept: Vec::new(),
                n_sampled_out: spans.len(),
            },
        }
    }

    /// Keeps and returns the traces that have waited for longer than [`DECISION_WAIT`].
    pub fn keep_overdue(&mut self, now: Instant) -> Vec<EndedSpan> {
        let mut kept = Vec::new();
        while self
            .traces
            .oldest()
            .and_then(Trace::waiting_since)
            .is_some_and(|since| since + DECISION_WAIT < now)
        {
            kept.extend(self.keep_oldest());
        }
        kept
    }

    /// Keeps and returns all traces.
    pub fn keep_all(&mut self) -> Vec<EndedSpan> {
        let mut kept = Vec::new();
        while self.traces.n_spans() > 0 {
            kept.extend(self.keep_oldest());
        }
        kept
    }

    /// Evicts the oldest trace.
    pub fn pop_oldest(&mut self) -> Option<Trace> {
        self.traces.pop_oldest()
    }

    fn keep_oldest(&mut self) -> Vec<EndedSpan> {
        let spans = self
            .traces
            .pop_oldest()
            .map(|trace| trace.spans)
            .unwrap_or_default();
        if let Some(first) = spans.first() {
            self.kept_early.insert(first.trace_id, true);
        }
        spans
    }
}

/// The last decisions by a key. The oldest is forgotten first.
#[derive(Debug)]
struct Remembered<K> {
    decisions: HashMap<K, bool>,
    keys: VecDeque<K>,
}

impl<K> Default for Remembered<K> {
    fn default() -> Self {
        Self {
            decisions: HashMap::new(),
            keys: VecDeque::new(),
        }
    }
}

impl<K: Copy + Eq + Hash> Remembered<K> {
    fn get(&self, key: &K) -> Option<bool> {
        self.decisions.get(key).copied()
    }

    fn insert(&mut self, key: K, is_kept: bool) {
        if self.decisions.insert(key, is_kept).is_none() {
            self.keys.push_back(key);
        }
        if self.keys.len() > N_REMEMBERED {
            self.keys
                .pop_front()
                .and_then(|oldest| self.decisions.remove(&oldest));
        }
    }
}
