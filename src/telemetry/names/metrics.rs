//! Every metric, declared once with its instrument, unit, attributes and convention, and the
//! attributes that only metrics have.
//!
//! No metric has an attribute of high cardinality except the tenant, which has to be switched on and
//! is bounded then. How values are recorded is in `telemetry::projections`.

use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};

use super::attribute::{self, Attribute, Source, attributes};
use super::instrument::{
    Declared, Instrument, Metric, ObservedCounter, ObservedGauge, buckets, metrics,
};
use super::{
    AGENT_OUTCOME, ERROR_TYPE, EXPENSE_CATEGORY, EXPENSE_FEEDBACK_LABEL, EXPENSE_FEEDBACK_NAME,
    EXPENSE_FEEDBACK_SOURCE, EXPENSE_NOTIFICATION_RESULT, EXPENSE_NOTIFICATION_TYPE,
    EXPENSE_OUTCOME, EXPENSE_OVERRIDE, EXPENSE_RESOLUTION_ACTION, EXPENSE_RESOLUTION_ROLE,
    GEN_AI_AGENT_NAME, GEN_AI_OPERATION_NAME, GEN_AI_PROVIDER_NAME, GEN_AI_REQUEST_MODEL,
    GEN_AI_TOOL_NAME, GEN_AI_TOOL_TYPE, HTTP_REQUEST_METHOD, HTTP_RESPONSE_STATUS_CODE, HTTP_ROUTE,
    SERVER_ADDRESS, SERVER_PORT, STEP_NAME, TENANT_ID, URL_SCHEME, VALIDATION_STATUS,
    VALIDATION_TYPE,
};

attributes! {
    /// Every attribute that only metrics have.
    pub const ATTRIBUTES;

    /// `passed`, `failed`, or `repaired` if it failed and a later answer passed it.
    VALIDATION_RESULT = "validation.result", String, on [Metrics], Ours, Low;
    /// `exported`, `sampled_out` or `dropped`.
    TELEMETRY_RESULT = "telemetry.result", String, on [Metrics], Ours, Low;
    /// The lowest role that can resolve the decision.
    EXPENSE_PENDING_ROLE = "expense.pending.role", String, on [Metrics], Ours, Low;
    /// `closed`, `half_open` or `open`.
    EXPENSE_BREAKER_STATE = "expense.breaker.state", String, on [Metrics], Ours, Low;
    /// `policies` or `api_keys`.
    EXPENSE_RELOAD_FILES = "expense.reload.files", String, on [Metrics], Ours, Low;
    /// `taken` if the files were accepted, `refused` if they had errors.
    EXPENSE_RELOAD_RESULT = "expense.reload.result", String, on [Metrics], Ours, Low;
    /// `refused`: the maximum of connections was open, each with a request; `evicted`: it was open,
    /// and this one had been without a request for the longest time; `slow_head`: the head of a
    /// request did not arrive in time; `idle`: no request came in time; `stalled`: nothing was read
    /// or written during a request.
    EXPENSE_CONNECTION_REASON = "expense.connection.reason", String, on [Metrics], Ours, Low;
    /// `action` if the person approved what the machine would have denied, or the other way round;
    /// `category` if in another category; `amount` if only a part. The first that applies.
    EXPENSE_OVERTURNED_KIND = "expense.overturned.kind", String, on [Metrics], Ours, Low;
    /// `input` or `output`.
    GEN_AI_TOKEN_TYPE = "gen_ai.token.type", String, on [Metrics], GenAi, Low;
}

