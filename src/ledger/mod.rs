//! The ledger: the durable store of decisions, resolutions, feedback, and the shares of caps that
//! expenses have taken. Recording a decision, taking its shares and sealing it into its tenant's hash
//! chain is one write, and writes that arrive together share a transaction. The same SQL runs on
//! SQLite and Postgres. Whether a cap allows an expense is decided in `policy`, the outcome in
//! `agent`.
//!
//! Read in this order:
//! 1. `records`: the kinds of record.
//! 2. `decisions`, `resolutions`, `feedback`, `idempotency`, `erase`, `probe`: the writes, each a
//!    struct that implements `write::LedgerWrite`; `usage`, `shares`, `counted`, `keyed`, `cap_scope`: the
//!    shares of caps that they change;
//!    `credits`: what credits take off their purchases; `plans`: how a purchase takes over its plan; `superseding`: deciding an expense anew;
//!    `outbox`: notifications to be sent.
//! 3. `group_commit`: how writes share a transaction; `transaction`, `statement`, `db`, `sqlite`:
//!    how they reach a database.
//! 4. `seal`, `verify`: the hash chain.
//! 5. `query`, `visibility`, `search`, `review_queue`, `related`, `figures`, `news`, `export`,
//!    `duplicates`: reading back.
//! 6. `store`, `read_only`, `database_url`, `migrations`, `respell`: opening a ledger, and bringing its
//!    tables up to date.

mod cap_scope;
mod counted;
mod credits;
pub mod database_url;
mod db;
mod decisions;
mod duplicates;
mod erase;
mod error;
mod export;
mod feedback;
mod figures;
mod group_commit;
mod idempotency;
mod keyed;
mod migrations;
mod news;
mod outbox;
mod plans;
mod probe;
mod query;
mod read_only;
pub mod records;
pub mod related;
mod resolutions;
mod respell;
pub mod review_queue;
pub mod seal;
pub mod search;
mod shares;
mod sqlite;
mod statement;
mod store;
mod superseding;
mod transaction;
mod usage;
pub mod verify;
mod visibility;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rust_decimal::Decimal;
use serde_json::Value;
use uuid::Uuid;

use crate::domain::counter::Counter;
use crate::domain::money::Currency;
use crate::spelling;
use db::Pool;
use group_commit::GroupCommit;
use outbox::Outbox;

pub use db::{Database, DbError};
pub use error::{LedgerError, RecordError};
pub use export::{Exported, Period};
pub use figures::Counted;
pub use idempotency::{KeyClaim, KeyState};
pub use outbox::Notified;
pub use outbox::claim::{Backlog, Claimed, EntriesOf};
pub use query::{Filter, Page, PageRequest, StoredDecision};
pub use store::Store;

/// What an expense would take of the caps of its policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The category the caps belong to.
    pub category: String,
    /// The amount to take, in the policy's currency.
    pub amount: Decimal,
    /// The currency of the policy.
    pub currency: Currency,
    /// The caps that have to hold the expense.
    pub caps: Vec<ReservedCap>,
    /// From which similarity to an earlier expense on a rule that has found none would ask or deny.
    pub duplicate: Option<Decimal>,
    /// The plan whose share the expense takes over.
    pub plan: Option<Uuid>,
    /// The rules on split purchases that do not ask for approval yet: the days whose purchases count
    /// together, and the threshold.
    pub splits: Vec<(u16, Decimal)>,
}

/// A cap that an expense takes its share of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservedCap {
    /// The rule's id.
    pub rule: String,
    /// What the cap adds up.
    pub counter: Counter,
    /// The most that the counter may hold with this expense.
    pub max: Decimal,
}

/// What recording a decision or a resolution does to the caps.
#[derive(Clone, Copy, Debug)]
pub enum CapChange<'a> {
    /// Nothing changes.
    None,
    /// The expense takes its share; with a decision, only if that is approved or pending approval.
    Take(&'a Reservation),
    /// A credit takes its amount off the purchase it refunds, at most what is left of it, and frees
    /// that part of its share.
    Credit(&'a StoredDecision),
    /// A resolution grants this much of the expense, in the expense's own currency. The expense
    /// keeps its share of it, less what credits have taken off, and frees the rest.
    Keep(Decimal),
}

/// The ledger of all tenants.
#[derive(Clone, Debug)]
pub struct Ledger {
    writes: GroupCommit,
    pool: Pool,
    /// The names of tenants that are recorded in other spellings than their one.
    pub recorded_tenants: RecordedTenants,
    /// Notifications that wait to be sent.
    outbox: Outbox,
    /// The result of the last probe. No other data depends on it, so `Relaxed` suffices.
    was_ready: Arc<AtomicBool>,
}

/// The tenants whom an earlier version recorded in other spellings than the one of
/// [`spelling::tenant`], by the latter, each with the names under which it is recorded. A hash chain
/// belongs to the name that it began with, so a tenant with several names keeps several chains.
#[derive(Clone, Debug, Default)]
pub struct RecordedTenants(Arc<BTreeMap<String, Vec<String>>>);

impl RecordedTenants {
    /// The name under which the ledger keeps a tenant from now on: its one spelling if it is recorded
    /// in that or not at all, else the first of the names under which it is recorded.
    pub fn name_of(&self, tenant_id: &str) -> String {
        let spelled = spelling::tenant(tenant_id);
        match self.0.get(&*spelled) {
            Some(names) if !names.iter().any(|name| *name == *spelled) => names[0].clone(),
            _ => spelled.into_owned(),
        }
    }

    /// All names under which the ledger keeps a tenant, at least one.
    pub fn names_of(&self, tenant_id: &str) -> Vec<String> {
        let spelled = spelling::tenant(tenant_id);
        let recorded = self.0.get(&*spelled);
        recorded
            .cloned()
            .unwrap_or_else(|| vec![spelled.into_owned()])
    }
}

impl Ledger {
    /// The database that the ledger is in.
    pub fn database(&self) -> Database {
        self.pool.database()
    }

    /// Closes the connections; the last call on a ledger.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// A record as the text that is stored; several times faster than `Value::to_string`.
fn text_of(record: &Value) -> String {
    serde_json::to_string(record).expect("a JSON value can be written")
}
