//! How the time of one request is divided between the model, telemetry and everything else. The
//! value travels in the request's context, so that model calls and spans can add to it wherever
//! they run.
//!
//! Model calls may overlap, so they are stored as intervals and their union is measured. The mutex
//! is held only to push or copy. Time of telemetry is a plain sum that no other data depends on,
//! hence the relaxed atomic.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::lock::lock;

/// The time of one request so far.
#[derive(Debug, Default)]
pub struct RequestTime {
    /// The beginning and end of each model call.
    calls: Mutex<Vec<(Instant, Instant)>>,
    telemetry_nanos: AtomicU64,
}

impl RequestTime {
    /// Adds a model call.
    pub fn add_call(&self, began: Instant, ended: Instant) {
        lock(&self.calls).push((began, ended));
    }

    /// Adds time that was spent on spans and metrics.
    pub fn add_telemetry(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.telemetry_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// How long at least one model call was in progress; absent if there was none.
    pub fn of_model(&self) -> Option<Duration> {
        let mut calls = lock(&self.calls).clone();
        calls.sort_unstable();
        let (first, _) = *calls.first()?;
        let (time, _) =
            calls
                .into_iter()
                .fold((Duration::ZERO, first), |(time, until), (began, ended)| {
                    // The overlap with earlier calls has been counted already.
                    (
                        time + ended.saturating_duration_since(began.max(until)),
                        until.max(ended),
                    )
                });
        Some(time)
    }

    /// The time that was spent on spans and metrics.
    pub fn of_telemetry(&self) -> Duration {
        Duration::from_nanos(self.telemetry_nanos.load(Ordering::Relaxed))
    }
}
