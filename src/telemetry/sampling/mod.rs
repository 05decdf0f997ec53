//! Which traces are kept when not all are. Why one is kept in any case is written on its root by
//! the service itself, so that a sampler behind it comes to the same verdict; of the others a share
//! is kept, by their ids.

use std::collections::HashSet;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::trace::TraceId;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::domain::decision::{AgentOutcome, Decision};
use crate::domain::ruling::Outcome;

/// How many values the random part of a trace id has: 56 bits, as
/// [W3C trace context](https://www.w3.org/TR/trace-context-2/#random-trace-id-flag) has it.
const N_RANDOM: u64 = 1 << 56;

/// The share of ordinary traces that is kept, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio(Decimal);

impl Ratio {
    /// All of them.
    pub const ALL: Self = Self(Decimal::ONE);

    /// Whether a trace is in the share: the same answer wherever its id is known, and a larger
    /// share keeps whatever a smaller one does.
    pub fn keeps(self, trace_id: TraceId) -> bool {
        let [.., a, b, c, d, e, f, g] = trace_id.to_bytes();
        let random = u64::from_be_bytes([0, a, b, c, d, e, f, g]);
        let threshold = (Decimal::ONE - self.0) * Decimal::from(N_RANDOM);
        Decimal::from(random) >= threshold
    }

    /// For backends that add and compare.
    pub(super) fn as_number(self) -> f64 {
        self.0.to_f64().unwrap_or(f64::NAN)
    }
}

impl FromStr for Ratio {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ratio = text
            .parse()
            .ok()
            .filter(|ratio| (Decimal::ZERO..=Decimal::ONE).contains(ratio));
        ratio.map(Self).ok_or("write a number from 0 to 1")
    }
}

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// The share of the others.
    pub ratio: Ratio,
    /// A request that took longer is kept.
    pub slow: Duration,
    /// A decision that cost more, in USD, is kept.
    pub costly: Decimal,
}

/// Everything.
impl Default for Sampling {
    fn default() -> Self {
        Self {
            ratio: Ratio::ALL,
            slow: Duration::from_secs(5),
            costly: Decimal::new(5, 2),
        }
    }
}

/// Why a trace is kept whatever the ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// The request or something it depends on failed, its client went away, or its code panicked.
    Error,
    /// Policy code overruled the model, which is a failed check as well.
    Override,
    /// A check finally failed.
    FailedValidation,
    /// A person is to decide.
    Review,
    /// It cost more than most.
    Costly,
    /// It took longer than most.
    Slow,
    /// The first decision of this process in which a rule was broken or asked for something.
    FirstOfRule,
}

impl Sampling {
    /// Whether the trace of a decision is kept, as far as the decision itself tells.
    pub fn keeps(&self, decision: &Decision) -> bool {
        let trace_id = TraceId::from_hex(&decision.trace_id);
        self.reason(decision).is_some() || trace_id.is_ok_and(|trace_id| self.ratio.keeps(trace_id))
    }

    /// Why the trace of a decision is kept, as far as the decision itself tells.
    fn reason(&self, decision: &Decision) -> Option<Reason> {
        if decision.agent_outcome == AgentOutcome::Error {
            Some(Reason::Error)
        } else if decision.is_override {
            Some(Reason::Override)
        } else if !decision.failed_types().is_empty() {
            Some(Reason::FailedValidation)
        } else if decision.outcome == Outcome::NeedsReview {
            Some(Reason::Review)
        } else if decision.cost_usd.is_some_and(|cost| cost > self.costly) {
            Some(Reason::Costly)
        } else {
            None
        }
    }
}

/// Finds the reasons, and remembers which rules it has seen.
#[derive(Debug)]
pub(super) struct Reasons {
    sampling: Sampling,
    rules: Mutex<HashSet<String>>,
}

impl Reasons {
    /// Nothing seen yet.
    pub(super) fn new(sampling: Sampling) -> Self {
        Self {
            sampling,
            rules: Mutex::default(),
        }
    }

    /// Why the trace of a request that took so long is kept.
    pub(super) fn of(
        &self,
        decision: Option<&Decision>,
        has_failed: bool,
        took: Duration,
    ) -> Option<Reason> {
        // Before all else, so that a rule is not new a second time.
        let is_first = decision.is_some_and(|decision| self.is_first_of_rule(decision));
        has_failed
            .then_some(Reason::Error)
            .or_else(|| self.sampling.reason(decision?))
            .or_else(|| (took > self.sampling.slow).then_some(Reason::Slow))
            .or_else(|| is_first.then_some(Reason::FirstOfRule))
    }

    fn is_first_of_rule(&self, decision: &Decision) -> bool {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        // All of them, not up to the first that is new.
        decision
            .findings
            .iter()
            .filter(|finding| rules.insert(finding.rule.clone()))
            .count()
            > 0
    }
}
