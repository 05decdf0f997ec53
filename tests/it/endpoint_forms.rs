//! The many forms in which endpoints return an answer: fields of other types than OpenAI's, content in
//! parts, other text around the JSON. A correct answer is used in each form, and no form lets an
//! approval bypass the policy.

use serde_json::{Value, json};

use crate::harness::TestApp;
use crate::harness::expenses::{meal, of_user, ride};
use crate::harness::fake_openai::{FakeOpenAi, Reply};
use crate::harness::replies::{advice, category};

/// The JSON of a correct classification.
fn correct_answer() -> Value {
    json!({"category": "travel", "confidence": 1, "rationale": "A ride."})
}

/// A completion with this content.
fn completion(content: impl Into<Value>) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o-mini",
        "choices": [{
            "index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": content.into()},
        }],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20},
    })
}

/// A completion with the correct answer, changed at one place.
fn with(pointer: &str, value: Value) -> Value {
    let mut body = completion(correct_answer().to_string());
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap()[key] = value;
    body
}

fn raw(body: &Value) -> Reply {
    Reply::raw(200, "application/json", body.to_string())
}

/// The decision on an employee's ride; the model gives these replies in the step classify.
async fn decided(app: &TestApp, fake: &FakeOpenAi, replies: Vec<Reply>, user: &str) -> Value {
    fake.on_classify(replies);
    fake.on_decide([advice("approved", "travel-trip-cap")]);
    app.decide(of_user(ride(), user)).await
}

#[tokio::test]
async fn an_answer_is_used_although_other_fields_have_unexpected_types() {
    let fake = FakeOpenAi::spawn().await;
    let app = TestApp::with_openai(&fake).await;
    let mut bodies = vec![
        with("/id", json!(12345)),
        with("/id", json!(1.5e300)),
        with("/id", json!({"a": 1})),
        with("/model", json!({"name": "m"})),
        with("/model", json!(["m"])),
        with("/model", json!(7)),
        with("/object", json!(["chat"])),
        with("/created", json!("yesterday")),
        with("/error", Value::Null),
        with("/error", json!(false)),
        with("/error", json!({})),
        with("/error", json!({"code": 0, "message": "success"})),
        with("/service_tier", json!({"tier": 1})),
        with("/detail", json!("nothing special")),
        with("/choices/0/index", json!("first")),
        with("/choices/0/logprobs", json!(1)),
        with("/choices/0/error", Value::Null),
        with("/choices/0/finish_reason", json!(1)),
        with("/choices/0/finish_reason", json!({"reason": "stop"})),
        with("/choices/0/stop_reason", json!(128_009)),
        with("/choices/0/message/role", json!(3)),
        with("/choices/0/message/refusal", json!(false)),
        with("/choices/0/message/refusal", json!("")),
        with("/choices/0/message/refusal", json!([])),
        with("/choices/0/message/refusal", json!(0)),
        with("/choices/0/message/tool_calls", json!({"none": true})),
        with("/choices/0/message/reasoning_content", json!([1])),
        with("/usage/prompt_tokens_details", json!("none")),
    ];
    let one_choice = with("/x", Value::Null)["choices"][0].clone();
    bodies.push(with("/choices", one_choice));
    for (n, body) in bodies.iter().enumerate() {
        let decision = decided(&app, &fake, vec![raw(body)], &format!("u{n}")).await;
        assert_eq!(decision["outcome"], "approved", "{body}\n{decision:#}");
        assert_eq!(decision["steps"][0]["attempts"], 1, "{body}");
        assert_eq!(decision["steps"][0]["calls"][0]["input_tokens"], 100);
    }
}

