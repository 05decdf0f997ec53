//! What the values of other folders look like in telemetry: on spans, in metrics and in log
//! records. Everything here was computed by the agent, the ledger, the model or the HTTP layer.

pub mod chat;
mod content;
mod measure;
mod record;
pub mod server;
mod watch;
