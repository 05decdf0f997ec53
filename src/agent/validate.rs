//! The semantic checks: pure functions, each of which looks at one thing and yields one
//! [`Validation`]. None of them changes an outcome; `combine` decides what follows from them.

use std::borrow::Cow;
use std::cell::LazyCell;
use std::collections::BTreeSet;

use rust_decimal::Decimal;

use crate::agent::one_object::{OneObject, one_object};
use crate::agent::prompts::answers::StructuredAnswer;
use crate::agent::prompts::facts::DecideFacts;
use crate::amounts::{self, Given};
use crate::domain::ruling::Ruling;
use crate::domain::step::Step;
use crate::domain::validation::{Validation, ValidationType};
use crate::llm::mended_json::mended;
use crate::llm::{Answer, Ending};
use crate::policy::evaluate::RuleFacts;
use crate::policy::evidence::FoundEvidence;
use crate::policy::stated::Stated;

/// Which answer a check looked at.
#[derive(Clone, Debug)]
pub struct AnswerRef {
    /// The step that asked.
    pub step: Step,
    /// Which of the step's answers, from 1.
    pub attempt: u32,
    /// The provider's id of the answer.
    pub response_id: Option<String>,
}

impl AnswerRef {
    /// The result of one check of this answer; `Err` holds why it failed.
    fn checked(
        &self,
        kind: ValidationType,
        input: Option<String>,
        expected: Vec<String>,
        result: Result<String, String>,
    ) -> Validation {
        Validation {
            kind,
            step: self.step,
            attempt: self.attempt,
            passed: result.is_ok(),
            repaired: false,
            input,
            expected,
            message: result.unwrap_or_else(|message| message),
            response_id: self.response_id.clone(),
        }
    }
}

/// Whether asking once more can repair an answer. A refusal, a content filter or a token limit
/// would end the second answer like the first.
pub fn is_repairable(answer: &Answer) -> bool {
    answer.refusal.is_none() && answer.ending() == Ending::Complete
}

/// `answer_schema`: the answer is complete, not refused, and of the form that was asked for.
pub fn answer_schema<T: StructuredAnswer>(
    answer_ref: &AnswerRef,
    schema: &str,
    answer: &Answer,
) -> (Validation, Option<T>) {
    let parsed = parse_answer::<T>(schema, answer);
    let (result, value) = match parsed {
        Ok((value, is_wrapped)) => {
            let other_text = if is_wrapped {
                ", with other text around it"
            } else {
                ""
            };
            (
                Ok(format!("the answer is a {schema}{other_text}")),
                Some(value),
            )
        }
        Err(message) => (Err(message), None),
    };
    let input = answer.finish_reason.clone();
    (
        answer_ref.checked(
            ValidationType::AnswerSchema,
            input,
            vec![schema.to_owned()],
            result,
        ),
        value,
    )
}

/// Reads the answer, and says whether other text was around it. No message repeats the model's words:
/// they are free text, and may repeat the employee's.
fn parse_answer<T: StructuredAnswer>(schema: &str, answer: &Answer) -> Result<(T, bool), String> {
    if answer.refusal.is_some() {
        return Err("the model refused to answer".to_owned());
    }
    match answer.ending() {
        Ending::CutOff => return Err("the answer was cut off at the token limit".to_owned()),
        Ending::Filtered => return Err("the answer was withheld by a content filter".to_owned()),
        Ending::Complete => {}
    }
    let text = answer.text.as_deref().unwrap_or_default();
    if text.trim().is_empty() {
        return Err(match answer.has_only_reasoning {
            true => "the model wrote its reasoning, but no answer".to_owned(),
            false => "the answer is empty".to_owned(),
        });
    }
    let (object, is_wrapped) = match one_object(text) {
        OneObject::Alone(object) => (Cow::Borrowed(object), false),
        OneObject::Wrapped(object) => (object, true),
        OneObject::OtherJson => return Err(format!("the answer is JSON but not a {schema}")),
        OneObject::Several => {
            return Err("the answer contains more than one JSON object".to_owned());
        }
        OneObject::NotJson => return Err("the answer is not JSON".to_owned()),
    };
    let parsed: T = serde_json::from_str(&mended(&object)).map_err(|error| {
        let key = wrong_key(&error.to_string()).unwrap_or_default();
        format!("the answer is JSON but not a {schema}{key}")
    })?;
    match parsed.problem() {
        None => Ok((parsed, is_wrapped)),
        Some(problem) => Err(format!("the answer is not a valid {schema}: {problem}")),
    }
}

/// Which key is missing or occurs twice, from serde's message. The key is one of the schema's, so
/// nothing of the answer is repeated.
fn wrong_key(error: &str) -> Option<String> {
    let key = |prefix: &str| error.strip_prefix(prefix)?.split('`').next();
    let missing = key("missing field `").map(|key| format!(": `{key}` is missing"));
    missing.or_else(|| key("duplicate field `").map(|key| format!(": `{key}` occurs twice")))
}

/// `category_membership`: the category exists.
pub fn category_membership(
    answer_ref: &AnswerRef,
    category: &str,
    categories: &[&str],
) -> Validation {
    let expected = categories.iter().map(|id| (*id).to_owned()).collect();
    let result = if categories.contains(&category) {
        Ok("the category is loaded".to_owned())
    } else {
        Err("the category is not loaded".to_owned())
    };
    answer_ref.checked(
        ValidationType::CategoryMembership,
        Some(shortened(category)),
        expected,
        result,
    )
}

