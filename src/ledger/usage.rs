//! What employees have used of the windows that caps count over: reading it, checking a cap against
//! it, and taking and freeing shares. Whether a cap allows an expense is decided in `policy`.

use std::borrow::Cow;

use jiff::ToSpan;
use jiff::civil::Date;
use rust_decimal::Decimal;
use sqlx::{AssertSqlSafe, SqlSafeStr};

use crate::domain::counter::{Counter, Period};
use crate::domain::decision::Decision;
use crate::domain::expense::Expense;
use crate::domain::money::{self, Currency};
use crate::domain::ruling::{Outcome, Window};
use crate::ledger::db::{Connection, DbError};
use crate::ledger::error::{LedgerError, RecordError};
use crate::ledger::query::StoredDecision;
use crate::ledger::statement::{Query, Value, query};
use crate::ledger::{Ledger, Reservation, ReservedCap};
use crate::policy::Policy;
use crate::policy::evaluate::{CapUsage, Purchase};
use crate::policy::phrase::merchant_key;
use crate::spelling;

/// The windows an expense counts in, each with its key. An expense without a trip is a trip of its
/// own, which no other expense counts in.
fn windows(expense: &Expense) -> Vec<(Window, String)> {
    let mut windows = vec![
        (Window::Day, day_key(expense.date)),
        (Window::Year, year_key(expense.date)),
    ];
    windows.extend(
        expense
            .trip_id
            .as_deref()
            .map(|trip_id| (Window::Trip, trip_key(trip_id))),
    );
    windows
}

fn day_key(date: Date) -> String {
    date.to_string()
}

fn trip_key(trip_id: &str) -> String {
    spelling::trip(trip_id).into_owned()
}

fn year_key(date: Date) -> String {
    format!("{:04}", date.year())
}

impl Ledger {
    /// What the employee of an expense already has approved, or pending approval, in the windows of
    /// the policy's category, in the policy's currency.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn usage(
        &self,
        tenant_id: &str,
        policy: &Policy,
        expense: &Expense,
    ) -> Result<CapUsage, LedgerError> {
        let scope = CapScope {
            tenant_id,
            person: spelling::person(&expense.user_id),
            category: &policy.category,
            currency: policy.currency,
        };
        let days = policy.splits().map(|(_, days, _)| days).max();
        let counters: Vec<&Counter> = policy.caps().map(|(_, counter, _)| counter).collect();
        let mut db = self.pool.acquire().await?;
        Ok(used(&mut db, &scope, expense, &counters, days).await?)
    }
}

/// What the windows of caps belong to. Shares in different scopes never count together.
struct CapScope<'a> {
    tenant_id: &'a str,
    /// The employee, as people are compared. The column is called `user_id`.
    person: Cow<'a, str>,
    category: &'a str,
    currency: Currency,
}

impl<'a> CapScope<'a> {
    /// The scope of a reservation.
    fn of(decision: &'a Decision, reservation: &'a Reservation) -> Self {
        Self {
            tenant_id: &decision.tenant_id,
            person: spelling::person(&decision.expense.user_id),
            category: &reservation.category,
            currency: reservation.currency,
        }
    }

    /// A statement with the scope bound to its first four parameters.
    fn query(&self, sql: impl SqlSafeStr) -> Query<'_> {
        let query = query(sql)
            .bind(self.tenant_id)
            .bind(&*self.person)
            .bind(self.category);
        query.bind(self.currency.code())
    }
}

/// The rows of one employee that a counter adds up.
struct Range {
    /// The kind of row. Every expense counts in a row of its day, so the rows of days have what any
    /// period holds.
    window: Window,
    /// The keys of the rows, from the first to the last.
    keys: (String, String),
}

impl Range {
    /// The rows that an expense counts in; `None` if no other expense counts there.
    fn of(counter: &Counter, expense: &Expense) -> Option<Self> {
        let one = |window, key: String| Self {
            window,
            keys: (key.clone(), key),
        };
        match counter.per {
            Window::Trip => {
                let trip_id = expense.trip_id.as_deref()?;
                return Some(one(Window::Trip, trip_key(trip_id)));
            }
            Window::Year if counter.begins.is_none() => {
                return Some(one(Window::Year, year_key(expense.date)));
            }
            _ => {}
        }
        let Period { first, last, .. } = counter.period(expense.date)?;
        Some(Self {
            window: Window::Day,
            keys: (day_key(first), day_key(last)),
        })
    }
}

