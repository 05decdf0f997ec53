//! What the rows of cap usage belong to, and their keys.

use std::borrow::Cow;

use jiff::civil::Date;
use sqlx::SqlSafeStr;

use crate::domain::decision::Decision;
use crate::domain::money::Currency;
use crate::ledger::Reservation;
use crate::ledger::statement::{Query, query};
use crate::spelling;

/// What the windows of caps belong to. Shares in different scopes never count together.
pub(super) struct CapScope<'a> {
    pub(super) tenant_id: &'a str,
    /// The employee, as people are compared. The column is called `user_id`.
    pub(super) person: Cow<'a, str>,
    pub(super) category: &'a str,
    pub(super) currency: Currency,
}

impl<'a> CapScope<'a> {
    /// The scope of a reservation.
    pub(super) fn of(decision: &'a Decision, reservation: &'a Reservation) -> Self {
        Self {
            tenant_id: &decision.tenant_id,
            person: spelling::person(&decision.expense.user_id),
            category: &reservation.category,
            currency: reservation.currency,
        }
    }

    /// A statement with the scope bound to its first four parameters.
    pub(super) fn query(&self, sql: impl SqlSafeStr) -> Query<'_> {
        let query = query(sql)
            .bind(self.tenant_id)
            .bind(&*self.person)
            .bind(self.category);
        query.bind(self.currency.code())
    }
}

/// The key of the row of a day.
pub(super) fn day_key(date: Date) -> String {
    date.to_string()
}

/// The key of the row of a trip.
pub(super) fn trip_key(trip_id: &str) -> String {
    spelling::trip(trip_id).into_owned()
}

/// The key of the row of a calendar year.
pub(super) fn year_key(date: Date) -> String {
    format!("{:04}", date.year())
}
