//! Every attribute key and event name this service writes, in one place: type and unit, where it
//! stands, what it means, which convention it is from, and how many values it takes.
//! deploy/telemetry.md shows it as a table, and a test keeps it so.
//!
//! Sources: [semantic conventions 1.45](https://opentelemetry.io/docs/specs/semconv/), the
//! [GenAI conventions](https://github.com/open-telemetry/semantic-conventions-genai) at development version 1.42, and
//! names of our own. The `GEN_AI_*` constants of the crate `opentelemetry-semantic-conventions` are
//! deprecated and incomplete, which is why this list exists.

pub mod metrics;
pub mod name;
pub mod twins;

use name::Cardinality::{High, Low};
use name::Source::{Core, GenAi, Ours};
use name::{Name, name};

/// Employee.
pub const USER_ID: Name = name(
    "user.id",
    "string",
    "all",
    "the employee the expense belongs to; of a resolution, the person who settles it",
    Core,
    High,
);
/// Tenant.
pub const TENANT_ID: Name = name(
    "tenant.id",
    "string",
    "all",
    "whose policies and caps count",
    Ours,
    High,
);
/// API key.
pub const TENANT_API_KEY_ID: Name = name(
    "tenant.api_key.id",
    "string",
    "server",
    "the id of the API key that was shown, in force or not",
    Ours,
    High,
);
/// Session.
pub const SESSION_ID: Name = name(
    "session.id",
    "string",
    "all",
    "the caller's session, from its baggage",
    Core,
    High,
);
/// Feature.
pub const FEATURE_NAME: Name = name(
    "feature.name",
    "string",
    "all",
    "the caller's feature, from its baggage",
    Ours,
    Low,
);

/// The baggage members that are stamped on every span; no others are taken from a caller.
pub const FROM_BAGGAGE: [Name; 4] = [USER_ID, TENANT_ID, SESSION_ID, FEATURE_NAME];
/// Ids that people search for: where one is personal data, a pseudonym stands in its place.
pub const IDENTITIES: [Name; 3] = [USER_ID, TENANT_ID, SESSION_ID];

/// HTTP method.
pub const HTTP_REQUEST_METHOD: Name = name(
    "http.request.method",
    "string",
    "server",
    "the method",
    Core,
    Low,
);
/// HTTP route.
pub const HTTP_ROUTE: Name = name(
    "http.route",
    "string",
    "server",
    "the route's template",
    Core,
    Low,
);
/// HTTP status.
pub const HTTP_RESPONSE_STATUS_CODE: Name = name(
    "http.response.status_code",
    "int",
    "server",
    "the status answered",
    Core,
    Low,
);
/// Path.
pub const URL_PATH: Name = name(
    "url.path",
    "string",
    "server",
    "the path asked for",
    Core,
    High,
);
/// Scheme.
pub const URL_SCHEME: Name = name("url.scheme", "string", "server", "`http`", Core, Low);
/// Server's host.
pub const SERVER_ADDRESS: Name = name(
    "server.address",
    "string",
    "server, chat",
    "host that was asked; of a chat, the model's",
    Core,
    Low,
);
/// Server's port.
pub const SERVER_PORT: Name = name(
    "server.port",
    "int",
    "server, chat",
    "port that was asked",
    Core,
    Low,
);
/// Client's address.
pub const CLIENT_ADDRESS: Name = name(
    "client.address",
    "string",
    "server",
    "address of the peer",
    Core,
    High,
);
/// User agent.
pub const USER_AGENT_ORIGINAL: Name = name(
    "user_agent.original",
    "string",
    "server",
    "the caller's program",
    Core,
    High,
);
/// HTTP version.
pub const NETWORK_PROTOCOL_VERSION: Name = name(
    "network.protocol.version",
    "string",
    "server",
    "HTTP version",
    Core,
    Low,
);
/// Error class.
pub const ERROR_TYPE: Name = name(
    "error.type",
    "string",
    "all, `retry`",
    "class of the failure: a status, `timeout`, `connection`, `invalid_response`, `circuit_open`, `validation_failed`, `ledger`, `cancelled`, `panic`",
    Core,
    Low,
);