/// What is used of some counters, and what was bought at the merchant of an expense within `days`
/// days before and after, if a rule on split purchases asks for it. One statement, because Postgres
/// takes a new snapshot for each.
async fn used(
    db: &mut Connection,
    scope: &CapScope<'_>,
    expense: &Expense,
    counters: &[&Counter],
    days: Option<u16>,
) -> Result<CapUsage, DbError> {
    let mut selects = Vec::new();
    let mut values = Values(vec![
        scope.tenant_id.into(),
        (*scope.person).into(),
        scope.currency.code().into(),
    ]);
    for (n, counter) in counters.iter().enumerate() {
        // Several caps may ask for one counter.
        let is_read = counters[..n].contains(counter);
        let Some(Range { window, keys }) = Range::of(counter, expense).filter(|_| !is_read) else {
            continue;
        };
        let own = [scope.category.to_owned()];
        let categories = match counter.over.is_empty() {
            true => &own[..],
            false => &counter.over,
        };
        let [first, last] = [values.add(keys.0), values.add(keys.1)];
        // A select for each category, because each is a range of the primary key.
        for category in categories {
            let category = values.add(category.clone());
            selects.push(format!(
                "SELECT CAST({n} AS BIGINT), '', CAST(COALESCE(SUM(used_minor), 0) AS BIGINT) FROM cap_usage
                 WHERE tenant_id = $1 AND user_id = $2 AND category = {category} AND currency = $3
                 AND time_window = '{window}' AND window_key BETWEEN {first} AND {last}"
            ));
        }
    }
    if let Some((days, merchant)) = days.zip(expense.merchant.as_deref().and_then(merchant_key)) {
        let span = i64::from(days).days();
        let [merchant, category] = [values.add(merchant), values.add(scope.category.to_owned())];
        let first = values.add(day_key(expense.date.saturating_sub(span)));
        let last = values.add(day_key(expense.date.saturating_add(span)));
        selects.push(format!(
            "SELECT CAST(-1 AS BIGINT), expense_date, amount_minor FROM merchant_usage WHERE tenant_id = $1
             AND user_id = $2 AND category = {category} AND currency = $3 AND merchant = {merchant}
             AND expense_date BETWEEN {first} AND {last}"
        ));
    }
    if selects.is_empty() {
        return Ok(CapUsage::default());
    }
    let sql = AssertSqlSafe(selects.join(" UNION ALL "));
    let rows: Vec<(i64, String, i64)> = values.bind_to(query(sql)).fetch_all(db).await?;
    let mut usage = CapUsage::default();
    for (n, date, minor) in rows {
        let amount = money::from_minor(minor, scope.currency);
        match usize::try_from(n).ok().and_then(|n| counters.get(n)) {
            Some(counter) => usage.add(counter, amount),
            None => usage.purchases.push(purchase(&date, expense, amount)?),
        }
    }
    Ok(usage)
}

/// Another purchase at the merchant of an expense.
fn purchase(date: &str, expense: &Expense, amount: Decimal) -> Result<Purchase, DbError> {
    let date: Date = date
        .parse()
        .map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(Purchase {
        n_days_apart: (date - expense.date).get_days().unsigned_abs(),
        amount,
    })
}

/// The values of a statement that is put together from parts.
struct Values<'a>(Vec<Value<'a>>);

impl<'a> Values<'a> {
    /// Adds a value. Returns its parameter.
    fn add(&mut self, value: String) -> String {
        self.0.push(value.into());
        format!("${}", self.0.len())
    }

    fn bind_to(self, query: Query<'a>) -> Query<'a> {
        self.0.into_iter().fold(query, Query::bind)
    }
}

/// Binds windows and their keys to the next parameters of a statement.
fn bind<'a>(query: Query<'a>, windows: &'a [(Window, String)]) -> Query<'a> {
    windows.iter().fold(query, |query, (window, key)| {
        query.bind(<&'static str>::from(window)).bind(key)
    })
}

/// Checks that every cap can hold an expense, and returns what is used of them. The tenant is locked
/// until the transaction ends, so what fits now can be taken.
///
/// # Errors
/// [`RecordError::CapMoved`] when a cap cannot hold it.
pub(super) async fn check(
    transaction: &mut Connection,
    decision: &Decision,
    reservation: &Reservation,
) -> Result<CapUsage, RecordError> {
    let expense = &decision.expense;
    let Reservation {
        amount,
        caps,
        splits,
        ..
    } = reservation;
    let days = splits.iter().map(|(days, _)| *days).max();
    let scope = CapScope::of(decision, reservation);
    let counters: Vec<&Counter> = caps.iter().map(|cap| &cap.counter).collect();
    let usage = used(transaction, &scope, expense, &counters, days).await?;
    // A cap on one expense does not depend on others, so it cannot have moved; and an expense
    // without a trip shares its trip with no other.
    let holds = |cap: &ReservedCap| {
        Range::of(&cap.counter, expense).is_none() || usage.of(&cap.counter) + amount <= cap.max
    };
    let is_split = |(days, limit): &(u16, Decimal)| {
        let used = usage.at_merchant(*days, *limit);
        !used.is_zero() && used + amount > *limit
    };
    if !caps.iter().all(holds) || splits.iter().any(is_split) {
        return Err(RecordError::CapMoved);
    }
    Ok(usage)
}

/// Adds an expense that passed [`check`] to its windows and to the purchases at its merchant. Returns
/// its share in minor units.
pub(super) async fn take(
    transaction: &mut Connection,
    decision: &Decision,
    reservation: &Reservation,
) -> Result<i64, DbError> {
    let scope = CapScope::of(decision, reservation);
    let share_minor = money::to_minor(reservation.amount, reservation.currency);
    add(transaction, &scope, &decision.expense, share_minor).await?;
    if let Some(merchant) = decision.expense.merchant.as_deref().and_then(merchant_key) {
        let sql =
            "INSERT INTO merchant_usage (tenant_id, user_id, category, currency, merchant, expense_date, decision_id,
                   amount_minor, spelled) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1)";
        let query = scope
            .query(sql)
            .bind(merchant)
            .bind(day_key(decision.expense.date));
        query
            .bind(decision.id.to_string())
            .bind(share_minor)
            .execute(transaction)
            .await?;
    }
    Ok(share_minor)
}

