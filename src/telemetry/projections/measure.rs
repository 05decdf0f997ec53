//! What each value is worth to the metrics: one method for each thing that happens, called with the
//! span that it ended.

use std::time::Duration;

use opentelemetry::KeyValue;

use crate::agent::Recorded;
use crate::agent::ask::StepRun;
use crate::agent::resolve::Resolved;
use crate::llm::{ChatRequest, Reply};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::metrics::ended::Ended;
use crate::telemetry::names;
use crate::telemetry::names::metrics as list;
use crate::telemetry::projections::values::usd;
use crate::telemetry::spans::request_time::RequestTime;

impl Metrics {
    /// A request was answered, or given up.
    pub(super) fn served(&self, ended: &Ended<'_>) {
        let series = self.series(&list::HTTP_SERVER_REQUEST_DURATION, ended);
        self.request_duration
            .record(ended.took.as_secs_f64(), &series);
    }

    /// A request was answered, and all that is told of it has been told. What the program took for
    /// itself is of interest where something else could have taken time.
    pub(super) fn own_time(&self, time: &RequestTime, took: Duration) {
        if let Some(model) = time.of_model() {
            self.overhead_duration
                .record(took.saturating_sub(model).as_secs_f64(), &[]);
            self.telemetry_duration
                .record(time.of_telemetry().as_secs_f64(), &[]);
        }
    }

    /// A step checked what it had got.
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
                list::VALIDATION_RESULT.with(result),
            ];
            self.validations.add(1, &series);
        }
    }

    /// A decision was recorded.
    pub(super) fn decided(&self, recorded: &Recorded, ended: &Ended<'_>) {
        self.decisions
            .add(1, &self.series(&list::EXPENSE_DECISIONS, ended));
        self.record_duration
            .record(recorded.record_duration.as_secs_f64(), &[]);
        let series = self.series(&list::EXPENSE_DECISION_COST, ended);
        let calls = recorded.decision.steps.iter().flat_map(|step| &step.calls);
        for cost in calls.filter_map(|call| call.cost.as_ref()) {
            self.decision_cost.add(usd(cost.total), &series);
        }
    }

    /// A person settled a decision; one that is answered again was counted the first time.
    pub(super) fn resolved(&self, resolved: &Resolved, ended: &Ended<'_>) {
        if resolved.record_hash.is_some() {
            self.resolutions
                .add(1, &self.series(&list::EXPENSE_RESOLUTIONS, ended));
        }
    }

    /// A model was asked.
    pub(super) fn called(&self, request: &ChatRequest<'_>, reply: &Reply, ended: &Ended<'_>) {
        let (took, series) = (
            ended.took.as_secs_f64(),
            self.series(&list::GEN_AI_CLIENT_INFERENCE_DURATION, ended),
        );
        self.call_duration.record(took, &series);
        if let Some(old) = &self.old_names {
            old.duration.record(took, &series);
        }
        let Ok(answer) = &reply.answer else { return };
        let step = names::STEP_NAME.with(request.prompt.name);
        match &reply.cost {
            Some(cost) => self.cost.add(
                usd(cost.total),
                &with(self.series(&list::EXPENSE_COST, ended), step),
            ),
            None => self.cost_unknown.add(
                1,
                &with(self.series(&list::EXPENSE_COST_UNKNOWN, ended), step),
            ),
        }
        let Some(usage) = answer.usage else { return };
        let series = self.series(&list::GEN_AI_CLIENT_INFERENCE_USAGE_INPUT_TOKENS, ended);
        self.input_tokens.add(usage.input_tokens, &series);
        self.output_tokens.add(usage.output_tokens, &series);
        if let Some(old) = &self.old_names {
            for (kind, n_tokens) in [
                ("input", usage.input_tokens),
                ("output", usage.output_tokens),
            ] {
                let series = with(series.clone(), list::GEN_AI_TOKEN_TYPE.with(kind));
                old.tokens.record(n_tokens, &series);
            }
        }
    }
}

fn with(mut series: Vec<KeyValue>, attribute: KeyValue) -> Vec<KeyValue> {
    series.push(attribute);
    series
}
