//! Parses an [`Expense`] from untrusted JSON text: which fields a submission has, and what each may
//! contain. How a body is read field by field is in `body`.

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use strum::VariantNames;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use uuid::Uuid;

use crate::domain::body::{
    BodyError, Fields, ID, MAX_ID_CHARS, TEXT, free_text, line, string, uuid, value,
};
use crate::domain::expense::{Expense, calendar_date};
use crate::domain::facts::{FactName, Facts};
use crate::domain::money::Currency;
use crate::domain::receipt::{Receipt, receipt_schema};

/// Characters that a merchant's name may have.
pub const MAX_MERCHANT_CHARS: usize = 200;

const EXAMPLE: &str = r#"{"transaction": "Taxi", "amount": "45.00"}"#;
/// What is accepted as a merchant, or as the category of a card statement.
const LINE_OF_200: &str =
    "write 1 to 200 characters without control characters, and no blank at either end";
/// Characters that the category of a card statement may have.
pub const MAX_HINT_CHARS: usize = 200;
/// What is accepted as a currency.
const CURRENCY: &str = "write an ISO 4217 code in capitals such as \"USD\"";
/// What is accepted as a merchant category code.
const MCC: &str = "write a string of four digits such as \"5812\"";
/// What is accepted as a date.
const DATE: &str = "write a calendar date such as \"2026-03-14\"";
/// What is accepted as a receipt.
const RECEIPT: &str = "write true, false or \"itemized\"";
/// What is accepted as the purchase that a credit refunds.
const PURCHASE: &str = "write the id of the purchase's decision";
/// What is accepted as the decision that an expense supersedes.
const SUPERSEDED: &str = "write the id of the decision to supersede";
/// What is accepted where something is or is not.
const BOOLEAN: &str = "write true or false";
/// What is accepted as the plan of a purchase.
const PLAN: &str = "write the id of the plan's decision";
/// What is wrong with a credit or a plan that has a plan.
const NOT_UNDER: &str = "only a purchase has a plan; omit this field";
/// What is wrong with a plan that is a credit.
const PLANNED_CREDIT: &str = "a credit is no plan; omit this field";
/// What is wrong with a credit that supersedes a decision.
const SUPERSEDING_CREDIT: &str =
    "a credit needs no model, so it supersedes no decision; omit this field";

/// The fields of every submission; the facts come beside them.
const OWN_FIELDS: [&str; 14] = [
    "transaction",
    "amount",
    "currency",
    "merchant",
    "mcc",
    "category_hint",
    "date",
    "trip_id",
    "receipt",
    "user_id",
    "refunds",
    "supersedes",
    "plan",
    "under",
];

/// The fields that a submission may have: its own, followed by the facts.
pub const FIELDS: [&str; OWN_FIELDS.len() + FactName::VARIANTS.len()] = {
    let mut fields = [""; OWN_FIELDS.len() + FactName::VARIANTS.len()];
    let (own, facts) = fields.split_at_mut(OWN_FIELDS.len());
    own.copy_from_slice(&OWN_FIELDS);
    facts.copy_from_slice(FactName::VARIANTS);
    fields
};

