//! What the metrics record: one method for each thing that happens, called with the span that ended.

use std::time::Duration;

use opentelemetry::KeyValue;

use crate::agent::Recorded;
use crate::agent::ask::StepRun;
use crate::agent::feedback::Given;
use crate::agent::resolve::Resolved;
use crate::domain::decision::Decision;
use crate::domain::overturned::Judgement;
use crate::domain::step::Cost;
use crate::llm::{ChatRequest, Reply};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::metrics::ended::Ended;
use crate::telemetry::names;
use crate::telemetry::names::metrics;
use crate::telemetry::projections::values::usd;
use crate::telemetry::spans::request_time::RequestTime;

impl Metrics {
    /// Records a request that was answered or aborted.
    pub(super) fn served(&self, ended: &Ended<'_>) {
        let duration = &self.instruments.request_duration;
        duration.record(ended.took.as_secs_f64(), &self.series(duration, ended));
    }

    /// Records the service's own share of a request, telemetry included. Requests that called no
    /// model are left out, because all of their time is the service's own.
    pub(super) fn own_time(&self, time: &RequestTime, took: Duration) {
        let Some(model) = time.of_model() else { return };
        let own = took.saturating_sub(model);
        let overhead = &self.instruments.overhead_duration;
        overhead.record(own.as_secs_f64(), &[]);
        let telemetry = &self.instruments.telemetry_duration;
        telemetry.record(time.of_telemetry().as_secs_f64(), &[]);
    }

    /// Counts the checks of a step.
    pub(super) fn checked(&self, run: &StepRun) {
        for validation in &run.validations {
            let result = match (validation.passed, validation.repaired) {
                (true, _) => "passed",
                (false, true) => "repaired",
                (false, false) => "failed",
            };
            let kind = <&'static str>::from(validation.kind);
            let series = [
                names::VALIDATION_TYPE.with(kind),
                metrics::VALIDATION_RESULT.with(result),
            ];
            self.instruments.validations.add(1, &series);
        }
    }

    /// Counts a decision that was recorded, with its time and cost.
    pub(super) fn decided(&self, recorded: &Recorded, ended: &Ended<'_>) {
        let decisions = &self.instruments.decisions;
        decisions.add(1, &self.series(decisions, ended));
        let duration = &self.instruments.record_duration;
        duration.record(recorded.record_duration.as_secs_f64(), &[]);
        let decision_cost = &self.instruments.decision_cost;
        let series = self.series(decision_cost, ended);
        for cost in known_costs(&recorded.decision) {
            decision_cost.add(usd(cost.total), &series);
        }
    }

    /// Counts a decision that a person resolved. A repeated request gets the first resolution again
    /// and is not counted: it has no record of its own. Neither is an approval that others have to
    /// follow.
    pub(super) fn resolved(&self, resolved: &Resolved, ended: &Ended<'_>) {
        let Resolved {
            stored,
            resolution,
            record_hash: Some(_),
        } = resolved
        else {
            return;
        };
        if !resolution.is_final() {
            return;
        }
        let decision = &stored.decision;
        let resolutions = &self.instruments.resolutions;
        resolutions.add(1, &self.series(resolutions, ended));
        let waited = resolution.resolved_at.duration_since(decision.received_at);
        if let Ok(waited) = Duration::try_from(waited) {
            let duration = &self.instruments.resolution_duration;
            duration.record(waited.as_secs_f64(), &self.series(duration, ended));
        }
        if let Some(Judgement::Overturned(kind)) = resolved.judgement() {
            let kind = metrics::EXPENSE_OVERTURNED_KIND.with(<&'static str>::from(kind));
            self.instruments.overturned.add(1, &[kind]);
            for cost in known_costs(decision) {
                self.instruments.overturned_cost.add(usd(cost.total), &[]);
            }
        }
    }

    /// Counts feedback that was given. Saying the same again is not counted, nor is taking feedback
    /// back.
    pub(super) fn feedback_given(&self, given: &Given, ended: &Ended<'_>) {
        if given.is_new && !given.feedback.taken_back {
            let feedback = &self.instruments.feedback;
            feedback.add(1, &self.series(feedback, ended));
        }
    }

    /// Records a model call: its duration, its wait for a permit and, if it was answered, cost and tokens.
    pub(super) fn called(&self, request: &ChatRequest<'_>, reply: &Reply, ended: &Ended<'_>) {
        self.call_took(ended);
        if let Some(waited) = reply.waited {
            let wait = &self.instruments.wait_duration;
            wait.record(waited.as_secs_f64(), &self.series(wait, ended));
        }
        let Ok(answer) = &reply.answer else { return };
        let step = names::STEP_NAME.with(<&'static str>::from(request.step));
        match &reply.cost {
            Some(cost) => {
                let spend = &self.instruments.cost;
                spend.add(usd(cost.total), &with(self.series(spend, ended), step));
            }
            None => {
                let unknown = &self.instruments.cost_unknown;
                unknown.add(1, &with(self.series(unknown, ended), step));
            }
        }
        if let Some(usage) = answer.usage {
            self.tokens_used(usage.input_tokens, usage.output_tokens, ended);
        }
    }

    fn call_took(&self, ended: &Ended<'_>) {
        let seconds = ended.took.as_secs_f64();
        let duration = &self.instruments.call_duration;
        duration.record(seconds, &self.series(duration, ended));
        if self.has_old_names {
            let duration = &self.instruments.old_call_duration;
            duration.record(seconds, &self.series(duration, ended));
        }
    }

    fn tokens_used(&self, n_input: u64, n_output: u64, ended: &Ended<'_>) {
        let input = &self.instruments.input_tokens;
        // Both counters are declared with the attributes of a call, so their series are the same.
        let series = self.series(input, ended);
        input.add(n_input, &series);
        self.instruments.output_tokens.add(n_output, &series);
        if self.has_old_names {
            let tokens = &self.instruments.old_tokens;
            let series = self.series(tokens, ended);
            for (kind, n_tokens) in [("input", n_input), ("output", n_output)] {
                let kind = metrics::GEN_AI_TOKEN_TYPE.with(kind);
                tokens.record(n_tokens, &with(series.clone(), kind));
            }
        }
    }
}

/// The costs of the model calls of a decision, as far as they are known.
fn known_costs(decision: &Decision) -> impl Iterator<Item = &Cost> {
    let calls = decision.steps.iter().flat_map(|step| &step.calls);
    calls.filter_map(|call| call.cost.as_ref())
}

/// A series with an attribute that its span does not have.
fn with(mut series: Vec<KeyValue>, attribute: KeyValue) -> Vec<KeyValue> {
    series.push(attribute);
    series
}