/// Seconds of a request, as the HTTP conventions advise.
const REQUEST_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
/// Seconds of a model call or a tool, as the GenAI conventions advise: 0.01, doubled each time.
const CALL_SECONDS: &[f64] = &[
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
/// Seconds of a run of the agent, as the GenAI conventions advise: 0.1, doubled each time.
const RUN_SECONDS: &[f64] = &[
    0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6,
];
/// Tokens of a call, as the GenAI conventions advise: 1, multiplied by four each time.
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
/// Seconds of this program's own work, which begins at tens of microseconds.
const OWN_SECONDS: &[f64] = &[
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025,
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Seconds that an expense waits for a person: from a minute to four weeks.
const WAIT_SECONDS: &[f64] = &[
    60.0,
    300.0,
    900.0,
    3_600.0,
    14_400.0,
    43_200.0,
    86_400.0,
    172_800.0,
    345_600.0,
    604_800.0,
    1_209_600.0,
    2_419_200.0,
];

/// The attributes of every metric of a model call.
const CALL: &[Attribute] = &[
    GEN_AI_OPERATION_NAME,
    GEN_AI_PROVIDER_NAME,
    GEN_AI_REQUEST_MODEL,
    SERVER_ADDRESS,
    SERVER_PORT,
];
/// The same with the class of its failure.
const ENDED_CALL: &[Attribute] = &[
    GEN_AI_OPERATION_NAME,
    GEN_AI_PROVIDER_NAME,
    GEN_AI_REQUEST_MODEL,
    SERVER_ADDRESS,
    SERVER_PORT,
    ERROR_TYPE,
];

metrics! {
    /// Every metric.
    pub const ALL;
    /// The instrument of every metric.
    pub struct InstrumentSet;

    /// Duration of a request. Probes and `/metrics` itself are not measured.
    request_duration: Histogram<f64>[REQUEST_SECONDS] = "http.server.request.duration", "s",
        by &[HTTP_REQUEST_METHOD, HTTP_ROUTE, HTTP_RESPONSE_STATUS_CODE, URL_SCHEME, ERROR_TYPE],
        Core;

    /// Duration of a run of the agent, including its record in the ledger.
    agent_duration: Histogram<f64>[RUN_SECONDS] = "gen_ai.invoke_agent.duration", "s",
        by &[GEN_AI_OPERATION_NAME, GEN_AI_AGENT_NAME, ERROR_TYPE], GenAi;
    /// Duration of a policy lookup.
    tool_duration: Histogram<f64>[CALL_SECONDS] = "gen_ai.execute_tool.duration", "s",
        by &[
            GEN_AI_OPERATION_NAME, GEN_AI_AGENT_NAME, GEN_AI_TOOL_NAME, GEN_AI_TOOL_TYPE, ERROR_TYPE
        ], GenAi;
    /// Duration of a model call, including transport retries.
    call_duration: Histogram<f64>[CALL_SECONDS] = "gen_ai.client.inference.duration", "s",
        by ENDED_CALL, GenAi;
    /// Tokens that the model read.
    input_tokens: Counter<u64> = "gen_ai.client.inference.usage.input_tokens", "{token}",
        by CALL, GenAi;
    /// Tokens that the model wrote.
    output_tokens: Counter<u64> = "gen_ai.client.inference.usage.output_tokens", "{token}",
        by CALL, GenAi;
    /// `gen_ai.client.inference.duration` under its former name. Only with `--metrics-old-names`.
    old_call_duration: Histogram<f64>[CALL_SECONDS] = "gen_ai.client.operation.duration", "s",
        by ENDED_CALL, GenAi;
    /// Tokens of a model call, for dashboards that know the former name. Only with
    /// `--metrics-old-names`.
    old_tokens: Histogram<u64>[TOKENS] = "gen_ai.client.token.usage", "{token}",
        by &[
            GEN_AI_OPERATION_NAME, GEN_AI_PROVIDER_NAME, GEN_AI_REQUEST_MODEL, SERVER_ADDRESS,
            SERVER_PORT, GEN_AI_TOKEN_TYPE
        ], GenAi;
    /// Time that a model call waited for its permit (`--model-concurrency`), 0 if one was free. The
    /// calls that were not made (`model_busy`) are included. The offline model needs no permits.
    wait_duration: Histogram<f64>[CALL_SECONDS] = "expense.model.wait.duration", "s",
        by &[GEN_AI_REQUEST_MODEL], Ours;
    // One series for each state, so that a query names the state and not a number, and the average
    // over a window is the share of time spent in it.
    /// 1 for the current state of the model's circuit breaker, else 0. `closed` lets every call
    /// through, `half_open` one, `open` none.
    breaker_state: ObservedGauge = "expense.model.breaker.state", "{breaker}",
        by &[GEN_AI_REQUEST_MODEL, EXPENSE_BREAKER_STATE], Ours;

    /// Decisions recorded. The share with `validation.status` `failed` is the semantic error rate.
    decisions: Counter<u64> = "expense.decisions", "{decision}",
        by &[
            EXPENSE_OUTCOME, EXPENSE_CATEGORY, AGENT_OUTCOME, VALIDATION_STATUS, EXPENSE_OVERRIDE,
            TENANT_ID
        ], Ours;
    /// Checks of model answers and of policy lookups.
    validations: Counter<u64> = "expense.validations", "{check}",
        by &[VALIDATION_TYPE, VALIDATION_RESULT], Ours;
    /// Cost of model calls in US dollars, including calls whose answer led to no decision.
    cost: Counter<f64> = "expense.cost", "USD",
        by &[GEN_AI_REQUEST_MODEL, STEP_NAME, TENANT_ID], Ours;
    /// Answered model calls of unknown cost, which `expense.cost` does not include.
    cost_unknown: Counter<u64> = "expense.cost.unknown", "{call}",
        by &[GEN_AI_REQUEST_MODEL, STEP_NAME], Ours;
    /// Cost of the model calls of recorded decisions in US dollars, by how the reasoning went.
    decision_cost: Counter<f64> = "expense.decision.cost", "USD",
        by &[AGENT_OUTCOME, VALIDATION_STATUS, TENANT_ID], Ours;
    /// Decisions that a person resolved.
    resolutions: Counter<u64> = "expense.resolutions", "{resolution}",
        by &[EXPENSE_RESOLUTION_ACTION, EXPENSE_RESOLUTION_ROLE], Ours;
    /// Time from the receipt of an expense until a person resolved it.
    resolution_duration: Histogram<f64>[WAIT_SECONDS] = "expense.resolution.duration", "s",
        by &[EXPENSE_RESOLUTION_ACTION], Ours;
    /// Feedback that was given, and what resolutions imply. The share of `wrong` among the feedback
    /// named `decision` from the source `resolution` is the rate of overturned decisions.
    feedback: Counter<u64> = "expense.feedback", "{feedback}",
        by &[EXPENSE_FEEDBACK_NAME, EXPENSE_FEEDBACK_LABEL, EXPENSE_FEEDBACK_SOURCE], Ours;
    /// Decisions that a person resolved otherwise than the machine proposed. Not the decisions with
    /// `expense.override`, in which policy code overruled the model.
    overturned: Counter<u64> = "expense.overturned", "{decision}",
        by &[EXPENSE_OVERTURNED_KIND], Ours;
    /// Cost of the model calls of overturned decisions in US dollars.
    overturned_cost: Counter<f64> = "expense.overturned.cost", "USD", by &[], Ours;
    /// Decisions in the ledger that wait for a person. Replicas that share a ledger report the same
    /// value.
    pending: Gauge<u64> = "expense.decisions.pending", "{decision}",
        by &[EXPENSE_PENDING_ROLE], Ours;
    /// How long the decision that waits longest for this role has waited, 0 if none does. Replicas that
    /// share a ledger report the same value.
    pending_age: Gauge<u64> = "expense.decisions.pending.age", "s",
        by &[EXPENSE_PENDING_ROLE], Ours;
    /// 0 while the ledger cannot be read, which is checked every five seconds, or if the last
    /// `/readyz` could not write to it; else 1.
    ledger_ready: Gauge<u64> = "expense.ledger.ready", "{ledger}", by &[], Ours;
    /// Time the ledger took to record a decision.
    record_duration: Histogram<f64>[OWN_SECONDS] = "expense.record.duration", "s", by &[], Ours;
    /// Attempts to deliver a notification (`--notify`).
    notification_attempts: Counter<u64> = "expense.notification.attempts", "{attempt}",
        by &[EXPENSE_NOTIFICATION_TYPE, EXPENSE_NOTIFICATION_RESULT], Ours;
    /// Notifications that wait to be delivered. Replicas that share a ledger report the same value.
    notifications_pending: Gauge<u64> = "expense.notifications.pending", "{notification}", by &[], Ours;
    /// How long the oldest of these has waited, 0 if none does.
    notifications_pending_age: Gauge<u64> = "expense.notifications.pending.age", "s", by &[], Ours;
    /// Part of a request's duration during which no model call was in progress. Measured only for
    /// requests that called a model.
    overhead_duration: Histogram<f64>[OWN_SECONDS] = "expense.agent.overhead.duration", "s",
        by &[], Ours;
    /// Part of that overhead spent on spans and metrics, up to and including the span queue.
    telemetry_duration: Histogram<f64>[OWN_SECONDS] = "expense.agent.telemetry.duration", "s",
        by &[], Ours;

    /// Ended spans, by what became of them.
    spans: ObservedCounter = "telemetry.spans", "{span}", by &[TELEMETRY_RESULT], Ours;
    /// Spans that have not ended, wait in the queue, or are being sent.
    spans_in_flight: ObservedGauge = "telemetry.spans.in_flight", "{span}", by &[], Ours;
    /// Memory of ended spans that are not delivered yet, bounded by `--telemetry-queue-bytes`.
    queue_memory: ObservedGauge = "telemetry.queue.memory", "By", by &[], Ours;

    /// Connections of clients that are open, at most `--max-connections`.
    connections_open: ObservedGauge = "expense.connections.open", "{connection}", by &[], Ours;
    /// Connections of clients that the service closed or refused.
    connections_closed: ObservedCounter = "expense.connections.closed", "{connection}",
        by &[EXPENSE_CONNECTION_REASON], Ours;

    /// Reloads of changed files: accepted, or refused as a whole because of errors.
    reloads: ObservedCounter = "expense.reloads", "{reload}",
        by &[EXPENSE_RELOAD_FILES, EXPENSE_RELOAD_RESULT], Ours;
    /// 1 while the files on disk have errors and the service still uses the ones loaded before,
    /// else 0.
    reload_stale: ObservedGauge = "expense.reload.stale", "{set}",
        by &[EXPENSE_RELOAD_FILES], Ours;
}
