//! A client of a real Jaeger, through its stable query API `/api/v3`. The person who runs the tests
//! starts the Jaeger and sets three environment variables; without them, tests that need it are
//! skipped.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use super::otlp_spans::{kind_of, status_of, time_of};
use super::poll;
use super::trace_tree::TreeSpan;

/// A running Jaeger.
pub(crate) struct Jaeger {
    query_url: String,
    otlp_grpc: String,
    otlp_http: String,
    client: reqwest::Client,
}

impl Jaeger {
    /// The Jaeger that `JAEGER_QUERY_URL`, `JAEGER_OTLP_GRPC` and `JAEGER_OTLP_HTTP` name; `None` if
    /// the first is not set.
    pub(crate) fn from_env() -> Option<Self> {
        let query_url = std::env::var("JAEGER_QUERY_URL").ok()?;
        let beside = |name: &str| {
            std::env::var(name)
                .unwrap_or_else(|_| panic!("JAEGER_QUERY_URL is set, so set {name} as well"))
        };
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(10));
        Some(Self {
            query_url: query_url.trim_end_matches('/').to_owned(),
            otlp_grpc: beside("JAEGER_OTLP_GRPC"),
            otlp_http: beside("JAEGER_OTLP_HTTP"),
            client: client.build().expect("an HTTP client"),
        })
    }

    /// The base URL of its query API and of its web pages.
    pub(crate) fn query_url(&self) -> &str {
        &self.query_url
    }

    /// Its OTLP endpoint over gRPC.
    pub(crate) fn otlp_grpc(&self) -> &str {
        &self.otlp_grpc
    }

    /// Its OTLP endpoint over HTTP, without the `/v1/traces` of the signal.
    pub(crate) fn otlp_http(&self) -> &str {
        &self.otlp_http
    }

    /// The stored trace as OTLP JSON, `{"result": {"resourceSpans": …}}`; `None` while Jaeger does not
    /// have it.
    pub(crate) async fn trace(&self, trace_id: &str) -> Option<Value> {
        // Otherwise Jaeger drops duplicates and adds its own remarks to the spans as attributes. The
        // option has two names: older releases read only the second, newer ones prefer the first.
        let raw = "rawTraces=true&raw_traces=true";
        let url = format!("{}/api/v3/traces/{trace_id}?{raw}", self.query_url);
        let res = self.client.get(&url).send().await.expect("Jaeger answers");
        let status = res.status();
        if status == StatusCode::NOT_FOUND {
            return None;
        }
        let body = res.text().await.expect("a whole answer");
        assert_eq!(status, StatusCode::OK, "{url}: {body}");
        Some(serde_json::from_str(&body).expect("Jaeger answers JSON"))
    }

    /// The spans of the trace, as soon as there are `n_spans`; panics with the spans found so far when
    /// `limit` has passed.
    pub(crate) async fn wait_for_trace(
        &self,
        trace_id: &str,
        n_spans: usize,
        limit: Duration,
    ) -> Vec<TreeSpan> {
        let what = format!("trace {trace_id} of {n_spans} spans in Jaeger");
        poll::until(limit, &what, async || {
            let spans = self
                .trace(trace_id)
                .await
                .as_ref()
                .map(tree_spans)
                .unwrap_or_default();
            if spans.len() >= n_spans {
                Ok(spans)
            } else {
                Err(spans)
            }
        })
        .await
    }
}

/// The spans in an answer of [`Jaeger::trace`], in its order.
pub(crate) fn tree_spans(answer: &Value) -> Vec<TreeSpan> {
    let resources = items(&answer["result"]["resourceSpans"]);
    let scopes = resources.flat_map(|resource| items(&resource["scopeSpans"]));
    scopes
        .flat_map(|scope| items(&scope["spans"]))
        .map(tree_span)
        .collect()
}

fn tree_span(span: &Value) -> TreeSpan {
    let status = &span["status"];
    let events = items(&span["events"]);
    TreeSpan {
        span_id: text(&span["spanId"]),
        parent_id: Some(text(&span["parentSpanId"])).filter(|id| !id.is_empty()),
        name: text(&span["name"]),
        kind: kind_of(span["kind"].as_i64().expect("a numeric span kind")),
        status: status_of(
            status["code"].as_i64().unwrap_or(0),
            &text(&status["message"]),
        ),
        attributes: attributes(span),
        events: events
            .map(|event| (text(&event["name"]), attributes(event)))
            .collect(),
        start: time_of(
            text(&span["startTimeUnixNano"])
                .parse()
                .expect("nanoseconds since 1970"),
        ),
    }
}

fn attributes(owner: &Value) -> Vec<(String, String)> {
    let attributes = items(&owner["attributes"]);
    attributes
        .map(|pair| (text(&pair["key"]), plain_value(&pair["value"]).to_string()))
        .collect()
}

/// The value without its type, which OTLP JSON names as in `{"intValue": "5"}`. A 64-bit integer is a
/// string there.
fn plain_value(value: &Value) -> Value {
    let (value_type, value) = value
        .as_object()
        .and_then(|typed| typed.iter().next())
        .expect("a typed value");
    match value_type.as_str() {
        "stringValue" | "boolValue" => value.clone(),
        "intValue" => text(value).parse::<i64>().expect("a 64-bit integer").into(),
        "doubleValue" => value.as_f64().expect("a finite number").into(),
        "arrayValue" => items(&value["values"]).map(plain_value).collect(),
        other => panic!("the service sends no attributes of this type: {other}"),
    }
}

/// The elements of a list; OTLP JSON leaves empty ones out.
fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// The text of a string; OTLP JSON leaves empty ones out.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
