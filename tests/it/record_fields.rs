//! The fields of records: every text is sealed or listed as impersonal, and records of version 0.1.0
//! can be read by every later one. The kinds of record are tested in `records`.

use std::collections::BTreeSet;

use expense_agent::domain::cap::Cap;
use expense_agent::domain::counter::By;
use expense_agent::domain::decision::{AgentOutcome, Decision, Duplicate, PolicyRef, Submitter};
use expense_agent::domain::expense::{ConvertedAmount, Expense};
use expense_agent::domain::facts::{FactName, Facts};
use expense_agent::domain::feedback::{Feedback, FeedbackName, FeedbackSource};
use expense_agent::domain::milliseconds::Milliseconds;
use expense_agent::domain::money::Currency;
use expense_agent::domain::receipt::Receipt;
use expense_agent::domain::resolution::{Action, Resolution};
use expense_agent::domain::ruling::{Finding, Missing, Outcome, Role, Ruling, Window};
use expense_agent::domain::step::{Cost, ModelCall, PromptRef, Step, StepReport};
use expense_agent::domain::validation::{Validation, ValidationType};
use expense_agent::ledger::records::{RECORDS, RecordKind};
use expense_agent::ledger::seal::hash_personal_texts;
use jiff::Timestamp;
use jiff::civil::date;
use rust_decimal::Decimal;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use strum::IntoEnumIterator;
use uuid::Uuid;

use crate::harness::facts::stated;

const CANARY: &str = "canary";

fn text() -> String {
    CANARY.to_owned()
}

fn kind(table: &str) -> RecordKind {
    RECORDS
        .into_iter()
        .find(|kind| kind.table == table)
        .unwrap()
}

/// An amount in another currency than the expense's.
fn converted() -> ConvertedAmount {
    ConvertedAmount {
        amount: Decimal::ONE,
        currency: Currency::USD,
        rate: Decimal::ONE,
        rate_date: date(2026, 1, 1),
    }
}

/// A decision in which nothing is absent and no list is empty. A literal, so that a new field cannot
/// be left out.
fn full_decision() -> Decision {
    Decision {
        id: Uuid::nil(),
        outcome: Outcome::NeedsReview,
        category: Some(text()),
        reason: text(),
        approver: Some(Role::Manager),
        reviewer: Some(Role::Manager),
        approvers: vec![Role::Manager, Role::Cfo],
        missing: vec![Missing::Receipt],
        findings: vec![Finding {
            rule: text(),
            effect: Ruling::Denied,
            window: Window::Day,
            limit: Decimal::ONE,
            used: Decimal::ONE,
            amount: Decimal::ONE,
            allowable: Decimal::ONE,
            exceeded: Decimal::ONE,
            message: text(),
        }],
        caps: vec![Cap {
            rule: text(),
            window: Window::Day,
            window_key: Some(text()),
            over: vec![text()],
            by: Some(By::Project),
            limit: Decimal::ONE,
            used: Decimal::ONE,
        }],
        reimbursable: Some(Decimal::ONE),
        duplicates: vec![Duplicate {
            id: Uuid::nil(),
            score: Decimal::ONE,
        }],
        validations: vec![Validation {
            kind: ValidationType::AnswerSchema,
            step: Step::Classify,
            attempt: 1,
            passed: false,
            repaired: false,
            input: Some(text()),
            expected: vec![text()],
            message: text(),
            response_id: Some(text()),
        }],
        policy_verdict: Some(Ruling::Denied),
        model_decision: Some(Ruling::Denied),
        agent_outcome: AgentOutcome::Escalated,
        is_override: true,
        cap_moved: true,
        category_corroborated: true,
        supersedes: Some(Uuid::nil()),
        policy: Some(PolicyRef {
            id: text(),
            version: text(),
            hash: text(),
            rules: vec![text()],
        }),
        model: text(),
        steps: vec![StepReport {
            step: Step::Classify,
            attempts: 1,
            result: Some(text()),
            error: Some(text()),
            prompt: Some(PromptRef {
                name: text(),
                version: text(),
            }),
            calls: vec![full_call()],
            started_ms: Some(Milliseconds::MAX),
            duration_ms: Some(Milliseconds::MAX),
        }],
        input_tokens: 1,
        output_tokens: 1,
        cost_usd: Some(Decimal::ONE),
        trace_id: text(),
        span_id: text(),
        agent_span_id: Some(text()),
        tenant_id: text(),
        submitted_by: Some(Submitter {
            api_key: text(),
            user_id: Some(text()),
            baggage_user_id: Some(text()),
        }),
        received_at: Timestamp::UNIX_EPOCH,
        expense: Expense {
            transaction: text(),
            amount: Decimal::ONE,
            currency: Currency::USD,
            merchant: Some(text()),
            mcc: Some(text()),
            category_hint: Some(text()),
            date: date(2026, 3, 14),
            trip_id: Some(text()),
            receipt: Receipt::Attached,
            facts: all_facts(),
            user_id: text(),
            refunds: Some(Uuid::nil()),
            plan: true,
            under: Some(Uuid::nil()),
        },
        converted_amount: Some(converted()),
    }
}

