//! Logs when deliveries of a signal begin to fail and when they succeed again, instead of once per
//! delivery.
//!
//! The SDK logs every failed push on its own targets, which are off by default; a rate-limiting log
//! layer would still say nothing of the recovery. One flag is all the state: whether the last
//! delivery failed. The exporters of the SDK deliver one at a time, so the atomic swap is needed
//! only because they share a reference, and no other data depends on its order.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the deliveries of a signal fail at present, and what to log about them.
#[derive(Debug)]
pub(super) struct Outage {
    /// What is delivered, in the plural.
    signal: &'static str,
    /// What the operator can do about a failure.
    advice: &'static str,
    /// For the log, so without a password.
    endpoint: String,
    is_failing: AtomicBool,
}

impl Outage {
    /// No delivery has failed yet.
    pub(super) fn new(signal: &'static str, advice: &'static str, endpoint: String) -> Self {
        Self {
            signal,
            advice,
            endpoint,
            is_failing: AtomicBool::new(false),
        }
    }

    /// Logs the outcome of a delivery if it differs from the one before.
    pub(super) fn note(&self, delivered: &Result<(), impl Display>) {
        let Self {
            signal,
            advice,
            endpoint,
            is_failing,
        } = self;
        let was_failing = is_failing.swap(delivered.is_err(), Ordering::Relaxed);
        match delivered {
            Err(error) if !was_failing => {
                tracing::warn!(endpoint, %error, "{signal} cannot be delivered; decisions go on{advice}");
            }
            Ok(()) if was_failing => tracing::info!(endpoint, "{signal} are delivered again"),
            _ => {}
        }
    }
}
