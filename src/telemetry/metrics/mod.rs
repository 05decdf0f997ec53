//! What is counted and timed. A metric is a projection like a span's attributes, and of the same
//! values: its series are by those attributes of the ended span that `names::metrics` lists for it,
//! and by nothing else. How values get out stands in `readers`, what is asked for now and then in
//! `watch`.

mod measure;
mod push;
pub(super) mod readers;
pub mod tenants;
mod watch;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};

use crate::redact::pseudonym::Pseudonyms;
use crate::telemetry::clean::cleaned;
use crate::telemetry::names;
use crate::telemetry::names::metrics::{self as list, Metric};
use crate::telemetry::settings::MetricSettings;
use crate::telemetry::span::Ended;
use tenants::Tenants;

/// Every instrument.
#[derive(Debug)]
pub(crate) struct Metrics {
    meter: Meter,
    tenants: Tenants,
    pseudonyms: Pseudonyms,
    request_duration: Histogram<f64>,
    agent_duration: Histogram<f64>,
    tool_duration: Histogram<f64>,
    call_duration: Histogram<f64>,
    input_tokens: Counter<u64>,
    output_tokens: Counter<u64>,
    old_names: Option<OldNames>,
    decisions: Counter<u64>,
    validations: Counter<u64>,
    cost: Counter<f64>,
    cost_unknown: Counter<u64>,
    decision_cost: Counter<f64>,
    resolutions: Counter<u64>,
    pending: Gauge<u64>,
    ledger_ready: Gauge<u64>,
    record_duration: Histogram<f64>,
    overhead_duration: Histogram<f64>,
    telemetry_duration: Histogram<f64>,
}

/// Model calls, as older dashboards know them.
#[derive(Debug)]
struct OldNames {
    duration: Histogram<f64>,
    tokens: Histogram<u64>,
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

    /// The series of a metric that an ended span counts for. No processor stands between metrics
    /// and their ways out, so the two texts that could hold anything are cleaned here.
    fn series(&self, metric: &Metric, ended: &Ended<'_>) -> Vec<KeyValue> {
        let attributes = metric.attributes.iter().filter_map(|name| match name.key {
            key if key == names::ERROR_TYPE.key => {
                ended.error_type().map(|kind| name.with(kind.to_owned()))
            }
            key if key == names::TENANT_ID.key => Some(
                name.with(
                    self.tenants
                        .series(&cleaned(key, ended.tenant()?, &self.pseudonyms))?,
                ),
            ),
            key if key == names::GEN_AI_REQUEST_MODEL.key => {
                let model = ended.attribute(key)?.value.as_str();
                Some(name.with(cleaned(key, &model, &self.pseudonyms).into_owned()))
            }
            key => ended.attribute(key).cloned(),
        });
        attributes.collect()
    }
}