/// Why a trace is kept.
pub const SAMPLING_KEEP: Name = name(
    "sampling.keep",
    "string",
    "server",
    "why a sampler has to keep the trace: `error`, `override`, `failed_validation`, `review`, `costly`, `slow`, `first_of_rule`; absent on ordinary traces",
    Ours,
    Low,
);
/// Share of traces.
pub const SAMPLING_RATIO: Name = name(
    "sampling.ratio",
    "double",
    "server, `start`",
    "share of traces like this one that are kept: for an estimate, count it 1/ratio times; absent where all are kept",
    Ours,
    Low,
);

/// Expense id.
pub const EXPENSE_ID: Name = name(
    "expense.id",
    "string",
    "server, invoke_agent",
    "UUIDv7 of the decision",
    Ours,
    High,
);
/// Amount.
pub const EXPENSE_AMOUNT: Name = name(
    "expense.amount",
    "string",
    "invoke_agent",
    "exact decimal amount",
    Ours,
    High,
);
/// Currency.
pub const EXPENSE_CURRENCY: Name = name(
    "expense.currency",
    "string",
    "invoke_agent",
    "ISO 4217 code",
    Ours,
    Low,
);
/// Category.
pub const EXPENSE_CATEGORY: Name = name(
    "expense.category",
    "string",
    "invoke_agent, execute_tool",
    "the category, as the model named it",
    Ours,
    Low,
);
/// Corroboration.
pub const EXPENSE_CATEGORY_CORROBORATED: Name = name(
    "expense.category_corroborated",
    "boolean",
    "invoke_agent",
    "whether anything but the model's word speaks for the category",
    Ours,
    Low,
);
/// Outcome.
pub const EXPENSE_OUTCOME: Name = name(
    "expense.outcome",
    "string",
    "server, invoke_agent",
    "`approved`, `needs_approval`, `denied`, `needs_review`",
    Ours,
    Low,
);
/// Agent outcome.
pub const AGENT_OUTCOME: Name = name(
    "agent.outcome",
    "string",
    "server, invoke_agent",
    "how the reasoning went: `success`, `corrected`, `escalated`, `error`",
    Ours,
    Low,
);
/// Verdict.
pub const EXPENSE_POLICY_VERDICT: Name = name(
    "expense.policy_verdict",
    "string",
    "invoke_agent, execute_tool",
    "what the policy engine holds: `approved`, `needs_approval`, `denied`",
    Ours,
    Low,
);
/// Model's decision.
pub const EXPENSE_MODEL_DECISION: Name = name(
    "expense.model_decision",
    "string",
    "invoke_agent",
    "what the model advised",
    Ours,
    Low,
);
/// Total cost.
pub const EXPENSE_COST_USD_TOTAL: Name = name(
    "expense.cost.usd_total",
    "double, USD",
    "invoke_agent",
    "cost of all model calls; absent when one is unknown",
    Ours,
    High,
);
/// Override.
pub const EXPENSE_OVERRIDE: Name = name(
    "expense.override",
    "boolean",
    "invoke_agent",
    "policy code overruled a more lenient model",
    Ours,
    Low,
);
/// Record time.
pub const EXPENSE_RECORD_DURATION: Name = name(
    "expense.record.duration",
    "double, s",
    "invoke_agent",
    "time the ledger took to record",
    Ours,
    High,
);
/// Record hash.
pub const EXPENSE_RECORD_HASH: Name = name(
    "expense.record.hash",
    "string",
    "invoke_agent, resolve_expense",
    "hash of the ledger's record, which rests on all before it: `ledger verify --head` looks for it",
    Ours,
    High,
);
/// Resolution action.
pub const EXPENSE_RESOLUTION_ACTION: Name = name(
    "expense.resolution.action",
    "string",
    "resolve_expense",
    "`approve`, `deny` or `withdraw`",
    Ours,
    Low,
);
/// Resolution role.
pub const EXPENSE_RESOLUTION_ROLE: Name = name(
    "expense.resolution.role",
    "string",
    "resolve_expense",
    "the role in which it was done",
    Ours,
    Low,
);
/// Resolution exceptions.
pub const EXPENSE_RESOLUTION_EXCEPTIONS: Name = name(
    "expense.resolution.exceptions",
    "string[]",
    "resolve_expense",
    "the rules that were set aside",
    Ours,
    Low,
);
/// Resolution refusal.
pub const EXPENSE_RESOLUTION_REFUSED: Name = name(
    "expense.resolution.refused",
    "string",
    "resolve_expense",
    "code of the problem answered",
    Ours,
    Low,
);
/// Validation status.
pub const VALIDATION_STATUS: Name = name(
    "validation.status",
    "string",
    "invoke_agent, classify, execute_tool, decide",
    "`failed` when a check finally failed, else `passed`; absent when nothing was checked",
    Ours,
    Low,
);
/// Failed types.
pub const VALIDATION_FAILED_TYPES: Name = name(
    "validation.failed_types",
    "string[]",
    "invoke_agent",
    "types of the checks that finally failed",
    Ours,
    Low,
);

