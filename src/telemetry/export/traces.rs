//! Ended spans by trace, the oldest trace first. Traces are moved as a whole wherever that is
//! possible, because a part of a trace proves nothing. This is a plain data structure: what is
//! counted and evicted is up to `held` and `tail`.
//!
//! The order is that of positions: a new trace gets a position above the largest. A trace that is
//! put back gets one below the smallest, which is why positions are signed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Instant;

use opentelemetry::trace::{SpanId, TraceId};

/// Memory of a span beside its encoded bytes, and of a trace beside its spans: map entries and the
/// allocator's overhead, estimated.
const SPAN_OVERHEAD: usize = size_of::<EndedSpan>() + 16;
const TRACE_OVERHEAD: usize = 192;

/// A span that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedSpan {
    /// Its trace.
    pub trace_id: TraceId,
    /// Its own id.
    pub span_id: SpanId,
    /// The span that it is a child of.
    pub parent_id: SpanId,
    /// When it ended, on the monotonic clock.
    pub at: Instant,
    /// Whether this process began its part of the trace with this span.
    pub is_local_root: bool,
    /// Whether its attributes say that a check failed for good.
    pub has_failed_validation: bool,
    /// Whether its trace is kept regardless of the sampling ratio.
    pub must_keep: bool,
    /// The span as an OTLP message.
    pub encoded: Box<[u8]>,
}

impl EndedSpan {
    fn n_bytes(&self) -> usize {
        self.encoded.len() + SPAN_OVERHEAD
    }
}

/// The spans of one trace, in the order in which they ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The spans.
    pub spans: Vec<EndedSpan>,
    n_bytes: usize,
    has_local_root: bool,
    has_failed_validation: bool,
}

impl Trace {
    /// Its memory in bytes.
    pub fn n_bytes(&self) -> usize {
        self.n_bytes + TRACE_OVERHEAD
    }

    /// When the first of its spans ended.
    pub fn waiting_since(&self) -> Option<Instant> {
        self.spans.first().map(|span| span.at)
    }

    /// Whether the local root is among the spans.
    pub fn has_local_root(&self) -> bool {
        self.has_local_root
    }

    /// Whether it can be evicted before others: its local root has ended, and no check failed.
    fn is_ordinary(&self) -> bool {
        self.has_local_root && !self.has_failed_validation
    }

    fn push(&mut self, span: EndedSpan) {
        self.n_bytes += span.n_bytes();
        self.has_local_root |= span.is_local_root;
        self.has_failed_validation |= span.has_failed_validation;
        self.spans.push(span);
    }
}

impl FromIterator<EndedSpan> for Trace {
    fn from_iter<I: IntoIterator<Item = EndedSpan>>(spans: I) -> Self {
        let mut trace = Self::default();
        spans.into_iter().for_each(|span| trace.push(span));
        trace
    }
}

/// Traces, the oldest first.
#[derive(Debug, Default)]
pub struct Traces {
    by_position: BTreeMap<i64, Trace>,
    positions: HashMap<TraceId, i64>,
    /// Positions of the ordinary traces.
    ordinary: BTreeSet<i64>,
    n_spans: usize,
    n_bytes: usize,
}

impl Traces {
    /// The number of spans.
    pub fn n_spans(&self) -> usize {
        self.n_spans
    }

    /// Their memory in bytes.
    pub fn n_bytes(&self) -> usize {
        self.n_bytes
    }

    /// Adds a span to its trace. A new trace becomes the youngest one.
    pub fn push(&mut self, span: EndedSpan) {
        let position = self.positions.get(&span.trace_id).copied();
        let Some((position, trace)) =
            position.and_then(|position| Some((position, self.by_position.get_mut(&position)?)))
        else {
            let youngest = self
                .by_position
                .last_key_value()
                .map_or(0, |(youngest, _)| youngest + 1);
            return self.insert(youngest, span.trace_id, Trace::from_iter([span]));
        };
        self.n_spans += 1;
        self.n_bytes += span.n_bytes();
        trace.push(span);
        match trace.is_ordinary() {
            true => self.ordinary.insert(position),
            false => self.ordinary.remove(&position),
        };
    }

    /// Puts back a trace that was taken. It becomes the oldest one, and its spans precede those
    /// that have been added to the trace since.
    pub fn give_back(&mut self, mut trace: Trace) {
        let Some(trace_id) = trace.spans.first().map(|span| span.trace_id) else {
            return;
        };
        let younger = self
            .positions
            .get(&trace_id)
            .copied()
            .and_then(|position| self.remove(position))
            .unwrap_or_default();
        let oldest = self
            .by_position
            .first_key_value()
            .map_or(0, |(oldest, _)| oldest - 1);
        younger.spans.into_iter().for_each(|span| trace.push(span));
        self.insert(oldest, trace_id, trace);
    }

