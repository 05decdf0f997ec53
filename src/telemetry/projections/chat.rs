//! A decorator that makes each call of a model a `chat` span. Tokens, cost, retries and errors are
//! taken from the reply. The caller's baggage is never sent to the provider, and trace context only
//! if the operator switches that on.

use std::time::Instant;

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry::context::FutureExt;
use opentelemetry::logs::Severity;
use opentelemetry::trace::{SpanKind, TraceContextExt};

use crate::domain::step::Cost;
use crate::llm::{Answer, ChatModel, ChatRequest, ModelInfo, Reply, Retry, Speaker};
use crate::telemetry::names;
use crate::telemetry::names::log_events;
use crate::telemetry::projections::content;
use crate::telemetry::projections::endpoint_log::EndpointLog;
use crate::telemetry::projections::values::{address_of, count, strings, usd};
use crate::telemetry::settings::Captures;
use crate::telemetry::spans::log_event::LogEvent;
use crate::telemetry::spans::span::{Event, Failure, LiveSpan, Projection, traceparent};

/// A model with a span for each call.
pub struct TracedModel<M> {
    model: M,
    propagates: bool,
    log: EndpointLog,
}

impl<M: ChatModel> TracedModel<M> {
    /// Decorates a model. `propagates` sends the provider a `traceparent` header.
    pub fn new(model: M, propagates: bool) -> Self {
        Self {
            model,
            propagates,
            log: EndpointLog::default(),
        }
    }
}

#[async_trait]
impl<M: ChatModel> ChatModel for TracedModel<M> {
    fn info(&self) -> &ModelInfo {
        self.model.info()
    }

    async fn chat(&self, request: &ChatRequest<'_>) -> Reply {
        let info = self.info();
        let kind = if info.server.is_some() {
            SpanKind::Client
        } else {
            SpanKind::Internal
        };
        let span = LiveSpan::start(
            format!("chat {}", info.model),
            kind,
            known_at_start(info, request),
        );
        let context = span.context();
        let traceparent = self
            .propagates
            .then(|| traceparent(context.span().span_context()));
        let request = ChatRequest {
            traceparent,
            ..request.clone()
        };
        let reply = self.model.chat(&request).with_context(context).await;
        if let Some(time) = span.request_time() {
            time.add_call(span.began(), Instant::now());
        }
        // The offline model has no endpoint.
        if info.server.is_some() {
            self.log.note(info, &reply);
        }
        span.finish(
            |captures| project(info, &request, &reply, captures),
            |metrics, ended| metrics.called(&request, &reply, ended),
        );
        reply
    }
}

fn known_at_start(info: &ModelInfo, request: &ChatRequest<'_>) -> Vec<KeyValue> {
    let mut attributes = vec![
        names::GEN_AI_OPERATION_NAME.with("chat"),
        names::GEN_AI_PROVIDER_NAME.with(info.provider),
        names::GEN_AI_REQUEST_MODEL.with(info.model.clone()),
        names::GEN_AI_OUTPUT_TYPE.with("json"),
        names::GEN_AI_PROMPT_NAME.with(request.prompt.name),
        names::GEN_AI_PROMPT_VERSION.with(request.prompt.version),
        names::EXPENSE_PROMPT_HASH.with(request.prompt.hash.clone()),
    ];
    if let Some((host, port)) = &info.server {
        attributes.push(names::SERVER_ADDRESS.with(address_of(host).to_owned()));
        attributes.push(names::SERVER_PORT.with(i64::from(*port)));
    }
    attributes.extend(
        info.temperature
            .map(|temperature| names::GEN_AI_REQUEST_TEMPERATURE.with(temperature)),
    );
    attributes.extend(
        info.max_tokens
            .map(|limit| names::GEN_AI_REQUEST_MAX_TOKENS.with(i64::from(limit))),
    );
    attributes.extend(info.seed.map(|seed| names::GEN_AI_REQUEST_SEED.with(seed)));
    attributes
}

