//! The HTTP seam: every request becomes a server span. Who it is for is settled before the span begins; what came of it
//! is read off the response. The status is an error from 500 up: a refused request is no fault of the service.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use axum::middleware::Next;
use axum::response::Response;
use opentelemetry::context::FutureExt;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanKind, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::HeaderExtractor;

use crate::domain::decision::Decision;
use crate::telemetry::Instruments;
use crate::telemetry::chat::traceparent;
use crate::telemetry::identity::Identity;
use crate::telemetry::names;
use crate::telemetry::record::outcome_attributes;
use crate::telemetry::span::{Failure, LiveSpan, Projection};

/// Characters of a path or a user agent that are kept.
const MAX_CHARS: usize = 512;

/// What handlers know of the request's trace: an extension of the request.
#[derive(Clone, Debug)]
pub struct RequestTrace {
    /// 32 hex digits.
    pub trace_id: String,
    /// Who the request is for.
    pub identity: Identity,
}

/// The decision an answer tells of: an extension of the response, from which the server span reads its outcome.
#[derive(Clone, Debug)]
pub struct Decided(pub Arc<Decision>);

/// Traces one request.
pub async fn trace(State(instruments): State<Instruments>, mut request: Request, next: Next) -> Response {
    // Nothing of an enclosing context may leak in: the request's own headers are all there is.
    let inbound = instruments.propagator.extract_with_context(&Context::new(), &HeaderExtractor(request.headers()));
    let identity = Identity::of(&inbound);
    let parent = identity.edge_context(&inbound).with_value(instruments.scope);
    let route = request.extensions().get::<MatchedPath>().map(|route| route.as_str().to_owned());
    let name = route.iter().fold(request.method().to_string(), |name, route| format!("{name} {route}"));
    let span = LiveSpan::start_in(parent, name, SpanKind::Server, known_at_start(&request, route));

    let context = span.context();
    let (trace_id, traceresponse) = {
        let current = context.span();
        (current.span_context().trace_id().to_string(), traceparent(current.span_context()))
    };
    request.extensions_mut().insert(RequestTrace { trace_id: trace_id.clone(), identity: identity.clone() });
    let mut response = next.run(request).with_context(context).await;
    span.finish(project(&response, &identity));
    let headers = response.headers_mut();
    insert(headers, HeaderName::from_static("traceresponse"), &traceresponse);
    insert(headers, HeaderName::from_static("x-trace-id"), &trace_id);
    response
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    headers.insert(name, HeaderValue::from_str(value).expect("hex digits and dashes are a header value"));
}

fn known_at_start(request: &Request, route: Option<String>) -> Vec<KeyValue> {
    let header = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let cut = |text: &str| text.chars().take(MAX_CHARS).collect::<String>();
    let mut attributes = vec![
        names::HTTP_REQUEST_METHOD.with(request.method().to_string()),
        names::URL_PATH.with(cut(request.uri().path())),
        names::URL_SCHEME.with("http"),
        names::NETWORK_PROTOCOL_VERSION.with(if request.version() == Version::HTTP_2 { "2" } else { "1.1" }),
    ];
    attributes.extend(route.map(|route| names::HTTP_ROUTE.with(route)));
    if let Some(host) = header(header::HOST).and_then(|host| host.parse::<Authority>().ok()) {
        attributes.push(names::SERVER_ADDRESS.with(cut(host.host())));
        attributes.push(names::SERVER_PORT.with(i64::from(host.port_u16().unwrap_or(80))));
    }
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
        attributes.push(names::CLIENT_ADDRESS.with(peer.ip().to_string()));
    }
    attributes.extend(header(header::USER_AGENT).map(|agent| names::USER_AGENT_ORIGINAL.with(cut(agent))));
    attributes
}

fn project(response: &Response, identity: &Identity) -> Projection {
    let status = response.status();
    let decision = response.extensions().get::<Decided>().map(|Decided(decision)| decision);
    let user_id = decision.map_or(&identity.user_id, |decision| &decision.expense.user_id);
    let mut attributes =
        vec![names::HTTP_RESPONSE_STATUS_CODE.with(i64::from(status.as_u16())), names::USER_ID.with(user_id.clone())];
    attributes.extend(decision.into_iter().flat_map(|decision| outcome_attributes(decision)));
    let failure = status.is_server_error().then(|| {
        let message = status.canonical_reason().unwrap_or_default().to_owned();
        Failure { kind: status.as_str().to_owned(), message }
    });
    Projection { attributes, events: Vec::new(), failure }
}
