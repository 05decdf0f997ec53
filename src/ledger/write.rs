//! One loop for all writes of the ledger. A write is a struct that implements [`LedgerWrite`]: what
//! to record, claim, release or erase. [`GroupCommit::run`] gives it a slot in the open transaction,
//! locks its tenant, and runs it again when the transaction was lost to another write. How
//! transactions are shared is in `group_commit`.

use crate::ledger::error::RecordError;
use crate::ledger::group_commit::{GroupCommit, Slot};
use crate::ledger::seal;

/// How often a write is retried after a conflict.
const MAX_CONFLICTS: u32 = 8;

/// One write of one tenant: all of it is committed, or nothing.
///
/// A trait and not a closure, because the future of an `AsyncFnMut(&mut Slot)` cannot be shown to be
/// `Send` for every lifetime of the slot, and writes run in spawned tasks.
pub(super) trait LedgerWrite: Send {
    /// What the write returns.
    type Output: Send;

    /// Writes, in a transaction that has locked the tenant. May run more than once, each time in a
    /// new transaction, so it must not depend on what an earlier run changed in `self`.
    ///
    /// # Errors
    /// A refusal is returned only before the first change, because the transaction may still be
    /// committed for other writes.
    fn write(
        &mut self,
        slot: &mut Slot,
    ) -> impl Future<Output = Result<Self::Output, RecordError>> + Send;
}

impl GroupCommit {
    /// Runs a write of a tenant, and returns once it is on disk.
    ///
    /// Conflicts are retried without a delay: the writer queues again, and no other wait would help.
    /// A retry crate such as backon would add delays, and needs a closure.
    ///
    /// # Errors
    /// Those of the write, and those of the transaction when the retries are used up.
    pub(super) async fn run<W: LedgerWrite>(
        &self,
        tenant_id: &str,
        mut write: W,
    ) -> Result<W::Output, RecordError> {
        let mut n_conflicts = 0;
        loop {
            let mut slot = self.begin(tenant_id).await?;
            let result = match seal::lock(&mut slot, tenant_id).await {
                Ok(()) => write.write(&mut slot).await,
                Err(error) => Err(error.into()),
            };
            match slot.finish(result).await {
                Err(error) if error.is_conflict() && n_conflicts < MAX_CONFLICTS => {
                    n_conflicts += 1;
                }
                result => return result,
            }
        }
    }
}