/// Step name.
pub const STEP_NAME: Name = name(
    "step.name",
    "string",
    "classify, decide",
    "the step",
    Ours,
    Low,
);
/// Attempts.
pub const STEP_ATTEMPTS: Name = name(
    "step.attempts",
    "int",
    "classify, decide",
    "answers asked for: 2 with a repair",
    Ours,
    Low,
);
/// Result.
pub const STEP_RESULT: Name = name(
    "step.result",
    "string",
    "classify, decide",
    "the category or the decision it came to",
    Ours,
    Low,
);

/// GenAI operation.
pub const GEN_AI_OPERATION_NAME: Name = name(
    "gen_ai.operation.name",
    "string",
    "invoke_agent, chat, execute_tool",
    "`invoke_agent`, `chat` or `execute_tool`",
    GenAi,
    Low,
);
/// Agent.
pub const GEN_AI_AGENT_NAME: Name = name(
    "gen_ai.agent.name",
    "string",
    "invoke_agent, execute_tool",
    "`expense_agent`",
    GenAi,
    Low,
);
/// Requested model.
pub const GEN_AI_REQUEST_MODEL: Name = name(
    "gen_ai.request.model",
    "string",
    "invoke_agent, chat",
    "the model asked",
    GenAi,
    Low,
);
/// Provider.
pub const GEN_AI_PROVIDER_NAME: Name = name(
    "gen_ai.provider.name",
    "string",
    "chat",
    "`openai`, or `offline` for the built-in model",
    GenAi,
    Low,
);
/// Output type.
pub const GEN_AI_OUTPUT_TYPE: Name =
    name("gen_ai.output.type", "string", "chat", "`json`", GenAi, Low);
