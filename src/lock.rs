//! Locking a mutex, whether or not another thread has panicked while it held the lock.
//!
//! The standard library poisons such a mutex, because its data may be half changed. The critical
//! sections that use this function change their data completely or not at all and call no code that
//! panics in between, so the data is sound, and one panic must not stop the whole service.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex, poisoned or not.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
