//! The figures of each hour, counted from the hash chain: an overview adds up at most 30 days of hours
//! and reads no decision. Nothing is counted when a decision is recorded; a reader of figures counts
//! what was recorded since the last one. What is counted is in `domain::figures`.
//!
//! # Protocol
//!
//! A chain is the order in which the records of a tenant were made, and none is ever added before its
//! end. `figures_mark` says up to where a tenant's chain is counted. A page of records behind the mark
//! is read and counted without a lock; then one write adds the result to the hours and moves the mark,
//! unless the mark is no longer where it was read: then another replica counted these records, and
//! nothing is written. So every record is counted once, whichever replicas count, and wherever one of
//! them is killed.
//!
//! Decisions from before the chain began are in no figure, nor is what happened to them later.

use std::collections::BTreeMap;

use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::decision::Decision;
use crate::domain::figures::{Figures, Series, TimeRange, hour_of};
use crate::domain::resolution::Resolution;
use crate::ledger::Ledger;
use crate::ledger::error::{LedgerError, RecordError};
use crate::ledger::group_commit::Slot;
use crate::ledger::query::read;
use crate::ledger::statement::query;
use crate::ledger::write::LedgerWrite;

/// How far a tenant's records are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Records that are counted.
    pub n_counted: i64,
    /// Records that there are.
    pub n_records: i64,
    /// When the last record that is counted was made; absent if there is none.
    pub last_at: Option<Timestamp>,
}

impl Counted {
    /// How many records are not counted yet.
    pub fn n_behind(&self) -> i64 {
        self.n_records - self.n_counted
    }
}

impl Ledger {
    /// The figures of a tenant over a time range that ends now, as far as they are counted.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn figures(
        &self,
        tenant_id: &str,
        range: TimeRange,
        now: Timestamp,
    ) -> Result<Series, LedgerError> {
        let mut series = Series::new(range, now);
        let rows: Vec<(i64, String)> =
            query("SELECT hour, document FROM figures WHERE tenant_id = $1 AND hour >= $2")
                .bind(tenant_id)
                .bind(series.first_hour)
                .fetch_all(&mut self.pool.acquire().await?)
                .await?;
        for (hour, document) in rows {
            series.add(hour, &read(&document)?);
        }
        Ok(series)
    }

    /// How far the records of a tenant are counted.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn counted(&self, tenant_id: &str) -> Result<Counted, LedgerError> {
        let sql = "SELECT chain_head.seq, figures_mark.seq, chain.record_id FROM chain_head
                   LEFT JOIN figures_mark ON figures_mark.tenant_id = chain_head.tenant_id
                   LEFT JOIN chain ON chain.tenant_id = chain_head.tenant_id AND chain.seq = figures_mark.seq
                   WHERE chain_head.tenant_id = $1";
        let row: Option<(i64, Option<i64>, Option<String>)> = query(sql)
            .bind(tenant_id)
            .fetch_optional(&mut self.pool.acquire().await?)
            .await?;
        let (n_records, n_counted, last) = row.unwrap_or_default();
        Ok(Counted {
            n_counted: n_counted.unwrap_or_default(),
            n_records,
            last_at: last.and_then(|id| made_at(id.parse().ok()?)),
        })
    }

    /// Counts the next records of a tenant, at most `limit`. Returns how far the records are counted
    /// now.
    ///
    /// # Errors
    /// When the database fails, or a record cannot be read. Nothing is counted then.
    pub async fn count(&self, tenant_id: &str, limit: u32) -> Result<Counted, LedgerError> {
        let before = self.counted(tenant_id).await?;
        if before.n_behind() <= 0 {
            return Ok(before);
        }
        let page = self.page(tenant_id, before.n_counted, limit).await?;
        if page.last > before.n_counted {
            self.writes.run(tenant_id, page).await?;
        }
        self.counted(tenant_id).await
    }

    /// Reads the records behind a place in the chain, and counts them.
    async fn page<'a>(
        &self,
        tenant_id: &'a str,
        first: i64,
        limit: u32,
    ) -> Result<CountedPage<'a>, LedgerError> {
        let sql =
            "SELECT chain.seq, decision.document, resolution.document, resolved.document FROM chain
                   LEFT JOIN decision ON decision.id = chain.record_id
                   LEFT JOIN resolution ON resolution.id = chain.record_id
                   LEFT JOIN decision AS resolved ON resolved.id = resolution.decision_id
                   WHERE chain.tenant_id = $1 AND chain.seq > $2 ORDER BY chain.seq LIMIT $3";
        /// Place, decision, resolution, and the decision that it resolves.
        type Row = (i64, Option<String>, Option<String>, Option<String>);
        let rows: Vec<Row> = query(sql)
            .bind(tenant_id)
            .bind(first)
            .bind(i64::from(limit))
            .fetch_all(&mut self.pool.acquire().await?)
            .await?;
        let mut page = CountedPage {
            tenant_id,
            first,
            last: first,
            hours: BTreeMap::new(),
        };
        for (seq, decision, resolution, resolved) in rows {
            page.last = seq;
            if let Some(decision) = decision {
                let decision: Decision = read(&decision)?;
                page.hour(&decision).add(&Figures::of_decision(&decision));
                if let Some(old) = decision.supersedes {
                    self.take_out(&mut page, old).await?;
                }
            }
            if let (Some(resolution), Some(resolved)) = (resolution, resolved) {
                let decision: Decision = read(&resolved)?;
                if self.is_chained(decision.id).await? {
                    let resolution: Resolution = read(&resolution)?;
                    let figures = Figures::of_resolution(&decision, &resolution);
                    page.hour(&decision).add(&figures);
                }
            }
        }
        Ok(page)
    }

    /// Takes a superseded decision out of its hour, if it was counted there.
    async fn take_out(&self, page: &mut CountedPage<'_>, old: Uuid) -> Result<(), LedgerError> {
        if !self.is_chained(old).await? {
            return Ok(());
        }
        let old: Option<(String,)> =
            query("SELECT document FROM decision WHERE tenant_id = $1 AND id = $2")
                .bind(page.tenant_id)
                .bind(old.to_string())
                .fetch_optional(&mut self.pool.acquire().await?)
                .await?;
        if let Some((old,)) = old {
            let old: Decision = read(&old)?;
            page.hour(&old).subtract(&Figures::of_decision(&old));
        }
        Ok(())
    }

    /// Whether a decision is in the chain. One from before it began is not counted.
    async fn is_chained(&self, decision_id: Uuid) -> Result<bool, LedgerError> {
        let link: Option<(i64,)> = query("SELECT seq FROM chain WHERE record_id = $1")
            .bind(decision_id.to_string())
            .fetch_optional(&mut self.pool.acquire().await?)
            .await?;
        Ok(link.is_some())
    }
}

