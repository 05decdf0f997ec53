//! Logs when deliveries of a signal begin to fail and when they succeed again, instead of once per
//! delivery.
//!
//! The SDK logs every failed push on its own targets, which are off by default; a rate-limiting log
//! layer would still not report the recovery. The only state is a flag: whether the last delivery
//! failed. The SDK's exporters deliver one message at a time but have only a shared reference to
//! themselves, so the flag is atomic; it is relaxed because no other data depends on it.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the deliveries of a signal currently fail, and what to log about it.
#[derive(Debug)]
pub(super) struct Outage {
    /// What is delivered, in the plural.
    signal: &'static str,
    /// What the operator can do about a failure: the end of the logged line, with its punctuation.
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
                tracing::warn!(endpoint, %error, "{signal} cannot be delivered; decisions are not affected{advice}");
            }
            Ok(()) if was_failing => tracing::info!(endpoint, "{signal} are delivered again"),
            _ => {}
        }
    }
}
