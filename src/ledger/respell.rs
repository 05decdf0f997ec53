//! Bringing the rows of earlier versions into the one spelling by which people, trips and merchants
//! are compared (see [`crate::spelling`]). SQL cannot fold a name, so a migration adds the columns,
//! and this file fills them in whenever a ledger is opened. Documents and hash chains stay as they
//! are.
//!
//! Each page of rows is one write, which locks its tenant and reads the rows that are still to do, so
//! that processes that start together, or one that was killed half-way, do nothing twice. Partial
//! indexes hold these rows. Once they are empty, as they are after every start but the first, looking
//! takes no time. An earlier version that still runs, during a rolling update, adds rows without the
//! columns; the next start brings those up to date.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use sqlx::AssertSqlSafe;

use crate::domain::ruling::Window;
use crate::ledger::db::Connection;
use crate::ledger::error::{LedgerError, RecordError};
use crate::ledger::group_commit::Slot;
use crate::ledger::statement::query;
use crate::ledger::write::LedgerWrite;
use crate::ledger::{Ledger, RecordedTenants};
use crate::policy::phrase::merchant_key;
use crate::spelling;

/// The most rows that one write brings up to date, so that other writes do not wait for long.
const PAGE: i64 = 500;

/// The tables with rows to bring up to date, and which rows these are.
const TO_DO: [(&str, &str); 3] = [
    ("decision", "person IS NULL"),
    (
        "cap_usage",
        "carried_minor IS NULL OR carried_minor <> used_minor",
    ),
    ("merchant_usage", "spelled IS NULL"),
];

impl Ledger {
    /// Brings all rows into their one spelling, and finds the tenants that are recorded in another
    /// spelling.
    pub(super) async fn respelled(self) -> Result<Self, LedgerError> {
        for (table, is_to_do) in TO_DO {
            let sql = AssertSqlSafe(format!(
                "SELECT DISTINCT tenant_id FROM {table} WHERE {is_to_do}"
            ));
            let tenants: Vec<(String,)> = query(sql)
                .fetch_all(&mut self.pool.acquire().await?)
                .await?;
            for (tenant_id,) in &tenants {
                let page = RespellPage {
                    tenant_id,
                    table,
                    is_to_do,
                };
                while self.writes.run(tenant_id, page).await? {}
            }
        }
        let recorded_tenants = self.recorded_tenants().await?;
        Ok(Self {
            recorded_tenants,
            ..self
        })
    }

    /// The tenants that are recorded in a spelling other than the one that is compared.
    pub(super) async fn recorded_tenants(&self) -> Result<RecordedTenants, LedgerError> {
        // A write that records nothing, such as an erasure, can leave a head at 0.
        let sql = "SELECT tenant_id FROM chain_head WHERE seq > 0 ORDER BY tenant_id";
        let names: Vec<(String,)> = query(sql)
            .fetch_all(&mut self.pool.acquire().await?)
            .await?;
        let mut recorded = BTreeMap::<String, Vec<String>>::new();
        for (name,) in names {
            let spelled = spelling::tenant(&name).into_owned();
            recorded.entry(spelled).or_default().push(name);
        }
        recorded.retain(|spelled, names| names.iter().any(|name| name != spelled));
        Ok(RecordedTenants(Arc::new(recorded)))
    }
}

/// Brings the next rows of a table up to date. Returns whether there may be more.
#[derive(Clone, Copy)]
struct RespellPage<'a> {
    tenant_id: &'a str,
    table: &'a str,
    is_to_do: &'a str,
}

impl LedgerWrite for RespellPage<'_> {
    type Output = bool;

    async fn write(&mut self, slot: &mut Slot) -> Result<bool, RecordError> {
        let db = slot.transaction();
        match self.table {
            "decision" => self.name_people(db).await,
            "cap_usage" => self.carry_usage(db).await,
            _ => self.respell_merchants(db).await,
        }
    }
}