/// Temperature.
pub const GEN_AI_REQUEST_TEMPERATURE: Name = name(
    "gen_ai.request.temperature",
    "double",
    "chat",
    "sampling temperature, where set",
    GenAi,
    Low,
);
/// Token limit.
pub const GEN_AI_REQUEST_MAX_TOKENS: Name = name(
    "gen_ai.request.max_tokens",
    "int, tokens",
    "chat",
    "most tokens of an answer, where set",
    GenAi,
    Low,
);
/// Seed.
pub const GEN_AI_REQUEST_SEED: Name = name(
    "gen_ai.request.seed",
    "int",
    "chat",
    "seed of the sampling, where set",
    GenAi,
    Low,
);
/// Response id.
pub const GEN_AI_RESPONSE_ID: Name = name(
    "gen_ai.response.id",
    "string",
    "chat, validation events",
    "the provider's id of the answer",
    GenAi,
    High,
);
/// Answering model.
pub const GEN_AI_RESPONSE_MODEL: Name = name(
    "gen_ai.response.model",
    "string",
    "chat",
    "the model that answered",
    GenAi,
    Low,
);
/// Finish reasons.
pub const GEN_AI_RESPONSE_FINISH_REASONS: Name = name(
    "gen_ai.response.finish_reasons",
    "string[]",
    "chat",
    "why the model stopped",
    GenAi,
    Low,
);
/// Input tokens.
pub const GEN_AI_USAGE_INPUT_TOKENS: Name = name(
    "gen_ai.usage.input_tokens",
    "int, tokens",
    "invoke_agent (sum), chat",
    "tokens read",
    GenAi,
    High,
);
/// Output tokens.
pub const GEN_AI_USAGE_OUTPUT_TOKENS: Name = name(
    "gen_ai.usage.output_tokens",
    "int, tokens",
    "invoke_agent (sum), chat",
    "tokens written",
    GenAi,
    High,
);
/// Cached tokens.
pub const GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: Name = name(
    "gen_ai.usage.cache_read.input_tokens",
    "int, tokens",
    "chat",
    "tokens read from the provider's cache",
    GenAi,
    High,
);
/// Reasoning tokens.
pub const GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: Name = name(
    "gen_ai.usage.reasoning.output_tokens",
    "int, tokens",
    "chat",
    "tokens written while reasoning",
    GenAi,
    High,
);
/// Prompt name.
pub const GEN_AI_PROMPT_NAME: Name = name(
    "gen_ai.prompt.name",
    "string",
    "chat",
    "the prompt file",
    GenAi,
    Low,
);
/// Prompt version.
pub const GEN_AI_PROMPT_VERSION: Name = name(
    "gen_ai.prompt.version",
    "string",
    "chat",
    "its version",
    GenAi,
    Low,
);
/// Prompt hash.
pub const EXPENSE_PROMPT_HASH: Name = name(
    "expense.prompt.hash",
    "string",
    "chat",
    "beginning of its SHA-256",
    Ours,
    Low,
);
/// Cost of a call.
pub const LLM_COST_TOTAL: Name = name(
    "llm.cost.total",
    "double, USD",
    "chat",
    "cost of the call; absent when the price is unknown",
    Ours,
    High,
);
/// Cost of the prompt.
pub const LLM_COST_PROMPT: Name = name(
    "llm.cost.prompt",
    "double, USD",
    "chat",
    "cost of the tokens read",
    Ours,
    High,
);
/// Cost of the completion.
pub const LLM_COST_COMPLETION: Name = name(
    "llm.cost.completion",
    "double, USD",
    "chat",
    "cost of the tokens written",
    Ours,
    High,
);
/// Price source.
pub const EXPENSE_COST_SOURCE: Name = name(
    "expense.cost.source",
    "string",
    "chat",
    "entry of the price table that was used",
    Ours,
    Low,
);
/// Retries.
pub const LLM_RETRY_COUNT: Name = name(
    "llm.retry.count",
    "int",
    "chat",
    "transport retries inside the call",
    Ours,
    Low,
);
/// Retry delay.
pub const RETRY_DELAY: Name = name(
    "retry.delay",
    "double, s",
    "`retry`",
    "wait before the next attempt",
    Ours,
    High,
);

/// Tool.
pub const GEN_AI_TOOL_NAME: Name = name(
    "gen_ai.tool.name",
    "string",
    "execute_tool",
    "`policy_lookup`",
    GenAi,
    Low,
);
/// Tool type.
pub const GEN_AI_TOOL_TYPE: Name = name(
    "gen_ai.tool.type",
    "string",
    "execute_tool",
    "`datastore`",
    GenAi,
    Low,
);
/// Tool description.
pub const GEN_AI_TOOL_DESCRIPTION: Name = name(
    "gen_ai.tool.description",
    "string",
    "execute_tool",
    "what the tool does",
    GenAi,
    Low,
);
/// Policy id.
pub const EXPENSE_POLICY_ID: Name = name(
    "expense.policy.id",
    "string",
    "execute_tool",
    "category of the policy found",
    Ours,
    Low,
);
/// Policy version.
pub const EXPENSE_POLICY_VERSION: Name = name(
    "expense.policy.version",
    "string",
    "execute_tool",
    "version of the policy found",
    Ours,
    Low,
);
/// Policy hash.
pub const EXPENSE_POLICY_HASH: Name = name(
    "expense.policy.hash",
    "string",
    "execute_tool",
    "beginning of the SHA-256 of its file",
    Ours,
    Low,
);
/// Policy rules.
pub const EXPENSE_POLICY_RULES: Name = name(
    "expense.policy.rules",
    "string[]",
    "execute_tool",
    "ids of its rules",
    Ours,
    Low,
);
/// Violations.
pub const EXPENSE_VIOLATIONS: Name = name(
    "expense.violations",
    "string[]",
    "execute_tool",
    "ids of the rules the expense breaks",
    Ours,
    Low,
);