/// The body of `POST /v1/expenses`, as a client writes it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"transaction": "Flight to Chicago, $650", "amount": 650.00}))]
pub struct Submission {
    /// What was bought, in free text: 1 to 2,000 characters, without control characters other than
    /// line breaks.
    pub transaction: String,
    /// Decimal string or number, up to 12 digits and the currency's minor digits: above zero, or
    /// below zero for a credit.
    #[schema(schema_with = amount_schema)]
    pub amount: serde_json::Value,
    /// ISO 4217 code in capitals. Default: `USD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// The merchant's name: 1 to 200 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merchant: Option<String>,
    /// Merchant category code: a string of four digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcc: Option<String>,
    /// The category that the card statement names in its own words: 1 to 200 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category_hint: Option<String>,
    /// Calendar date `YYYY-MM-DD`. Default: the day of receipt, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Expenses with the same trip id share the trip's cap: 1 to 128 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trip_id: Option<String>,
    /// Whether a receipt is attached, and `"itemized"` if it lists every item. Default: `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = receipt_schema)]
    pub receipt: Option<Receipt>,
    /// The employee: 1 to 128 characters. Default: the baggage member `user.id`, else the user of
    /// the API key, else `anonymous`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The id of the purchase that a credit, an amount below zero, returns money of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refunds: Option<String>,
    /// The id of an earlier decision of this employee that was made without the model's advice
    /// (`agent_outcome` is `error`): the expense is decided anew in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<String>,
    /// Whether this is a plan: no purchase yet, but one to agree on. Default: `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<bool>,
    /// The id of a plan of this employee that a person approved: this is the purchase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub under: Option<String>,
}

/// OpenAPI has no type for "a decimal string or a number", so the schema combines the two.
fn amount_schema() -> Schema {
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(r"^-?\d{1,12}(\.\d{1,4})?$"));
    let number = ObjectBuilder::new().schema_type(Type::Number);
    let description = "Decimal string or number, up to 12 digits and the currency's minor digits: above zero, or below zero for a credit.";
    OneOfBuilder::new()
        .item(text)
        .item(number)
        .description(Some(description))
        .into()
}

/// The values of fields that a body omits.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// The day of receipt, UTC.
    pub date: Date,
    /// The employee whom the request names outside its body.
    pub user_id: String,
}

/// An expense, as a body submitted it.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// The expense.
    pub expense: Expense,
    /// The earlier decision that the new one supersedes.
    pub supersedes: Option<Uuid>,
    /// Whether the body gave its date, rather than leaving it to the default.
    has_date: bool,
}

impl Submitted {
    /// A hash of what the body means: the same for `45` and `"45.00"`, and for a body without a
    /// date that is sent again on another day. SHA-256 as hex digits.
    pub fn fingerprint(&self) -> String {
        let mut meaning = json!(self.expense);
        if !self.has_date {
            meaning["date"] = serde_json::Value::Null;
        }
        if let Some(id) = self.supersedes {
            meaning["supersedes"] = json!(id);
        }
        hex::encode(Sha256::digest(meaning.to_string()))
    }

    /// Replaces the default date; has no effect if the body gave a date.
    pub fn set_default_date(&mut self, default: Date) {
        if !self.has_date {
            self.expense.date = default;
        }
    }
}

