//! Asks the model, reads its answer, and asks once more if the first answer can be repaired. Both
//! model steps go through here. What they ask, and what they check beyond the form of the answer,
//! is in `classify` and `decide`.

use tokio::time::Instant;

use crate::agent::prompts::answers::StructuredAnswer;
use crate::agent::supersede::RunError;
use crate::agent::validate::{self, AnswerRef};
use crate::domain::step::{ModelCall, Step, StepReport};
use crate::domain::validation::Validation;
use crate::llm::{
    Answer, AnswerSchema, ChatModel, ChatRequest, Message, ModelError, Prompt, Speaker,
};
use crate::rulebook::Rulebook;

/// How often a step asks at most: the question and one repair.
const MAX_ATTEMPTS: u32 = 2;
/// How much of a wrong answer the request for a repair repeats.
const MAX_REPEATED_BYTES: usize = 4_096;

/// A step's work so far: the report that the decision keeps, and the checks made.
#[derive(Clone, Debug)]
pub struct StepRun {
    /// What the step did.
    pub report: StepReport,
    /// What was checked, in order.
    pub validations: Vec<Validation>,
    /// Why the last call of the model got no answer; `None` if it got one. This text is for the
    /// employee; the error in the report also quotes the endpoint.
    pub no_answer: Option<String>,
    /// Whether a call could not be made in time, because too many others waited.
    pub is_overloaded: bool,
    /// When the request arrived: times in the report count from here.
    arrived: Instant,
    began: Instant,
}

impl StepRun {
    /// A step that begins now, and has not asked anything.
    pub fn begin(step: Step, arrived: Instant) -> Self {
        let began = Instant::now();
        let report = StepReport {
            step,
            attempts: 0,
            result: None,
            error: None,
            prompt: None,
            calls: Vec::new(),
            started_ms: Some((began - arrived).into()),
            duration_ms: None,
        };
        Self {
            report,
            validations: Vec::new(),
            no_answer: None,
            is_overloaded: false,
            arrived,
            began,
        }
    }

    /// Ends the step: the last thing that it does.
    pub fn end(mut self) -> Self {
        self.report.duration_ms = Some(self.began.elapsed().into());
        self
    }

    /// Succeeds unless a call could not be made in time, because too many others waited.
    ///
    /// # Errors
    /// With [`RunError::Overloaded`].
    pub fn check_load(&self) -> Result<(), RunError> {
        match self.is_overloaded {
            true => Err(RunError::Overloaded),
            false => Ok(()),
        }
    }

    /// Checks the form of an answer and then, with `check`, its content. Returns the answer if it
    /// passed; otherwise the report says why it failed.
    fn check<T: StructuredAnswer>(
        &mut self,
        answer: &Answer,
        schema_name: &str,
        check: impl Fn(&T, &AnswerRef) -> Option<Validation>,
    ) -> Option<(T, AnswerRef)> {
        let answer_ref = AnswerRef {
            step: self.report.step,
            attempt: self.report.attempts,
            response_id: answer.id.clone(),
        };
        let (form, parsed) = validate::answer_schema::<T>(&answer_ref, schema_name, answer);
        let content = parsed
            .as_ref()
            .and_then(|parsed| check(parsed, &answer_ref));
        let validations: Vec<_> = [Some(form), content].into_iter().flatten().collect();
        let failed = validations.iter().find(|validation| !validation.passed);
        self.report.error = failed.map(|failed| failed.message.clone());
        self.validations.extend(validations);
        parsed
            .filter(|_| self.report.error.is_none())
            .map(|parsed| (parsed, answer_ref))
    }

    /// Whether the last call of the model got no answer.
    pub fn is_unanswered(&self) -> bool {
        self.report
            .calls
            .last()
            .is_some_and(|call| call.error.is_some())
    }
}

/// One question, without the step's own checks.
pub struct Question<'a> {
    /// The instructions.
    pub prompt: &'static Prompt,
    /// The facts, as JSON.
    pub facts: String,
    /// The form of the answer.
    pub schema: AnswerSchema<'a>,
    /// The rulebook by which the expense is decided.
    pub rulebook: &'a Rulebook,
    /// By when the model must have answered, repairs included.
    pub deadline: Instant,
}

/// The result of a question.
pub struct Asked<T> {
    /// The first answer that passed its checks, with a reference to it; absent if none did.
    pub value: Option<(T, AnswerRef)>,
    /// What was done on the way.
    pub run: StepRun,
}

/// Asks a question, as part of the step that `run` is. `check` is the step's own check of an answer that has the right form; an answer
/// that fails it is repaired like one of the wrong form.
pub async fn ask<T: StructuredAnswer>(
    model: &dyn ChatModel,
    mut run: StepRun,
    question: Question<'_>,
    check: impl Fn(&T, &AnswerRef) -> Option<Validation>,
) -> Asked<T> {
    run.report.prompt = Some(question.prompt.to_ref());
    let mut messages = vec![Message {
        speaker: Speaker::User,
        text: question.facts,
    }];
    let mut value = None;
    while run.report.attempts < MAX_ATTEMPTS {
        run.report.attempts += 1;
        let request = ChatRequest {
            step: run.report.step,
            prompt: question.prompt,
            messages: &messages,
            schema: question.schema,
            deadline: question.deadline,
            rulebook: question.rulebook,
            traceparent: None,
        };
        let began = Instant::now();
        let reply = model.chat(&request).await;
        run.report.calls.push(ModelCall {
            started_ms: Some((began - run.arrived).into()),
            duration_ms: Some(began.elapsed().into()),
            ..reply.to_call(model.info())
        });
        let answer = match reply.answer {
            Ok(answer) => answer,
            Err(error) => {
                run.report.error = Some(error.in_full());
                run.no_answer = Some(error.to_string());
                run.is_overloaded = error == ModelError::Overloaded;
                break;
            }
        };
        value = run.check(&answer, question.schema.name, &check);
        match &run.report.error {
            Some(failure) if validate::is_repairable(&answer) => {
                messages.extend(repair(answer, failure));
            }
            _ => break,
        }
    }
    mark_repaired(&mut run.validations);
    Asked { value, run }
}

/// The messages that ask for a repair: the model's own answer, and what is wrong with it.
fn repair(answer: Answer, failure: &str) -> [Message; 2] {
    let complaint =
        format!("Your answer cannot be used: {failure}. Answer again with the JSON object alone.");
    [
        Message {
            speaker: Speaker::Assistant,
            text: beginning(answer.text.unwrap_or_default()),
        },
        Message {
            speaker: Speaker::User,
            text: complaint,
        },
    ]
}

/// The text, or its beginning, which is longer than any right answer: the rest would cost tokens,
/// and may not fit beside the question.
fn beginning(mut text: String) -> String {
    if text.len() > MAX_REPEATED_BYTES {
        text.truncate(text.floor_char_boundary(MAX_REPEATED_BYTES));
        text.push('…');
    }
    text
}

/// A failed check counts as repaired if a later answer passed the same check.
fn mark_repaired(validations: &mut [Validation]) {
    for index in 0..validations.len() {
        let (earlier, later) = validations.split_at_mut(index + 1);
        let validation = &mut earlier[index];
        validation.repaired =
            !validation.passed && later.iter().any(|v| v.kind == validation.kind && v.passed);
    }
}
