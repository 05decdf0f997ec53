//! The values of other folders in telemetry: as span attributes, events, metrics and log records.
//! Projections compute nothing; every value was computed by the agent, the ledger, the model or the
//! HTTP layer. The results of the agent's steps are in `steps`, their checks in `checks`, model calls
//! in `chat`, feedback in `feedback`, requests in `server`, deliveries of notifications in
//! `deliveries`; what steps, calls and requests add to metrics is in `measure`. Metrics of values that
//! are observed from time to time are in `watch`. Failures of the model's endpoint are also log lines,
//! in `endpoint_log`.

pub mod chat;
mod checks;
mod content;
mod deliveries;
mod endpoint_log;
mod feedback;
mod measure;
pub mod server;
mod steps;
mod values;
mod watch;
