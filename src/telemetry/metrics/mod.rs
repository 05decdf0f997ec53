//! What is counted and timed. A metric is a projection like a span's attributes, and of the same
//! values: its series are by those attributes of the ended span that `names::metrics` lists for it,
//! and by nothing else. How values get out stands in `readers`; what is measured of each
//! value, and what is asked for now and then, in `projections`.

pub(crate) mod ended;
pub(super) mod readers;
pub mod tenants;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};

use crate::domain::step::Step;
use crate::redact::pseudonym::Pseudonyms;
use crate::telemetry::names;
use crate::telemetry::names::metrics::{self as list, Metric};
use crate::telemetry::scrub::scrub_text;
use crate::telemetry::settings::MetricSettings;
use ended::Ended;
use tenants::Tenants;

/// Every instrument.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(super) meter: Meter,
    tenants: Tenants,
    pseudonyms: Pseudonyms,
    pub(super) request_duration: Histogram<f64>,
    pub(super) agent_duration: Histogram<f64>,
    pub(super) tool_duration: Histogram<f64>,
    pub(super) call_duration: Histogram<f64>,
    pub(super) input_tokens: Counter<u64>,
    pub(super) output_tokens: Counter<u64>,
    pub(super) old_names: Option<OldNames>,
    pub(super) decisions: Counter<u64>,
    pub(super) validations: Counter<u64>,
    pub(super) cost: Counter<f64>,
    pub(super) cost_unknown: Counter<u64>,
    pub(super) decision_cost: Counter<f64>,
    pub(super) resolutions: Counter<u64>,
    pub(super) pending: Gauge<u64>,
    pub(super) ledger_ready: Gauge<u64>,
    pub(super) record_duration: Histogram<f64>,
    pub(super) overhead_duration: Histogram<f64>,
    pub(super) telemetry_duration: Histogram<f64>,
}

/// Model calls, as older dashboards know them.
#[derive(Debug)]
pub(super) struct OldNames {
    pub(super) duration: Histogram<f64>,
    pub(super) tokens: Histogram<u64>,
}

impl Metrics {
    /// Makes the instruments.
    pub(super) fn new(meter: Meter, settings: &MetricSettings, pseudonyms: Pseudonyms) -> Self {
        Self {
            tenants: Tenants::new(settings.max_tenants),
            pseudonyms,
            request_duration: list::HTTP_SERVER_REQUEST_DURATION.histogram(&meter),
            agent_duration: list::GEN_AI_INVOKE_AGENT_DURATION.histogram(&meter),
            tool_duration: list::GEN_AI_EXECUTE_TOOL_DURATION.histogram(&meter),
            call_duration: list::GEN_AI_CLIENT_INFERENCE_DURATION.histogram(&meter),
            input_tokens: list::GEN_AI_CLIENT_INFERENCE_USAGE_INPUT_TOKENS.counter(&meter),
            output_tokens: list::GEN_AI_CLIENT_INFERENCE_USAGE_OUTPUT_TOKENS.counter(&meter),
            old_names: settings.has_old_names.then(|| OldNames {
                duration: list::GEN_AI_CLIENT_OPERATION_DURATION.histogram(&meter),
                tokens: list::GEN_AI_CLIENT_TOKEN_USAGE.histogram_of_counts(&meter),
            }),
            decisions: list::EXPENSE_DECISIONS.counter(&meter),
            validations: list::EXPENSE_VALIDATIONS.counter(&meter),
            cost: list::EXPENSE_COST.sum(&meter),
            cost_unknown: list::EXPENSE_COST_UNKNOWN.counter(&meter),
            decision_cost: list::EXPENSE_DECISION_COST.sum(&meter),
            resolutions: list::EXPENSE_RESOLUTIONS.counter(&meter),
            pending: list::EXPENSE_DECISIONS_PENDING.gauge(&meter),
            ledger_ready: list::EXPENSE_LEDGER_READY.gauge(&meter),
            record_duration: list::EXPENSE_RECORD_DURATION.histogram(&meter),
            overhead_duration: list::EXPENSE_AGENT_OVERHEAD_DURATION.histogram(&meter),
            telemetry_duration: list::EXPENSE_AGENT_TELEMETRY_DURATION.histogram(&meter),
            meter,
        }
    }

    /// A part of the story ended.
    pub(super) fn stepped(&self, step: Step, ended: &Ended<'_>) {
        let (duration, metric) = match step {
            Step::Agent => (&self.agent_duration, &list::GEN_AI_INVOKE_AGENT_DURATION),
            Step::PolicyLookup => (&self.tool_duration, &list::GEN_AI_EXECUTE_TOOL_DURATION),
            Step::Classify | Step::Decide | Step::Resolve => return,
        };
        duration.record(ended.took.as_secs_f64(), &self.series(metric, ended));
    }

    /// The series of a metric that an ended span counts for. No processor stands between metrics
    /// and their ways out, so the two texts that could hold anything are cleaned here.
    pub(super) fn series(&self, metric: &Metric, ended: &Ended<'_>) -> Vec<KeyValue> {
        let attributes = metric.attributes.iter().filter_map(|name| match name.key {
            key if key == names::ERROR_TYPE.key => {
                ended.error_type.map(|kind| name.with(kind.to_owned()))
            }
            key if key == names::TENANT_ID.key => {
                Some(name.with(self.tenants.series(&scrub_text(
                    key,
                    ended.tenant?,
                    &self.pseudonyms,
                ))?))
            }
            key if key == names::GEN_AI_REQUEST_MODEL.key => {
                let model = ended.attribute(key)?.value.as_str();
                Some(name.with(scrub_text(key, &model, &self.pseudonyms).into_owned()))
            }
            key => ended.attribute(key).cloned(),
        });
        attributes.collect()
    }
}
