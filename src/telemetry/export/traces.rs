//! Ended spans by trace, the oldest trace first. A trace comes and goes as a whole wherever that is
//! possible; nothing here counts, waits or sends.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Instant;

use opentelemetry::trace::{SpanId, TraceId};

/// What a span takes beside its bytes, and a trace beside its spans: entries of maps, and what the
/// allocator adds.
const SPAN_OVERHEAD: usize = size_of::<EndedSpan>() + 16;
const TRACE_OVERHEAD: usize = 192;

/// A span that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedSpan {
    /// The trace it is part of.
    pub trace_id: TraceId,
    /// Its own id.
    pub span_id: SpanId,
    /// The span it stands below.
    pub parent_id: SpanId,
    /// When it came.
    pub at: Instant,
    /// Whether it is the one with which this process began its part of the trace.
    pub is_local_root: bool,
    /// Whether it says that a check finally failed.
    pub has_failed_validation: bool,
    /// Whether its trace is kept in any case.
    pub must_keep: bool,
    /// The span as OTLP has it.
    pub encoded: Box<[u8]>,
}

impl EndedSpan {
    fn n_bytes(&self) -> usize {
        self.encoded.len() + SPAN_OVERHEAD
    }
}

/// The spans of one trace that are here, in the order they ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The spans.
    pub spans: Vec<EndedSpan>,
    n_bytes: usize,
    has_local_root: bool,
    has_failed_validation: bool,
}

impl Trace {
    /// Memory it takes.
    pub fn n_bytes(&self) -> usize {
        self.n_bytes + TRACE_OVERHEAD
    }

    /// When the first of its spans came.
    pub fn began_to_wait(&self) -> Option<Instant> {
        self.spans.first().map(|span| span.at)
    }

    /// Whether the span is here with which this process began its part of it.
    pub fn has_local_root(&self) -> bool {
        self.has_local_root
    }

    /// Whether it can be spared before others: nothing failed in it, and nothing of it is still to
    /// come that might.
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

/// Traces by age.
#[derive(Debug, Default)]
pub struct Traces {
    by_age: BTreeMap<i64, Trace>,
    ages: HashMap<TraceId, i64>,
    /// Ages of the traces that can be spared.
    ordinary: BTreeSet<i64>,
    n_spans: usize,
    n_bytes: usize,
}

impl Traces {
    /// How many spans there are.
    pub fn n_spans(&self) -> usize {
        self.n_spans
    }

    /// Memory they take.
    pub fn n_bytes(&self) -> usize {
        self.n_bytes
    }

    /// Adds a span to its trace; a trace that is not here becomes the youngest.
    pub fn push(&mut self, span: EndedSpan) {
        let age = self.ages.get(&span.trace_id).copied();
        let Some((age, trace)) = age.and_then(|age| Some((age, self.by_age.get_mut(&age)?))) else {
            let youngest = self
                .by_age
                .last_key_value()
                .map_or(0, |(youngest, _)| youngest + 1);
            return self.insert(youngest, span.trace_id, Trace::from_iter([span]));
        };
        self.n_spans += 1;
        self.n_bytes += span.n_bytes();
        trace.push(span);
        match trace.is_ordinary() {
            true => self.ordinary.insert(age),
            false => self.ordinary.remove(&age),
        };
    }

    /// Puts a trace back that was taken: as the oldest, before what came of it meanwhile.
    pub fn give_back(&mut self, mut trace: Trace) {
        let Some(trace_id) = trace.spans.first().map(|span| span.trace_id) else {
            return;
        };
        let younger = self
            .ages
            .get(&trace_id)
            .copied()
            .and_then(|age| self.remove(age))
            .unwrap_or_default();
        let oldest = self
            .by_age
            .first_key_value()
            .map_or(0, |(oldest, _)| oldest - 1);
        younger.spans.into_iter().for_each(|span| trace.push(span));
        self.insert(oldest, trace_id, trace);
    }

    /// The oldest trace.
    pub fn oldest(&self) -> Option<&Trace> {
        self.by_age.first_key_value().map(|(_, trace)| trace)
    }

    /// Takes a span away, and what stands below it.
    pub fn take_below(&mut self, trace_id: TraceId, span_id: SpanId) -> Vec<EndedSpan> {
        let Some(age) = self.ages.get(&trace_id).copied() else {
            return Vec::new();
        };
        let spans = self
            .remove(age)
            .map(|trace| trace.spans)
            .unwrap_or_default();
        let mut below = HashSet::from([span_id]);
        // A span mostly ends before the one above it, so one round from the end on finds all, and a
        // second one nothing.
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
            self.insert(age, trace_id, left.into_iter().collect());
        }
        taken
    }

    /// Takes the oldest trace away.
    pub fn pop_oldest(&mut self) -> Option<Trace> {
        let oldest = *self.by_age.first_key_value()?.0;
        self.remove(oldest)
    }

    /// Takes the oldest trace away that has ended without a failed check, but for some that are
    /// spared.
    pub fn pop_ordinary(&mut self, spared: &HashSet<TraceId>) -> Option<Trace> {
        let is_spared = |age: &&i64| {
            let first = self.by_age.get(age).and_then(|trace| trace.spans.first());
            first.is_some_and(|span| spared.contains(&span.trace_id))
        };
        let oldest = *self.ordinary.iter().find(|age| !is_spared(age))?;
        self.remove(oldest)
    }

    /// Takes the oldest traces away, as many as fit; one that does not fit alone is cut.
    pub fn take(&mut self, max_bytes: usize, max_spans: usize) -> Vec<Trace> {
        let (mut taken, mut n_spans, mut n_bytes) = (Vec::new(), 0, 0);
        while let Some((&age, trace)) = self.by_age.first_key_value() {
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
                    taken.extend(self.cut(age, n_fitting.max(1)));
                }
                break;
            }
            (n_spans, n_bytes) = (n_spans + trace.spans.len(), n_bytes + trace_bytes);
            taken.extend(self.remove(age));
        }
        taken
    }

    /// Takes the first spans of a trace away.
    fn cut(&mut self, age: i64, n_spans: usize) -> Option<Trace> {
        let mut spans = self.remove(age)?.spans;
        let rest: Trace = spans
            .split_off(n_spans.min(spans.len()))
            .into_iter()
            .collect();
        if let Some(first) = rest.spans.first() {
            self.insert(age, first.trace_id, rest);
        }
        Some(spans.into_iter().collect())
    }

    fn insert(&mut self, age: i64, trace_id: TraceId, trace: Trace) {
        self.n_spans += trace.spans.len();
        self.n_bytes += trace.n_bytes();
        if trace.is_ordinary() {
            self.ordinary.insert(age);
        }
        self.ages.insert(trace_id, age);
        self.by_age.insert(age, trace);
    }

    fn remove(&mut self, age: i64) -> Option<Trace> {
        let trace = self.by_age.remove(&age)?;
        self.n_spans -= trace.spans.len();
        self.n_bytes -= trace.n_bytes();
        self.ordinary.remove(&age);
        if let Some(first) = trace.spans.first() {
            self.ages.remove(&first.trace_id);
        }
        Some(trace)
    }
}
