//! From a span, metric or log record that is finished to a backend.

mod compatibility;
pub mod encode;
pub(crate) mod logs;
pub(crate) mod metrics;
mod outage;
pub(crate) mod pipeline;
pub(crate) mod processor;
pub mod queue;
mod sender;
pub mod tail;
pub mod traces;
pub mod transport;
