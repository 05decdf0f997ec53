//! What waits for a person: the open decisions of a tenant, the oldest first, and how many there are.
//! Lists of all decisions, newest first, are in `query`.

use std::collections::BTreeMap;

use sqlx::AssertSqlSafe;
use strum::IntoEnumIterator;
use uuid::Uuid;

use crate::domain::ruling::Role;
use crate::ledger::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::query::{Page, PageRequest, Row, SELECT, stored_decision};
use crate::ledger::statement::query;
use crate::ledger::visibility;
use crate::spelling;

/// Beyond this many open decisions of a role, the exact number is not counted.
pub const MAX_COUNTED: u64 = 999;

impl Ledger {
    /// The open decisions of a tenant for which one of these roles is the lowest that can resolve
    /// them, the oldest first: all of them, or, with `seen_by`, those that this person may see.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn waiting(
        &self,
        tenant_id: &str,
        seen_by: Option<&str>,
        roles: &[Role],
        page: PageRequest,
    ) -> Result<Page, LedgerError> {
        // One statement for each role: the index holds the open decisions of one role in the order of
        // their ids. `IN` would read and sort the whole queue.
        let only = seen_by
            .map(|_| visibility::condition(5))
            .unwrap_or_default();
        let sql = format!(
            "{SELECT} WHERE decision.tenant_id = $1 AND decision.pending_role = $2 AND decision.id > $3{only}
             ORDER BY decision.id LIMIT $4"
        );
        let after = page.after.unwrap_or(Uuid::nil()).to_string();
        let mut rows = Vec::new();
        for role in roles {
            let mut query = query(AssertSqlSafe(sql.clone()))
                .bind(tenant_id)
                .bind(role.to_string())
                .bind(&after)
                .bind(i64::from(page.limit) + 1);
            if let Some(person) = seen_by {
                query = query.bind(spelling::person(person).into_owned());
            }
            let of_role: Vec<Row> = query.fetch_all(&mut self.pool.acquire().await?).await?;
            rows.extend(of_role);
        }
        let decisions = rows.into_iter().map(stored_decision);
        let mut decisions = decisions.collect::<Result<Vec<_>, _>>()?;
        decisions.sort_by_key(|stored| stored.decision.id);
        Ok(Page::of(decisions, page.limit))
    }

    /// How many open decisions of a tenant wait for each role, at most one more than [`MAX_COUNTED`].
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn waiting_by_role(
        &self,
        tenant_id: &str,
    ) -> Result<BTreeMap<Role, u64>, LedgerError> {
        let mut counts = BTreeMap::new();
        for role in Role::iter() {
            let sql = "SELECT COUNT(*) FROM (SELECT id FROM decision WHERE tenant_id = $1 AND pending_role = $2 LIMIT $3) AS open";
            let (n,): (i64,) = query(sql)
                .bind(tenant_id)
                .bind(role.to_string())
                .bind(i64::try_from(MAX_COUNTED + 1).unwrap_or(i64::MAX))
                .fetch_one(&mut self.pool.acquire().await?)
                .await?;
            counts.insert(role, u64::try_from(n).unwrap_or_default());
        }
        Ok(counts)
    }
}
