//! Finding the one JSON object in the text of an answer, whatever other text surrounds it. A text with
//! several objects has no answer.

use expense_agent::agent::one_object::{OneObject, one_object};
use proptest::prelude::*;
use serde_json::{Value, json};

const OBJECT: &str = r#"{"decision": "denied", "reason": "a } \" { b [", "cited_rules": ["x"]}"#;

fn wrapped(object: &str) -> OneObject<'_> {
    OneObject::Wrapped(object.into())
}

#[test]
fn an_object_is_found_whatever_models_and_endpoints_put_around_it() {
    let encoded_twice = json!(OBJECT).to_string();
    for text in [
        format!("```json\n{OBJECT}\n```"),
        format!("```\n{OBJECT}```\nI hope this helps :-}}"),
        format!("~~~JSON\r\n{OBJECT}\r\n~~~"),
        format!("<think>\nA draft: {{\"decision\": \"approved\"}}\n</think>\n\n{OBJECT}"),
        format!("A draft {{\"decision\": \"approved\"}}, no.</think>{OBJECT}"),
        format!("<THINK>{{\"a\": 1}} <think> {{\"b\": 2}}</Think>{OBJECT}</s>"),
        format!("<thinking>Hm.</thinking>{OBJECT}"),
        format!("<scratchpad>{{\"a\": 1}}</scratchpad>{OBJECT}"),
        format!("<analysis>{{\"a\": 1}}</analysis>{OBJECT}"),
        format!("[THINK]{{\"a\": 1}}[/THINK]{OBJECT}"),
        format!("◁think▷{{\"a\": 1}}◁/think▷{OBJECT}"),
        format!("<|channel|>analysis<|message|>{{\"a\": 1}}<|channel|>final<|message|>{OBJECT}"),
        format!("Here is the answer (see [1] and {{braces}}): {OBJECT} Done."),
        format!("Voilà : {OBJECT}."),
        format!("答え：{OBJECT}。"),
        format!("{OBJECT}</s>"),
        format!("{OBJECT}<|im_end|>\n<|endoftext|>"),
        format!("<s> {OBJECT} <|eot_id|>"),
        format!("{{{OBJECT}}}"),
        encoded_twice,
    ] {
        assert_eq!(one_object(&text), wrapped(OBJECT), "{text}");
    }
}

#[test]
fn an_object_with_white_space_or_a_byte_order_mark_around_it_is_alone() {
    for text in [
        OBJECT.to_owned(),
        format!("\n\t {OBJECT}\r\n"),
        format!("\u{feff}{OBJECT}"),
    ] {
        assert_eq!(one_object(&text), OneObject::Alone(OBJECT), "{text:?}");
    }
}

#[test]
fn a_text_with_several_objects_has_no_answer() {
    for text in [
        format!("{OBJECT}{OBJECT}"),
        format!("{OBJECT}\n{{\"decision\": \"approved\"}}"),
        format!("First: {{\"decision\": \"approved\"}}. Then: {OBJECT}"),
        format!("{{\"decision\": \"approved\",}} or rather {OBJECT}"),
        format!("```json\n{OBJECT}\n```\n```json\n{OBJECT}\n```"),
        format!("See [{{\"decision\": \"approved\"}}] and {OBJECT}"),
        format!("<think>x</think>{OBJECT} <think>y</think> {OBJECT}"),
    ] {
        assert_eq!(one_object(&text), OneObject::Several, "{text}");
    }
}

#[test]
fn an_incomplete_object_and_other_json_are_no_answer() {
    for (text, expected) in [
        ("", OneObject::NotJson),
        ("approved", OneObject::NotJson),
        (r#"{"decision": "approved""#, OneObject::NotJson),
        (
            r#"{"draft": {"decision": "approved"}, "rea"#,
            OneObject::NotJson,
        ),
        (r#"<think>{"decision": "approved"}"#, OneObject::NotJson),
        (
            r#"<think>a</think><think>{"decision": "approved"}"#,
            OneObject::NotJson,
        ),
        (r#"Answer: {"decision": "approved",}"#, OneObject::NotJson),
        (r#"{'decision': 'approved'}"#, OneObject::NotJson),
        (r#"[{"decision": "approved"}]"#, OneObject::OtherJson),
        (
            r#"Answer: [{"decision": "approved"}]"#,
            OneObject::OtherJson,
        ),
        (r#""approved""#, OneObject::OtherJson),
        ("null", OneObject::OtherJson),
        ("12", OneObject::OtherJson),
    ] {
        assert_eq!(one_object(text), expected, "{text}");
    }
}

#[test]
fn hostile_texts_of_a_megabyte_are_searched_in_linear_time() {
    for piece in [
        "{",
        "[{",
        "{\"a\":",
        "<think>",
        "</think>",
        "<think></think>",
        "\"{\\",
        "[{]}",
    ] {
        let text = piece.repeat((1 << 20) / piece.len());
        // Quadratic time would be hours.
        let found = one_object(&text);
        assert!(
            !matches!(found, OneObject::Alone(_) | OneObject::Wrapped(_)),
            "{piece}"
        );
    }
}

/// Any JSON object that is not empty.
fn object() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z{}\\[\\]\"\\\\<>/ é]{0,12}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z{\"]{1,5}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    prop::collection::btree_map("[a-z{\"]{1,5}", value, 1..4)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

proptest! {
    #[test]
    fn one_object_in_prose_is_found_and_two_objects_are_reported_as_several(
        first in object(),
        second in object(),
        before in "x[a-zA-Z .,:;`'\n]{1,20}",
        after in "[a-zA-Z .,:;`'\n]{0,20}",
    ) {
        let (first, second) = (first.to_string(), second.to_string());
        let is_marked = |text: &str| ["think", "thought", "reason", "reflection"]
            .iter()
            .any(|mark| text.contains(mark));
        prop_assume!(!is_marked(&first) && !is_marked(&second));
        let one = format!("{before}{first}{after}");
        prop_assert_eq!(one_object(&one), wrapped(&first));
        let two = format!("{before}{first}{after}{second}");
        prop_assert_eq!(one_object(&two), OneObject::Several);
    }

    #[test]
    fn no_text_makes_the_search_panic(text in any::<String>(), noisy in "[{}\\[\\]\"\\\\<>/a-k ]{0,64}") {
        let _found = (one_object(&text), one_object(&noisy));
    }
}
