//! Reading decisions back: one by id, or pages of them, newest first. A tenant sees its own and no others.

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::domain::decision::{Decision, Outcome, ValidationType};
use crate::ledger::{Ledger, LedgerError};

/// Which decisions are asked for; all that is set has to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those with this outcome.
    pub outcome: Option<Outcome>,
    /// Those of this category.
    pub category: Option<String>,
    /// Those of this employee.
    pub user_id: Option<String>,
    /// Those in which a check of this type finally failed.
    pub failed_validation: Option<ValidationType>,
}

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest {
    /// The decision the page before ended with.
    pub after: Option<Uuid>,
    /// The most decisions on the page.
    pub limit: u32,
}

/// Some decisions, and where the next ones begin.
#[derive(Clone, Debug)]
pub struct Page {
    /// The decisions, newest first.
    pub decisions: Vec<Decision>,
    /// What to ask for next; absent on the last page.
    pub next: Option<Uuid>,
}

impl Ledger {
    /// One decision of a tenant.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn get(&self, tenant_id: &str, id: Uuid) -> Result<Option<Decision>, LedgerError> {
        // The range of one id takes the index that the tenant leads. The index of the ids alone would fetch another
        // tenant's row before refusing it, and the time that takes tells it from an id that does not exist.
        let document: Option<String> =
            sqlx::query_scalar("SELECT document FROM decision WHERE tenant_id = $1 AND id BETWEEN $2 AND $2")
                .bind(tenant_id)
                .bind(id.to_string())
                .fetch_optional(&self.readers)
                .await?;
        document.as_deref().map(decision).transpose()
    }

    /// A page of a tenant's decisions.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list(&self, tenant_id: &str, filter: &Filter, page: PageRequest) -> Result<Page, LedgerError> {
        let outcome = filter.outcome.map(|outcome| outcome.to_string());
        let failed = filter.failed_validation.map(|kind| kind.to_string());
        let after = page.after.map(|after| after.to_string());
        let mut sql = "SELECT document FROM decision WHERE tenant_id = $1".to_owned();
        let mut values = vec![tenant_id.to_owned()];
        let conditions = [
            ("outcome =", outcome),
            ("category =", filter.category.clone()),
            ("user_id =", filter.user_id.clone()),
            ("id <", after),
        ];
        for (condition, value) in conditions.into_iter().filter_map(|(condition, value)| Some((condition, value?))) {
            values.push(value);
            sql.push_str(&format!(" AND {condition} ${}", values.len()));
        }
        if let Some(kind) = failed {
            values.push(kind);
            let n = values.len();
            sql.push_str(&format!(
                " AND id IN (SELECT decision_id FROM failed_validation WHERE tenant_id = $1 AND type = ${n})"
            ));
        }
        // One more than asked for tells whether there is a next page.
        sql.push_str(&format!(" ORDER BY id DESC LIMIT {}", u64::from(page.limit) + 1));
        // Values are bound; what is put together here are the conditions above and nothing of the caller's.
        let query = values.iter().fold(sqlx::query_scalar(AssertSqlSafe(sql)), |query, value| query.bind(value));
        let documents: Vec<String> = query.fetch_all(&self.readers).await?;
        let n_asked = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let has_more = documents.len() > n_asked;
        let decisions: Vec<Decision> =
            documents.iter().take(n_asked).map(|document| decision(document)).collect::<Result<_, _>>()?;
        let next = decisions.last().map(|last| last.id).filter(|_| has_more);
        Ok(Page { decisions, next })
    }
}

/// The decision that a row holds.
pub(super) fn decision(document: &str) -> Result<Decision, LedgerError> {
    serde_json::from_str(document).map_err(|error| {
        let excerpt = document.chars().take(60).collect();
        LedgerError::Corrupt(excerpt, error)
    })
}
