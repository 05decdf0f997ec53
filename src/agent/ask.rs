//! Asking the model, reading its answer, and asking once more when the first answer can be mended.
//! Both model steps go through here; what they ask and what they check beyond the form of the
//! answer is theirs.

use tokio::time::Instant;

use crate::agent::prompts::answers::StructuredAnswer;
use crate::agent::validate::{self, AnswerRef};
use crate::domain::step::{Step, StepReport};
use crate::domain::validation::Validation;
use crate::llm::{Answer, AnswerSchema, ChatModel, ChatRequest, Message, Prompt, Speaker};
use crate::rulebook::Rulebook;

/// Answers a step asks for at most: the first one and one repair.
const MAX_ATTEMPTS: u32 = 2;

/// A step's work so far: the report that the decision keeps, and the checks made.
#[derive(Clone, Debug)]
pub struct StepRun {
    /// What it did.
    pub report: StepReport,
    /// What was checked.
    pub validations: Vec<Validation>,
}

impl StepRun {
    /// A step that has not asked anything.
    pub fn new(step: Step) -> Self {
        let report = StepReport {
            step,
            attempts: 0,
            result: None,
            error: None,
            prompt: None,
            calls: Vec::new(),
        };
        Self {
            report,
            validations: Vec::new(),
        }
    }

    /// Whether the model could not be reached.
    pub fn is_unanswered(&self) -> bool {
        self.report
            .calls
            .last()
            .is_some_and(|call| call.error.is_some())
    }
}

/// One question, without the step's own checks.
pub struct Question<'a> {
    /// The step that asks.
    pub step: Step,
    /// The instructions.
    pub prompt: &'static Prompt,
    /// The facts, as JSON.
    pub facts: String,
    /// The form of the answer.
    pub schema: AnswerSchema<'a>,
    /// What the expense is judged by.
    pub rulebook: &'a Rulebook,
    /// When the answer is of no use any more.
    pub deadline: Instant,
}

/// What came of a question.
pub struct Asked<T> {
    /// The answer, and which one it was, if one passed its checks.
    pub value: Option<(T, AnswerRef)>,
    /// What was done on the way.
    pub run: StepRun,
}

/// Asks a question. `check` looks at an answer that has the right form; a failed check is worth one
/// repair.
pub async fn ask<T: StructuredAnswer>(
    model: &dyn ChatModel,
    question: Question<'_>,
    check: impl Fn(&T, &AnswerRef) -> Option<Validation>,
) -> Asked<T> {
    let Question {
        step,
        prompt,
        facts,
        schema,
        rulebook,
        deadline,
    } = question;
    let mut run = StepRun::new(step);
    run.report.prompt = Some(prompt.to_ref());
    let mut messages = vec![Message {
        speaker: Speaker::User,
        text: facts,
    }];
    let mut value = None;
    while run.report.attempts < MAX_ATTEMPTS {
        run.report.attempts += 1;
        let request = ChatRequest {
            prompt,
            messages: &messages,
            schema,
            deadline,
            rulebook,
            traceparent: None,
        };
        let reply = model.chat(&request).await;
        run.report.calls.push(reply.to_call(model.info()));
        let answer = match reply.answer {
            Ok(answer) => answer,
            Err(error) => {
                run.report.error = Some(error.to_string());
                break;
            }
        };
        let at = AnswerRef {
            step,
            attempt: run.report.attempts,
            response_id: answer.id.clone(),
        };
        let (validations, parsed) = examine(&at, schema.name, &answer, &check);
        let failure = validations
            .iter()
            .find(|validation| !validation.passed)
            .map(|failed| failed.message.clone());
        run.validations.extend(validations);
        let Some(failure) = failure else {
            value = parsed.map(|parsed| (parsed, at));
            run.report.error = None;
            break;
        };
        run.report.error = Some(failure.clone());
        if !validate::is_mendable(&answer) {
            break;
        }
        messages.extend(repair(answer, &failure));
    }
    mark_repaired(&mut run.validations);
    Asked { value, run }
}

fn examine<T: StructuredAnswer>(
    at: &AnswerRef,
    schema: &str,
    answer: &Answer,
    check: impl Fn(&T, &AnswerRef) -> Option<Validation>,
) -> (Vec<Validation>, Option<T>) {
    let (form, parsed) = validate::answer_schema::<T>(at, schema, answer);
    let content = parsed.as_ref().and_then(|parsed| check(parsed, at));
    (std::iter::once(form).chain(content).collect(), parsed)
}

/// The model's own answer, and what was wrong with it.
fn repair(answer: Answer, failure: &str) -> [Message; 2] {
    let complaint = format!(
        "That answer cannot be used: {failure}. Answer again, with nothing but the JSON object."
    );
    [
        Message {
            speaker: Speaker::Assistant,
            text: answer.text.unwrap_or_default(),
        },
        Message {
            speaker: Speaker::User,
            text: complaint,
        },
    ]
}

/// A failed check counts as repaired when a later answer passed the same one.
fn mark_repaired(validations: &mut [Validation]) {
    for index in 0..validations.len() {
        let (earlier, later) = validations.split_at_mut(index + 1);
        let validation = &mut earlier[index];
        validation.repaired =
            !validation.passed && later.iter().any(|v| v.kind == validation.kind && v.passed);
    }
}
