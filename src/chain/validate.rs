//! The semantic checks: seven pure functions, each looking at one thing, each yielding one [`Validation`]. None of them
//! changes an outcome; what they add up to is decided in `combine`.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use rust_decimal::Decimal;
use serde::de::DeserializeOwned;
use serde_json::error::Category as JsonFault;

use crate::chain::prompt::DecideFacts;
use crate::domain::decision::{Ruling, Step, Validation, ValidationType};
use crate::llm::Answer;
use crate::policy::evaluate::RuleFacts;
use crate::policy::evidence::Reading;

/// Which answer a check looks at.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The step that asked.
    pub step: Step,
    /// Which of its answers, from 1.
    pub attempt: u32,
    /// The provider's id of the answer.
    pub response_id: Option<String>,
}

impl Answered {
    /// A check's result: `Err` holds the message of one that failed.
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

/// Whether asking once more can mend an answer. A refusal, a filter or a cut would only come again.
pub fn is_mendable(answer: &Answer) -> bool {
    answer.refusal.is_none() && !matches!(answer.finish_reason.as_deref(), Some("length" | "content_filter"))
}

/// `answer_schema`: the answer is whole, not refused, and of the form that was asked for.
pub fn answer_schema<T: DeserializeOwned>(at: &Answered, schema: &str, answer: &Answer) -> (Validation, Option<T>) {
    let parsed = parse_answer::<T>(schema, answer);
    let (result, value) = match parsed {
        Ok(value) => (Ok(format!("the answer is a {schema}")), Some(value)),
        Err(message) => (Err(message), None),
    };
    let input = answer.finish_reason.clone();
    (at.checked(ValidationType::AnswerSchema, input, vec![schema.to_owned()], result), value)
}

/// The model's words stay out of the messages: they are free text, and may repeat the employee's.
fn parse_answer<T: DeserializeOwned>(schema: &str, answer: &Answer) -> Result<T, String> {
    if answer.refusal.is_some() {
        return Err("the model refused to answer".to_owned());
    }
    match answer.finish_reason.as_deref() {
        Some("length") => return Err("the answer was cut off at the token limit".to_owned()),
        Some("content_filter") => return Err("the answer was withheld by a content filter".to_owned()),
        _ => {}
    }
    let text = answer.text.as_deref().unwrap_or_default();
    if text.trim().is_empty() {
        return Err("the answer is empty".to_owned());
    }
    serde_json::from_str(text).map_err(|error| match error.classify() {
        JsonFault::Data => format!("the answer is JSON, but no {schema}"),
        _ => "the answer is not JSON".to_owned(),
    })
}

/// `category_membership`: the label is one of the loaded categories.
pub fn category_membership(at: &Answered, label: &str, categories: &[&str]) -> Validation {
    let expected = categories.iter().map(|category| (*category).to_owned()).collect();
    let result = if categories.contains(&label) {
        Ok("the label is a loaded category".to_owned())
    } else {
        Err("the label is none of the loaded categories".to_owned())
    };
    at.checked(ValidationType::CategoryMembership, Some(shortened(label)), expected, result)
}

/// `category_evidence`: every source that says something speaks for the category. `None` when all are silent.
pub fn category_evidence(at: &Answered, category: &str, reading: &Reading) -> Option<Validation> {
    if reading.is_empty() {
        return None;
    }
    let (expected, result) = match reading.objection(category) {
        None => {
            let message = format!("the evidence speaks for {category}");
            (vec![category.to_owned()], Ok(message))
        }
        Some((source, says)) => {
            let says = says.to_vec();
            let message = format!("the {} says {}, the model says {category}", source.in_words(), says.join(" or "));
            (says, Err(message))
        }
    };
    Some(at.checked(ValidationType::CategoryEvidence, Some(category.to_owned()), expected, result))
}

/// `tool_result`: the lookup came back with a policy that can be used for this expense.
pub fn tool_result(at: &Answered, category: &str, result: Result<String, String>) -> Validation {
    let expected = vec!["a policy in force".to_owned()];
    at.checked(ValidationType::ToolResult, Some(category.to_owned()), expected, result)
}

/// `decision_consistency`: the model's decision is the policy engine's verdict.
pub fn decision_consistency(at: &Answered, advice: Ruling, verdict: Ruling) -> Validation {
    let result = if advice == verdict {
        Ok("model and policy agree".to_owned())
    } else {
        let how = if advice < verdict { "more lenient" } else { "stricter" };
        Err(format!("the model says {advice}, {how} than the policy's {verdict}"))
    };
    at.checked(ValidationType::DecisionConsistency, Some(advice.to_string()), vec![verdict.to_string()], result)
}

/// `citation_grounding`: at least one rule is cited, and every cited one was retrieved.
pub fn citation_grounding(at: &Answered, cited: &[String], rules: &[RuleFacts]) -> Validation {
    let retrieved: Vec<String> = rules.iter().map(|facts| facts.rule.id.clone()).collect();
    let unknown = cited.iter().find(|id| !retrieved.contains(id));
    let (input, result) = match (cited.first(), unknown) {
        (None, _) => (None, Err("no rule is cited".to_owned())),
        (_, Some(id)) => (Some(shortened(id)), Err("a cited rule is not among those retrieved".to_owned())),
        (Some(_), None) => (Some(cited.join(", ")), Ok("every cited rule was retrieved".to_owned())),
    };
    at.checked(ValidationType::CitationGrounding, input, retrieved, result)
}

/// A number with a currency mark before or after it, or one with two decimals.
static AMOUNT: LazyLock<Regex> = LazyLock::new(|| {
    let mark = r"(?:[$€£¥₹]|\b(?:USD|EUR|GBP|JPY|CHF|CAD|AUD|INR)\b|(?i:\b(?:dollars?|euros?|pounds?)\b))";
    let number = r"[0-9](?:[0-9,]*[0-9])?(?:\.[0-9]+)?";
    Regex::new(&format!(
        r"{mark}\s?(?P<before>{number})|(?P<after>{number})\s?{mark}|(?P<bare>[0-9](?:[0-9,]*[0-9])?\.[0-9]{{2}})(?:[^0-9]|$)"
    ))
    .expect("the pattern is a constant, and a test uses it")
});

/// Any number at all; the input may name an amount without a mark.
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[0-9](?:[0-9,]*[0-9])?(?:\.[0-9]+)?").expect("the pattern is a constant, and a test uses it")
});

