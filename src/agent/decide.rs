//! Step 3: the model advises on the outcome. It sees the policy and what is used of it, never the
//! engine's verdict; its advice is then held against that verdict, and its citations and amounts
//! against what it was shown.

use crate::agent::ask::{Asked, Question, StepRun, ask};
use crate::agent::lookup::Found;
use crate::agent::prompts::answers::DecisionAnswer;
use crate::agent::prompts::facts::DecideFacts;
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
    /// The advice, if its citations and amounts are grounded. Whether it agrees with the policy is
    /// another matter.
    pub fn trusted(&self) -> Option<&(Ruling, String)> {
        let is_grounded = self.run.validations.iter().all(|validation| {
            validation.kind == ValidationType::DecisionConsistency || !validation.finally_failed()
        });
        self.given.as_ref().filter(|_| is_grounded)
    }
}

/// Asks for the decision.
pub async fn decide(agent: &Agent, case: &Case, found: &Found) -> Advice {
    let rules = &found.facts.policy.rules;
    let facts = DecideFacts {
        expense: agent.shown(&case.expense),
        ..found.facts.clone()
    };
    let question = Question {
        step: Step::Decide,
        prompt: &prompts::DECIDE,
        facts: to_text(&facts),
        schema: AnswerSchema {
            name: Schema::Decision.into(),
            schema: &found.decision_schema,
        },
        rulebook: &case.rulebook,
        deadline: case.model_deadline,
    };
    let Asked { value, mut run } = ask(&*agent.model, question, |_: &DecisionAnswer, _| None).await;
    let given = value.map(|(answer, at)| {
        run.validations.push(validate::decision_consistency(
            &at,
            answer.decision,
            found.verdict.ruling,
        ));
        run.validations.push(validate::citation_grounding(
            &at,
            &answer.cited_rules,
            rules,
        ));
        run.validations.push(validate::amount_grounding(
            &at,
            &answer.reason,
            &found.facts,
        ));
        (answer.decision, answer.reason)
    });
    run.report.result = given.as_ref().map(|(ruling, _)| ruling.to_string());
    Advice { given, run }
}