#[tokio::test]
async fn content_in_parts_is_the_text_of_its_text_parts() {
    let fake = FakeOpenAi::spawn().await;
    let app = TestApp::with_openai(&fake).await;
    let json = correct_answer().to_string();
    let (head, tail) = json.split_at(20);
    let draft = r#"{"category": "meals"}"#;
    for (n, content) in [
        json!([{"type": "text", "text": json}]),
        json!([{"type": "output_text", "text": json, "annotations": []}]),
        json!([{"text": json}]),
        json!([json]),
        json!({"type": "text", "text": json}),
        json!([{"type": "text", "text": {"value": json}}]),
        json!([{"type": "text", "text": head}, {"type": "text", "text": tail}]),
        json!([{"type": "thinking", "thinking": [{"type": "text", "text": draft}]}, {"type": "text", "text": json}]),
        json!([{"type": "reasoning", "text": draft}, {"type": "text", "text": json}]),
        json!([{"text": draft, "thought": true}, {"text": json}]),
        json!([{"type": "image_url", "image_url": {"url": "x"}}, 7, null, {"type": "text", "text": json}]),
        json!({"parts": [{"text": json}]}),
        correct_answer(),
    ]
    .into_iter()
    .enumerate()
    {
        let body = completion(content);
        let decision = decided(&app, &fake, vec![raw(&body)], &format!("u{n}")).await;
        assert_eq!(decision["outcome"], "approved", "{body}\n{decision:#}");
        assert_eq!(decision["steps"][0]["attempts"], 1, "{body}");
    }
    // Older and streaming forms have the text in another field.
    for (n, choice) in [json!({"text": json}), json!({"delta": {"content": json}})]
        .into_iter()
        .enumerate()
    {
        let body = json!({"choices": [choice]});
        let decision = decided(&app, &fake, vec![raw(&body)], &format!("v{n}")).await;
        assert_eq!(decision["outcome"], "approved", "{body}\n{decision:#}");
    }
}

/// A completion with this message.
fn message(message: &Value) -> Reply {
    raw(&json!({"choices": [{"finish_reason": "stop", "message": message}]}))
}

#[tokio::test]
async fn the_arguments_of_the_function_that_a_model_calls_are_its_answer() {
    let fake = FakeOpenAi::spawn().await;
    let app = TestApp::with_openai(&fake).await;
    let text = correct_answer().to_string();
    let call = |arguments: Value| json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}});
    let search = || call(json!("{\"query\": \"rides\"}"));
    let correct_calls = [
        json!({"content": null, "tool_calls": [call(json!(text))]}),
        json!({"content": " ", "tool_calls": [call(correct_answer())]}),
        json!({"tool_calls": call(json!(text))}),
        json!({"content": "I call the function.", "tool_calls": [call(json!(text))]}),
        json!({"content": [{"type": "text", "text": "Calling."}], "tool_calls": [call(json!(text))]}),
        json!({"function_call": {"name": "f", "arguments": text}}),
        json!({"content": text, "tool_calls": [search()]}),
        json!({"content": text, "tool_calls": [], "function_call": null}),
        json!({"content": text, "tool_calls": [{"function": {"arguments": ""}}]}),
    ];
    for (n, called) in correct_calls.iter().enumerate() {
        let decision = decided(&app, &fake, vec![message(called)], &format!("u{n}")).await;
        assert_eq!(decision["outcome"], "approved", "{called}\n{decision:#}");
        assert_eq!(decision["steps"][0]["attempts"], 1, "{called}");
    }
    for (n, (called, why)) in [
        (
            json!({"tool_calls": [call(json!(text)), call(json!(text))]}),
            "more than one JSON object",
        ),
        (json!({"tool_calls": [search()]}), "not a classification"),
        (json!({"tool_calls": [call(Value::Null)]}), "is empty"),
    ]
    .into_iter()
    .enumerate()
    {
        fake.clear();
        let replies = vec![message(&called); 2];
        let decision = decided(&app, &fake, replies, &format!("v{n}")).await;
        assert_eq!(decision["outcome"], "needs_review", "{called}");
        let error = decision["steps"][0]["error"].as_str().unwrap();
        assert!(error.contains(why), "{called}: {error}");
    }
}

