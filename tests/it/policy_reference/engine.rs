//! The service's own code, asked the same question as the reference.

use std::path::Path;
use std::sync::Arc;

use expense_agent::agent::JudgedExpense;
use expense_agent::agent::lookup::{Found, judge};
use expense_agent::domain::expense::Expense;
use expense_agent::domain::submission::{self, Defaults};
use expense_agent::policy::Policy;
use expense_agent::policy::duplicate::similarity;
use expense_agent::policy::evaluate::{CapUsage, Purchase};
use expense_agent::policy::parse::parse_with;
use expense_agent::policy::places::{PlaceTables, Places};
use expense_agent::rulebook::Rulebook;
use expense_agent::rulebook::rates::Rates;
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde_json::Value as Json;
use tokio::time::Instant;

use super::history::used;
use super::policies::Files;
use super::reference::{Question, text};
use super::verdict::{Cap, Finding, Told};

/// The policies of a folder, as the service reads them.
pub(super) struct Engine(Rulebook);

impl Engine {
    /// Reads the files of a folder.
    pub(super) fn load(files: &Files) -> Result<Self, String> {
        let places = Places::parse(Path::new("places.toml"), &files.places)
            .map_err(|error| error.to_string())?;
        let tables = PlaceTables::from([("places".to_owned(), Some(Arc::new(places)))]);
        let texts: Vec<(&Path, &str)> = files
            .policies
            .iter()
            .map(|(name, text)| (Path::new(name), text.as_str()))
            .collect();
        let policies = parse_with(Path::new("policies"), &texts, &tables)
            .map_err(|error| error.to_string())?;
        let rates = Rates::parse(Path::new("rates.toml"), &files.rates)
            .map_err(|error| error.to_string())?;
        Ok(Self(Rulebook {
            policies: Arc::new(policies),
            rates: Arc::new(rates),
            ..Rulebook::default()
        }))
    }

    /// What the engine says. What is used of caps comes from the reference.
    pub(super) fn answer(&self, question: &Question<'_>) -> Told {
        let expense = parsed(question.body, question.today);
        let judged = JudgedExpense {
            tenant_id: String::new(),
            arrived: Instant::now(),
            today: question.today,
            rulebook: self.0.clone(),
            expense,
            plan: None,
        };
        let usage = |policy: &Policy| usage(question, policy, &judged.expense);
        match judge(&judged, question.category, usage, None) {
            Ok(found) => told(found),
            Err(_) => Told::review(),
        }
    }
}

/// An expense, as the service reads it.
fn parsed(body: &Json, today: Date) -> Expense {
    let defaults = Defaults {
        date: today,
        user_id: "nobody".to_owned(),
    };
    let submitted = submission::parse(body.to_string().as_bytes(), defaults);
    submitted.unwrap().expense
}

/// How alike the most similar earlier expense is, by the service's own measure.
fn similarity_of(question: &Question<'_>, expense: &Expense) -> Decimal {
    let of_employee = question
        .history
        .iter()
        .filter(|earlier| earlier.counts && earlier.user.eq_ignore_ascii_case(&expense.user_id));
    let alike = of_employee.filter_map(|earlier| {
        let mut body = earlier.body.clone();
        body["amount"] = earlier.amount.to_string().into();
        body["currency"] = earlier.currency.as_str().into();
        body["date"] = earlier.date.to_string().into();
        similarity(expense, &parsed(&body, question.today))
    });
    alike.max().unwrap_or_default()
}

/// What the history of a question has used. The windows are compared with the engine's on the way.
fn usage(question: &Question<'_>, policy: &Policy, expense: &Expense) -> CapUsage {
    let mut usage = CapUsage::default();
    let table = question.policy().unwrap();
    let rules = question.rules(table);
    for (id, counter) in policy.caps() {
        let rule = rules
            .iter()
            .find(|rule| text(rule, "id") == Some(id))
            .unwrap();
        if counter.lacks(&expense.facts).is_none() {
            let amount = used(question, rule, policy.currency.code());
            let known = usage.counted.iter().find(|(known, _)| known == counter);
            match known {
                Some((_, known)) => assert_eq!(*known, amount, "{id}"),
                None => usage.counted.push((counter.clone(), amount)),
            }
        }
        if let (Some(period), Some(days)) =
            (counter.period(expense.date), question.window_days(rule))
        {
            assert_eq!(
                (period.first, period.last),
                days,
                "the window of {id} on {}",
                expense.date
            );
        }
    }
    let apart = |date: Date| (date - expense.date).get_days().unsigned_abs();
    let purchases = question.purchases().into_iter().map(|earlier| Purchase {
        n_days_apart: apart(earlier.date),
        amount: earlier.amount,
    });
    usage.purchases = purchases.collect();
    if policy.rules.iter().any(|rule| rule.duplicate().is_some()) {
        usage.similarity = similarity_of(question, expense);
    }
    usage
}

fn name(word: impl ToString) -> &'static str {
    let word = word.to_string();
    let words = [
        "approved",
        "needs_approval",
        "denied",
        "needs_review",
        "expense",
        "day",
        "week",
        "month",
        "quarter",
        "trip",
        "year",
        "merchant",
    ];
    words.into_iter().find(|known| *known == word).unwrap()
}

fn told(found: Found) -> Told {
    let verdict = found.verdict;
    Told {
        ruling: name(verdict.ruling),
        rules: found.policy.rules,
        approvers: verdict
            .approvers
            .roles()
            .iter()
            .map(ToString::to_string)
            .collect(),
        missing: verdict.missing.iter().map(ToString::to_string).collect(),
        exceptions: found
            .exceptions
            .into_iter()
            .map(|(rule, role)| (rule, role.to_string()))
            .collect(),
        findings: verdict
            .findings
            .into_iter()
            .map(|finding| Finding {
                rule: finding.rule,
                kind: String::new(),
                effect: name(finding.effect),
                window: name(finding.window),
                limit: finding.limit,
                used: finding.used,
                allowable: finding.allowable,
                exceeded: finding.exceeded,
                message: finding.message,
            })
            .collect(),
        caps: found
            .caps
            .into_iter()
            .map(|cap| Cap {
                rule: cap.rule,
                window: name(cap.window),
                key: cap.window_key,
                limit: cap.limit,
                used: cap.used,
            })
            .collect(),
        edges: Vec::new(),
    }
}
