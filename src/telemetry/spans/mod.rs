//! Spans made with the OpenTelemetry API directly: those of the decision tree, and those of deliveries
//! of notifications. The agent imports `step`, the workers that notify import `delivery`,
//! and nothing here knows the agent: what its values look like on a span is written in
//! `projections`.

pub mod baggage;
pub(crate) mod delivery;
pub(crate) mod log_event;
pub(crate) mod remote_parent;
pub mod request_time;
pub(crate) mod span;
pub mod step;
