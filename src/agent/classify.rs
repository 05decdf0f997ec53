//! Step 1: the model names the category. The category has to exist, and the evidence has to agree
//! with it.

use std::collections::BTreeSet;

use jiff::civil::Date;

use crate::agent::ask::{Asked, Question, StepRun, ask};
use crate::agent::prompts::answers::CategoryAnswer;
use crate::agent::prompts::facts::{CategoryFacts, ClassifyFacts, ExpenseFacts};
use crate::agent::prompts::{self, Schema};
use crate::agent::validate;
use crate::agent::{Agent, Case, to_text};
use crate::domain::step::Step;
use crate::llm::AnswerSchema;
use crate::policy::Policies;

/// The result of the step classify.
#[derive(Clone, Debug)]
pub struct Classification {
    /// The category, if the model named one that exists.
    pub category: Option<String>,
    /// Whether any evidence points to a category. The check `category_evidence` says whether it
    /// points to this one.
    pub is_corroborated: bool,
    /// The categories that the evidence points to as much as to this one, in alphabetical order.
    pub rivals: Vec<String>,
    /// What was done on the way.
    pub run: StepRun,
}

impl Classification {
    /// Whether an outcome may rest on the category.
    pub fn is_trusted(&self) -> bool {
        self.category.is_some()
            && !self
                .run
                .validations
                .iter()
                .any(|validation| validation.failed_for_good())
    }
}

/// Asks for the category. `shown` is what the model may see of the expense; the evidence is read
/// from the expense itself.
pub async fn classify(agent: &Agent, case: &Case, shown: &ExpenseFacts) -> Classification {
    let run = StepRun::begin(Step::Classify, case.judged.arrived);
    let expense = &case.judged.expense;
    let policies = &case.judged.rulebook.policies;
    let categories: Vec<&str> = policies.categories().collect();
    let facts = ClassifyFacts {
        categories: category_facts(policies, expense.date),
        expense: shown.clone().with_facts(&BTreeSet::new()),
    };
    let question = Question {
        prompt: &prompts::CLASSIFY,
        facts: to_text(&facts),
        schema: AnswerSchema {
            name: Schema::Classification.into(),
            schema: policies.classification_schema(),
        },
        rulebook: &case.judged.rulebook,
        deadline: case.model_deadline,
    };
    let Asked { value, mut run } = ask(
        &*agent.model,
        run,
        question,
        |answer: &CategoryAnswer, answer_ref| {
            Some(validate::category_membership(
                answer_ref,
                &answer.category,
                &categories,
            ))
        },
    )
    .await;

    let evidence = policies.evidence(
        expense.mcc.as_deref(),
        expense.merchant.as_deref(),
        &expense.transaction,
        expense.category_hint.as_deref(),
    );
    let is_corroborated = !evidence.is_empty();
    let category = value.map(|(answer, answer_ref)| {
        run.validations.extend(validate::category_evidence(
            &answer_ref,
            &answer.category,
            &evidence,
        ));
        answer.category
    });
    run.report.result.clone_from(&category);
    let rivals = category
        .as_deref()
        .map(|category| evidence.rivals(category));
    Classification {
        rivals: rivals.unwrap_or_default(),
        category,
        is_corroborated,
        run: run.end(),
    }
}

/// Every category, with the text of its policy in force on a day. A category without such a policy
/// is offered too, with an empty text: the lookup reports that no policy is in force, not the model.
fn category_facts(policies: &Policies, date: Date) -> Vec<CategoryFacts> {
    let facts = |category: &str| {
        let policy = policies
            .in_force(category, date)
            .map(|policy| policy.text.clone())
            .unwrap_or_default();
        CategoryFacts {
            id: category.to_owned(),
            policy,
        }
    };
    policies.categories().map(facts).collect()
}
