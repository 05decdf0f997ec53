//! Spans of the decision tree, made with the OpenTelemetry API directly. The agent imports `step`,
//! and nothing here knows the agent: what its values look like on a span is written in
//! `projections`.

pub mod baggage;
pub(crate) mod log_event;
pub(crate) mod remote_parent;
pub mod request_time;
pub(crate) mod span;
pub mod step;