    /// The oldest trace.
    pub fn oldest(&self) -> Option<&Trace> {
        self.by_position.first_key_value().map(|(_, trace)| trace)
    }

    /// Removes a span and all its descendants.
    pub fn take_below(&mut self, trace_id: TraceId, span_id: SpanId) -> Vec<EndedSpan> {
        let Some(position) = self.positions.get(&trace_id).copied() else {
            return Vec::new();
        };
        let spans = self
            .remove(position)
            .map(|trace| trace.spans)
            .unwrap_or_default();
        let mut below = HashSet::from([span_id]);
        // Children mostly end before their parents, so that one pass from the end finds all
        // descendants and a second one finds no more.
        while spans
            .iter()
            .rev()
            .filter(|span| below.contains(&span.parent_id) && below.insert(span.span_id))
            .count()
            > 0
        {}
        let (taken, left): (Vec<_>, Vec<_>) = spans
            .into_iter()
            .partition(|span| below.contains(&span.span_id));
        if !left.is_empty() {
            self.insert(position, trace_id, left.into_iter().collect());
        }
        taken
    }

    /// Removes the oldest trace.
    pub fn pop_oldest(&mut self) -> Option<Trace> {
        let oldest = *self.by_position.first_key_value()?.0;
        self.remove(oldest)
    }

    /// Removes the oldest ordinary trace that is not among those to be spared.
    pub fn pop_ordinary(&mut self, spared: &HashSet<TraceId>) -> Option<Trace> {
        let is_spared = |position: &&i64| {
            let first = self
                .by_position
                .get(position)
                .and_then(|trace| trace.spans.first());
            first.is_some_and(|span| spared.contains(&span.trace_id))
        };
        let oldest = *self.ordinary.iter().find(|position| !is_spared(position))?;
        self.remove(oldest)
    }

    /// Removes the oldest traces, as many as fit into both bounds. A trace that is too large by
    /// itself is cut, and at least one span is always removed.
    pub fn take(&mut self, max_bytes: usize, max_spans: usize) -> Vec<Trace> {
        let (mut taken, mut n_spans, mut n_bytes) = (Vec::new(), 0, 0);
        while let Some((&position, trace)) = self.by_position.first_key_value() {
            let encoded = |span: &EndedSpan| span.encoded.len();
            let trace_bytes: usize = trace.spans.iter().map(encoded).sum();
            if n_spans + trace.spans.len() > max_spans || n_bytes + trace_bytes > max_bytes {
                if taken.is_empty() {
                    let mut room = max_bytes;
                    let fits = |span: &&EndedSpan| {
                        room.checked_sub(encoded(span))
                            .inspect(|left| room = *left)
                            .is_some()
                    };
                    let n_fitting = trace.spans.iter().take(max_spans).take_while(fits).count();
                    taken.extend(self.cut(position, n_fitting.max(1)));
                }
                break;
            }
            (n_spans, n_bytes) = (n_spans + trace.spans.len(), n_bytes + trace_bytes);
            taken.extend(self.remove(position));
        }
        taken
    }

    /// Removes the first spans of a trace.
    fn cut(&mut self, position: i64, n_spans: usize) -> Option<Trace> {
        let mut spans = self.remove(position)?.spans;
        let rest: Trace = spans
            .split_off(n_spans.min(spans.len()))
            .into_iter()
            .collect();
        if let Some(first) = rest.spans.first() {
            self.insert(position, first.trace_id, rest);
        }
        Some(spans.into_iter().collect())
    }

    fn insert(&mut self, position: i64, trace_id: TraceId, trace: Trace) {
        self.n_spans += trace.spans.len();
        self.n_bytes += trace.n_bytes();
        if trace.is_ordinary() {
            self.ordinary.insert(position);
        }
        self.positions.insert(trace_id, position);
        self.by_position.insert(position, trace);
    }

    fn remove(&mut self, position: i64) -> Option<Trace> {
        let trace = self.by_position.remove(&position)?;
        self.n_spans -= trace.spans.len();
        self.n_bytes -= trace.n_bytes();
        self.ordinary.remove(&position);
        if let Some(first) = trace.spans.first() {
            self.positions.remove(&first.trace_id);
        }
        Some(trace)
    }
}