fn decimal(text: &str) -> Option<Decimal> {
    text.replace(',', "").parse().ok()
}

/// `amount_grounding`: every amount in the model's reason stands in the input or is a fact of the policy.
pub fn amount_grounding(at: &Answered, reason: &str, shown: &DecideFacts) -> Validation {
    let subject = shown.subject();
    let mut facts = BTreeSet::from([shown.expense.amount]);
    facts.extend(shown.converted_amount.iter().flat_map(|converted| [converted.amount, converted.rate]));
    for text in [subject.transaction, &shown.policy.text] {
        facts.extend(NUMBER.find_iter(text).filter_map(|number| decimal(number.as_str())));
    }
    for finding in shown.policy.rules.iter().map(|rule| rule.assess(&subject)) {
        facts.extend([finding.limit, finding.used, finding.allowable, finding.exceeded]);
    }
    let named = AMOUNT.captures_iter(reason).filter_map(|captures| {
        let number = captures.name("before").or_else(|| captures.name("after")).or_else(|| captures.name("bare"))?;
        Some((number.as_str().to_owned(), decimal(number.as_str())))
    });
    let invented = named.into_iter().find(|(_, amount)| amount.is_none_or(|amount| !facts.contains(&amount)));
    let expected = facts.iter().filter(|fact| !fact.is_zero()).map(Decimal::to_string).collect();
    let (input, result) = match invented {
        None => (None, Ok("every amount in the reason is in the input or the policy".to_owned())),
        Some((amount, _)) => (
            Some(shortened(&amount)),
            Err("the reason names an amount that is neither in the input nor in the policy".to_owned()),
        ),
    };
    at.checked(ValidationType::AmountGrounding, input, expected, result)
}

/// A model's label or citation, cut to a length a label could have.
fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}
