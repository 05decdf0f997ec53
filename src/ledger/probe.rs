//! Whether the ledger can be written to, which `/readyz` answers. A committed write proves that it
//! can, so the probe runs only when no write was committed within the last second.

use std::sync::atomic::Ordering;

use crate::ledger::Ledger;
use crate::ledger::error::{LedgerError, RecordError};
use crate::ledger::group_commit::Slot;
use crate::ledger::statement::query;
use crate::ledger::write::LedgerWrite;

/// More bytes than a decision and its index entries take, so that the probe fails on a disk that is
/// too full for a decision.
const PROBE_BYTES: usize = 128 * 1024;

impl Ledger {
    /// Checks that a decision could be recorded now, by writing and deleting as much as one takes,
    /// unless a write was committed just now.
    ///
    /// # Errors
    /// When the database cannot be written to.
    pub async fn check(&self) -> Result<(), LedgerError> {
        let checked = if self.writes.has_recent_commit() {
            Ok(())
        } else {
            self.writes.run("", Probe).await.map_err(LedgerError::from)
        };
        self.was_ready.store(checked.is_ok(), Ordering::Relaxed);
        checked
    }

    /// The result of the last [`Ledger::check`], unless a write was committed just now; true before
    /// the first check.
    pub fn was_ready(&self) -> bool {
        self.writes.has_recent_commit() || self.was_ready.load(Ordering::Relaxed)
    }
}

/// A write that leaves nothing behind, but needs everything that a write needs: the lock, a free
/// page and the disk.
struct Probe;

impl LedgerWrite for Probe {
    type Output = ();

    async fn write(&mut self, slot: &mut Slot) -> Result<(), RecordError> {
        let filler = "0".repeat(PROBE_BYTES);
        query("INSERT INTO probe (filler) VALUES ($1)")
            .bind(filler)
            .execute(slot.transaction())
            .await?;
        query("DELETE FROM probe")
            .execute(slot.transaction())
            .await?;
        // Changes nothing, but fails when the table is missing.
        query("UPDATE cap_usage SET used_minor = used_minor WHERE 1 = 0")
            .execute(slot.transaction())
            .await?;
        Ok(())
    }
}
