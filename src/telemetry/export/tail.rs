//! Ended spans whose trace has no verdict yet, where not all traces are kept. A verdict falls when
//! the span ends with which this process began its part of a trace, over everything below that
//! span; two requests of one trace each get their own. Whatever cannot wait for a verdict is kept.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

use opentelemetry::trace::{SpanId, TraceId};

use crate::telemetry::export::traces::{EndedSpan, Trace, Traces};
use crate::telemetry::sampling::Ratio;

/// How long a verdict is waited for: longer than most requests may take.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How many verdicts are remembered, for spans that end after the one their verdict fell with.
const N_REMEMBERED: usize = 4_096;

/// The spans, and the verdicts that have fallen.
#[derive(Debug)]
pub struct Undecided {
    ratio: Ratio,
    max_bytes: usize,
    traces: Traces,
    /// Verdicts by the span with which they fell.
    verdicts: Remembered<SpanId>,
    /// Traces that could not wait.
    forwarded: Remembered<TraceId>,
}

/// What became of spans when one more had ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// These are kept.
    pub kept: Vec<EndedSpan>,
    /// So many are not.
    pub n_sampled_out: usize,
}

impl Undecided {
    /// No spans yet; they may take so much memory.
    pub fn new(ratio: Ratio, max_bytes: usize) -> Self {
        let (verdicts, forwarded) = (Remembered::default(), Remembered::default());
        Self {
            ratio,
            max_bytes,
            traces: Traces::default(),
            verdicts,
            forwarded,
        }
    }

    /// The spans.
    pub fn traces(&self) -> &Traces {
        &self.traces
    }

    /// Takes a span in.
    pub fn push(&mut self, span: EndedSpan) -> Verdict {
        let EndedSpan {
            trace_id,
            span_id,
            parent_id,
            is_local_root,
            ..
        } = span;
        let fallen = self
            .forwarded
            .get(&trace_id)
            .or_else(|| self.verdicts.get(&parent_id));
        self.traces.push(span);
        if fallen.is_none() && !is_local_root {
            let mut verdict = Verdict::default();
            while self.traces.n_bytes() > self.max_bytes {
                verdict.kept.extend(self.forward_oldest());
            }
            return verdict;
        }
        let part = self.traces.take_below(trace_id, span_id);
        let is_kept = fallen.unwrap_or_else(|| self.ratio.keeps(trace_id))
            || part.iter().any(|span| span.must_keep);
        self.verdicts.insert(span_id, is_kept);
        match is_kept {
            true => Verdict {
                kept: part,
                n_sampled_out: 0,
            },
            false => Verdict {
                kept: Vec::new(),
                n_sampled_out: part.len(),
            },
        }
    }

    /// Lets go of what has waited too long.
    pub fn forward_overdue(&mut self, now: Instant) -> Vec<EndedSpan> {
        let mut forwarded = Vec::new();
        while self
            .traces
            .oldest()
            .and_then(Trace::began_to_wait)
            .is_some_and(|began| began + PATIENCE < now)
        {
            forwarded.extend(self.forward_oldest());
        }
        forwarded
    }

    /// Lets go of everything.
    pub fn forward_all(&mut self) -> Vec<EndedSpan> {
        let mut forwarded = Vec::new();
        while self.traces.n_spans() > 0 {
            forwarded.extend(self.forward_oldest());
        }
        forwarded
    }

    /// Takes the oldest trace away, for good.
    pub fn pop_oldest(&mut self) -> Option<Trace> {
        self.traces.pop_oldest()
    }

    fn forward_oldest(&mut self) -> Vec<EndedSpan> {
        let spans = self
            .traces
            .pop_oldest()
            .map(|trace| trace.spans)
            .unwrap_or_default();
        if let Some(first) = spans.first() {
            self.forwarded.insert(first.trace_id, true);
        }
        spans
    }
}

/// The last verdicts by a key.
#[derive(Debug)]
struct Remembered<K> {
    verdicts: HashMap<K, bool>,
    keys: VecDeque<K>,
}

impl<K> Default for Remembered<K> {
    fn default() -> Self {
        Self {
            verdicts: HashMap::new(),
            keys: VecDeque::new(),
        }
    }
}

impl<K: Copy + Eq + Hash> Remembered<K> {
    fn get(&self, key: &K) -> Option<bool> {
        self.verdicts.get(key).copied()
    }

    fn insert(&mut self, key: K, verdict: bool) {
        if self.verdicts.insert(key, verdict).is_none() {
            self.keys.push_back(key);
        }
        if self.keys.len() > N_REMEMBERED {
            self.keys
                .pop_front()
                .and_then(|oldest| self.verdicts.remove(&oldest));
        }
    }
}
