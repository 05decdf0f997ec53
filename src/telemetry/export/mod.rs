//! From a finished span, metric or log record to the backend.
//!
//! A span that ends goes through `processor` (stamped and scrubbed), `pipeline` (encoded by
//! `encode`), `queue` with `held` (waits, in `tail` for its sampling decision, as `traces`),
//! `sender` (retried) and `transport` (one attempt). Log records leave by `logs`, metrics by
//! `metrics`.

mod compatibility;
pub mod encode;
mod held;
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
