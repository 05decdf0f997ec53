//! The caps of a policy as one expense found them: limit, and what was used before it. Whether a cap
//! allows an expense is decided in `policy`, what is used of it is kept in `ledger`.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::counter::{By, Counter};
use crate::domain::expense::Expense;
use crate::domain::ruling::Window;

/// A cap of the policy that judged an expense. Amounts are in the policy's currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cap {
    /// The rule's id.
    pub rule: String,
    /// What the cap adds up over.
    pub window: Window,
    /// Which one of these windows: `2026-03-14`, `2026-W11`, `2026-03`, `2026-Q1`, `2026`, the first
    /// day of a year that does not begin on the first of January, or the id of the trip. Absent for a
    /// cap on one expense, and if the expense names no trip or not what the cap counts by.
    pub window_key: Option<String>,
    /// The categories that the cap adds up; absent for a cap on its own category alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub over: Vec<String>,
    /// The fact by which it adds up expenses; absent for a cap on what one employee gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<By>,
    /// The most that the window may hold, whether or not the expense fits.
    #[schema(example = "500.00")]
    pub limit: Decimal,
    /// How much of it was used before the expense.
    #[schema(example = "0.00")]
    pub used: Decimal,
}

impl Cap {
    /// The cap of a rule, as an expense found it.
    pub fn new(
        rule: String,
        counter: &Counter,
        expense: &Expense,
        limit: Decimal,
        used: Decimal,
    ) -> Self {
        Self {
            rule,
            window: counter.per,
            window_key: counter.key(expense),
            over: counter.over.clone(),
            by: counter.by,
            limit,
            used,
        }
    }

    /// Sets how much was used; the number keeps its decimals.
    pub fn set_used(&mut self, used: Decimal) {
        self.used = used + Decimal::new(0, self.used.scale());
    }
}
