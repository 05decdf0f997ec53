//! The HTTP seam: each request becomes a server span. `http::admission` has authenticated the
//! caller before the span begins. The result of the request is read from the response; if its body
//! is streamed, the span ends with the last part. The status is an error from 500 up, because a
//! refused request is not an error of the service.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::StreamExt;
use futures_util::stream::poll_fn;
use opentelemetry::context::FutureExt;
use opentelemetry::trace::{SpanKind, TraceContextExt};
use opentelemetry::{Context, KeyValue};

use crate::domain::decision::Decision;
use crate::domain::resolution::Resolution;
use crate::keys::access::Caller;
use crate::keys::identity::Identity;
use crate::redact::redact;
use crate::telemetry::Instruments;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::names;
use crate::telemetry::projections::content;
use crate::telemetry::projections::steps::outcome_attributes;
use crate::telemetry::projections::values::address_of;
use crate::telemetry::sampling::reasons::{Reason, Reasons};
use crate::telemetry::settings::{Captures, Propagator};
use crate::telemetry::spans::baggage::{Baggage, edge_context};
use crate::telemetry::spans::remote_parent::remote_parent;
use crate::telemetry::spans::request_time::RequestTime;
use crate::telemetry::spans::span::{Failure, LiveSpan, Projection, linked, traceparent};

/// Paths and user agents are cut to this number of characters.
const MAX_CHARS: usize = 512;

/// The trace of a request, for handlers: an extension of the request.
#[derive(Clone, Debug)]
pub struct RequestTrace {
    /// The trace id, 32 hex digits.
    pub trace_id: String,
    /// The id of the server span, 16 hex digits.
    pub span_id: String,
    /// Set by the handler when the body has been read, and read when the span ends. A lock that is
    /// written once suffices, because a request is about one employee.
    employee: Arc<OnceLock<String>>,
}

impl RequestTrace {
    fn of(context: &Context) -> Self {
        let span = context.span();
        let ids = span.span_context();
        Self {
            trace_id: ids.trace_id().to_string(),
            span_id: ids.span_id().to_string(),
            employee: Arc::new(OnceLock::new()),
        }
    }

    /// Sets the employee that the request is about, for the server span.
    pub fn set_employee(&self, user_id: &str) {
        self.employee.get_or_init(|| user_id.to_owned());
    }
}

/// The batch of which a request is a line: an extension of the request.
#[derive(Clone, Debug)]
pub struct LineOf(pub RequestTrace);

/// The decision in a response: an extension of the response, from which the server span gets the
/// outcome.
#[derive(Clone, Debug)]
pub struct Decided(pub Arc<Decision>);

/// The resolution in a response, and what it resolves: an extension of the response.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The decision that was open.
    pub decision: Arc<Decision>,
    /// How a person resolved it.
    pub resolution: Box<Resolution>,
}

/// Traces one request, whose caller, identity and baggage are extensions already.
pub async fn trace(
    State(instruments): State<Instruments>,
    mut request: Request,
    next: Next,
) -> Response {
    let time = Arc::new(RequestTime::default());
    let span = start(parent(&instruments, &request, &time), &request);
    let context = span.context();
    let traceresponse = traceparent(context.span().span_context());
    let trace = RequestTrace::of(&context);
    let trace_id = trace.trace_id.clone();
    request.extensions_mut().insert(trace.clone());
    let server = ServerSpan {
        span,
        trace,
        identity: request.extensions().get::<Identity>().cloned(),
        reasons: Arc::clone(&instruments.reasons),
        head: Vec::new(),
    };
    let mut response = next.run(request).with_context(context).await;
    let projection = project(&response, &instruments);
    if response.body().size_hint().exact().is_some() {
        let decision = response
            .extensions()
            .get::<Decided>()
            .map(|Decided(decision)| &**decision);
        let took = server.finish(projection, decision);
        instruments.scope.metrics.own_time(&time, took);
    } else {
        // Only batches are streamed. Their own time is not measured, because the model calls belong
        // to the lines, which are requests of their own.
        response = response.map(|body| server.finish_with(body, projection));
    }
    let headers = response.headers_mut();
    insert(
        headers,
        HeaderName::from_static("traceresponse"),
        &traceresponse,
    );
    insert(headers, HeaderName::from_static("x-trace-id"), &trace_id);
    response
}

