//! The HTTP seam: every request becomes a server span. `http::admission` has decided whom the
//! request is for before the span begins; what came of it is read off the response, and an answer in parts takes until the last of
//! them. The status is an error from 500 up: a refused request is no fault of the service.

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
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanKind, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;

use crate::domain::decision::Decision;
use crate::keys::access::Caller;
use crate::keys::identity::Identity;
use crate::redact::redact;
use crate::telemetry::Instruments;
use crate::telemetry::baggage::{Baggage, edge_context};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::names;
use crate::telemetry::projections::record::outcome_attributes;
use crate::telemetry::projections::values::address_of;
use crate::telemetry::sampling::reasons::{Reason, Reasons};
use crate::telemetry::settings::Propagator;
use crate::telemetry::spans::request_time::RequestTime;
use crate::telemetry::spans::span::{Failure, LiveSpan, Projection, linked, traceparent};

/// Characters of a path or a user agent that are kept.
const MAX_CHARS: usize = 512;

/// What handlers know of the request's trace: an extension of the request.
#[derive(Clone, Debug)]
pub struct RequestTrace {
    /// 32 hex digits.
    pub trace_id: String,
    /// The server span, 16 hex digits.
    pub span_id: String,
    employee: Arc<OnceLock<String>>,
}

impl RequestTrace {
    /// Tells the server span which employee the request is about, once its body is read.
    pub fn is_about(&self, user_id: &str) {
        self.employee.get_or_init(|| user_id.to_owned());
    }
}

/// The batch that a request is a line of: an extension of the request. Its span links to the
/// batch's.
#[derive(Clone, Debug)]
pub struct LineOf(pub RequestTrace);

/// The decision an answer tells of: an extension of the response, from which the server span reads
/// its outcome.
#[derive(Clone, Debug)]
pub struct Decided(pub Arc<Decision>);

/// Traces one request. Its caller, identity and baggage are extensions by now; the context gets
/// baggage that agrees with them, and only then the span begins.
pub async fn trace(
    State(instruments): State<Instruments>,
    mut request: Request,
    next: Next,
) -> Response {
    // Nothing of an enclosing context may leak in: the request's own headers are all there is.
    let inbound = match instruments.propagators.contains(&Propagator::TraceContext) {
        true => {
            let headers = HeaderExtractor(request.headers());
            TraceContextPropagator::new().extract_with_context(&Context::new(), &headers)
        }
        false => Context::new(),
    };
    let extensions = request.extensions();
    let identity = extensions.get::<Identity>().cloned();
    let baggage = extensions.get::<Baggage>().cloned().unwrap_or_default();
    let time = Arc::new(RequestTime::default());
    let parent = edge_context(identity.as_ref(), &inbound, &baggage)
        .with_value(instruments.scope.clone())
        .with_value(Arc::clone(&time));
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
    let span = LiveSpan::start_in(
        parent,
        name,
        SpanKind::Server,
        known_at_start(&request, method, route),
    );

    let context = span.context();
    if let Some(batch) = request
        .extensions()
        .get::<LineOf>()
        .and_then(|LineOf(batch)| linked(&batch.trace_id, &batch.span_id))
    {
        context.span().add_link(batch, Vec::new());
    }
    let (trace_id, span_id, traceresponse) = {
        let current = context.span();
        let current = current.span_context();
        (
            current.trace_id().to_string(),
            current.span_id().to_string(),
            traceparent(current),
        )
    };
    let employee = Arc::new(OnceLock::new());
    let trace = RequestTrace {
        trace_id: trace_id.clone(),
        span_id,
        employee,
    };
    request.extensions_mut().insert(trace.clone());
    let server = ServerSpan {
        span,
        trace,
        identity,
        reasons: instruments.reasons,
        head: Vec::new(),
    };
    let mut response = next.run(request).with_context(context).await;
    let projection = project(&response);
    if response.body().size_hint().exact().is_some() {
        let decision = response
            .extensions()
            .get::<Decided>()
            .map(|Decided(decision)| &**decision);
        let took = server.finish(projection, decision);
        instruments.scope.metrics.own_time(&time, took);
    } else {
        // No model call is part of it: the lines of a batch are requests of their own.
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

/// The server span and its user, who is known at its end, also when that end is a client that goes
/// away.
struct ServerSpan {
    span: LiveSpan,
    trace: RequestTrace,
    identity: Option<Identity>,
    reasons: Arc<Reasons>,
    /// What an answer in parts has begun with.
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

    /// Ends the span. Gives the time the request took.
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

    /// Ends the span with the last part of a body that is told part by part. One that breaks off,
    /// or that nobody waits for, is dropped before, and the span with it.
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
        self.span.give_up(attributes, Metrics::served);
    }
}

fn kept_because(reason: Reason) -> KeyValue {
    names::SAMPLING_KEEP.with(<&'static str>::from(reason))
}

/// The methods of HTTP; any other is `_OTHER`, or a caller could make up as many span names as he
/// likes.
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
    // Redacted first: half a card number is not found.
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

fn project(response: &Response) -> Projection {
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
    Projection {
        attributes,
        failure,
        ..Projection::default()
    }
}
