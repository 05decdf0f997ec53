//! Every attribute and event that this service writes on spans, declared once: key, type and unit,
//! what carries it, meaning, convention and cardinality. deploy/telemetry.md prints the same
//! entries as tables, and a test keeps the two equal.
//!
//! Log records (`log_events`), compatibility keys (`compat`) and metrics (`metrics`) have files of
//! their own. Sources are the [semantic conventions 1.45](https://opentelemetry.io/docs/specs/semconv/), the
//! [GenAI conventions](https://github.com/open-telemetry/semantic-conventions-genai) at development
//! version 1.42, and names of our own. The crate `opentelemetry-semantic-conventions` does not
//! replace this list: its `GEN_AI_*` constants are deprecated and incomplete.

pub mod attribute;
pub mod compat;
pub mod instrument;
pub mod log_events;
pub mod metrics;

use attribute::{Attribute, attributes, events};

attributes! {
    /// Every attribute of a span or of its events, in the order of the tree.
    pub const ALL;

    /// The employee the expense belongs to; on a resolution or feedback, the person who acts.
    USER_ID = "user.id", String, on [All], Core, High;
    /// The tenant whose policies and caps apply.
    TENANT_ID = "tenant.id", String, on [All], Ours, High;
    /// Id of the API key that the caller presented, even if it is revoked or expired.
    TENANT_API_KEY_ID = "tenant.api_key.id", String, on [Server], Ours, High;
    /// The caller's session, from its baggage.
    SESSION_ID = "session.id", String, on [All], Core, High;
    /// The caller's feature, from its baggage.
    FEATURE_NAME = "feature.name", String, on [All], Ours, Low;
    /// Class of the failure: an HTTP status, `timeout`, `connection`, `invalid_response`,
    /// `circuit_open`, `model_busy`, `validation_failed`, `ledger`, `cancelled`, `panic`.
    ERROR_TYPE = "error.type", String, on [All, Retry], Core, Low;

    /// Method of the request.
    HTTP_REQUEST_METHOD = "http.request.method", String, on [Server, Notify], Core, Low;
    /// Template of the route, such as `/v1/expenses/{id}`.
    HTTP_ROUTE = "http.route", String, on [Server], Core, Low;
    /// Status of the response.
    HTTP_RESPONSE_STATUS_CODE = "http.response.status_code", Int, on [Server, Notify], Core, Low;
    /// How many attempts came before this one. Absent on the first.
    HTTP_REQUEST_RESEND_COUNT = "http.request.resend_count", Int, on [Notify], Core, Low;
    /// Path of the request.
    URL_PATH = "url.path", String, on [Server], Core, High;
    /// Always `http`: TLS ends in front of the service.
    URL_SCHEME = "url.scheme", String, on [Server], Core, Low;
    /// Host that the request was sent to; on a chat, the host of the model, and on a notification, that
    /// of the receiver.
    SERVER_ADDRESS = "server.address", String, on [Server, Chat, Notify], Core, Low;
    /// Port that the request was sent to.
    SERVER_PORT = "server.port", Int, on [Server, Chat, Notify], Core, Low;
    /// IP address of the peer.
    CLIENT_ADDRESS = "client.address", String, on [Server], Core, High;
    /// The `User-Agent` header of the request.
    USER_AGENT_ORIGINAL = "user_agent.original", String, on [Server], Core, High;
    /// HTTP version of the request.
    NETWORK_PROTOCOL_VERSION = "network.protocol.version", String, on [Server], Core, Low;

    /// Why a tail sampler must keep the trace: `error`, `override`, `failed_validation`, `review`,
    /// `costly`, `slow`, `first_of_rule`. Absent from ordinary traces.
    SAMPLING_KEEP = "sampling.keep", String, on [Server], Ours, Low;
    /// The share of similar traces that is kept. An estimate counts this trace 1/ratio times.
    /// Absent where all traces are kept.
    SAMPLING_RATIO = "sampling.ratio", Double, on [Server, Start], Ours, Low;

    /// UUIDv7 of the decision.
    EXPENSE_ID = "expense.id", String,
        on [Server, InvokeAgent, ResolveExpense, Feedback, Notify], Ours, High;
    /// UUIDv7 of the decision that this one supersedes. The model did not answer there, and the
    /// span links to the request that was decided then.
    EXPENSE_SUPERSEDES = "expense.supersedes", String, on [InvokeAgent], Ours, High;
    /// Exact decimal amount.
    EXPENSE_AMOUNT = "expense.amount", String, on [InvokeAgent], Ours, High;
    /// ISO 4217 code of the amount's currency.
    EXPENSE_CURRENCY = "expense.currency", String, on [InvokeAgent], Ours, Low;
    /// Category of the expense, as the model named it.
    EXPENSE_CATEGORY = "expense.category", String, on [InvokeAgent, ExecuteTool], Ours, Low;
    /// Whether evidence other than the model's answer supports the category.
    EXPENSE_CATEGORY_CORROBORATED = "expense.category_corroborated", Boolean,
        on [InvokeAgent], Ours, Low;
    /// Outcome of the decision: `approved`, `needs_approval`, `denied`, `needs_review`.
    EXPENSE_OUTCOME = "expense.outcome", String, on [Server, InvokeAgent], Ours, Low;
    /// How the agent's reasoning went: `success`, `corrected`, `escalated`, `error`.
    AGENT_OUTCOME = "agent.outcome", String, on [Server, InvokeAgent], Ours, Low;
    /// Verdict of the policy engine: `approved`, `needs_approval`, `denied`.
    EXPENSE_POLICY_VERDICT = "expense.policy_verdict", String,
        on [InvokeAgent, ExecuteTool], Ours, Low;
    /// Advice of the model: `approved`, `needs_approval`, `denied`.
    EXPENSE_MODEL_DECISION = "expense.model_decision", String, on [InvokeAgent], Ours, Low;
    /// Cost of all model calls of the run. Absent if the cost of one is unknown.
    EXPENSE_COST_USD_TOTAL = "expense.cost.usd_total", UsDollars, on [InvokeAgent], Ours, High;
    /// Whether policy code overruled a more lenient model.
    EXPENSE_OVERRIDE = "expense.override", Boolean, on [InvokeAgent], Ours, Low;
    /// Time the ledger took to record the decision.
    EXPENSE_RECORD_DURATION = "expense.record.duration", Seconds, on [InvokeAgent], Ours, High;
    /// The database of the ledger: `sqlite` or `postgresql`.
    DB_SYSTEM_NAME = "db.system.name", String,
        on [ClaimIdempotencyKey, RecordDecision, RecordResolution, RecordFeedback], Core, Low;
    /// Hash of the ledger's record. It depends on all records before it, and
    /// `ledger verify --head` looks it up.
    EXPENSE_RECORD_HASH = "expense.record.hash", String,
        on [InvokeAgent, ResolveExpense, Feedback], Ours, High;
    /// What the person did: `approve`, `deny` or `withdraw`.
    EXPENSE_RESOLUTION_ACTION = "expense.resolution.action", String,
        on [ResolveExpense], Ours, Low;
    /// The role in which the person acted. Absent if the person withdrew an expense without one.
    EXPENSE_RESOLUTION_ROLE = "expense.resolution.role", String, on [ResolveExpense], Ours, Low;
    /// Ids of the rules to which the person made an exception.
    EXPENSE_RESOLUTION_EXCEPTIONS = "expense.resolution.exceptions", Strings,
        on [ResolveExpense], Ours, Low;
    /// The roles that still have to approve after the person. Absent if the person ended the matter.
    EXPENSE_RESOLUTION_AWAITS = "expense.resolution.awaits", Strings,
        on [ResolveExpense], Ours, Low;
    /// Code of the problem with which the resolution was refused.
    EXPENSE_RESOLUTION_REFUSED = "expense.resolution.refused", String,
        on [ResolveExpense], Ours, Low;
    /// What the feedback is about: `decision`, `category`, `reason` or `note`.
    EXPENSE_FEEDBACK_NAME = "expense.feedback.name", String, on [Feedback], Ours, Low;
    /// `right` or `wrong` of a decision, the category that the expense should have had, `useful` or
    /// `not_useful` of a reason. Absent from a note, and when the person took it back.
    EXPENSE_FEEDBACK_LABEL = "expense.feedback.label", String, on [Feedback], Ours, Low;
    /// `resolution` if a resolution implies the feedback, `employee` if it is from the employee or
    /// a person who handed the expense in, else `person`.
    EXPENSE_FEEDBACK_SOURCE = "expense.feedback.source", String,
        on [Feedback, Evaluation, FeedbackEvent], Ours, Low;
    /// True if the person took their feedback back. Absent otherwise.
    EXPENSE_FEEDBACK_TAKEN_BACK = "expense.feedback.taken_back", Boolean, on [Feedback], Ours, Low;
    /// `failed` if a check failed for good, else `passed`. Absent if nothing was checked.
    VALIDATION_STATUS = "validation.status", String,
        on [InvokeAgent, Classify, ExecuteTool, Decide], Ours, Low;
    /// Types of the checks that failed for good.
    VALIDATION_FAILED_TYPES = "validation.failed_types", Strings, on [InvokeAgent], Ours, Low;

    /// What happened to the expense: `expense.waiting`, `expense.overdue`, `expense.resolved` or
    /// `expense.superseded`.
    EXPENSE_NOTIFICATION_TYPE = "expense.notification.type", String, on [Notify], Ours, Low;
    /// What came of an attempt to deliver a notification: `delivered`; `failed` if another attempt
    /// follows; `refused` if the receiver wants no other; `expired` after three days of attempts.
    EXPENSE_NOTIFICATION_RESULT = "expense.notification.result", String, on [Notify], Ours, Low;

    /// Name of the step: `classify`, `decide`, `resolve`, or that of its span.
    STEP_NAME = "step.name", String,
        on [Classify, Decide, ResolveExpense, ClaimIdempotencyKey, RecordDecision, RecordResolution, RecordFeedback],
        Ours, Low;
    /// Number of answers that the step asked for: 2 if the first needed a repair.
    STEP_ATTEMPTS = "step.attempts", Int, on [Classify, Decide], Ours, Low;
    /// Result of the step: a category or a decision.
    STEP_RESULT = "step.result", String, on [Classify, Decide], Ours, Low;

    /// `invoke_agent`, `chat` or `execute_tool`.
    GEN_AI_OPERATION_NAME = "gen_ai.operation.name", String,
        on [InvokeAgent, Chat, ExecuteTool], GenAi, Low;
    /// Always `expense_agent`.
    GEN_AI_AGENT_NAME = "gen_ai.agent.name", String, on [InvokeAgent, ExecuteTool], GenAi, Low;
    /// The model that was asked.
    GEN_AI_REQUEST_MODEL = "gen_ai.request.model", String, on [InvokeAgent, Chat], GenAi, Low;
    /// `openai`, or `offline` for the built-in model.
    GEN_AI_PROVIDER_NAME = "gen_ai.provider.name", String, on [Chat], GenAi, Low;
    /// Always `json`.
    GEN_AI_OUTPUT_TYPE = "gen_ai.output.type", String, on [Chat], GenAi, Low;
    /// Sampling temperature, if set.
    GEN_AI_REQUEST_TEMPERATURE = "gen_ai.request.temperature", Double, on [Chat], GenAi, Low;
    /// Upper limit on the tokens of an answer, if set.
    GEN_AI_REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens", Tokens, on [Chat], GenAi, Low;
    /// Seed of the sampling, if set.
    GEN_AI_REQUEST_SEED = "gen_ai.request.seed", Int, on [Chat], GenAi, Low;
    /// The provider's id of the answer.
    GEN_AI_RESPONSE_ID = "gen_ai.response.id", String, on [Chat, Validations], GenAi, High;
    /// The model that answered.
    GEN_AI_RESPONSE_MODEL = "gen_ai.response.model", String, on [Chat], GenAi, Low;
    /// Why the model stopped, in the provider's words.
    GEN_AI_RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons", Strings,
        on [Chat], GenAi, Low;
    /// Tokens that the model read; on a run, the sum over its calls.
    GEN_AI_USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens", Tokens,
        on [InvokeAgent, Chat], GenAi, High;
    /// Tokens that the model wrote; on a run, the sum over its calls.
    GEN_AI_USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens", Tokens,
        on [InvokeAgent, Chat], GenAi, High;
    /// Tokens read from the provider's cache.
    GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS = "gen_ai.usage.cache_read.input_tokens", Tokens,
        on [Chat], GenAi, High;
    /// Tokens that the model spent on reasoning.
    GEN_AI_USAGE_REASONING_OUTPUT_TOKENS = "gen_ai.usage.reasoning.output_tokens", Tokens,
        on [Chat], GenAi, High;
    /// Name of the prompt.
    GEN_AI_PROMPT_NAME = "gen_ai.prompt.name", String, on [Chat], GenAi, Low;
    /// Version of the prompt.
    GEN_AI_PROMPT_VERSION = "gen_ai.prompt.version", String, on [Chat], GenAi, Low;
    /// First 16 hex digits of the SHA-256 of the prompt.
    EXPENSE_PROMPT_HASH = "expense.prompt.hash", String, on [Chat], Ours, Low;
    /// Cost of the call. Absent if the price is unknown.
    LLM_COST_TOTAL = "llm.cost.total", UsDollars, on [Chat], Ours, High;
    /// Cost of the tokens read.
    LLM_COST_PROMPT = "llm.cost.prompt", UsDollars, on [Chat], Ours, High;
    /// Cost of the tokens written.
    LLM_COST_COMPLETION = "llm.cost.completion", UsDollars, on [Chat], Ours, High;
    /// Entry of the price table from which the cost was computed.
    EXPENSE_COST_SOURCE = "expense.cost.source", String, on [Chat], Ours, Low;
    /// Number of transport retries within the call.
    LLM_RETRY_COUNT = "llm.retry.count", Int, on [Chat], Ours, Low;
    /// How long the call waited for its permit (`--model-concurrency`). Absent if one was free.
    EXPENSE_MODEL_WAIT_DURATION = "expense.model.wait.duration", Seconds, on [Chat], Ours, High;
    /// Delay before the next attempt.
    RETRY_DELAY = "retry.delay", Seconds, on [Retry], Ours, High;

    /// Always `policy_lookup`.
    GEN_AI_TOOL_NAME = "gen_ai.tool.name", String, on [ExecuteTool], GenAi, Low;
    /// Always `datastore`.
    GEN_AI_TOOL_TYPE = "gen_ai.tool.type", String, on [ExecuteTool], GenAi, Low;
    /// Description of the tool.
    GEN_AI_TOOL_DESCRIPTION = "gen_ai.tool.description", String, on [ExecuteTool], GenAi, Low;
    /// Category of the policy that the lookup found.
    EXPENSE_POLICY_ID = "expense.policy.id", String, on [ExecuteTool], Ours, Low;
    /// Version of that policy.
    EXPENSE_POLICY_VERSION = "expense.policy.version", String, on [ExecuteTool], Ours, Low;
    /// First 16 hex digits of the SHA-256 of its file.
    EXPENSE_POLICY_HASH = "expense.policy.hash", String, on [ExecuteTool], Ours, Low;
    /// Ids of its rules.
    EXPENSE_POLICY_RULES = "expense.policy.rules", Strings, on [ExecuteTool], Ours, Low;
    /// Ids of the rules that the expense violates.
    EXPENSE_VIOLATIONS = "expense.violations", Strings, on [ExecuteTool], Ours, Low;
    /// Categories that the evidence points to: the model's, and those with a stricter verdict.
    EXPENSE_EVIDENCE_CATEGORIES = "expense.evidence.categories", Strings,
        on [AmbiguousEvidence], Ours, Low;

    /// Type of the check.
    VALIDATION_TYPE = "validation.type", String, on [Validations], Ours, Low;
    /// The same, on failed checks only.
    VALIDATION_FAILED_TYPE = "validation.failed_type", String, on [FailedValidation], Ours, Low;
    /// The category, decision, rule or amount that was checked; never free text.
    VALIDATION_INPUT = "validation.input", String, on [Validations], Ours, High;
    /// The values that would have passed.
    VALIDATION_EXPECTED = "validation.expected", Strings, on [Validations], Ours, High;
    /// Result of the check in one sentence.
    VALIDATION_MESSAGE = "validation.message", String, on [Validations], Ours, High;
    /// Number of the answer that was checked, from 1.
    VALIDATION_ATTEMPT = "validation.attempt", Int, on [Validations], Ours, Low;

    /// The instructions.
    GEN_AI_SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions", Json,
        on [Chat] with Content, GenAi, High;
    /// The messages that were sent.
    GEN_AI_INPUT_MESSAGES = "gen_ai.input.messages", Json, on [Chat] with Content, GenAi, High;
    /// The answer.
    GEN_AI_OUTPUT_MESSAGES = "gen_ai.output.messages", Json, on [Chat] with Content, GenAi, High;
    /// What the tool was asked for.
    GEN_AI_TOOL_CALL_ARGUMENTS = "gen_ai.tool.call.arguments", Json,
        on [ExecuteTool] with Content, GenAi, High;
    /// What the tool found.
    GEN_AI_TOOL_CALL_RESULT = "gen_ai.tool.call.result", Json,
        on [ExecuteTool] with Content, GenAi, High;
    /// Input for LLM UIs: the facts of a call, the transaction of a run. The request's span has it only
    /// with `--compatibility-keys`; without content it is the id of the decision there.
    INPUT_VALUE = "input.value", String, on [Server, InvokeAgent, Chat] with Content, Ours, High;
    /// Output for LLM UIs: the answer to a call, outcome and reason of a run. The request's span has
    /// it only with `--compatibility-keys`; without content it is the outcome alone there, or what a
    /// person did.
    OUTPUT_VALUE = "output.value", String, on [Server, InvokeAgent, Chat] with Content, Ours, High;
}