/// Adds an amount in minor units to the windows of an expense; subtracts it when it is negative.
async fn add(
    transaction: &mut Connection,
    scope: &CapScope<'_>,
    expense: &Expense,
    minor: i64,
) -> Result<(), DbError> {
    let windows = windows(expense);
    let row = |n: usize| format!("($1, $2, $3, $4, $5, $5, ${}, ${})", n * 2 + 6, n * 2 + 7);
    let rows = (0..windows.len()).map(row).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "INSERT INTO cap_usage
           (tenant_id, user_id, category, currency, used_minor, carried_minor, time_window, window_key)
         VALUES {rows} ON CONFLICT (tenant_id, user_id, category, currency, time_window, window_key)
         DO UPDATE SET used_minor = cap_usage.used_minor + excluded.used_minor,
           carried_minor = cap_usage.carried_minor + excluded.used_minor"
    );
    bind(scope.query(AssertSqlSafe(sql)).bind(minor), &windows)
        .execute(transaction)
        .await?;
    Ok(())
}

/// The share that a decision has taken of its windows, in minor units of its policy's currency.
pub(super) async fn share_of(
    transaction: &mut Connection,
    decision: &Decision,
) -> Result<i64, DbError> {
    let (share,): (Option<i64>,) =
        query("SELECT share_minor FROM decision WHERE tenant_id = $1 AND id = $2")
            .bind(&decision.tenant_id)
            .bind(decision.id.to_string())
            .fetch_one(transaction)
            .await?;
    let (amount, currency) = decision.policy_amount();
    // Decisions from before the column was introduced have no share in it: theirs is their amount.
    let takes_share = matches!(decision.outcome, Outcome::Approved | Outcome::NeedsApproval);
    Ok(share.unwrap_or(if takes_share {
        money::to_minor(amount, currency)
    } else {
        0
    }))
}

/// Stores the share that a decision has taken of its windows.
pub(super) async fn set_share(
    transaction: &mut Connection,
    decision: &Decision,
    share_minor: i64,
) -> Result<(), DbError> {
    query("UPDATE decision SET share_minor = $1 WHERE tenant_id = $2 AND id = $3")
        .bind(share_minor)
        .bind(&decision.tenant_id)
        .bind(decision.id.to_string())
        .execute(transaction)
        .await?;
    Ok(())
}

/// Returns a part of an expense's share, at most all of it, to its windows and to the purchases at
/// its merchant. Returns what was freed, in minor units.
pub(super) async fn free(
    transaction: &mut Connection,
    stored: &StoredDecision,
    wanted_minor: i64,
) -> Result<i64, DbError> {
    let decision = &stored.decision;
    let share_minor = share_of(transaction, decision).await?;
    let freed_minor = wanted_minor.clamp(0, share_minor);
    if freed_minor == 0 {
        return Ok(0);
    }
    let expense = &decision.expense;
    let scope = CapScope {
        tenant_id: &decision.tenant_id,
        person: spelling::person(&expense.user_id),
        category: stored.category().unwrap_or_default(),
        currency: stored
            .converted_amount()
            .map_or(expense.currency, |converted| converted.currency),
    };
    add(transaction, &scope, expense, -freed_minor).await?;
    if let Some(merchant) = expense.merchant.as_deref().and_then(merchant_key) {
        // Changes no row when the employee's texts were erased: that deleted the row.
        query(
            "UPDATE merchant_usage SET amount_minor = amount_minor - $1 WHERE tenant_id = $2 AND user_id = $3
             AND category = $4 AND currency = $5 AND merchant = $6 AND expense_date = $7 AND decision_id = $8",
        )
        .bind(freed_minor)
        .bind(scope.tenant_id)
        .bind(&*scope.person)
        .bind(scope.category)
        .bind(scope.currency.code())
        .bind(merchant)
        .bind(day_key(expense.date))
        .bind(decision.id.to_string())
        .execute(transaction)
        .await?;
    }
    set_share(transaction, decision, share_minor - freed_minor).await?;
    Ok(freed_minor)
}
