//! How deliveries go: that they begin to fail is said once and not with every one, and so is that they succeed again.

use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry_sdk::error::OTelSdkResult;

/// Deliveries of one kind to one place.
#[derive(Debug)]
pub(super) struct Delivery {
    what: &'static str,
    endpoint: String,
    advice: &'static str,
    is_failing: AtomicBool,
}

impl Delivery {
    /// `endpoint` is for the log, so it must not hold a password; `advice` is what a person can do about a failure.
    pub(super) fn new(what: &'static str, endpoint: String, advice: &'static str) -> Self {
        Self { what, endpoint, advice, is_failing: AtomicBool::new(false) }
    }

    /// Says how a delivery went, if it went otherwise than the one before.
    pub(super) fn note(&self, result: &OTelSdkResult) {
        let Self { what, endpoint, advice, is_failing } = self;
        let was_failing = is_failing.swap(result.is_err(), Ordering::Relaxed);
        match result {
            Err(error) if !was_failing => {
                tracing::warn!(endpoint, %error, "{what} cannot be delivered; decisions go on. {advice}");
            }
            Ok(()) if was_failing => tracing::info!(endpoint, "{what} are delivered again"),
            _ => {}
        }
    }
}