/// Every fact, with a value of its form.
fn all_facts() -> Facts {
    let facts = FactName::iter().map(|name| {
        let form = name.declaration().form;
        (name, form.of_json(&stated(name)).unwrap())
    });
    facts.collect()
}

fn full_call() -> ModelCall {
    ModelCall {
        model: text(),
        response_id: Some(text()),
        finish_reason: Some(text()),
        input_tokens: Some(1),
        output_tokens: Some(1),
        cost: Some(Cost {
            total: Decimal::ONE,
            prompt: Decimal::ONE,
            completion: Decimal::ONE,
            source: text(),
        }),
        retries: 1,
        error: Some(text()),
        started_ms: Some(Milliseconds::MAX),
        duration_ms: Some(Milliseconds::MAX),
    }
}

/// A resolution in which nothing is absent and no list is empty.
fn full_resolution() -> Resolution {
    Resolution {
        id: Uuid::nil(),
        expense_id: Uuid::nil(),
        action: Action::Approve,
        role: Some(Role::Manager),
        actor: text(),
        api_key: text(),
        reason: text(),
        amount: Some(Decimal::ONE),
        credited: Some(Decimal::ONE),
        converted_amount: Some(converted()),
        category: Some(text()),
        exceptions: vec![text()],
        awaits: vec![Role::Cfo],
        tenant_id: text(),
        trace_id: text(),
        resolved_at: Timestamp::UNIX_EPOCH,
    }
}

/// Feedback in which nothing is absent.
fn full_feedback() -> Feedback {
    Feedback {
        id: Uuid::nil(),
        expense_id: Uuid::nil(),
        name: FeedbackName::Decision,
        label: Some(text()),
        comment: Some(text()),
        author: text(),
        api_key: text(),
        source: FeedbackSource::Person,
        taken_back: true,
        tenant_id: text(),
        trace_id: text(),
        given_at: Timestamp::UNIX_EPOCH,
    }
}

/// Calls a function with every member and item below a value, and with its path: names separated by
/// dots, with `*` for the items of a list.
fn walk(value: &mut Value, path: &str, visit: &mut impl FnMut(&str, &mut Value)) {
    let below = |name: &str| match path {
        "" => name.to_owned(),
        _ => format!("{path}.{name}"),
    };
    match value {
        Value::Array(items) => {
            for item in items {
                visit(&below("*"), item);
                walk(item, &below("*"), visit);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                visit(&below(name), member);
                walk(member, &below(name), visit);
            }
        }
        _ => {}
    }
}

/// The paths at which a record that consists of canaries still has one when its personal texts are
/// hashed.
fn unhashed(mut record: Value, kind: &RecordKind) -> Vec<String> {
    walk(&mut record, "", &mut |_, value| {
        if value.is_string() {
            *value = CANARY.into();
        }
    });
    hash_personal_texts(&mut record, kind, "salt");
    let mut paths = BTreeSet::new();
    walk(&mut record, "", &mut |path, value| {
        if value == CANARY {
            paths.insert(path.to_owned());
        }
    });
    paths.into_iter().collect()
}

