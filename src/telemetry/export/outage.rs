//! When deliveries begin to fail, and when they succeed again: each is said once, and not with
//! every delivery.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a signal's deliveries fail now, and what is said of it.
#[derive(Debug)]
pub(super) struct Outage {
    /// What is delivered.
    signal: &'static str,
    /// What one may do about it.
    advice: &'static str,
    /// For the log, so without a password.
    endpoint: String,
    is_on: AtomicBool,
}

impl Outage {
    /// None so far.
    pub(super) fn new(signal: &'static str, advice: &'static str, endpoint: String) -> Self {
        Self {
            signal,
            advice,
            endpoint,
            is_on: AtomicBool::new(false),
        }
    }

    /// Takes note of a delivery.
    pub(super) fn note(&self, delivered: &Result<(), impl Display>) {
        let Self {
            signal,
            advice,
            endpoint,
            is_on,
        } = self;
        let was_on = is_on.swap(delivered.is_err(), Ordering::Relaxed);
        match delivered {
            Err(error) if !was_on => {
                tracing::warn!(endpoint, %error, "{signal} cannot be delivered; decisions go on{advice}");
            }
            Ok(()) if was_on => tracing::info!(endpoint, "{signal} are delivered again"),
            _ => {}
        }
    }
}