/// Validation type.
pub const VALIDATION_TYPE: Name = name(
    "validation.type",
    "string",
    "validation events",
    "what was checked, one of seven",
    Ours,
    Low,
);
/// Failed type.
pub const VALIDATION_FAILED_TYPE: Name = name(
    "validation.failed_type",
    "string",
    "`validation.failed`",
    "the same, on failed checks only",
    Ours,
    Low,
);
/// Checked input.
pub const VALIDATION_INPUT: Name = name(
    "validation.input",
    "string",
    "validation events",
    "the checked label, decision, rule or amount; never free text",
    Ours,
    High,
);
/// Expectation.
pub const VALIDATION_EXPECTED: Name = name(
    "validation.expected",
    "string[]",
    "validation events",
    "what would have passed",
    Ours,
    High,
);
/// Message.
pub const VALIDATION_MESSAGE: Name = name(
    "validation.message",
    "string",
    "validation events",
    "the check in one sentence",
    Ours,
    High,
);
/// Attempt.
pub const VALIDATION_ATTEMPT: Name = name(
    "validation.attempt",
    "int",
    "validation events",
    "which answer of the step, from 1",
    Ours,
    Low,
);

/// System instructions.
pub const GEN_AI_SYSTEM_INSTRUCTIONS: Name = name(
    "gen_ai.system_instructions",
    "string, JSON",
    "chat, with content",
    "the instructions",
    GenAi,
    High,
);
/// Input messages.
pub const GEN_AI_INPUT_MESSAGES: Name = name(
    "gen_ai.input.messages",
    "string, JSON",
    "chat, with content",
    "the messages sent",
    GenAi,
    High,
);
/// Output messages.
pub const GEN_AI_OUTPUT_MESSAGES: Name = name(
    "gen_ai.output.messages",
    "string, JSON",
    "chat, with content",
    "the answer",
    GenAi,
    High,
);
/// Tool arguments.
pub const GEN_AI_TOOL_CALL_ARGUMENTS: Name = name(
    "gen_ai.tool.call.arguments",
    "string, JSON",
    "execute_tool, with content",
    "what was looked up",
    GenAi,
    High,
);
/// Tool result.
pub const GEN_AI_TOOL_CALL_RESULT: Name = name(
    "gen_ai.tool.call.result",
    "string, JSON",
    "execute_tool, with content",
    "what was found",
    GenAi,
    High,
);
/// Input for LLM UIs.
pub const INPUT_VALUE: Name = name(
    "input.value",
    "string",
    "invoke_agent, chat, with content",
    "the facts, of a run its transaction, where LLM UIs look for them",
    Ours,
    High,
);
/// Output for LLM UIs.
pub const OUTPUT_VALUE: Name = name(
    "output.value",
    "string",
    "invoke_agent, chat, with content",
    "the answer, of a run its outcome and why, where LLM UIs look for it",
    Ours,
    High,
);

