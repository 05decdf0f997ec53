//! The span of one attempt to deliver a notification. It begins a trace of its own, because it happens
//! outside every request, and links to the request whose decision it is about. What came of the attempt
//! is written by `projections::deliveries`.

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::context::FutureExt;
use opentelemetry::trace::{SpanKind, TraceContextExt};
use reqwest::Url;

use crate::domain::decision::Decision;
use crate::domain::notification::NotificationType;
use crate::telemetry::Instruments;
use crate::telemetry::names;
use crate::telemetry::spans::span::{LiveSpan, linked};
use crate::telemetry::spans::step::StepResult;

/// What is known of an attempt before it is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery<'a> {
    /// The event.
    pub(crate) kind: NotificationType,
    /// The decision that it is about.
    pub(crate) decision: &'a Decision,
    /// The receiver, of which only host and port are shown: paths of webhooks are often secret.
    pub(crate) url: &'a Url,
    /// How many attempts came before this one.
    pub(crate) n_retries: u32,
}

/// Makes an attempt inside a span, and writes what came of it on the span.
pub(crate) async fn delivery<F>(
    instruments: &Instruments,
    of: &Delivery<'_>,
    attempt: F,
) -> F::Output
where
    F: Future,
    F::Output: StepResult,
{
    let Delivery {
        kind,
        decision,
        url,
        n_retries,
    } = of;
    let mut attributes = vec![
        names::EXPENSE_ID.with(decision.id.to_string()),
        names::EXPENSE_NOTIFICATION_TYPE.with(<&'static str>::from(kind)),
        names::HTTP_REQUEST_METHOD.with("POST"),
    ];
    if let Some(host) = url.host_str() {
        let host = host.trim_matches(['[', ']']);
        attributes.push(names::SERVER_ADDRESS.with(host.to_owned()));
    }
    let port = url.port_or_known_default();
    attributes.extend(port.map(|port| names::SERVER_PORT.with(i64::from(port))));
    if *n_retries > 0 {
        attributes.push(names::HTTP_REQUEST_RESEND_COUNT.with(i64::from(*n_retries)));
    }
    // An empty context, so that the span is the root of its trace.
    let context = Context::new()
        .with_baggage([names::TENANT_ID.with(decision.tenant_id.clone())])
        .with_value(instruments.scope.clone());
    let name = format!("notify {kind}");
    let span = LiveSpan::start_in(context, name, SpanKind::Client, attributes);
    if let Some(request) = linked(&decision.trace_id, &decision.span_id) {
        span.context().span().add_link(request, Vec::new());
    }
    let output = attempt.with_context(span.context()).await;
    span.finish(
        |captures| output.project(captures),
        |metrics, ended| output.measure(metrics, ended),
    );
    output
}