/// The context of a request: the caller's trace, baggage that agrees with the identity, and what
/// spans and metrics of the request are made with.
fn parent(instruments: &Instruments, request: &Request, time: &Arc<RequestTime>) -> Context {
    // Starts from an empty context, so that nothing of an enclosing one leaks in.
    let inbound = Context::new();
    let inbound = match instruments.propagators.contains(&Propagator::TraceContext) {
        true => match remote_parent(request.headers()) {
            Some(parent) => inbound.with_remote_span_context(parent),
            None => inbound,
        },
        false => inbound,
    };
    let extensions = request.extensions();
    let baggage = extensions.get::<Baggage>().cloned().unwrap_or_default();
    edge_context(extensions.get::<Identity>(), &inbound, &baggage)
        .with_value(instruments.scope.clone())
        .with_value(Arc::clone(time))
}

/// Begins the server span. The span of a batch line links to the span of its batch.
fn start(parent: Context, request: &Request) -> LiveSpan {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(|route| route.as_str().to_owned());
    let method = known_method(request.method());
    let name = route
        .iter()
        .fold(method.unwrap_or("HTTP").to_owned(), |name, route| {
            format!("{name} {route}")
        });
    let attributes = known_at_start(request, method, route);
    let span = LiveSpan::start_in(parent, name, SpanKind::Server, attributes);
    if let Some(batch) = request
        .extensions()
        .get::<LineOf>()
        .and_then(|LineOf(batch)| linked(&batch.trace_id, &batch.span_id))
    {
        span.context().span().add_link(batch, Vec::new());
    }
    span
}

/// The server span of a request in progress.
///
/// The user is written at the end, because the body may name another employee than the identity.
/// The drop guard writes the same attributes when a client disconnects or a handler panics.
struct ServerSpan {
    span: LiveSpan,
    trace: RequestTrace,
    identity: Option<Identity>,
    reasons: Arc<Reasons>,
    /// The attributes of a response whose body is still being streamed.
    head: Vec<KeyValue>,
}

impl ServerSpan {
    fn user(&self) -> Option<KeyValue> {
        let caller = self.identity.as_ref().map(|identity| &identity.user_id);
        self.trace
            .employee
            .get()
            .or(caller)
            .map(|user_id| names::USER_ID.with(user_id.clone()))
    }

    /// Ends the span, and returns how long the request took.
    fn finish(mut self, mut projection: Projection, decision: Option<&Decision>) -> Duration {
        let took = self.span.began().elapsed();
        let reason = self
            .reasons
            .of(decision, projection.failure.is_some(), took);
        projection.attributes.extend(reason.map(kept_because));
        projection.attributes.extend(self.user());
        self.span.end(|_| projection, Metrics::served);
        took
    }

    /// Ends the span with the last part of a streamed body. If the body fails or the client
    /// disconnects, the body is dropped before its last part, and the drop guard ends the span.
    fn finish_with(mut self, body: Body, projection: Projection) -> Body {
        self.head.clone_from(&projection.attributes);
        let mut open = Some((self, projection));
        let end = poll_fn(move |_| {
            if let Some((server, projection)) = open.take() {
                server.finish(projection, None);
            }
            Poll::Ready(None)
        });
        Body::from_stream(body.into_data_stream().chain(end))
    }
}

impl Drop for ServerSpan {
    fn drop(&mut self) {
        let user = self.user();
        let head = std::mem::take(&mut self.head);
        let attributes = head
            .into_iter()
            .chain(user)
            .chain([kept_because(Reason::Error)])
            .collect();
        self.span.abort(attributes, Metrics::served);
    }
}