fn project(
    info: &ModelInfo,
    request: &ChatRequest<'_>,
    reply: &Reply,
    captures: Captures,
) -> Projection {
    let mut attributes = vec![names::LLM_RETRY_COUNT.with(count(reply.retries.len() as u64))];
    let waited = reply.waited.filter(|waited| !waited.is_zero());
    attributes
        .extend(waited.map(|waited| names::EXPENSE_MODEL_WAIT_DURATION.with(waited.as_secs_f64())));
    let mut events: Vec<Event> = reply.retries.iter().map(retry_event).collect();
    let mut log_events = Vec::new();
    if captures.in_events {
        log_events.push(details(info, request, reply));
    }
    let failure = match &reply.answer {
        Ok(answer) => {
            attributes.extend(answer_attributes(answer));
            match &reply.cost {
                Some(cost) => attributes.extend(cost_attributes(cost)),
                None => events.push(Event {
                    name: names::EVENT_COST_UNKNOWN,
                    at: None,
                    attributes: Vec::new(),
                }),
            }
            None
        }
        Err(error) => Some(Failure {
            kind: error.error_type(),
            message: error.in_full(),
        }),
    };
    let mut content = Vec::new();
    if captures.on_spans {
        content.extend(messages(request, reply));
        content.extend(shown_values(request, reply));
    }
    log_events.extend(
        failure
            .as_ref()
            .map(|failure| LogEvent::exception(&failure.kind, &failure.message)),
    );
    Projection {
        attributes,
        content,
        events,
        log_events,
        failure,
        ..Projection::default()
    }
}

/// The call with its content as a log record.
fn details(info: &ModelInfo, request: &ChatRequest<'_>, reply: &Reply) -> LogEvent {
    let mut attributes = known_at_start(info, request);
    attributes.extend(reply.answer.iter().flat_map(answer_attributes));
    attributes.extend(messages(request, reply));
    LogEvent {
        name: log_events::EVENT_GEN_AI_OPERATION_DETAILS,
        severity: Severity::Info,
        attributes,
        about: None,
    }
}

fn messages(request: &ChatRequest<'_>, reply: &Reply) -> Vec<KeyValue> {
    let mut attributes = vec![
        names::GEN_AI_SYSTEM_INSTRUCTIONS.with(content::instructions(request.prompt.text)),
        names::GEN_AI_INPUT_MESSAGES.with(content::input(request.messages)),
    ];
    attributes.extend(
        reply
            .answer
            .iter()
            .map(|answer| names::GEN_AI_OUTPUT_MESSAGES.with(content::output(answer))),
    );
    attributes
}

/// The facts and the answer under the keys that LLM backends show as input and output.
fn shown_values(request: &ChatRequest<'_>, reply: &Reply) -> Vec<KeyValue> {
    let facts = request
        .messages
        .iter()
        .find(|message| message.speaker == Speaker::User);
    let answer = reply
        .answer
        .as_ref()
        .ok()
        .and_then(|answer| answer.text.as_deref());
    let input = facts.map(|facts| names::INPUT_VALUE.with(content::text(&facts.text)));
    input
        .into_iter()
        .chain(answer.map(|text| names::OUTPUT_VALUE.with(content::text(text))))
        .collect()
}

fn answer_attributes(answer: &Answer) -> Vec<KeyValue> {
    let mut attributes = vec![names::GEN_AI_RESPONSE_MODEL.with(answer.model.clone())];
    attributes.extend(
        answer
            .id
            .clone()
            .map(|id| names::GEN_AI_RESPONSE_ID.with(id)),
    );
    let reasons = answer
        .finish_reason
        .clone()
        .map(|reason| strings(std::iter::once(reason)));
    attributes.extend(reasons.map(|reasons| names::GEN_AI_RESPONSE_FINISH_REASONS.with(reasons)));
    if let Some(usage) = answer.usage {
        let tokens = [
            (names::GEN_AI_USAGE_INPUT_TOKENS, Some(usage.input_tokens)),
            (names::GEN_AI_USAGE_OUTPUT_TOKENS, Some(usage.output_tokens)),
            (
                names::GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS,
                usage.cached_tokens,
            ),
            (
                names::GEN_AI_USAGE_REASONING_OUTPUT_TOKENS,
                usage.reasoning_tokens,
            ),
        ];
        attributes.extend(
            tokens
                .into_iter()
                .filter_map(|(name, n)| Some(name.with(count(n?)))),
        );
    }
    attributes
}

fn cost_attributes(cost: &Cost) -> [KeyValue; 4] {
    [
        names::LLM_COST_TOTAL.with(usd(cost.total)),
        names::LLM_COST_PROMPT.with(usd(cost.prompt)),
        names::LLM_COST_COMPLETION.with(usd(cost.completion)),
        names::EXPENSE_COST_SOURCE.with(cost.source.clone()),
    ]
}

fn retry_event(retry: &Retry) -> Event {
    let attributes = vec![
        names::ERROR_TYPE.with(retry.error.error_type()),
        log_events::EXCEPTION_MESSAGE.with(retry.error.in_full()),
        names::RETRY_DELAY.with(retry.delay.as_secs_f64()),
    ];
    Event {
        name: names::EVENT_RETRY,
        at: Some(retry.at),
        attributes,
    }
}