/// When a record was made, or the request for it received: ids begin with the time.
fn made_at(id: Uuid) -> Option<Timestamp> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    Timestamp::new(seconds.try_into().ok()?, nanos.try_into().ok()?).ok()
}

/// A page of records that are counted but not written yet.
struct CountedPage<'a> {
    tenant_id: &'a str,
    /// The place in the chain before the first record.
    first: i64,
    /// The place of the last one.
    last: i64,
    /// What they add to each hour.
    hours: BTreeMap<i64, Figures>,
}

impl CountedPage<'_> {
    /// The figures of the hour in which a decision was received. The hour is that of its id, by which
    /// lists are filtered as well.
    fn hour(&mut self, decision: &Decision) -> &mut Figures {
        let received_at = made_at(decision.id).unwrap_or(decision.received_at);
        self.hours.entry(hour_of(received_at)).or_default()
    }
}

impl LedgerWrite for CountedPage<'_> {
    type Output = ();

    async fn write(&mut self, slot: &mut Slot) -> Result<(), RecordError> {
        let transaction = slot.transaction();
        let n_moved = query(
            "INSERT INTO figures_mark (tenant_id, seq) VALUES ($1, $2)
             ON CONFLICT (tenant_id) DO UPDATE SET seq = $2 WHERE figures_mark.seq = $3",
        )
        .bind(self.tenant_id)
        .bind(self.last)
        .bind(self.first)
        .execute(transaction)
        .await?;
        if n_moved == 0 {
            return Ok(());
        }
        for (hour, more) in &self.hours {
            let before: Option<(String,)> =
                query("SELECT document FROM figures WHERE tenant_id = $1 AND hour = $2")
                    .bind(self.tenant_id)
                    .bind(*hour)
                    .fetch_optional(transaction)
                    .await?;
            let before: Option<Figures> = before.map(|(document,)| read(&document)).transpose()?;
            let mut figures = before.unwrap_or_default();
            figures.add(more);
            let document = serde_json::to_string(&figures)
                .expect("the steps of a decision, its keys, are plain names");
            query(
                "INSERT INTO figures (tenant_id, hour, document) VALUES ($1, $2, $3)
                 ON CONFLICT (tenant_id, hour) DO UPDATE SET document = $3",
            )
            .bind(self.tenant_id)
            .bind(*hour)
            .bind(document)
            .execute(transaction)
            .await?;
        }
        Ok(())
    }
}
