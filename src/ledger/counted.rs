//! Reading what counters hold: sums over the rows that `shares` and `keyed` keep up to date.

use jiff::ToSpan;
use jiff::civil::Date;
use rust_decimal::Decimal;
use sqlx::AssertSqlSafe;

use crate::domain::counter::{By, Counter, Period};
use crate::domain::expense::Expense;
use crate::domain::money;
use crate::domain::ruling::Window;
use crate::ledger::cap_scope::{CapScope, day_key, trip_key, year_key};
use crate::ledger::db::{Connection, DbError};
use crate::ledger::keyed::{self, Key};
use crate::ledger::statement::{Query, Value, query};
use crate::policy::evaluate::{CapUsage, Purchase};
use crate::policy::phrase::merchant_key;
use crate::spelling;

/// The rows that a counter adds up for an expense.
struct Range {
    /// The kind of row. Every expense counts in a row of its day, so the rows of days have what any
    /// period holds.
    window: Window,
    /// The key of the first row.
    first: String,
    /// The key of the last row.
    last: String,
}

impl Range {
    /// The rows that an expense counts in; `None` if no other expense counts there: a single expense
    /// is a window of its own, and so is one without a trip, a project, or what else is counted by.
    fn of(counter: &Counter, expense: &Expense) -> Option<Self> {
        let one = |window, key: String| Self {
            window,
            first: key.clone(),
            last: key,
        };
        match (counter.per, counter.by) {
            _ if counter.lacks(&expense.facts).is_some() => None,
            (Window::Trip, _) => {
                let trip_id = expense.trip_id.as_deref()?;
                Some(one(Window::Trip, trip_key(trip_id)))
            }
            (Window::Year, None) if counter.begins.is_none() => {
                Some(one(Window::Year, year_key(expense.date)))
            }
            _ => {
                let Period { first, last, .. } = counter.period(expense.date)?;
                Some(Self {
                    window: Window::Day,
                    first: day_key(first),
                    last: day_key(last),
                })
            }
        }
    }
}

/// Whether another expense of a category counts together with an expense in a counter of its scope.
pub(super) fn counts_together(
    counter: &Counter,
    scope: &CapScope<'_>,
    expense: &Expense,
    (category, other): (&str, &Expense),
) -> bool {
    let Some(range) = Range::of(counter, expense) else {
        return false;
    };
    let is_over = match counter.over.is_empty() {
        true => scope.category == category,
        false => counter.over.iter().any(|over| over == category),
    };
    let named = |expense: &Expense, by: By| {
        let name = expense.facts.text(by.fact());
        name.map(|name| spelling::person(name).into_owned())
    };
    let is_same = match counter.by {
        None => spelling::is_same_person(&expense.user_id, &other.user_id),
        Some(by) => named(expense, by) == named(other, by),
    };
    let key = match range.window {
        Window::Trip => other.trip_id.as_deref().map(trip_key),
        Window::Year => Some(year_key(other.date)),
        _ => Some(day_key(other.date)),
    };
    is_over && is_same && key.is_some_and(|key| (range.first..=range.last).contains(&key))
}

/// Whether other expenses can count together with an expense.
pub(super) fn counts_with_others(counter: &Counter, expense: &Expense) -> bool {
    Range::of(counter, expense).is_some()
}

/// What is used of some counters, and what was bought at the merchant of an expense within `days`
/// days before and after, if a rule on split purchases asks for it. One statement, because Postgres
/// takes a new snapshot for each.
pub(super) async fn used(
    db: &mut Connection,
    scope: &CapScope<'_>,
    expense: &Expense,
    counters: &[&Counter],
    days: Option<u16>,
) -> Result<CapUsage, DbError> {
    let keys = match counters.iter().any(|counter| counter.by.is_some()) {
        true => keyed::keys(db, scope.tenant_id, expense).await?,
        false => Vec::new(),
    };
    let mut selects = Vec::new();
    let mut values = Values(vec![scope.tenant_id.into(), scope.currency.code().into()]);
    for (n, counter) in counters.iter().enumerate() {
        // Several caps may ask for one counter.
        if !counters[..n].contains(counter)
            && let Some(range) = Range::of(counter, expense)
        {
            selects.extend(sum(n, counter, range, scope, &keys, &mut values));
        }
    }
    if let Some((days, merchant)) = days.zip(expense.merchant.as_deref().and_then(merchant_key)) {
        let span = i64::from(days).days();
        let person = values.add(&*scope.person);
        let [merchant, category] = [values.add(merchant), values.add(scope.category)];
        let first = values.add(day_key(expense.date.saturating_sub(span)));
        let last = values.add(day_key(expense.date.saturating_add(span)));
        // -1 is the number of no counter, and tells the rows of purchases from the sums.
        selects.push(format!(
            "SELECT CAST(-1 AS BIGINT), expense_date, amount_minor FROM merchant_usage WHERE tenant_id = $1
             AND user_id = {person} AND category = {category} AND currency = $2 AND merchant = {merchant}
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

/// The statement that adds up a counter; `None` if nothing is counted under the key of the expense.
/// One for all of its categories, because SQLite allows 500 in a union.
fn sum<'a>(
    n: usize,
    counter: &'a Counter,
    range: Range,
    scope: &'a CapScope<'_>,
    keys: &[Key],
    values: &mut Values<'a>,
) -> Option<String> {
    let rows = match counter.by {
        None => format!(
            "cap_usage WHERE user_id = {} AND time_window = '{}' AND window_key",
            values.add(&*scope.person),
            range.window
        ),
        Some(by) => {
            let (_, key_hash) = keys.iter().find(|(known, _)| *known == by)?;
            format!(
                "keyed_usage WHERE fact = '{}' AND key_hash = {} AND expense_date",
                by.fact(),
                values.add(key_hash.clone())
            )
        }
    };
    let [first, last] = [values.add(range.first), values.add(range.last)];
    let categories = match counter.over.is_empty() {
        true => values.add(scope.category),
        false => {
            let over = counter.over.iter().map(|category| values.add(category));
            over.collect::<Vec<_>>().join(", ")
        }
    };
    Some(format!(
        "SELECT CAST({n} AS BIGINT), '', CAST(COALESCE(SUM(used_minor), 0) AS BIGINT) FROM {rows}
         BETWEEN {first} AND {last} AND tenant_id = $1 AND category IN ({categories}) AND currency = $2"
    ))
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
    fn add(&mut self, value: impl Into<Value<'a>>) -> String {
        self.0.push(value.into());
        format!("${}", self.0.len())
    }

    fn bind_to(self, query: Query<'a>) -> Query<'a> {
        self.0.into_iter().fold(query, Query::bind)
    }
}
