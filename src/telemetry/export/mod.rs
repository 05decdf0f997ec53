//! From a finished span, metric or log record to the backend.
//!
//! The way of a span that ends:
//!
//! 1. `processor` scrubs it.
//! 2. `pipeline` encodes it with `encode`.
//! 3. `queue` holds it in `held`, by trace as in `traces`: first in `tail`, until it is decided
//!    whether its trace is kept, then until it is sent.
//! 4. `sender` sends it in a batch, and retries; one attempt is in `transport`.
//!
//! Log records are exported by `logs`, metrics by `metrics`.

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
