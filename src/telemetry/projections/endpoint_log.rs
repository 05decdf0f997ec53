//! Failures of the model's endpoint as log lines. Spans have every failure; the log has one line for
//! each kind of failure and minute, for operators who look there first or have no trace backend.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::llm::{ModelError, ModelInfo, Reply};
use crate::lock::lock;

/// How long a kind of failure is not logged again.
const PERIOD: Duration = Duration::from_secs(60);
/// How many kinds are told apart. The endpoint chooses its codes, so they must not take memory
/// without bound.
const MAX_KINDS: usize = 64;

/// A kind of failure: `error.type`, and the endpoint's own code.
type Kind = (String, Option<String>);

/// When each kind was last logged, and how many failures of it were not logged since.
#[derive(Debug, Default)]
pub(super) struct EndpointLog(Mutex<HashMap<Kind, (Instant, u64)>>);

impl EndpointLog {
    /// Logs what failed in a reply, retried attempts included. A call that the circuit breaker
    /// rejected says nothing new about the endpoint.
    pub(super) fn note(&self, info: &ModelInfo, reply: &Reply) {
        let retried = reply.retries.iter().map(|retry| (&retry.error, true));
        let last = reply.answer.as_ref().err().map(|error| (error, false));
        for (error, is_retried) in retried.chain(last) {
            if *error == ModelError::CircuitOpen {
                continue;
            }
            let Some(n_unlogged) = self.admit(error, Instant::now()) else {
                continue;
            };
            let endpoint = info
                .server
                .as_ref()
                .map(|(host, port)| format!("{host}:{port}"));
            tracing::warn!(
                model = info.model,
                endpoint,
                error = error.in_full(),
                is_retried,
                n_unlogged,
                "a call of the model failed; further failures of this kind are not logged for a minute"
            );
        }
    }

    /// Whether a failure is logged, and if so how many of its kind were not logged before it.
    fn admit(&self, error: &ModelError, now: Instant) -> Option<u64> {
        let mut kinds = lock(&self.0);
        let mut kind = (error.error_type(), error.code().map(str::to_owned));
        if kinds.len() >= MAX_KINDS && !kinds.contains_key(&kind) {
            kind.1 = None;
        }
        match kinds.entry(kind) {
            Entry::Vacant(first) => {
                first.insert((now, 0));
                Some(0)
            }
            Entry::Occupied(mut known) => {
                let (logged_at, n_unlogged) = known.get_mut();
                if now.duration_since(*logged_at) < PERIOD {
                    *n_unlogged += 1;
                    return None;
                }
                *logged_at = now;
                Some(std::mem::take(n_unlogged))
            }
        }
    }
}