/// The texts of a decision that are not personal and stay when an employee's texts are erased: ids,
/// amounts, dates, names that operators or this program gave, and texts made of these alone. A field
/// that a person or a model fills freely belongs in the `personal` texts of its kind instead.
const IMPERSONAL_OF_A_DECISION: &[&str] = &[
    "agent_outcome",
    "agent_span_id",
    "amount",
    "approver",
    "approvers.*",
    "caps.*.by",
    "caps.*.limit",
    "caps.*.over.*",
    "caps.*.rule",
    "caps.*.used",
    "caps.*.window",
    "caps.*.window_key",
    "category",
    "class",
    "converted_amount.amount",
    "converted_amount.currency",
    "converted_amount.rate",
    "converted_amount.rate_date",
    "cost_usd",
    "country",
    "currency",
    "date",
    "day",
    "distance",
    "distance_unit",
    "duplicates.*.id",
    "duplicates.*.score",
    "findings.*.allowable",
    "findings.*.amount",
    "findings.*.effect",
    "findings.*.exceeded",
    "findings.*.limit",
    "findings.*.message",
    "findings.*.rule",
    "findings.*.used",
    "findings.*.window",
    "id",
    "mcc",
    "meal",
    "meals_provided.*",
    "missing.*",
    "model",
    "model_decision",
    "outcome",
    "paid_by",
    "policy.hash",
    "policy.id",
    "policy.rules.*",
    "policy.version",
    "policy_verdict",
    "received_at",
    "recurring",
    "refunds",
    "reimbursable",
    "reviewer",
    "span_id",
    "steps.*.calls.*.cost.completion",
    "steps.*.calls.*.cost.prompt",
    "steps.*.calls.*.cost.source",
    "steps.*.calls.*.cost.total",
    "steps.*.calls.*.error",
    "steps.*.calls.*.finish_reason",
    "steps.*.calls.*.model",
    "steps.*.calls.*.response_id",
    "steps.*.prompt.name",
    "steps.*.prompt.version",
    "steps.*.result",
    "steps.*.step",
    "submitted_by.api_key",
    "submitted_by.baggage_user_id",
    "submitted_by.user_id",
    "supersedes",
    "tenant_id",
    "trace_id",
    "travel_date",
    "trip_id",
    "under",
    "user_id",
    "validations.*.expected.*",
    "validations.*.response_id",
    "validations.*.step",
    "validations.*.type",
];

/// The same for a resolution. The ids of people are kept, because the record shows who approved what.
const IMPERSONAL_OF_A_RESOLUTION: [&str; 18] = [
    "action",
    "actor",
    "amount",
    "api_key",
    "awaits.*",
    "category",
    "converted_amount.amount",
    "converted_amount.currency",
    "converted_amount.rate",
    "converted_amount.rate_date",
    "credited",
    "exceptions.*",
    "expense_id",
    "id",
    "resolved_at",
    "role",
    "tenant_id",
    "trace_id",
];

/// The same for feedback.
const IMPERSONAL_OF_FEEDBACK: [&str; 10] = [
    "api_key",
    "author",
    "expense_id",
    "given_at",
    "id",
    "label",
    "name",
    "source",
    "tenant_id",
    "trace_id",
];

#[test]
fn only_the_listed_texts_of_a_record_are_left_unhashed() {
    assert_eq!(
        unhashed(json!(full_decision()), &kind("decision")),
        IMPERSONAL_OF_A_DECISION
    );
    assert_eq!(
        unhashed(json!(full_resolution()), &kind("resolution")),
        IMPERSONAL_OF_A_RESOLUTION
    );
    assert_eq!(
        unhashed(json!(full_resolution()), &kind("approval")),
        IMPERSONAL_OF_A_RESOLUTION
    );
    assert_eq!(
        unhashed(json!(full_feedback()), &kind("feedback")),
        IMPERSONAL_OF_FEEDBACK
    );
}

/// The paths of all members of a document.
fn members(mut document: Value) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    walk(&mut document, "", &mut |path, _| {
        paths.insert(path.to_owned());
    });
    paths
}

/// Removes the members of a value that an earlier document does not have.
fn retain(value: &mut Value, path: &str, known: &BTreeSet<String>) {
    let below = |name: &str| match path {
        "" => name.to_owned(),
        _ => format!("{path}.{name}"),
    };
    match value {
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| retain(item, &below("*"), known)),
        Value::Object(members) => {
            members.retain(|name, _| known.contains(&below(name)));
            for (name, member) in members {
                retain(member, &below(name), known);
            }
        }
        _ => {}
    }
}

/// A document of version 0.1.0 can be read, and so can one of today without the fields that 0.1.0 did
/// not have: they have a default.
fn assert_readable<T: DeserializeOwned>(document: &str, mut full: Value) {
    let document: Value = serde_json::from_str(document).unwrap();
    serde_json::from_value::<T>(document.clone()).unwrap();
    retain(&mut full, "", &members(document));
    serde_json::from_value::<T>(full)
        .expect("a field that is newer than version 0.1.0 needs `#[serde(default)]`");
}

#[test]
fn records_of_version_0_1_0_can_be_read_and_every_later_field_has_a_default() {
    assert_readable::<Decision>(
        include_str!("../data/decision-0.1.0.json"),
        json!(full_decision()),
    );
    assert_readable::<Resolution>(
        include_str!("../data/resolution-0.1.0.json"),
        json!(full_resolution()),
    );
}
