//! The model that needs no key and no network, so that the service runs and is tested without
//! either. It reads the same prompts as any other model and answers from the evidence of the policy
//! files and the rules it is shown. It implements [`ChatModel`] with the provider `offline`; the
//! faults that it can inject are in [`fault`].

pub mod fault;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::agent::prompts::Schema;
use crate::agent::prompts::facts::{ClassifyFacts, DecideFacts};
use crate::domain::tokens::TokenUsage;
use crate::llm::{Answer, ChatModel, ChatRequest, ModelError, ModelInfo, Reply, Speaker};
use crate::offline::fault::{FaultKind, Faults};
use crate::policy::Policies;
use crate::policy::evaluate::evaluate;

/// The name of the one offline model.
pub const MODEL: &str = "offline-rules-1";

/// How long an answer with the fault `slow` takes.
const SLOW: Duration = Duration::from_secs(5);

/// A model that answers by rules instead of calling a provider.
pub struct Offline {
    info: ModelInfo,
    faults: Faults,
    n_answers: AtomicU64,
}

impl Offline {
    /// Makes a model that injects these faults.
    pub fn new(faults: Faults) -> Self {
        let info = ModelInfo {
            provider: "offline",
            model: MODEL.to_owned(),
            server: None,
            max_tokens: None,
            temperature: None,
            seed: None,
        };
        Self {
            info,
            faults,
            n_answers: AtomicU64::new(0),
        }
    }

    fn classify(policies: &Policies, facts: &ClassifyFacts, fault: Option<FaultKind>) -> Value {
        let expense = &facts.expense;
        let evidence = policies.evidence(
            expense.mcc.as_deref(),
            expense.merchant.as_deref(),
            &expense.transaction,
            expense.category_hint.as_deref(),
        );
        let (category, rationale) = match (evidence.best(), policies.catch_all()) {
            (Some(category), _) => (
                category,
                "The merchant code, the merchant or the text names it.",
            ),
            (None, Some(category)) => (category, "No evidence points to any loaded category."),
            (None, None) => ("", "There is no category."),
        };
        let category = match fault {
            Some(FaultKind::InvalidCategory) => "entertainment",
            // A category without any evidence, so that the mistake is certain.
            Some(FaultKind::Misclassify) => policies
                .categories()
                .find(|other| {
                    *other != category && !evidence.categories().any(|named| named == *other)
                })
                .unwrap_or(category),
            _ => category,
        };
        json!({"rationale": rationale, "category": category})
    }

    fn decide(facts: &DecideFacts, fault: Option<FaultKind>) -> Value {
        let verdict = evaluate(&facts.policy.rules, &facts.subject());
        let decisive = verdict
            .findings
            .first()
            .map(|finding| finding.rule.as_str());
        let first = facts
            .policy
            .rules
            .first()
            .map(|facts| facts.rule.id.as_str());
        let cited: Vec<&str> = decisive.or(first).into_iter().collect();
        match fault {
            Some(FaultKind::ApproveEverything) => {
                json!({"decision": "approved", "reason": "Looks fine to me.", "cited_rules": cited})
            }
            _ => {
                json!({"decision": verdict.ruling, "reason": verdict.reason(), "cited_rules": cited})
            }
        }
    }

    /// The answer to the facts of a prompt; `None` when they cannot be parsed.
    fn answer(
        policies: &Policies,
        schema: Schema,
        facts: &str,
        fault: Option<FaultKind>,
    ) -> Option<Value> {
        match schema {
            Schema::Classification => Some(Self::classify(
                policies,
                &serde_json::from_str(facts).ok()?,
                fault,
            )),
            Schema::Decision => Some(Self::decide(&serde_json::from_str(facts).ok()?, fault)),
        }
    }
}

/// Whether a fault can be injected into an answer of this form.
fn applies(fault: FaultKind, schema: Schema) -> bool {
    match fault {
        FaultKind::Misclassify | FaultKind::InvalidCategory => schema == Schema::Classification,
        FaultKind::ApproveEverything => schema == Schema::Decision,
        FaultKind::Garbage | FaultKind::Truncated | FaultKind::Slow | FaultKind::Unavailable => {
            true
        }
    }
}

/// This model counts words as tokens.
fn n_tokens<'a>(texts: impl Iterator<Item = &'a str>) -> u64 {
    texts.flat_map(str::split_whitespace).fold(0, |n, _| n + 1)
}

#[async_trait]
impl ChatModel for Offline {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    async fn chat(&self, request: &ChatRequest<'_>) -> Reply {
        let schema = request.schema.name.parse::<Schema>().ok();
        let fault = schema.and_then(|schema| self.faults.next(|fault| applies(fault, schema)));
        if fault == Some(FaultKind::Unavailable) {
            return Reply::new(Err(ModelError::Connection));
        }
        if fault == Some(FaultKind::Slow)
            && tokio::time::timeout_at(request.deadline, tokio::time::sleep(SLOW))
                .await
                .is_err()
        {
            return Reply::new(Err(ModelError::Timeout));
        }
        let facts = request
            .messages
            .iter()
            .find(|message| message.speaker == Speaker::User);
        let policies = &request.rulebook.policies;
        let answer = schema
            .zip(facts)
            .and_then(|(schema, facts)| Self::answer(policies, schema, &facts.text, fault));
        let mut text = answer.map(|answer| answer.to_string()).unwrap_or_default();
        let mut finish_reason = "stop";
        match fault {
            Some(FaultKind::Garbage) => {
                "I would say this one is probably okay?".clone_into(&mut text)
            }
            Some(FaultKind::Truncated) => {
                text.truncate(text.floor_char_boundary(text.len() / 2));
                finish_reason = "length";
            }
            _ => {}
        }
        let messages = request.messages.iter().map(|message| message.text.as_str());
        let usage = TokenUsage {
            input_tokens: n_tokens(std::iter::once(request.prompt.text).chain(messages)),
            output_tokens: n_tokens(std::iter::once(text.as_str())),
            cached_tokens: None,
            reasoning_tokens: None,
        };
        let n_answer = self.n_answers.fetch_add(1, Ordering::Relaxed) + 1;
        Reply::new(Ok(Answer {
            id: Some(format!("offline-{n_answer}")),
            model: MODEL.to_owned(),
            finish_reason: Some(finish_reason.to_owned()),
            text: Some(text),
            has_only_reasoning: false,
            refusal: None,
            usage: Some(usage),
        }))
    }
}
