//! What the model is shown of one expense, as JSON beside the instructions. The facts can be
//! deserialized as well, because the offline model reads the same prompts as any other model.

use std::collections::BTreeSet;

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::domain::expense::{ConvertedAmount, Expense};
use crate::domain::facts::{FactName, FactValue, Facts};
use crate::domain::money::Currency;
use crate::domain::receipt::Receipt;
use crate::policy::evaluate::RuleFacts;
use crate::policy::subject::Subject;

/// What the model sees of an expense: neither the employee nor the trip.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExpenseFacts {
    /// What the employee wrote.
    pub transaction: String,
    /// Exact amount in `currency`.
    pub amount: Decimal,
    /// ISO 4217 code.
    pub currency: Currency,
    /// The merchant's name, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merchant: Option<String>,
    /// The merchant category code, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcc: Option<String>,
    /// The card statement's own category, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category_hint: Option<String>,
    /// The day of the purchase.
    pub date: Date,
    /// Which receipt is attached.
    pub receipt: Receipt,
    /// What else is known.
    #[serde(flatten)]
    pub facts: Facts,
}

impl From<&Expense> for ExpenseFacts {
    fn from(expense: &Expense) -> Self {
        Self {
            transaction: expense.transaction.clone(),
            amount: expense.amount,
            currency: expense.currency,
            merchant: expense.merchant.clone(),
            mcc: expense.mcc.clone(),
            category_hint: expense.category_hint.clone(),
            date: expense.date,
            receipt: expense.receipt,
            facts: expense.facts.clone(),
        }
    }
}

impl ExpenseFacts {
    /// The expense with only these facts. Of a recipient and of a receipt's address the model learns that
    /// there is one: the name is another person's, and the address may let its reader in.
    pub fn with_facts(mut self, names: &BTreeSet<FactName>) -> Self {
        self.facts = self.facts.only(names);
        for withheld in [FactName::Recipient, FactName::ReceiptUrl] {
            if self.facts.has(withheld) {
                let given = FactValue::Text("(given)".to_owned());
                self.facts.set(withheld, given);
            }
        }
        self
    }
}

/// One category that the model can choose.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CategoryFacts {
    /// Its id.
    pub id: String,
    /// The text of its policy; empty if none is in force on the day of the purchase.
    pub policy: String,
}

/// The facts of the step classify.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClassifyFacts {
    /// The categories to choose from.
    pub categories: Vec<CategoryFacts>,
    /// The expense.
    pub expense: ExpenseFacts,
}

/// One policy, as the model sees it: with its cap usage, without the verdict.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PolicyFacts {
    /// The policy as people read it.
    pub text: String,
    /// The currency of its amounts.
    pub currency: Currency,
    /// Its rules, each with how much of it is already used.
    pub rules: Vec<RuleFacts>,
}

/// The facts of the step decide. What many expenses share comes first, because providers reuse the
/// beginning of a prompt that they have seen before.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DecideFacts {
    /// The category of the expense.
    pub category: String,
    /// The policy in force.
    pub policy: PolicyFacts,
    /// The day of receipt, UTC.
    pub today: Date,
    /// The expense.
    pub expense: ExpenseFacts,
    /// Its amount in the policy's currency; absent if that is the expense's currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub converted_amount: Option<ConvertedAmount>,
}

impl DecideFacts {
    /// The facts that the rules look at. The model is shown all of them.
    pub fn subject(&self) -> Subject<'_> {
        let expense = &self.expense;
        Subject {
            amount: self
                .converted_amount
                .as_ref()
                .map_or(expense.amount, |converted| converted.amount),
            receipt: expense.receipt,
            date: expense.date,
            today: self.today,
            mcc: expense.mcc.as_deref(),
            merchant: expense.merchant.as_deref(),
            transaction: &expense.transaction,
            facts: &expense.facts,
        }
    }
}
