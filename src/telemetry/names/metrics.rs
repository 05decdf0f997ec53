//! Every metric, and the attributes that stand on metrics alone: unit, meaning, source, and what
//! its series are by. No metric is by anything of which there are as many as requests or people; by
//! tenant only where that is switched on, and then within a bound.

use opentelemetry::metrics::{AsyncInstrument, Counter, Gauge, Histogram, Meter};

use crate::telemetry::names;
use crate::telemetry::names::name::Cardinality::Low;
use crate::telemetry::names::name::Source::{self, Core, GenAi, Ours};
use crate::telemetry::names::name::{Name, name};

/// How a check ended.
pub const VALIDATION_RESULT: Name = name(
    "validation.result",
    "string",
    "metrics",
    "`passed`, `failed`, or `repaired` when it failed and a later answer passed it",
    Ours,
    Low,
);
/// What became of a span.
pub const TELEMETRY_RESULT: Name = name(
    "telemetry.result",
    "string",
    "metrics",
    "`exported`, `sampled_out` or `dropped`",
    Ours,
    Low,
);
/// Whom a decision waits for.
pub const EXPENSE_PENDING_ROLE: Name = name(
    "expense.pending.role",
    "string",
    "metrics",
    "the lowest role that can settle it",
    Ours,
    Low,
);
/// State of the breaker.
pub const EXPENSE_BREAKER_STATE: Name = name(
    "expense.breaker.state",
    "string",
    "metrics",
    "`closed`, `half_open` or `open`",
    Ours,
    Low,
);
/// Reloaded files.
pub const EXPENSE_RELOAD_FILES: Name = name(
    "expense.reload.files",
    "string",
    "metrics",
    "`policies` or `api_keys`",
    Ours,
    Low,
);
/// Reload result.
pub const EXPENSE_RELOAD_RESULT: Name = name(
    "expense.reload.result",
    "string",
    "metrics",
    "`taken` or `refused`",
    Ours,
    Low,
);
/// Kind of tokens.
pub const GEN_AI_TOKEN_TYPE: Name = name(
    "gen_ai.token.type",
    "string",
    "metrics",
    "`input` or `output`",
    GenAi,
    Low,
);

/// The attributes that stand on metrics alone.
pub const ATTRIBUTES: &[Name] = &[
    VALIDATION_RESULT,
    TELEMETRY_RESULT,
    EXPENSE_PENDING_ROLE,
    EXPENSE_BREAKER_STATE,
    EXPENSE_RELOAD_FILES,
    EXPENSE_RELOAD_RESULT,
    GEN_AI_TOKEN_TYPE,
];

