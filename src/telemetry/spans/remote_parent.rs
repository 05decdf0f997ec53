//! [W3C Trace Context](https://www.w3.org/TR/trace-context/) at the edge: the span of the caller that
//! a request continues. The SDK's propagator is not used: it reads ids of any length, plus signs
//! included, so a malformed header would continue a trace that no one sent.

use std::str::FromStr;

use axum::http::HeaderMap;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// The length of a `traceparent` of version 00, and of what later versions begin with.
const LENGTH: usize = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".len();
/// The version that is never valid.
const INVALID_VERSION: &str = "ff";

/// The caller's span. `None` when the request has no `traceparent`, several, or a malformed one; the
/// request then begins a new trace, and its `tracestate` is not used either.
pub(crate) fn remote_parent(headers: &HeaderMap) -> Option<SpanContext> {
    let mut values = headers.get_all("traceparent").iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let (head, more) = value.to_str().ok()?.trim().split_at_checked(LENGTH)?;
    let mut fields = head.split('-');
    let mut field = |n_digits| fields.next().filter(|text| is_hex(text, n_digits));
    let (version, trace_id, span_id, flags) = (field(2)?, field(32)?, field(16)?, field(2)?);
    // Later versions may add fields at the end.
    let has_end = more.is_empty() || (version != "00" && more.starts_with('-'));
    if version == INVALID_VERSION || !has_end {
        return None;
    }
    let parent = SpanContext::new(
        TraceId::from_hex(trace_id).ok()?,
        SpanId::from_hex(span_id).ok()?,
        // Flags other than `sampled` are unknown, and unknown flags are not passed on.
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED,
        true,
        trace_state(headers),
    );
    // An id of zeros is invalid.
    parent.is_valid().then_some(parent)
}

fn is_hex(text: &str, n_digits: usize) -> bool {
    text.len() == n_digits
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The `tracestate`, whose header lines are one list; empty when it is malformed.
fn trace_state(headers: &HeaderMap) -> TraceState {
    let lines = headers.get_all("tracestate").iter();
    let lines: Result<Vec<_>, _> = lines.map(|line| line.to_str()).collect();
    lines
        .ok()
        .and_then(|lines| TraceState::from_str(&lines.join(",")).ok())
        .unwrap_or_default()
}
