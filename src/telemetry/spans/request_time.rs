//! Where the time of one request goes: to the model, to telemetry, and to all the rest. It travels
//! in the request's context, so that whoever takes time can say so.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time of one request so far.
#[derive(Debug, Default)]
pub struct RequestTime {
    /// The model calls, each from beginning to end.
    calls: Mutex<Vec<(Instant, Instant)>>,
    telemetry_nanos: AtomicU64,
}

impl RequestTime {
    /// A model was under way.
    pub fn add_call(&self, began: Instant, ended: Instant) {
        self.calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((began, ended));
    }

    /// Time went to spans and metrics.
    pub fn add_telemetry(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.telemetry_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// How long at least one model call was under way; absent when there was none.
    pub fn of_model(&self) -> Option<Duration> {
        let mut calls = self
            .calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        calls.sort_unstable();
        let (first, _) = *calls.first()?;
        let (time, _) =
            calls
                .into_iter()
                .fold((Duration::ZERO, first), |(time, until), (began, ended)| {
                    // What overlaps with an earlier call has been counted with that.
                    (
                        time + ended.saturating_duration_since(began.max(until)),
                        until.max(ended),
                    )
                });
        Some(time)
    }

    /// How long spans and metrics took.
    pub fn of_telemetry(&self) -> Duration {
        Duration::from_nanos(self.telemetry_nanos.load(Ordering::Relaxed))
    }
}
