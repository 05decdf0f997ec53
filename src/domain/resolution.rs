//! How a person resolves an expense that the agent left open: the body of the request, and the
//! record that is kept. Who may resolve what is in `agent::resolve`.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantNames};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::body::{BodyError, Fields, ID, MAX_ID_CHARS, TEXT, free_text, line, string};
use crate::domain::expense::ConvertedAmount;
use crate::domain::money::Currency;
use crate::domain::ruling::Role;

const EXAMPLE: &str =
    r#"{"action": "approve", "role": "manager", "actor": "ben", "reason": "Agreed"}"#;
const FIELDS: [&str; 6] = ["action", "role", "actor", "reason", "amount", "category"];

/// What a person can do with an open expense.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    ToSchema,
    Display,
    EnumString,
    IntoStaticStr,
    VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Action {
    /// It is paid, in full or in part.
    Approve,
    /// It is not paid.
    Deny,
    /// It is withdrawn, as if it had never been submitted.
    Withdraw,
}

/// The body of `POST /v1/expenses/{id}/resolution`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"action": "approve", "role": "manager", "actor": "ben", "reason": "Agreed with the client."}))]
pub struct ResolutionRequest {
    /// What to do with the expense.
    pub action: Action,
    /// The role in which the person acts; the API key must have it. Required, unless people withdraw
    /// an expense of their own, or one that they handed in.
    pub role: Option<Role>,
    /// The person who acts: 1 to 128 characters. Default: the user of the key.
    pub actor: Option<String>,
    /// Why: 1 to 2,000 characters.
    pub reason: String,
    /// The amount to approve, in the expense's currency. Default: the whole expense.
    #[schema(value_type = Option<String>, example = "400.00")]
    pub amount: Option<Decimal>,
    /// The category to file an expense in review under, if the agent's category is wrong or
    /// missing.
    pub category: Option<String>,
}

/// Parses a request to resolve an expense in this currency.
///
/// # Errors
/// [`BodyError::NotJson`] for broken JSON, [`BodyError::Fields`] with every error otherwise.
pub fn parse(body: &[u8], currency: Currency) -> Result<ResolutionRequest, BodyError> {
    let mut fields = Fields::read(body, &FIELDS, EXAMPLE)?;
    let one_of = |names: &[&str]| format!("write one of {}", names.join(", "));
    let action = fields.required("action", &one_of(Action::VARIANTS), |raw| {
        string(raw)?.parse::<Action>().ok()
    });
    let role = fields.optional("role", &one_of(Role::VARIANTS), |raw| {
        string(raw)?.parse::<Role>().ok()
    });
    if role == Some(None) && action != Some(Action::Withdraw) {
        let message = format!("this field is required; {}", one_of(Role::VARIANTS));
        fields.report("role", message);
    }
    let actor = fields.optional("actor", ID, |raw| line(raw, MAX_ID_CHARS));
    let reason = fields.required("reason", TEXT, free_text);
    let amount = fields.amount("amount", currency).flatten();
    let category = fields
        .optional("category", ID, |raw| line(raw, MAX_ID_CHARS))
        .flatten();
    if amount.is_some_and(|amount| amount.is_sign_negative()) {
        fields.report(
            "amount",
            "the amount is below zero; write an amount above zero".to_owned(),
        );
    }
    for (name, is_given) in [
        ("amount", amount.is_some()),
        ("category", category.is_some()),
    ] {
        if is_given && action.is_some_and(|action| action != Action::Approve) {
            fields.report(
                name,
                "it is accepted only with the action approve; omit it".to_owned(),
            );
        }
    }
    let request = action
        .zip(reason)
        .map(|(action, reason)| ResolutionRequest {
            action,
            role: role.flatten(),
            actor: actor.flatten(),
            reason,
            amount,
            category,
        });
    fields.finish(request)
}

/// How an open expense was resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Resolution {
    /// UUIDv7.
    pub id: Uuid,
    /// The decision it resolves.
    pub expense_id: Uuid,
    /// What was done with the expense.
    pub action: Action,
    /// The role in which the person acted; absent if the person withdrew it without one.
    pub role: Option<Role>,
    /// The person who acted.
    pub actor: String,
    /// The id of the API key of the request.
    pub api_key: String,
    /// Why, in the person's words.
    pub reason: String,
    /// The amount that is paid, in the expense's currency: what was approved, less `credited`; while
    /// others still have to approve, what the person approved. Absent unless it was approved.
    #[schema(value_type = Option<String>, example = "400.00")]
    pub amount: Option<Decimal>,
    /// How much credits had taken off the expense while it waited, in the expense's currency.
    /// Absent unless it was approved after a credit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "100.00")]
    pub credited: Option<Decimal>,
    /// That amount in the policy's currency; absent if that is the expense's currency.
    #[serde(default)]
    pub converted_amount: Option<ConvertedAmount>,
    /// The category it is filed under; absent unless it was approved.
    pub category: Option<String>,
    /// The rules that were set aside for it.
    pub exceptions: Vec<String>,
    /// The roles that still have to approve after this approval; absent if it ended the matter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub awaits: Vec<Role>,
    /// The tenant it belongs to.
    pub tenant_id: String,
    /// The trace of the request: 32 hex digits.
    pub trace_id: String,
    /// When the request came in.
    #[schema(value_type = String, format = DateTime)]
    pub resolved_at: Timestamp,
}

impl Resolution {
    /// Whether nobody has to act any more. An approval that others have to follow resolves nothing.
    pub fn is_final(&self) -> bool {
        self.awaits.is_empty()
    }

    /// What the person approved, before credits were taken off; absent unless it was approved.
    pub fn approved(&self) -> Option<Decimal> {
        let credited = self.credited.unwrap_or_default();
        self.amount.map(|amount| amount + credited)
    }

    /// Completes an approval with what is known only inside the write that records it: the credits
    /// that came while the expense waited.
    pub fn complete(&mut self, paid: &Paid) {
        self.amount = Some(paid.amount);
        self.credited = Some(paid.credited).filter(|credited| !credited.is_zero());
        self.converted_amount.clone_from(&paid.converted_amount);
    }
}

/// What is paid for an expense that waited for approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paid {
    /// The amount, in the expense's currency, zero or more.
    pub amount: Decimal,
    /// How much less that is than the approved amount, because of credits.
    pub credited: Decimal,
    /// The amount in the policy's currency; absent if that is the expense's currency.
    pub converted_amount: Option<ConvertedAmount>,
    /// The share of the caps that the expense keeps, in the policy's currency.
    pub share: Decimal,
}
