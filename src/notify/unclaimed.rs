//! The entries that no receiver of this service claims, because the receiver of their tenant was removed.
//! They are deleted once they are so old that no receiver would be sent them any more. Not before: another
//! replica may have been started with other receivers.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::error_chain::error_chain;
use crate::ledger::{EntriesOf, Ledger};
use crate::notify::MAX_AGE;

/// How often such entries are looked for.
const PERIOD: Duration = Duration::from_secs(3600);

/// Deletes the entries that no receiver claims.
pub(super) struct Unclaimed {
    /// Whose they are; `None` if there is a receiver for everyone.
    pub(super) entries: Option<EntriesOf>,
    pub(super) ledger: Ledger,
    pub(super) clock: Clock,
}

impl Unclaimed {
    /// Deletes them until it is asked to stop.
    pub(super) async fn run(&self, stop: &CancellationToken) {
        let Some(entries) = &self.entries else {
            return stop.cancelled().await;
        };
        while !stop.is_cancelled() {
            let now = self.clock.now();
            let oldest = now.saturating_sub(MAX_AGE).unwrap_or(now);
            match self.ledger.delete_entries_before(entries, oldest).await {
                Ok(0) => {}
                Ok(n_entries) => tracing::warn!(
                    n_entries,
                    "notifications are not sent: for three days their tenants had no receiver"
                ),
                Err(error) => {
                    let error = error_chain(&error);
                    tracing::warn!(error, "the outbox of notifications cannot be cleared");
                }
            }
            let _stopped = stop.run_until_cancelled(sleep(PERIOD)).await;
        }
    }
}
