//! The purchases of credits that do not name one. Card statements list the money that comes back, but
//! not what it is for. A purchase is chosen only if exactly one fits; everything else is left to a
//! person.

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::cli::decide::batch_client::BatchClient;
use crate::cli::decide::row::{Content, Credit, Review, Row};
use crate::cli::decide::row_keys::{keyed, refunding};
use crate::domain::expense::Expense;
use crate::domain::money::Currency;
use crate::redact::redact;
use crate::spelling::words;

/// Decisions on a page: the most that the route allows.
const PAGE: &str = "200";
/// The most candidates that are shown.
const MAX_CANDIDATES: usize = 20;

/// A page of decisions.
#[derive(Deserialize)]
struct Page {
    decisions: Vec<Listed>,
    next_cursor: Option<Uuid>,
}

/// The part of a decision that is compared with a row.
#[derive(Deserialize)]
struct Listed {
    id: Uuid,
    transaction: String,
    amount: Decimal,
    currency: Currency,
    merchant: Option<String>,
    date: Date,
    #[serde(default)]
    refunds: Option<Uuid>,
}

/// If a row is a credit without its purchase, makes it a line that names the purchase, or leaves it to
/// a person. The rows before it have to be decided already.
///
/// # Errors
/// When the decisions of the employee cannot be read.
pub(super) async fn find_purchase(row: &mut Row, client: &BatchClient) -> anyhow::Result<()> {
    let Content::Credit(credit) = &row.content else {
        return Ok(());
    };
    let decisions = decisions_of(&credit.expense.user_id, client).await?;
    row.content = match purchase(credit, &decisions) {
        Ok(purchase) => line(credit, purchase),
        Err(review) => Content::Review(review),
    };
    Ok(())
}

/// The line that is sent for a credit.
fn line(credit: &Credit, purchase: Uuid) -> Content {
    let line = refunding(&credit.text, purchase)
        .and_then(|text| RawValue::from_string(text).ok())
        .and_then(|expense| keyed(credit.key.clone(), expense));
    // If the line cannot be built, the row as it is gets refused: it names no purchase.
    Content::Line(line.unwrap_or_else(|| credit.text.clone()))
}

/// All decisions of an employee, newest first.
async fn decisions_of(user_id: &str, client: &BatchClient) -> anyhow::Result<Vec<Listed>> {
    let mut decisions = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut query = vec![("user_id", user_id), ("limit", PAGE)];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page: Page = client.list(&query).await?;
        decisions.extend(page.decisions);
        match page.next_cursor {
            Some(next) => cursor = Some(next.to_string()),
            None => return Ok(decisions),
        }
    }
}

/// The purchase that a credit refunds: the one that an earlier run chose, or else the only one that
/// fits.
fn purchase(credit: &Credit, decisions: &[Listed]) -> Result<Uuid, Review> {
    let expense = &credit.expense;
    // Oldest first, as the ordinals of equal rows count: the list is newest first.
    let mut recorded = decisions
        .iter()
        .rev()
        .filter(|decision| decision.is_recorded(expense))
        .filter_map(|decision| decision.refunds);
    if let Some(purchase) = recorded.nth(credit.ordinal - 1) {
        return Ok(purchase);
    }
    let is_refunded = |id: Uuid| decisions.iter().any(|other| other.refunds == Some(id));
    let candidates: Vec<Uuid> = decisions
        .iter()
        .filter(|decision| decision.is_purchase_of(expense) && !is_refunded(decision.id))
        .map(|decision| decision.id)
        .collect();
    match candidates[..] {
        [only] => Ok(only),
        _ => Err(Review {
            review: format!(
                "{} of the same employee, merchant and amount can be the one that this row refunds; \
                 a person has to name it in `refunds`",
                match candidates.len() {
                    0 => "no earlier purchase".to_owned(),
                    n => format!("{n} earlier purchases"),
                }
            ),
            candidates: candidates.into_iter().take(MAX_CANDIDATES).collect(),
        }),
    }
}

impl Listed {
    /// Whether this is the decision on a row with the same facts as the credit.
    fn is_recorded(&self, credit: &Expense) -> bool {
        self.refunds.is_some()
            && self.amount == credit.amount
            && self.currency == credit.currency
            && self.date == credit.date
            && is_same_text(&self.transaction, &credit.transaction)
            && self.merchant.as_deref().map(redacted_words)
                == credit.merchant.as_deref().map(redacted_words)
    }

    /// Whether a credit may refund this purchase.
    fn is_purchase_of(&self, credit: &Expense) -> bool {
        let is_same_merchant = match (&self.merchant, &credit.merchant) {
            (Some(one), Some(other)) => is_same_text(one, other),
            _ => false,
        };
        is_same_merchant
            && self.amount == -credit.amount
            && self.currency == credit.currency
            && self.date <= credit.date
    }
}

/// Whether two texts have the same words once both are redacted, because a service may record
/// redacted texts.
fn is_same_text(one: &str, other: &str) -> bool {
    redacted_words(one) == redacted_words(other)
}

fn redacted_words(text: &str) -> Vec<String> {
    words(&redact(text))
}