/// `category_evidence`: every source that points to any category points to this one. `None` when
/// all sources are silent.
pub fn category_evidence(
    answer_ref: &AnswerRef,
    category: &str,
    evidence: &FoundEvidence,
) -> Option<Validation> {
    if evidence.is_empty() {
        return None;
    }
    let (expected, result) = match evidence.objection(category) {
        None => {
            let message = format!("the evidence points to {category}");
            (vec![category.to_owned()], Ok(message))
        }
        Some((source, says)) => {
            let says = says.to_vec();
            let message = format!(
                "the {} points to {}, but the model chose {category}",
                source.in_words(),
                says.join(" or ")
            );
            (says, Err(message))
        }
    };
    Some(answer_ref.checked(
        ValidationType::CategoryEvidence,
        Some(category.to_owned()),
        expected,
        result,
    ))
}

/// `tool_result`: the lookup found a policy that can judge this expense.
pub fn tool_result(
    answer_ref: &AnswerRef,
    category: &str,
    result: Result<String, String>,
) -> Validation {
    let expected = vec!["a policy in force".to_owned()];
    answer_ref.checked(
        ValidationType::ToolResult,
        Some(category.to_owned()),
        expected,
        result,
    )
}

/// `decision_consistency`: the model's decision is the policy code's verdict.
pub fn decision_consistency(answer_ref: &AnswerRef, advice: Ruling, verdict: Ruling) -> Validation {
    let result = if advice == verdict {
        Ok("model and policy agree".to_owned())
    } else {
        let how = if advice < verdict {
            "more lenient"
        } else {
            "stricter"
        };
        Err(format!(
            "the model says {advice}, which is {how} than the policy's {verdict}"
        ))
    };
    answer_ref.checked(
        ValidationType::DecisionConsistency,
        Some(advice.to_string()),
        vec![verdict.to_string()],
        result,
    )
}

/// `citation_grounding`: at least one rule is cited, and every cited one was retrieved.
pub fn citation_grounding(
    answer_ref: &AnswerRef,
    cited: &[String],
    rules: &[RuleFacts],
) -> Validation {
    let retrieved: Vec<String> = rules.iter().map(|facts| facts.rule.id.clone()).collect();
    let unknown = cited.iter().find(|id| !retrieved.contains(id));
    let (input, result) = match (cited.first(), unknown) {
        (None, _) => (None, Err("no rule is cited".to_owned())),
        (_, Some(id)) => (
            Some(shortened(id)),
            Err("a cited rule is not among the rules retrieved".to_owned()),
        ),
        (Some(_), None) => (
            Some(shortened(&cited.join(", "))),
            Ok("every cited rule was retrieved".to_owned()),
        ),
    };
    answer_ref.checked(ValidationType::CitationGrounding, input, retrieved, result)
}

/// `amount_grounding`: every amount in the model's reason occurs in the input or follows from the
/// policy. A number that the employee wrote may be repeated. Of the input, only the expense's
/// amounts are listed as expected, because the text may hold other numbers, such as parts of a card
/// number.
pub fn amount_grounding(
    answer_ref: &AnswerRef,
    reason: &str,
    facts: &DecideFacts,
    stated: &Stated,
) -> Validation {
    let subject = facts.subject();
    let mut known = BTreeSet::from([facts.expense.amount]);
    known.extend(
        facts
            .converted_amount
            .iter()
            .flat_map(|converted| [converted.amount, converted.rate]),
    );
    known.extend(&stated.amounts);
    let rules = facts.policy.rules.iter();
    known.extend(rules.flat_map(|facts| facts.rule.amounts()));
    let mut derived = Vec::new();
    for finding in facts.policy.rules.iter().map(|rule| rule.assess(&subject)) {
        known.extend([
            finding.limit,
            finding.used,
            finding.allowable,
            finding.exceeded,
        ]);
        // What is used after this expense, and what the limit then still allows.
        let total = finding.used + finding.amount;
        derived.extend([total, (finding.limit - total).max(Decimal::ZERO)]);
    }
    // Few reasons name more than what the policy states.
    let given = LazyCell::new(|| {
        let mut given = given_in(facts);
        given.add(derived);
        given.add(known.iter().copied());
        given
    });
    let invented = amounts::named_amounts(reason)
        .into_iter()
        .find(|named| !stated.given.contains(named) && !given.contains(named));
    let expected = known
        .iter()
        .filter(|amount| !amount.is_zero())
        .map(Decimal::to_string)
        .collect();
    let (input, result) = match invented {
        None => (
            None,
            Ok("every amount in the reason is in the input or the policy".to_owned()),
        ),
        Some(amount) => (
            Some(shortened(&amount.text)),
            Err(
                "the reason names an amount that is neither in the input nor in the policy"
                    .to_owned(),
            ),
        ),
    };
    answer_ref.checked(ValidationType::AmountGrounding, input, expected, result)
}

/// The numbers that stand in the expense.
fn given_in(facts: &DecideFacts) -> Given {
    let expense = &facts.expense;
    let mut given = Given::default();
    let texts = [
        Some(&*expense.transaction),
        expense.merchant.as_deref(),
        expense.mcc.as_deref(),
        expense.category_hint.as_deref(),
    ];
    for text in texts.into_iter().flatten() {
        given.add_text(text);
    }
    for (_, value) in expense.facts.iter() {
        given.add_text(&value.to_string());
    }
    given
}

/// A text of the model in a field that should hold a category, a rule id or an amount, cut to a
/// length that suffices for any of these.
fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}