fn kept_because(reason: Reason) -> KeyValue {
    names::SAMPLING_KEEP.with(<&'static str>::from(reason))
}

/// A standard HTTP method. Any other counts as `_OTHER`, so that callers cannot create span names
/// at will.
fn known_method(method: &Method) -> Option<&'static str> {
    const KNOWN: [&str; 9] = [
        "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT",
    ];
    KNOWN.into_iter().find(|known| *known == method.as_str())
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    headers.insert(
        name,
        HeaderValue::from_str(value).expect("hex digits and dashes are a header value"),
    );
}

fn known_at_start(
    request: &Request,
    method: Option<&'static str>,
    route: Option<String>,
) -> Vec<KeyValue> {
    let header = |name| {
        request
            .headers()
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    // Redacted before it is cut, because half a card number is not recognised.
    let cut = |text: &str| redact(text).chars().take(MAX_CHARS).collect::<String>();
    let mut attributes = vec![
        names::HTTP_REQUEST_METHOD.with(method.unwrap_or("_OTHER")),
        names::URL_PATH.with(cut(request.uri().path())),
        names::URL_SCHEME.with("http"),
        names::NETWORK_PROTOCOL_VERSION.with(match request.version() {
            Version::HTTP_10 => "1.0",
            Version::HTTP_2 => "2",
            _ => "1.1",
        }),
    ];
    if let Some(Caller::Holder(key) | Caller::Refused(Some(key))) = request.extensions().get() {
        attributes.push(names::TENANT_API_KEY_ID.with(key.id.clone()));
    }
    attributes.extend(route.map(|route| names::HTTP_ROUTE.with(route)));
    // HTTP/1 names the host in a header, HTTP/2 in the request's target.
    let named = header(header::HOST).and_then(|host| host.parse::<Authority>().ok());
    if let Some(host) = named.or_else(|| request.uri().authority().cloned()) {
        attributes.push(names::SERVER_ADDRESS.with(cut(address_of(host.host()))));
        attributes.push(names::SERVER_PORT.with(i64::from(host.port_u16().unwrap_or(80))));
    }
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
        attributes.push(names::CLIENT_ADDRESS.with(peer.ip().to_string()));
    }
    attributes.extend(
        header(header::USER_AGENT).map(|agent| names::USER_AGENT_ORIGINAL.with(cut(agent))),
    );
    attributes
}

fn project(response: &Response, instruments: &Instruments) -> Projection {
    let status = response.status();
    let mut attributes = vec![names::HTTP_RESPONSE_STATUS_CODE.with(i64::from(status.as_u16()))];
    let decision = response.extensions().get::<Decided>();
    attributes.extend(
        decision
            .into_iter()
            .flat_map(|Decided(decision)| outcome_attributes(decision)),
    );
    let failure = status.is_server_error().then(|| {
        let message = status.canonical_reason().unwrap_or_default().to_owned();
        Failure {
            kind: status.as_str().to_owned(),
            message,
        }
    });
    let content = match instruments.has_compatibility_keys {
        true => input_and_output(response, instruments.scope.captures),
        false => Vec::new(),
    };
    Projection {
        attributes,
        content,
        failure,
        ..Projection::default()
    }
}

/// What a request was about and what came of it, for UIs that list traces by input and output of the
/// first span: only ids and codes, unless content is captured.
fn input_and_output(response: &Response, captures: Captures) -> Vec<KeyValue> {
    let extensions = response.extensions();
    let (decision, result, reason) = if let Some(Decided(decision)) = extensions.get() {
        let outcome = <&'static str>::from(decision.outcome);
        (decision, outcome, &decision.reason)
    } else if let Some(Settled {
        decision,
        resolution,
    }) = extensions.get()
    {
        let action = <&'static str>::from(resolution.action);
        (decision, action, &resolution.reason)
    } else {
        return Vec::new();
    };
    let (input, output) = match captures.on_spans {
        true => (
            content::text(&decision.expense.transaction),
            content::text(&format!("{result}: {reason}")),
        ),
        false => (decision.id.to_string(), result.to_owned()),
    };
    vec![
        names::INPUT_VALUE.with(input),
        names::OUTPUT_VALUE.with(output),
    ]
}