/// The baggage members that are stamped on every span; a caller's other members are ignored.
pub const FROM_BAGGAGE: [Attribute; 4] = [USER_ID, TENANT_ID, SESSION_ID, FEATURE_NAME];
/// Ids that people search for, each with what it names: one that is personal data is replaced by a
/// pseudonym.
pub const IDENTITIES: [(Attribute, &str); 4] = [
    (USER_ID, "user"),
    (TENANT_ID, "tenant"),
    (SESSION_ID, "session"),
    (compat::ANNOTATION_IDENTIFIER, "user"),
];

events! {
    /// Every span event.
    pub const EVENTS;

    /// A check passed.
    EVENT_VALIDATION_PASSED = "validation.passed", on [Classify, ExecuteTool, Decide];
    /// A check failed.
    EVENT_VALIDATION_FAILED = "validation.failed", on [Classify, ExecuteTool, Decide];
    /// The model's endpoint is about to be asked again, and why.
    EVENT_RETRY = "retry", on [Chat];
    /// The cost of an answer is unknown: the price table has no entry for the model, or the
    /// provider did not count the tokens.
    EVENT_COST_UNKNOWN = "cost.unknown", on [Chat];
    /// The evidence points to several categories, and another one than the model's is stricter, so a
    /// person reviews the expense. No check failed.
    EVENT_EVIDENCE_AMBIGUOUS = "evidence.ambiguous", on [ExecuteTool];
    /// A person gave feedback. A log record of the same name belongs to the decision that it judges.
    EVENT_EVALUATION_RESULT = "gen_ai.evaluation.result", on [Feedback];
    /// Another expense used up the cap between verdict and record, so the verdict was computed
    /// again.
    EVENT_CAP_MOVED = "cap.moved", on [RecordDecision, RecordResolution];
}