#[tokio::test]
async fn reasoning_is_an_answer_only_if_it_is_the_object_alone() {
    let fake = FakeOpenAi::spawn().await;
    let app = TestApp::with_openai(&fake).await;
    for (n, name) in ["reasoning_content", "reasoning", "thinking"]
        .into_iter()
        .enumerate()
    {
        for (reasoning, content, error) in [
            (correct_answer().to_string(), Value::Null, None),
            (format!("\n{}\n", correct_answer()), json!(""), None),
            (
                "{\"category\": \"meals\"}".to_owned(),
                json!(correct_answer().to_string()),
                None,
            ),
            (
                format!("Perhaps {}", correct_answer()),
                Value::Null,
                Some("the model wrote its reasoning, but no answer"),
            ),
            (
                "A ride.".to_owned(),
                json!([]),
                Some("the model wrote its reasoning, but no answer"),
            ),
            (String::new(), Value::Null, Some("the answer is empty")),
        ] {
            fake.clear();
            let reply = message(&json!({name: reasoning, "content": content}));
            let decision = decided(&app, &fake, vec![reply; 2], &format!("u{n}")).await;
            assert_eq!(
                decision["steps"][0]["error"],
                json!(error),
                "{name} {reasoning}"
            );
        }
    }
    for (n, unanswered) in [
        json!({"content": [{"type": "thinking", "thinking": "A ride."}]}),
        json!({"content": [{"text": "A ride.", "thought": true}]}),
        json!({"reasoning_details": [{"type": "reasoning.text", "text": "A ride."}]}),
    ]
    .into_iter()
    .enumerate()
    {
        fake.clear();
        let replies = vec![message(&unanswered); 2];
        let decision = decided(&app, &fake, replies, &format!("v{n}")).await;
        let error = "the model wrote its reasoning, but no answer";
        assert_eq!(decision["steps"][0]["error"], error, "{unanswered}");
    }
}

#[tokio::test]
async fn the_words_of_the_schema_are_accepted_in_capitals_and_with_blanks_around_them() {
    let fake = FakeOpenAi::spawn().await;
    let app = TestApp::with_openai(&fake).await;
    for (n, (category, advised)) in [("Travel", "Approved"), (" TRAVEL ", "APPROVED\n")]
        .into_iter()
        .enumerate()
    {
        fake.on_classify([Reply::content(
            json!({"category": category, "rationale": "A ride."}),
        )]);
        fake.on_decide([advice(advised, "travel-trip-cap")]);
        let decision = app.decide(of_user(ride(), &format!("u{n}"))).await;
        assert_eq!(decision["outcome"], "approved", "{decision:#}");
        assert_eq!(decision["category"], "travel");
    }
}

#[tokio::test]
async fn a_byte_order_mark_before_a_response_is_ignored() {
    let fake = FakeOpenAi::spawn().await;
    let app = TestApp::with_openai(&fake).await;
    let body = format!(
        "\u{feff}{}",
        completion(format!("\u{feff}{}", correct_answer()))
    );
    let reply = Reply::raw(200, "application/json", body);
    let decision = decided(&app, &fake, vec![reply], "ana").await;
    assert_eq!(decision["outcome"], "approved", "{decision:#}");
    let message = &decision["validations"][0]["message"];
    assert_eq!(message, "the answer is a classification");
}

#[tokio::test]
async fn an_answer_with_other_text_around_it_is_used_and_the_check_says_so() {
    let fake = FakeOpenAi::spawn().await;
    let app = TestApp::with_openai(&fake).await;
    for (n, content) in [
        format!("```json\n{}\n```", correct_answer()),
        format!("<think>{{}}Travel?</think>{}</s>", correct_answer()),
        format!("The answer: {}", correct_answer()),
    ]
    .into_iter()
    .enumerate()
    {
        let decision = decided(&app, &fake, vec![Reply::content(content)], &format!("u{n}")).await;
        assert_eq!(decision["outcome"], "approved", "{decision:#}");
        let schema = &decision["validations"][0];
        assert_eq!(schema["passed"], true);
        let expected = "the answer is a classification, with other text around it";
        assert_eq!(schema["message"], expected);
    }
}