/// Seconds of a request, as the HTTP conventions have them.
const REQUEST_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
/// Seconds of a model call or a tool, as the GenAI conventions have them: 0.01 doubling.
const CALL_SECONDS: &[f64] = &[
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
/// Seconds of a run, as the GenAI conventions have them: 0.1 doubling.
const RUN_SECONDS: &[f64] = &[
    0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6,
];
/// Tokens of a call, as the GenAI conventions have them: 1, times four each.
const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// Seconds of what this program does itself: from tens of microseconds on.
const OWN_SECONDS: &[f64] = &[
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025,
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It is what it is now.
    Gauge,
    /// How values are spread, with the upper bounds of its buckets.
    Histogram(&'static [f64]),
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// Its name.
    pub key: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its unit, as UCUM has it, or what is counted in braces.
    pub unit: &'static str,
    /// What its series are by.
    pub attributes: &'static [Name],
    /// What it means.
    pub meaning: &'static str,
    /// Where it comes from.
    pub source: Source,
}

impl Metric {
    /// The instrument that counts things.
    pub fn counter(&self, meter: &Meter) -> Counter<u64> {
        meter
            .u64_counter(self.key)
            .with_unit(self.unit)
            .with_description(self.meaning)
            .build()
    }

    /// The instrument that adds numbers up.
    pub fn sum(&self, meter: &Meter) -> Counter<f64> {
        meter
            .f64_counter(self.key)
            .with_unit(self.unit)
            .with_description(self.meaning)
            .build()
    }

    /// The instrument that shows how many there are now.
    pub fn gauge(&self, meter: &Meter) -> Gauge<u64> {
        meter
            .u64_gauge(self.key)
            .with_unit(self.unit)
            .with_description(self.meaning)
            .build()
    }

    /// The same of things that others count, asked for when somebody reads.
    pub fn observed_counter(
        &self,
        meter: &Meter,
        observe: impl Fn(&dyn AsyncInstrument<u64>) + Send + Sync + 'static,
    ) {
        let builder = meter
            .u64_observable_counter(self.key)
            .with_unit(self.unit)
            .with_description(self.meaning);
        builder.with_callback(observe).build();
    }

    /// The same of how many there are now.
    pub fn observed_gauge(
        &self,
        meter: &Meter,
        observe: impl Fn(&dyn AsyncInstrument<u64>) + Send + Sync + 'static,
    ) {
        let builder = meter
            .u64_observable_gauge(self.key)
            .with_unit(self.unit)
            .with_description(self.meaning);
        builder.with_callback(observe).build();
    }

    /// The instrument that shows how numbers are spread.
    pub fn histogram(&self, meter: &Meter) -> Histogram<f64> {
        let builder = meter
            .f64_histogram(self.key)
            .with_unit(self.unit)
            .with_description(self.meaning);
        builder.with_boundaries(self.bounds()).build()
    }

    /// The instrument that shows how counts are spread.
    pub fn histogram_of_counts(&self, meter: &Meter) -> Histogram<u64> {
        let builder = meter
            .u64_histogram(self.key)
            .with_unit(self.unit)
            .with_description(self.meaning);
        builder.with_boundaries(self.bounds()).build()
    }

    fn bounds(&self) -> Vec<f64> {
        match self.kind {
            Kind::Histogram(bounds) => bounds.to_vec(),
            Kind::Counter | Kind::Gauge => Vec::new(),
        }
    }
}

const fn metric(
    key: &'static str,
    kind: Kind,
    unit: &'static str,
    attributes: &'static [Name],
    meaning: &'static str,
    source: Source,
) -> Metric {
    Metric {
        key,
        kind,
        unit,
        attributes,
        meaning,
        source,
    }
}

/// What every metric of a model call is by.
const OF_CALLS: &[Name] = &[
    names::GEN_AI_OPERATION_NAME,
    names::GEN_AI_PROVIDER_NAME,
    names::GEN_AI_REQUEST_MODEL,
    names::SERVER_ADDRESS,
    names::SERVER_PORT,
];
/// The same of those that tell how a call ended.
const OF_ENDED_CALLS: &[Name] = &[
    names::GEN_AI_OPERATION_NAME,
    names::GEN_AI_PROVIDER_NAME,
    names::GEN_AI_REQUEST_MODEL,
    names::SERVER_ADDRESS,
    names::SERVER_PORT,
    names::ERROR_TYPE,
];

/// Requests.
pub const HTTP_SERVER_REQUEST_DURATION: Metric = metric(
    "http.server.request.duration",
    Kind::Histogram(REQUEST_SECONDS),
    "s",
    &[
        names::HTTP_REQUEST_METHOD,
        names::HTTP_ROUTE,
        names::HTTP_RESPONSE_STATUS_CODE,
        names::URL_SCHEME,
        names::ERROR_TYPE,
    ],
    "time to answer a request; probes and this page are not among them",
    Core,
);
/// Model calls.
pub const GEN_AI_CLIENT_INFERENCE_DURATION: Metric = metric(
    "gen_ai.client.inference.duration",
    Kind::Histogram(CALL_SECONDS),
    "s",
    OF_ENDED_CALLS,
    "time of a model call, transport retries included",
    GenAi,
);
/// Tokens read.
pub const GEN_AI_CLIENT_INFERENCE_USAGE_INPUT_TOKENS: Metric = metric(
    "gen_ai.client.inference.usage.input_tokens",
    Kind::Counter,
    "{token}",
    OF_CALLS,
    "tokens the model read",
    GenAi,
);
/// Tokens written.
pub const GEN_AI_CLIENT_INFERENCE_USAGE_OUTPUT_TOKENS: Metric = metric(
    "gen_ai.client.inference.usage.output_tokens",
    Kind::Counter,
    "{token}",
    OF_CALLS,
    "tokens the model wrote",
    GenAi,
);
/// Model calls, as older dashboards know them.
pub const GEN_AI_CLIENT_OPERATION_DURATION: Metric = metric(
    "gen_ai.client.operation.duration",
    Kind::Histogram(CALL_SECONDS),
    "s",
    OF_ENDED_CALLS,
    "`gen_ai.client.inference.duration` by its older name; only with `--metrics-old-names`",
    GenAi,
);
/// Tokens, as older dashboards know them.
pub const GEN_AI_CLIENT_TOKEN_USAGE: Metric = metric(
    "gen_ai.client.token.usage",
    Kind::Histogram(TOKENS),
    "{token}",
    &[
        names::GEN_AI_OPERATION_NAME,
        names::GEN_AI_PROVIDER_NAME,
        names::GEN_AI_REQUEST_MODEL,
        names::SERVER_ADDRESS,
        names::SERVER_PORT,
        GEN_AI_TOKEN_TYPE,
    ],
    "tokens of a model call, as older dashboards know them; only with `--metrics-old-names`",
    GenAi,
);
/// Runs.
pub const GEN_AI_INVOKE_AGENT_DURATION: Metric = metric(
    "gen_ai.invoke_agent.duration",
    Kind::Histogram(RUN_SECONDS),
    "s",
    &[
        names::GEN_AI_OPERATION_NAME,
        names::GEN_AI_AGENT_NAME,
        names::ERROR_TYPE,
    ],
    "time of a run of the agent, its record included",
    GenAi,
);
/// Tools.
pub const GEN_AI_EXECUTE_TOOL_DURATION: Metric = metric(
    "gen_ai.execute_tool.duration",
    Kind::Histogram(CALL_SECONDS),
    "s",
    &[
        names::GEN_AI_OPERATION_NAME,
        names::GEN_AI_AGENT_NAME,
        names::GEN_AI_TOOL_NAME,
        names::GEN_AI_TOOL_TYPE,
        names::ERROR_TYPE,
    ],
    "time of a policy lookup",
    GenAi,
);

/// Whether the model is asked. One series for each state, of which one is 1: a query names the
/// state and not a number, and the average over a time is the share of it.
pub const EXPENSE_MODEL_BREAKER_STATE: Metric = metric(
    "expense.model.breaker.state",
    Kind::Gauge,
    "{breaker}",
    &[names::GEN_AI_REQUEST_MODEL, EXPENSE_BREAKER_STATE],
    "1 for the state the model's breaker is in, else 0: `closed` lets calls through, `open` none, `half_open` one",
    Ours,
);

/// Decisions.
pub const EXPENSE_DECISIONS: Metric = metric(
    "expense.decisions",
    Kind::Counter,
    "{decision}",
    &[
        names::EXPENSE_OUTCOME,
        names::EXPENSE_CATEGORY,
        names::AGENT_OUTCOME,
        names::VALIDATION_STATUS,
        names::EXPENSE_OVERRIDE,
        names::TENANT_ID,
    ],
    "decisions recorded; those with `validation.status` `failed` over all is the semantic error rate",
    Ours,
);
/// Checks.
pub const EXPENSE_VALIDATIONS: Metric = metric(
    "expense.validations",
    Kind::Counter,
    "{check}",
    &[names::VALIDATION_TYPE, VALIDATION_RESULT],
    "checks of model answers and of what the lookup found",
    Ours,
);
/// Spend.
pub const EXPENSE_COST: Metric = metric(
    "expense.cost",
    Kind::Counter,
    "USD",
    &[
        names::GEN_AI_REQUEST_MODEL,
        names::STEP_NAME,
        names::TENANT_ID,
    ],
    "US dollars that model calls cost, whatever came of them",
    Ours,
);
/// Calls without a price.
pub const EXPENSE_COST_UNKNOWN: Metric = metric(
    "expense.cost.unknown",
    Kind::Counter,
    "{call}",
    &[names::GEN_AI_REQUEST_MODEL, names::STEP_NAME],
    "answered model calls whose cost is unknown, so that no spend holds them",
    Ours,
);
/// Spend by what came of it.
pub const EXPENSE_DECISION_COST: Metric = metric(
    "expense.decision.cost",
    Kind::Counter,
    "USD",
    &[
        names::AGENT_OUTCOME,
        names::VALIDATION_STATUS,
        names::TENANT_ID,
    ],
    "US dollars that the model calls of recorded decisions cost, by how the reasoning went",
    Ours,
);
/// Resolutions.
pub const EXPENSE_RESOLUTIONS: Metric = metric(
    "expense.resolutions",
    Kind::Counter,
    "{resolution}",
    &[
        names::EXPENSE_RESOLUTION_ACTION,
        names::EXPENSE_RESOLUTION_ROLE,
    ],
    "decisions that a person settled",
    Ours,
);
/// Open decisions.
pub const EXPENSE_DECISIONS_PENDING: Metric = metric(
    "expense.decisions.pending",
    Kind::Gauge,
    "{decision}",
    &[EXPENSE_PENDING_ROLE],
    "decisions in the ledger that wait for a person; every replica of a shared ledger says the same",
    Ours,
);
/// Readiness of the ledger.
pub const EXPENSE_LEDGER_READY: Metric = metric(
    "expense.ledger.ready",
    Kind::Gauge,
    "{ledger}",
    &[],
    "0 while the ledger cannot be read, looked at every five seconds, or the last `/readyz` found that it cannot be written; else 1",
    Ours,
);
/// Time to record.
pub const EXPENSE_RECORD_DURATION: Metric = metric(
    "expense.record.duration",
    Kind::Histogram(OWN_SECONDS),
    "s",
    &[],
    "time the ledger took to record a decision",
    Ours,
);
/// Own overhead.
pub const EXPENSE_AGENT_OVERHEAD_DURATION: Metric = metric(
    "expense.agent.overhead.duration",
    Kind::Histogram(OWN_SECONDS),
    "s",
    &[],
    "time of a request in which no model call was under way, of requests that asked a model",
    Ours,
);
/// Telemetry's share of it.
pub const EXPENSE_AGENT_TELEMETRY_DURATION: Metric = metric(
    "expense.agent.telemetry.duration",
    Kind::Histogram(OWN_SECONDS),
    "s",
    &[],
    "of that overhead, time spent on spans and metrics, all that the way to the queue takes included",
    Ours,
);
/// Spans.
pub const TELEMETRY_SPANS: Metric = metric(
    "telemetry.spans",
    Kind::Counter,
    "{span}",
    &[TELEMETRY_RESULT],
    "what became of ended spans",
    Ours,
);
/// Spans under way.
pub const TELEMETRY_SPANS_IN_FLIGHT: Metric = metric(
    "telemetry.spans.in_flight",
    Kind::Gauge,
    "{span}",
    &[],
    "spans that have not ended, wait, or are under way to the backend",
    Ours,
);
/// Memory of spans.
pub const TELEMETRY_QUEUE_MEMORY: Metric = metric(
    "telemetry.queue.memory",
    Kind::Gauge,
    "By",
    &[],
    "memory of ended spans that are not delivered, which `--telemetry-queue-bytes` bounds",
    Ours,
);
/// Reloads.
pub const EXPENSE_RELOADS: Metric = metric(
    "expense.reloads",
    Kind::Counter,
    "{reload}",
    &[EXPENSE_RELOAD_FILES, EXPENSE_RELOAD_RESULT],
    "changed files that were taken into use, or refused as a whole for their faults",
    Ours,
);
/// Stale files.
pub const EXPENSE_RELOAD_STALE: Metric = metric(
    "expense.reload.stale",
    Kind::Gauge,
    "{set}",
    &[EXPENSE_RELOAD_FILES],
    "1 while the files as they are now cannot be used and what was loaded before them still is, else 0",
    Ours,
);

/// Every metric.
pub const ALL: &[Metric] = &[
    HTTP_SERVER_REQUEST_DURATION,
    GEN_AI_INVOKE_AGENT_DURATION,
    GEN_AI_EXECUTE_TOOL_DURATION,
    GEN_AI_CLIENT_INFERENCE_DURATION,
    GEN_AI_CLIENT_INFERENCE_USAGE_INPUT_TOKENS,
    GEN_AI_CLIENT_INFERENCE_USAGE_OUTPUT_TOKENS,
    GEN_AI_CLIENT_OPERATION_DURATION,
    GEN_AI_CLIENT_TOKEN_USAGE,
    EXPENSE_MODEL_BREAKER_STATE,
    EXPENSE_DECISIONS,
    EXPENSE_VALIDATIONS,
    EXPENSE_COST,
    EXPENSE_COST_UNKNOWN,
    EXPENSE_DECISION_COST,
    EXPENSE_RESOLUTIONS,
    EXPENSE_DECISIONS_PENDING,
    EXPENSE_LEDGER_READY,
    EXPENSE_RECORD_DURATION,
    EXPENSE_AGENT_OVERHEAD_DURATION,
    EXPENSE_AGENT_TELEMETRY_DURATION,
    TELEMETRY_SPANS,
    TELEMETRY_SPANS_IN_FLIGHT,
    TELEMETRY_QUEUE_MEMORY,
    EXPENSE_RELOADS,
    EXPENSE_RELOAD_STALE,
];
