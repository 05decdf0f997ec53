//! The files of cases beside policies, such as `meals.test.toml`: expenses, each with the verdict that
//! the author of the policy expects. How a case is judged is in `judging`, how the result is compared
//! and printed in `test`.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::civil::Date;
use rust_decimal::Decimal;
use strum::VariantNames;
use toml::Spanned;
use toml::de::{DeString, DeValue};

use super::judging::{Given, Used};
use crate::domain::body::BodyError;
use crate::domain::expense::{ANONYMOUS, Expense, calendar_date};
use crate::domain::money;
use crate::domain::ruling::{Outcome, Role};
use crate::domain::submission::{self, Defaults};
use crate::policy::evaluate::Purchase;
use crate::toml_reader::diagnostic::Diagnostics;
use crate::toml_reader::table::{Table, list, values};
use crate::toml_reader::values::{DATE, TEXT, date, filled_text, name, one_of};
use crate::toml_reader::{self, Source};

const CATEGORY: &str = "the category of a policy, such as \"meals\"";
const AMOUNT: &str = "a decimal such as \"60.00\"";
/// What is accepted as the similarity of an earlier expense.
const SIMILARITY: &str = "how alike the most similar earlier expense is, such as \"0.8\"";
const RULE: &str = "the id of a rule";
const MISSING: &str = "what is missing, such as \"receipt\"";
/// What a case writes when no approver is expected.
const NO_APPROVER: &str = "none";
/// The most decimals of an amount in any currency.
const MAX_DECIMALS: u32 = 4;

/// One expense, and what is expected of the policy.
#[derive(Debug)]
pub(super) struct Case {
    /// What it shows, in words.
    pub(super) name: String,
    /// Its line in the file.
    pub(super) line: usize,
    /// What is judged.
    pub(super) given: Given,
    /// What is expected.
    pub(super) expected: Expected,
}

/// What a case expects; what it leaves out is not compared.
#[derive(Debug)]
pub(super) struct Expected {
    /// `needs_review` if no verdict can be trusted.
    pub(super) verdict: Outcome,
    /// The roles that have to approve, in a row; empty if none has to.
    pub(super) approvers: Option<Vec<Role>>,
    /// The rules with a finding, sorted.
    pub(super) findings: Option<Vec<String>>,
    /// What is missing, sorted.
    pub(super) missing: Option<Vec<String>>,
}

/// Parses a file of cases.
///
/// # Errors
/// With all diagnostics of the file.
pub(super) fn parse(file: &Path, text: &str) -> Result<Vec<Case>, Diagnostics> {
    toml_reader::parse(file, text, |source| {
        let document = source.document()?;
        let mut table = Table::new(document.get_ref(), 0);
        let head = Head {
            category: table
                .optional(source, "category", CATEGORY, |value| name(value.as_str()?))
                .flatten(),
            today: table.optional(source, "today", DATE, date).flatten(),
            expense: fields(source, &mut table),
        };
        let cases = table.tables(source, "case", |source, table, at| {
            parse_case(source, table, at, &head)
        });
        table.finish(source);
        cases
    })
}

/// What stands above the first case, and holds for each case that does not say otherwise.
struct Head {
    category: Option<String>,
    today: Option<Date>,
    expense: Fields,
}

/// The fields of an expense as JSON texts, each with its offset in the file.
type Fields = BTreeMap<String, (usize, String)>;

fn parse_case(
    source: &mut Source<'_>,
    table: &mut Table<'_, '_>,
    at: usize,
    head: &Head,
) -> Option<Case> {
    let case_name = table.required(source, "name", TEXT, filled_text);
    let category = table.optional(source, "category", CATEGORY, |value| name(value.as_str()?));
    let today = table.optional(source, "today", DATE, date);
    let mut expense = head.expense.clone();
    expense.extend(fields(source, table));
    let used = parse_used(source, table);
    let purchases = table.optional_tables(source, "purchases", parse_purchase);
    let similarity = table.optional(source, "duplicate", SIMILARITY, amount);
    let planned = table.optional(source, "planned", AMOUNT, amount);
    let verdict = table.required(source, "verdict", &one_of(Outcome::VARIANTS), |value| {
        value.as_str()?.parse::<Outcome>().ok()
    });
    let roles = [Role::VARIANTS, &[NO_APPROVER]].concat();
    let accepted = format!("{}, or a list of roles in a row", one_of(&roles));
    let approvers = table.optional(source, "approver", &accepted, approvers);
    let findings = names(source, table, "findings", RULE);
    let missing = names(source, table, "missing", MISSING);
    let today = today?.or(head.today).or_else(|| purchase_date(&expense));
    let Some(today) = today else {
        let message = format!(
            "`today` is missing; write the day on which the expense is handed in, here or above the \
             first [[case]]: {DATE}"
        );
        source.report(at, message);
        return None;
    };
    Some(Case {
        name: case_name?,
        line: source.line(at),
        given: Given {
            category: category?.or_else(|| head.category.clone()),
            today,
            expense: parse_expense(source, at, &expense, today)?,
            used: Used {
                caps: used?,
                purchases: purchases?,
                similarity: similarity?.unwrap_or_default(),
                planned: planned?,
            },
        },
        expected: Expected {
            verdict: verdict?,
            approvers: approvers?,
            findings,
            missing,
        },
    })
}