#[tokio::test]
async fn unknown_keys_of_an_answer_are_ignored() {
    let fake = FakeOpenAi::spawn().await;
    let app = TestApp::with_openai(&fake).await;
    let mut answer = correct_answer();
    answer["thoughts"] = json!({"category": "meals", "n": [1]});
    let replies = vec![Reply::content(answer)];
    let decision = decided(&app, &fake, replies, "ana").await;
    assert_eq!(decision["outcome"], "approved", "{decision:#}");
}

#[tokio::test]
async fn an_answer_that_was_cut_off_filtered_or_refused_is_not_requested_again() {
    let cut = [
        "length",
        "LENGTH",
        "model_length",
        "MAX_TOKENS",
        "max_tokens",
    ];
    let withheld = ["content_filter", "SAFETY", "RECITATION", "content_filtered"];
    let cases = cut
        .map(|reason| (reason, "cut off"))
        .into_iter()
        .chain(withheld.map(|reason| (reason, "content filter")));
    let fake = FakeOpenAi::spawn().await;
    let app = TestApp::with_openai(&fake).await;
    for (n, (reason, why)) in cases.enumerate() {
        let reply = Reply::content(correct_answer()).finish_reason(reason);
        let decision = decided(&app, &fake, vec![reply], &format!("u{n}")).await;
        assert_eq!(decision["outcome"], "needs_review", "{reason}");
        assert_eq!(decision["steps"][0]["attempts"], 1, "{reason}");
        assert!(
            decision["reason"].as_str().unwrap().contains(why),
            "{decision:#}"
        );
    }
    for (n, message) in [
        json!({"content": correct_answer().to_string(), "refusal": true}),
        json!({"content": correct_answer().to_string(), "refusal": "I cannot."}),
        json!({"content": [{"type": "refusal", "refusal": "I cannot."}]}),
        json!({"content": [{"type": "text", "text": correct_answer().to_string()}, {"type": "refusal"}]}),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({"choices": [{"finish_reason": "stop", "message": message}]});
        let decision = decided(&app, &fake, vec![raw(&body)], &format!("r{n}")).await;
        assert_eq!(decision["outcome"], "needs_review", "{body}");
        assert!(
            decision["reason"].as_str().unwrap().contains("refused"),
            "{decision:#}"
        );
    }
}

#[tokio::test]
async fn an_approval_above_the_cap_is_denied_in_every_format() {
    let fake = FakeOpenAi::spawn().await;
    let app = TestApp::with_openai(&fake).await;
    let approval =
        json!({"decision": "approved", "reason": "Fine.", "cited_rules": ["meals-day-cap"]});
    let text = approval.to_string();
    for (n, content) in [
        json!(text),
        json!(format!("```json\n{text}\n```")),
        json!(format!("<think>denied</think>{text}")),
        json!(format!("{{\"decision\": \"denied\"}} {text}")),
        json!([{"type": "thinking", "thinking": "denied"}, {"type": "text", "text": text}]),
        approval,
    ]
    .into_iter()
    .enumerate()
    {
        fake.on_classify([category("meals")]);
        fake.on_decide([raw(&completion(content.clone())), raw(&completion(content))]);
        let decision = app.decide(of_user(meal("80.00"), &format!("u{n}"))).await;
        assert_eq!(decision["outcome"], "denied", "{decision:#}");
        fake.clear();
    }
}

#[tokio::test]
async fn a_repair_quotes_only_the_beginning_of_a_long_answer() {
    let fake = FakeOpenAi::spawn().await;
    let app = TestApp::with_openai(&fake).await;
    let long = Reply::content("é".repeat(400_000));
    let decision = decided(&app, &fake, vec![long, category("travel")], "ana").await;
    assert_eq!(decision["outcome"], "approved", "{decision:#}");
    let repeated = fake.requests()[1].body["messages"][2]["content"].clone();
    let repeated = repeated.as_str().unwrap();
    assert!(
        (4_000..4_200).contains(&repeated.len()),
        "{}",
        repeated.len()
    );
    assert!(repeated.ends_with('…'));
}
