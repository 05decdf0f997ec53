//! Step 3: the model advises on the outcome. It sees the policy and its cap usage, never the verdict.
//! Its advice is then compared with the verdict, and its citations and amounts with the facts.

use crate::agent::ask::{Asked, Question, StepRun, ask};
use crate::agent::lookup::Found;
use crate::agent::prompts::answers::DecisionAnswer;
use crate::agent::prompts::facts::{DecideFacts, ExpenseFacts};
use crate::agent::prompts::{self, Schema};
use crate::agent::validate;
use crate::agent::{Agent, Case, to_text};
use crate::domain::ruling::Ruling;
use crate::domain::step::Step;
use crate::domain::validation::ValidationType;
use crate::llm::AnswerSchema;

/// What the model advises.
#[derive(Clone, Debug)]
pub struct Advice {
    /// Its decision and its reason, if an answer could be read.
    pub given: Option<(Ruling, String)>,
    /// What was done on the way.
    pub run: StepRun,
}

impl Advice {
    /// The model's decision, if an answer could be read.
    pub fn ruling(&self) -> Option<Ruling> {
        self.given.as_ref().map(|(ruling, _)| *ruling)
    }

    /// The advice, unless a check that discredits it failed for good.
    pub fn trusted(&self) -> Option<&(Ruling, String)> {
        let is_discredited = self
            .run
            .validations
            .iter()
            .any(|validation| validation.failed_for_good() && discredits(validation.kind));
        self.given.as_ref().filter(|_| !is_discredited)
    }
}

/// Whether advice that fails a check is not to be used. Without a wildcard, so that a new check has
/// to say here what its failure means.
fn discredits(kind: ValidationType) -> bool {
    match kind {
        // Its form is wrong, or it rests on rules or amounts that the model was not shown.
        ValidationType::AnswerSchema
        | ValidationType::CitationGrounding
        | ValidationType::AmountGrounding => true,
        // Advice that disagrees with the policy is still advice: `combine` weighs the two.
        ValidationType::DecisionConsistency => false,
        // Checks of the other steps, which say nothing about this one's answer.
        ValidationType::CategoryMembership
        | ValidationType::CategoryEvidence
        | ValidationType::ToolResult => false,
    }
}

/// Asks for the decision. `shown` is what the model may see of the expense; its answer is checked
/// against the expense itself.
pub async fn decide(agent: &Agent, case: &Case, found: &Found, shown: &ExpenseFacts) -> Advice {
    let run = StepRun::begin(Step::Decide, case.judged.arrived);
    let facts = DecideFacts {
        expense: shown.clone().with_facts(&found.facts_read),
        ..found.facts.clone()
    };
    let question = Question {
        prompt: &prompts::DECIDE,
        facts: to_text(&facts),
        schema: AnswerSchema {
            name: Schema::Decision.into(),
            schema: &found.decision_schema,
        },
        rulebook: &case.judged.rulebook,
        deadline: case.model_deadline,
    };
    let Asked { value, mut run } =
        ask(&*agent.model, run, question, |_: &DecisionAnswer, _| None).await;
    let given = value.map(|(answer, answer_ref)| {
        let rules = &found.facts.policy.rules;
        run.validations.extend([
            validate::decision_consistency(&answer_ref, answer.decision, found.verdict.ruling),
            validate::citation_grounding(&answer_ref, &answer.cited_rules, rules),
            validate::amount_grounding(&answer_ref, &answer.reason, &found.facts, &found.stated),
        ]);
        (answer.decision, answer.reason)
    });
    run.report.result = given.as_ref().map(|(ruling, _)| ruling.to_string());
    Advice {
        given,
        run: run.end(),
    }
}
