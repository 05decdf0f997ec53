//! Metrics as they are kept: the instruments, and the series that a value belongs to. A metric is a
//! projection of the same values as the spans, so its series take their attributes from the span
//! that ended, and only those that `names::metrics` declares.
//!
//! `readers` exports them, and `tenants` bounds the series by tenant. What is recorded for each
//! value, and what is observed from time to time, is in `telemetry::projections`.

pub(crate) mod ended;
pub(super) mod readers;
pub mod tenants;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use crate::domain::step::Step;
use crate::redact::pseudonym::Pseudonyms;
use crate::telemetry::names;
use crate::telemetry::names::instrument::Declared;
use crate::telemetry::names::metrics::InstrumentSet;
use crate::telemetry::scrub::scrub_text;
use crate::telemetry::settings::MetricSettings;
use ended::Ended;
use tenants::Tenants;

/// Every instrument, with the data for finding the series of a value.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(super) instruments: InstrumentSet,
    /// Whether model calls are recorded under their former metric names too.
    pub(super) has_old_names: bool,
    tenants: Tenants,
    pseudonyms: Pseudonyms,
}

impl Metrics {
    /// Makes the instruments.
    pub(super) fn new(meter: &Meter, settings: &MetricSettings, pseudonyms: Pseudonyms) -> Self {
        Self {
            instruments: InstrumentSet::new(meter),
            has_old_names: settings.has_old_names,
            tenants: Tenants::new(settings.max_tenants),
            pseudonyms,
        }
    }

    /// Records the duration of a step that has a metric of its own.
    pub(super) fn step_ended(&self, step: Step, ended: &Ended<'_>) {
        let duration = match step {
            Step::Agent => &self.instruments.agent_duration,
            Step::PolicyLookup => &self.instruments.tool_duration,
            Step::Classify
            | Step::Decide
            | Step::Resolve
            | Step::Feedback(_)
            | Step::ClaimIdempotencyKey
            | Step::RecordDecision
            | Step::RecordResolution
            | Step::RecordFeedback => return,
        };
        duration.record(ended.took.as_secs_f64(), &self.series(duration, ended));
    }

    /// The series of a metric that an ended span belongs to. Metrics pass no span processor on their
    /// way out, so the tenant and the model, the two attributes that may contain personal data, are
    /// scrubbed here.
    pub(super) fn series<I>(&self, declared: &Declared<I>, ended: &Ended<'_>) -> Vec<KeyValue> {
        let value = |key: &str| match key {
            key if key == names::ERROR_TYPE.key => Some(ended.error_type?.to_owned().into()),
            key if key == names::TENANT_ID.key => {
                let tenant_id = scrub_text(key, ended.tenant?, &self.pseudonyms);
                Some(self.tenants.series(&tenant_id)?.into())
            }
            key if key == names::GEN_AI_REQUEST_MODEL.key => {
                let model = ended.attribute(key)?.value.as_str();
                let model = scrub_text(key, &model, &self.pseudonyms).into_owned();
                Some(model.into())
            }
            key => Some(ended.attribute(key)?.value.clone()),
        };
        let attributes = declared.metric.attributes.iter();
        attributes
            .filter_map(|attribute| Some(attribute.with(value(attribute.key)?)))
            .collect()
    }
}
