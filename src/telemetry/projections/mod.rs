//! The values of other folders in telemetry: as span attributes, events, metrics and log records.
//! Projections compute nothing; every value was computed by the agent, the ledger, the model or the
//! HTTP layer. A value of the agent's own steps is in `record`, a model call in `chat`, a request
//! in `server`; what each of them adds to metrics is in `measure`, and what is observed at
//! intervals in `watch`.

pub mod chat;
mod content;
mod measure;
mod record;
pub mod server;
mod values;
mod watch;