impl RespellPage<'_> {
    /// The statement that reads these columns of the page. Its parameter is the tenant.
    fn select(&self, columns: &str) -> AssertSqlSafe<String> {
        let Self {
            table, is_to_do, ..
        } = self;
        AssertSqlSafe(format!(
            "SELECT {columns} FROM {table} WHERE tenant_id = $1 AND ({is_to_do}) LIMIT {PAGE}"
        ))
    }

    async fn name_people(&self, db: &mut Connection) -> Result<bool, RecordError> {
        let rows: Vec<(String, String)> = query(self.select("id, user_id"))
            .bind(self.tenant_id)
            .fetch_all(db)
            .await?;
        for (id, user_id) in &rows {
            query("UPDATE decision SET person = $1 WHERE id = $2")
                .bind(spelling::person(user_id).into_owned())
                .bind(id)
                .execute(db)
                .await?;
        }
        Ok(!rows.is_empty())
    }

    /// Adds to the row in the one spelling what a row in another spelling holds beyond the amount
    /// that was carried over before. The row in the other spelling stays, because a process of an
    /// earlier version may still read it.
    async fn carry_usage(&self, db: &mut Connection) -> Result<bool, RecordError> {
        type Row = (String, String, String, String, String, i64, Option<i64>);
        let columns =
            "user_id, category, currency, time_window, window_key, used_minor, carried_minor";
        let rows: Vec<Row> = query(self.select(columns))
            .bind(self.tenant_id)
            .fetch_all(db)
            .await?;
        for (user_id, category, currency, window, key, used_minor, carried_minor) in &rows {
            let person = spelling::person(user_id);
            let spelled_key = match window == <&str>::from(Window::Trip) {
                true => spelling::trip(key),
                false => key.into(),
            };
            if (&*person, &*spelled_key) != (user_id, key) {
                query(
                    "INSERT INTO cap_usage
                       (tenant_id, user_id, category, currency, time_window, window_key, used_minor, carried_minor)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
                     ON CONFLICT (tenant_id, user_id, category, currency, time_window, window_key)
                     DO UPDATE SET used_minor = cap_usage.used_minor + excluded.used_minor,
                       carried_minor = cap_usage.carried_minor + excluded.used_minor",
                )
                .bind(self.tenant_id)
                .bind(&*person)
                .bind(category)
                .bind(currency)
                .bind(window)
                .bind(&*spelled_key)
                .bind(used_minor - carried_minor.unwrap_or_default())
                .execute(db)
                .await?;
            }
            query(
                "UPDATE cap_usage SET carried_minor = used_minor WHERE tenant_id = $1 AND user_id = $2
                 AND category = $3 AND currency = $4 AND time_window = $5 AND window_key = $6",
            )
            .bind(self.tenant_id)
            .bind(user_id)
            .bind(category)
            .bind(currency)
            .bind(window)
            .bind(key)
            .execute(db)
            .await?;
        }
        Ok(!rows.is_empty())
    }

    /// Replaces rows with rows in the one spelling. The name of the merchant is read from the
    /// decision, because earlier versions stored it with the words cut at combining marks.
    async fn respell_merchants(&self, db: &mut Connection) -> Result<bool, RecordError> {
        type Row = (String, String, String, String, String, String, i64);
        let columns =
            "user_id, category, currency, merchant, expense_date, decision_id, amount_minor";
        let rows: Vec<Row> = query(self.select(columns))
            .bind(self.tenant_id)
            .fetch_all(db)
            .await?;
        for (user_id, category, currency, merchant, date, decision_id, amount_minor) in &rows {
            query(
                "DELETE FROM merchant_usage WHERE tenant_id = $1 AND user_id = $2 AND category = $3
                 AND currency = $4 AND merchant = $5 AND expense_date = $6 AND decision_id = $7",
            )
            .bind(self.tenant_id)
            .bind(user_id)
            .bind(category)
            .bind(currency)
            .bind(merchant)
            .bind(date)
            .bind(decision_id)
            .execute(db)
            .await?;
            let name = self.merchant_of(db, decision_id).await?;
            let key = name
                .as_deref()
                .and_then(merchant_key)
                .or_else(|| merchant_key(merchant));
            query(
                "INSERT INTO merchant_usage (tenant_id, user_id, category, currency, merchant, expense_date,
                   decision_id, amount_minor, spelled) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1)",
            )
            .bind(self.tenant_id)
            .bind(spelling::person(user_id).into_owned())
            .bind(category)
            .bind(currency)
            .bind(key.as_ref().unwrap_or(merchant))
            .bind(date)
            .bind(decision_id)
            .bind(*amount_minor)
            .execute(db)
            .await?;
        }
        Ok(!rows.is_empty())
    }

    /// The merchant of a decision, as it was written; `None` if its document names none.
    async fn merchant_of(
        &self,
        db: &mut Connection,
        decision_id: &str,
    ) -> Result<Option<String>, RecordError> {
        #[derive(Deserialize)]
        struct Bought {
            merchant: Option<String>,
        }
        // A range of one id, so that the index that begins with the tenant is used: see
        // `Ledger::get`.
        let document: Option<(String,)> =
            query("SELECT document FROM decision WHERE tenant_id = $1 AND id BETWEEN $2 AND $2")
                .bind(self.tenant_id)
                .bind(decision_id)
                .fetch_optional(db)
                .await?;
        // A document that cannot be read does not keep the ledger from being opened.
        Ok(document
            .and_then(|(document,)| serde_json::from_str::<Bought>(&document).ok()?.merchant))
    }
}