/// Parses an expense from a request body.
///
/// # Errors
/// [`BodyError::NotJson`] for broken JSON, [`BodyError::Fields`] with every error otherwise.
pub fn parse(body: &[u8], defaults: Defaults) -> Result<Submitted, BodyError> {
    let mut fields = Fields::read(body, &FIELDS, EXAMPLE)?;
    let transaction = fields.required("transaction", TEXT, free_text);
    let currency = fields.optional("currency", CURRENCY, |raw| string(raw)?.parse().ok());
    // If the currency is wrong, the amount is checked as dollars, so that its errors are reported
    // too.
    let amount = fields.amount("amount", currency.flatten().unwrap_or(Currency::USD));
    let merchant = fields.optional("merchant", LINE_OF_200, |raw| line(raw, MAX_MERCHANT_CHARS));
    let mcc = fields.optional("mcc", MCC, merchant_category_code);
    let category_hint = fields.optional("category_hint", LINE_OF_200, |raw| {
        line(raw, MAX_HINT_CHARS)
    });
    let date = fields.optional("date", DATE, |raw| calendar_date(&string(raw)?));
    let trip_id = fields.optional("trip_id", ID, |raw| line(raw, MAX_ID_CHARS));
    let receipt = fields.optional("receipt", RECEIPT, value::<Receipt>);
    let user_id = fields.optional("user_id", ID, |raw| line(raw, MAX_ID_CHARS));
    let refunds = fields.optional("refunds", PURCHASE, decision_id);
    let supersedes = fields.optional("supersedes", SUPERSEDED, decision_id);
    if refunds.flatten().is_some() && supersedes.flatten().is_some() {
        fields.report("supersedes", SUPERSEDING_CREDIT.to_owned());
    }
    let plan = fields.optional("plan", BOOLEAN, value::<bool>);
    let under = fields.optional("under", PLAN, decision_id);
    let (is_plan, is_credit) = (plan.flatten() == Some(true), refunds.flatten().is_some());
    if is_plan && is_credit {
        fields.report("plan", PLANNED_CREDIT.to_owned());
    }
    if under.flatten().is_some() && (is_plan || is_credit) {
        fields.report("under", NOT_UNDER.to_owned());
    }
    check_sign(&mut fields, amount, refunds);
    let facts = facts(&mut fields);
    let given_date = date.flatten();
    let expense = transaction
        .zip(amount.flatten())
        .map(|(transaction, amount)| Expense {
            transaction,
            amount,
            currency: currency.flatten().unwrap_or(Currency::USD),
            merchant: merchant.flatten(),
            mcc: mcc.flatten(),
            category_hint: category_hint.flatten(),
            date: given_date.unwrap_or(defaults.date),
            trip_id: trip_id.flatten(),
            receipt: receipt.flatten().unwrap_or_default(),
            user_id: user_id.flatten().unwrap_or(defaults.user_id),
            refunds: refunds.flatten(),
            plan: is_plan,
            under: under.flatten(),
            facts,
        });
    Ok(Submitted {
        expense: fields.finish(expense)?,
        supersedes: supersedes.flatten(),
        has_date: given_date.is_some(),
    })
}

/// The facts that a body states. A distance and its unit say nothing without each other.
fn facts(fields: &mut Fields) -> Facts {
    let given: Vec<FactName> = fields
        .given()
        .filter_map(|name| name.parse().ok())
        .collect();
    let mut facts = Facts::default();
    for name in &given {
        let form = name.declaration().form;
        let fact = fields.optional(name.into(), &form.accepted(), |raw| form.of_raw_json(raw));
        if let Some(Some(value)) = fact {
            facts.set(*name, value);
        }
    }
    let pair = [FactName::Distance, FactName::DistanceUnit];
    for (stated, absent) in [(pair[0], pair[1]), (pair[1], pair[0])] {
        if given.contains(&stated) && !given.contains(&absent) {
            let accepted = absent.declaration().form.accepted();
            let message = format!("`{stated}` says nothing without this field; {accepted}");
            fields.report(absent.into(), message);
        }
    }
    facts
}

/// A merchant category code: a string of four digits.
fn merchant_category_code(raw: &str) -> Option<String> {
    string(raw).filter(|code| code.len() == 4 && code.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The id of an earlier decision.
fn decision_id(raw: &str) -> Option<Uuid> {
    uuid(&string(raw)?)
}

/// What is wrong with a credit that names no purchase.
pub const UNNAMED_PURCHASE: &str =
    "the amount is below zero; name the purchase it refunds in `refunds`, or write one above zero";

/// An amount is required. It is below zero if the expense is a credit, which names the purchase it
/// refunds, and above zero otherwise. A field with an error of its own is not reported twice.
fn check_sign(fields: &mut Fields, amount: Option<Option<Decimal>>, refunds: Option<Option<Uuid>>) {
    let message = match (amount, refunds) {
        (Some(None), _) => "this field is required; write a decimal such as \"45.00\"",
        (Some(Some(amount)), Some(None)) if amount.is_sign_negative() => UNNAMED_PURCHASE,
        (Some(Some(amount)), Some(Some(_))) if !amount.is_sign_negative() => {
            "a credit is below zero; write an amount such as \"-45.00\""
        }
        _ => return,
    };
    fields.report("amount", message.to_owned());
}
