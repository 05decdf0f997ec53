//! Locking a mutex without caring whether another thread panicked while it held the lock.
//!
//! The standard library poisons such a mutex, because the data may be half changed. Every critical
//! section of this crate changes its data completely or not at all, and none calls code that may
//! panic in between, so the data is sound and the service goes on.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex, poisoned or not.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
