//! Why a trace is kept regardless of the sampling ratio.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use crate::domain::decision::{AgentOutcome, Decision};
use crate::domain::ruling::Outcome;
use crate::lock::lock;
use crate::telemetry::sampling::Sampling;

/// Why a trace is kept regardless of the sampling ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// The request or one of its dependencies failed, the client disconnected, or the code
    /// panicked.
    Error,
    /// Policy code overruled the model, which is a failed check as well.
    Override,
    /// A check failed for good.
    FailedValidation,
    /// A person has to resolve the decision.
    Review,
    /// The decision cost more than [`Sampling::costly`].
    Costly,
    /// The request took longer than [`Sampling::slow`].
    Slow,
    /// The first decision of this process for which this rule has a finding.
    FirstOfRule,
}

impl Sampling {
    /// Why the trace of a decision is kept, as far as the decision itself shows.
    pub(super) fn reason(&self, decision: &Decision) -> Option<Reason> {
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

/// Finds the reason of each request, and remembers the rules that it has seen.
#[derive(Debug)]
pub(in crate::telemetry) struct Reasons {
    sampling: Sampling,
    rules: Mutex<HashSet<String>>,
}

impl Reasons {
    /// No rule has been seen yet.
    pub(in crate::telemetry) fn new(sampling: Sampling) -> Self {
        Self {
            sampling,
            rules: Mutex::default(),
        }
    }

    /// Why the trace of a request is kept.
    pub(in crate::telemetry) fn of(
        &self,
        decision: Option<&Decision>,
        has_failed: bool,
        took: Duration,
    ) -> Option<Reason> {
        // Evaluated first, so that a rule counts as seen even when another reason is given.
        let is_first = decision.is_some_and(|decision| self.is_first_of_rule(decision));
        has_failed
            .then_some(Reason::Error)
            .or_else(|| self.sampling.reason(decision?))
            .or_else(|| (took > self.sampling.slow).then_some(Reason::Slow))
            .or_else(|| is_first.then_some(Reason::FirstOfRule))
    }

    fn is_first_of_rule(&self, decision: &Decision) -> bool {
        let mut rules = lock(&self.rules);
        // Counted and not searched with `any`, which would stop at the first new rule and leave
        // the others unseen.
        decision
            .findings
            .iter()
            .filter(|finding| rules.insert(finding.rule.clone()))
            .count()
            > 0
    }
}
