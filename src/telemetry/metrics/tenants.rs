//! The bound on series by tenant, without which callers could create any number of series. The first
//! tenants up to the bound have their own, all others share one. By default the bound is 0, and no
//! series names a tenant.

use std::collections::HashSet;
use std::sync::Mutex;

use crate::lock::lock;

/// Name of the series that the tenants beyond the bound share. A tenant of this name counts there
/// too.
pub const OTHER: &str = "other";

/// The tenants that have series of their own.
#[derive(Debug, Default)]
pub struct Tenants {
    max: usize,
    known: Mutex<HashSet<String>>,
}

impl Tenants {
    /// No tenant yet, and at most `max` of them.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            known: Mutex::default(),
        }
    }

    /// The value of `tenant.id` for a tenant, absent when series name no tenant. The lock is held
    /// while looking and inserting, so that tenants that arrive at once cannot pass the bound.
    pub fn series(&self, tenant_id: &str) -> Option<String> {
        if self.max == 0 {
            return None;
        }
        let mut known = lock(&self.known);
        if !known.contains(tenant_id) && known.len() < self.max {
            known.insert(tenant_id.to_owned());
        }
        let has_own = known.contains(tenant_id);
        Some(if has_own { tenant_id } else { OTHER }.to_owned())
    }
}