/// The fields of the table `expense`, which are those of `POST /v1/expenses`.
fn fields(source: &mut Source<'_>, table: &mut Table<'_, '_>) -> Fields {
    let Some((at, value)) = table.take("expense") else {
        return Fields::new();
    };
    let Some(fields) = value.get_ref().as_table() else {
        let message =
            "`expense` is not a table; write { transaction = \"Lunch\", amount = \"12.00\" }";
        source.report(at, message.to_owned());
        return Fields::new();
    };
    let field = |(key, value): (&Spanned<DeString<'_>>, _)| {
        let json = json_text(source, value);
        (key.get_ref().to_string(), (key.span().start, json))
    };
    fields.iter().map(field).collect()
}

/// A value as the JSON that a client would send.
fn json_text(source: &Source<'_>, value: &Spanned<DeValue<'_>>) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    match value.get_ref() {
        DeValue::String(text) => quoted(text),
        DeValue::Boolean(is_true) => is_true.to_string(),
        DeValue::Array(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|entry| json_text(source, entry))
                .collect();
            format!("[{}]", entries.join(","))
        }
        // A number stays as the file writes it, because an amount must never be a binary float.
        _ => {
            let text = source.text.get(value.span()).unwrap_or_default();
            match serde_json::from_str::<serde_json::Number>(text) {
                Ok(_) => text.to_owned(),
                Err(_) => quoted(text),
            }
        }
    }
}

fn purchase_date(expense: &Fields) -> Option<Date> {
    let (_, json) = expense.get("date")?;
    calendar_date(&serde_json::from_str::<String>(json).ok()?)
}

/// Parses the expense as the API would; an error is reported at the field that it is about.
fn parse_expense(
    source: &mut Source<'_>,
    at: usize,
    fields: &Fields,
    today: Date,
) -> Option<Expense> {
    let members: Vec<String> = fields
        .iter()
        .map(|(name, (_, json))| format!("{}:{json}", serde_json::Value::from(name.as_str())))
        .collect();
    let body = format!("{{{}}}", members.join(","));
    let defaults = Defaults {
        date: today,
        user_id: ANONYMOUS.to_owned(),
    };
    let at_of = |field: &str| fields.get(field).map_or(at, |(at, _)| *at);
    match submission::parse(body.as_bytes(), defaults) {
        Ok(submitted) if submitted.expense.refunds.is_some() => {
            let message =
                "a credit is not judged by rules; remove `refunds`, and write the purchase";
            source.report(at_of("refunds"), message.to_owned());
            None
        }
        Ok(submitted) => Some(submitted.expense),
        Err(BodyError::Fields(errors)) => {
            for error in errors {
                let message = format!("`{}` of the expense: {}", error.field, error.message);
                source.report(at_of(&error.field), message);
            }
            None
        }
        Err(error) => {
            source.report(at, error.to_string());
            None
        }
    }
}

/// What is used of caps, by their ids or windows.
fn parse_used(
    source: &mut Source<'_>,
    table: &mut Table<'_, '_>,
) -> Option<Vec<(String, Decimal)>> {
    let Some((at, value)) = table.take("used") else {
        return Some(Vec::new());
    };
    let Some(caps) = value.get_ref().as_table() else {
        source.report(
            at,
            "`used` is not a table; write { day = \"60.00\" }".to_owned(),
        );
        return None;
    };
    let mut used = Vec::new();
    for (key, value) in caps.iter() {
        match amount(value.get_ref()) {
            Some(amount) => used.push((key.get_ref().to_string(), amount)),
            None => source.report(
                key.span().start,
                format!("`{}` is not an amount; write {AMOUNT}", key.get_ref()),
            ),
        }
    }
    Some(used)
}

fn parse_purchase(
    source: &mut Source<'_>,
    table: &mut Table<'_, '_>,
    _at: usize,
) -> Option<Purchase> {
    let amount = table.required(source, "amount", AMOUNT, amount);
    let days = "a number of days such as 3, without quotes";
    let n_days_apart = table.required(source, "days_apart", days, |value| {
        value.as_integer()?.to_string().parse().ok()
    });
    Some(Purchase {
        n_days_apart: n_days_apart?,
        amount: amount?,
    })
}

fn amount(value: &DeValue<'_>) -> Option<Decimal> {
    let amount = money::parse_amount(value.as_str()?, MAX_DECIMALS).ok()?;
    Some(amount.normalize())
}

fn approvers(value: &DeValue<'_>) -> Option<Vec<Role>> {
    let role = |value: &DeValue<'_>| value.as_str()?.parse().ok();
    match (value.as_array(), value.as_str()) {
        (Some(roles), _) => roles.iter().map(|value| role(value.get_ref())).collect(),
        (None, Some(NO_APPROVER)) => Some(Vec::new()),
        (None, _) => Some(vec![role(value)?]),
    }
}

/// A list of names, sorted; `None` when it is absent.
fn names(
    source: &mut Source<'_>,
    table: &mut Table<'_, '_>,
    key: &'static str,
    accepted: &str,
) -> Option<Vec<String>> {
    let is_given = table.has(key);
    let mut names = values(list(source, table, key, accepted, name));
    names.sort();
    is_given.then_some(names)
}
