//! The bound on series by tenant: the first so many tenants have their own, all others share one,
//! and a service that was not told to tell tenants apart has none.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// What tenants beyond the bound are called. A tenant of this name shares their series.
pub const OTHER: &str = "other";

/// The tenants that have series of their own.
#[derive(Debug, Default)]
pub struct Tenants {
    max: usize,
    known: Mutex<HashSet<String>>,
}

impl Tenants {
    /// None yet, and at most so many.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            known: Mutex::default(),
        }
    }

    /// The series that a tenant counts for.
    pub fn series(&self, tenant_id: &str) -> Option<String> {
        if self.max == 0 {
            return None;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(tenant_id) && known.len() < self.max {
            known.insert(tenant_id.to_owned());
        }
        Some(
            if known.contains(tenant_id) {
                tenant_id
            } else {
                OTHER
            }
            .to_owned(),
        )
    }
}
