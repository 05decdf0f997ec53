//! Attributes that Phoenix (OpenInference) and Langfuse read beside the GenAI conventions, or
//! instead of them. They are added to finished spans when the operator asks for them, and repeat
//! what other attributes of the span already say.

use opentelemetry::trace::SpanKind;
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

use crate::telemetry::names;
use crate::telemetry::names::attribute::Attribute;
use crate::telemetry::names::{compat, log_events};

/// Adds the attributes to a finished span.
pub(super) fn add(span: &mut SpanData) {
    let attributes = &mut span.attributes;
    let operation =
        find(attributes, names::GEN_AI_OPERATION_NAME).map(|operation| operation.to_string());
    let kind = match operation.as_deref() {
        Some("invoke_agent") => Some("AGENT"),
        Some("execute_tool") => Some("TOOL"),
        Some("chat") => Some("LLM"),
        _ if find(attributes, names::EXPENSE_FEEDBACK_NAME).is_some() => Some("EVALUATOR"),
        // Phoenix lists a trace by its first span, the one of the request.
        _ if span.span_kind == SpanKind::Server => Some("CHAIN"),
        _ => find(attributes, names::STEP_NAME).map(|_| "CHAIN"),
    };
    let mut added = Vec::new();
    added.extend(kind.map(|kind| compat::OPENINFERENCE_SPAN_KIND.with(kind)));
    // Only on model calls: the agent's span holds their sums, which backends would count again.
    if kind == Some("LLM") {
        let copies = [
            (compat::LLM_MODEL_NAME, names::GEN_AI_REQUEST_MODEL),
            (
                compat::LLM_TOKEN_COUNT_PROMPT,
                names::GEN_AI_USAGE_INPUT_TOKENS,
            ),
            (
                compat::LLM_TOKEN_COUNT_COMPLETION,
                names::GEN_AI_USAGE_OUTPUT_TOKENS,
            ),
        ];
        added.extend(
            copies
                .into_iter()
                .filter_map(|(name, from)| Some(name.with(find(attributes, from)?.clone()))),
        );
    }
    let mut events = span.events.events.iter();
    if let Some(event) = events.find(|event| event.name == names::EVENT_EVALUATION_RESULT) {
        added.extend(annotation(
            &event.attributes,
            find(attributes, names::USER_ID),
        ));
    }
    if find(attributes, names::VALIDATION_STATUS).is_some_and(|status| status.as_str() == "failed")
    {
        added.push(compat::LANGFUSE_OBSERVATION_LEVEL.with("WARNING"));
    }
    rename_prompts(attributes);
    attributes.extend(added);
}

/// Feedback as an annotation of
/// [OpenInference](https://github.com/Arize-ai/openinference/blob/main/spec/annotations.md), from the
/// attributes of its event and the person who gave it.
fn annotation(evaluation: &[KeyValue], author: Option<&Value>) -> Vec<KeyValue> {
    let copies = [
        (compat::ANNOTATION_NAME, log_events::GEN_AI_EVALUATION_NAME),
        (
            compat::ANNOTATION_LABEL,
            log_events::GEN_AI_EVALUATION_SCORE_LABEL,
        ),
        (
            compat::ANNOTATION_SCORE,
            log_events::GEN_AI_EVALUATION_SCORE_VALUE,
        ),
        (
            compat::ANNOTATION_EXPLANATION,
            log_events::GEN_AI_EVALUATION_EXPLANATION,
        ),
    ];
    let copies = copies
        .into_iter()
        .filter_map(|(name, from)| Some(name.with(find(evaluation, from)?.clone())));
    let author = author.map(|author| compat::ANNOTATION_IDENTIFIER.with(author.clone()));
    let kind = compat::ANNOTATION_ANNOTATOR_KIND.with("HUMAN");
    copies.chain([kind]).chain(author).collect()
}

/// Renames the keys that begin with `gen_ai.prompt`, because Langfuse shows any such attribute as
/// the input of the call.
fn rename_prompts(attributes: &mut [KeyValue]) {
    for (name, instead) in [
        (
            names::GEN_AI_PROMPT_NAME,
            compat::LANGFUSE_OBSERVATION_PROMPT_NAME,
        ),
        (
            names::GEN_AI_PROMPT_VERSION,
            compat::LANGFUSE_OBSERVATION_PROMPT_VERSION,
        ),
    ] {
        for attribute in attributes
            .iter_mut()
            .filter(|attribute| attribute.key.as_str() == name.key)
        {
            attribute.key = instead.key.into();
        }
    }
}

fn find(attributes: &[KeyValue], wanted: Attribute) -> Option<&Value> {
    attributes
        .iter()
        .find(|attribute| attribute.key.as_str() == wanted.key)
        .map(|attribute| &attribute.value)
}