/// Every attribute key, in the order of the tree.
pub const ALL: &[Name] = &[
    USER_ID,
    TENANT_ID,
    TENANT_API_KEY_ID,
    SESSION_ID,
    FEATURE_NAME,
    ERROR_TYPE,
    HTTP_REQUEST_METHOD,
    HTTP_ROUTE,
    HTTP_RESPONSE_STATUS_CODE,
    URL_PATH,
    URL_SCHEME,
    SERVER_ADDRESS,
    SERVER_PORT,
    CLIENT_ADDRESS,
    USER_AGENT_ORIGINAL,
    NETWORK_PROTOCOL_VERSION,
    SAMPLING_KEEP,
    SAMPLING_RATIO,
    EXPENSE_ID,
    EXPENSE_AMOUNT,
    EXPENSE_CURRENCY,
    EXPENSE_CATEGORY,
    EXPENSE_CATEGORY_CORROBORATED,
    EXPENSE_OUTCOME,
    AGENT_OUTCOME,
    EXPENSE_POLICY_VERDICT,
    EXPENSE_MODEL_DECISION,
    EXPENSE_COST_USD_TOTAL,
    EXPENSE_OVERRIDE,
    EXPENSE_RECORD_DURATION,
    EXPENSE_RECORD_HASH,
    EXPENSE_RESOLUTION_ACTION,
    EXPENSE_RESOLUTION_ROLE,
    EXPENSE_RESOLUTION_EXCEPTIONS,
    EXPENSE_RESOLUTION_REFUSED,
    VALIDATION_STATUS,
    VALIDATION_FAILED_TYPES,
    STEP_NAME,
    STEP_ATTEMPTS,
    STEP_RESULT,
    GEN_AI_OPERATION_NAME,
    GEN_AI_AGENT_NAME,
    GEN_AI_REQUEST_MODEL,
    GEN_AI_PROVIDER_NAME,
    GEN_AI_OUTPUT_TYPE,
    GEN_AI_REQUEST_TEMPERATURE,
    GEN_AI_REQUEST_MAX_TOKENS,
    GEN_AI_REQUEST_SEED,
    GEN_AI_RESPONSE_ID,
    GEN_AI_RESPONSE_MODEL,
    GEN_AI_RESPONSE_FINISH_REASONS,
    GEN_AI_USAGE_INPUT_TOKENS,
    GEN_AI_USAGE_OUTPUT_TOKENS,
    GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS,
    GEN_AI_USAGE_REASONING_OUTPUT_TOKENS,
    GEN_AI_PROMPT_NAME,
    GEN_AI_PROMPT_VERSION,
    EXPENSE_PROMPT_HASH,
    LLM_COST_TOTAL,
    LLM_COST_PROMPT,
    LLM_COST_COMPLETION,
    EXPENSE_COST_SOURCE,
    LLM_RETRY_COUNT,
    RETRY_DELAY,
    GEN_AI_TOOL_NAME,
    GEN_AI_TOOL_TYPE,
    GEN_AI_TOOL_DESCRIPTION,
    EXPENSE_POLICY_ID,
    EXPENSE_POLICY_VERSION,
    EXPENSE_POLICY_HASH,
    EXPENSE_POLICY_RULES,
    EXPENSE_VIOLATIONS,
    VALIDATION_TYPE,
    VALIDATION_FAILED_TYPE,
    VALIDATION_INPUT,
    VALIDATION_EXPECTED,
    VALIDATION_MESSAGE,
    VALIDATION_ATTEMPT,
    GEN_AI_SYSTEM_INSTRUCTIONS,
    GEN_AI_INPUT_MESSAGES,
    GEN_AI_OUTPUT_MESSAGES,
    GEN_AI_TOOL_CALL_ARGUMENTS,
    GEN_AI_TOOL_CALL_RESULT,
    INPUT_VALUE,
    OUTPUT_VALUE,
];

/// Event of a check that held.
pub const EVENT_VALIDATION_PASSED: &str = "validation.passed";
/// Event of a check that did not.
pub const EVENT_VALIDATION_FAILED: &str = "validation.failed";
/// Event of a transport retry on the `chat` span.
pub const EVENT_RETRY: &str = "retry";
/// Event on the `chat` span when the price of an answer is unknown.
pub const EVENT_COST_UNKNOWN: &str = "cost.unknown";
/// Event on the `invoke_agent` span when a cap was taken between verdict and record.
pub const EVENT_CAP_MOVED: &str = "cap.moved";

/// Every event name, with where it stands and what it means.
pub const EVENTS: &[(&str, &str, &str)] = &[
    (
        EVENT_VALIDATION_PASSED,
        "classify, execute_tool, decide",
        "a check held",
    ),
    (
        EVENT_VALIDATION_FAILED,
        "classify, execute_tool, decide",
        "a check failed",
    ),
    (EVENT_RETRY, "chat", "the endpoint was asked again, and why"),
    (
        EVENT_COST_UNKNOWN,
        "chat",
        "the price table has no entry for the model, or the tokens are unknown",
    ),
    (
        EVENT_CAP_MOVED,
        "invoke_agent",
        "another expense took the cap, so the verdict was computed again",
    ),
];
