//! Bodies of responses in forms that the service did not ask for: a stream of events, compression,
//! and almost valid JSON.

use std::io::Write;

use expense_agent::llm::mended_json::mended;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::harness::TestApp;
use crate::harness::expenses::{of_user, ride};
use crate::harness::fake_openai::{FakeOpenAi, Reply};
use crate::harness::replies::{advice, category};

/// The text of a correct classification, with a character that JSON has to escape.
const CORRECT: &str = r#"{"rationale": "A \"ride\".", "category": "travel"}"#;

/// A completion with the correct answer.
fn completion() -> Value {
    json!({
        "id": "chatcmpl-1", "model": "gpt-4o-mini",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"content": CORRECT}}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20},
    })
}

/// One event of a stream.
fn piece(delta: Value, finish_reason: Value) -> Value {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish_reason});
    json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-4o-mini", "choices": [choice]})
}

/// A stream of these events.
fn stream(pieces: impl IntoIterator<Item = Value>) -> String {
    let pieces = pieces.into_iter();
    pieces.map(|piece| format!("data: {piece}\n\n")).collect()
}

fn raw(body: impl Into<Vec<u8>>) -> Reply {
    Reply::raw(200, "application/json", body.into()).header("retry-after", "0")
}

/// Decides a ride; the model gives `replies` in the step classify.
async fn decided(app: &TestApp, fake: &FakeOpenAi, replies: Vec<Reply>, user: &str) -> Value {
    fake.clear();
    fake.on_classify(replies);
    fake.on_decide([advice("approved", "travel-trip-cap")]);
    app.decide(of_user(ride(), user)).await
}

#[tokio::test]
async fn the_pieces_of_an_unrequested_stream_are_joined_into_the_answer() {
    let fake = FakeOpenAi::spawn().await;
    let app = TestApp::with_openai(&fake).await;
    let (head, tail) = CORRECT.split_at(20);
    let draft = r#"{"category": "meals"}"#;
    let none = Value::Null;
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 20}});
    let pieces = [
        piece(json!({"role": "assistant", "content": ""}), none.clone()),
        piece(json!({"content": head}), none.clone()),
        piece(json!({"content": tail}), none.clone()),
        piece(json!({}), json!("stop")),
        usage.clone(),
    ];
    let plain = stream(pieces.clone());
    let called = |arguments: &str| {
        let function = json!({"name": "classification", "arguments": arguments});
        piece(
            json!({"tool_calls": [{"index": 0, "function": function}]}),
            none.clone(),
        )
    };
    let thinking = json!([{"type": "thinking", "thinking": [{"type": "text", "text": draft}]}]);
    let first = json!({"choices": [{"index": 0, "message": {"content": CORRECT}}]});
    for (n, body) in [
        format!("{plain}data: [DONE]\n\n"),
        plain.clone(),
        format!("\u{feff}: comment\n\n\n{plain}"),
        plain.replace("data: ", "event: message\nid: 1\nretry: 5\ndata:"),
        plain.replace('\n', "\r\n"),
        plain.replace(
            "\n\ndata: {\"choices\":[]",
            "\n\ndata: ping\n\ndata: {\"choices\":[]",
        ),
        plain.replace("\"index\":0,", ""),
        plain.replace("\"delta\":", "\"logprobs\":NaN,\"delta\":"),
        plain.replace(",\"choices\"", ",\ndata: \"choices\""),
        format!("{}data: [DONE]", stream(pieces[..3].iter().cloned())),
        stream([completion()]),
        stream([first]),
        stream([
            called(""),
            called(head),
            called(tail),
            piece(json!({}), json!("tool_calls")),
        ]),
        stream(
            [piece(json!({"reasoning_content": draft}), none.clone())]
                .into_iter()
                .chain(pieces.clone()),
        ),
        stream([
            piece(json!({"content": thinking}), none.clone()),
            piece(json!({"content": head}), none.clone()),
            piece(
                json!({"content": [{"type": "text", "text": tail}]}),
                json!("stop"),
            ),
        ]),
        stream([
            json!({"choices": [{"index": 0, "text": head}]}),
            json!({"choices": [{"index": 0, "text": tail, "finish_reason": "stop"}]}),
        ]),
    ]
    .into_iter()
    .enumerate()
    {
        let decision = decided(&app, &fake, vec![raw(body.clone())], &format!("u{n}")).await;
        assert_eq!(decision["outcome"], "approved", "{body}\n{decision:#}");
        let step = &decision["steps"][0];
        assert_eq!(
            (&step["attempts"], &step["calls"][0]["retries"]),
            (&json!(1), &json!(0))
        );
        if body.contains("usage") {
            assert_eq!(step["calls"][0]["input_tokens"], 100, "{body}");
        }
    }
}

#[tokio::test]
async fn a_stream_that_fails_or_ends_early_is_tried_again() {
    let fake = FakeOpenAi::spawn().await;
    let app = TestApp::with_openai(&fake).await;
    let begun = piece(json!({"content": CORRECT}), Value::Null);
    let failed = json!({"error": {"code": 502, "message": "gone"}, "choices": [{"index": 0, "delta": {}, "finish_reason": "error"}]});
    for (n, body) in [
        stream([begun.clone()]),
        ": keep-alive\n\n".to_owned(),
        format!("{}data: {{\"choices\"", stream([begun.clone()])),
        stream([begun.clone(), failed]),
        stream([begun, json!({"error": {"type": "overloaded_error"}})]),
        stream([json!({"error": {"code": 429}})]),
        "event: error\ndata: {\"type\": \"error\", \"error\": {\"type\": \"api_error\"}}\n\n"
            .to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        let replies = vec![raw(body.clone()), category("travel")];
        let decision = decided(&app, &fake, replies, &format!("u{n}")).await;
        assert_eq!(decision["outcome"], "approved", "{body}\n{decision:#}");
        assert_eq!(decision["steps"][0]["calls"][0]["retries"], 1, "{body}");
    }
    // A stream that ends at the token limit is complete, so it is not requested again.
    let cut = stream([piece(json!({"content": CORRECT}), json!("length"))]);
    let decision = decided(&app, &fake, vec![raw(cut)], "v").await;
    assert_eq!(
        decision["steps"][0]["error"],
        "the answer was cut off at the token limit"
    );
}

fn zipped(body: impl ToString) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body.to_string().as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_body_is_read_although_its_compression_was_not_requested() {
    let fake = FakeOpenAi::spawn().await;
    let app = TestApp::with_openai(&fake).await;
    for (encoding, body) in [
        ("gzip", zipped(completion())),
        ("X-GZIP", zipped(completion())),
        (
            "gzip",
            [zipped("{"), zipped(&completion().to_string()[1..])].concat(),
        ),
        // Some proxies decompress a body, but leave the header.
        ("gzip", completion().to_string().into_bytes()),
        ("identity", completion().to_string().into_bytes()),
    ] {
        let reply = raw(body).header("content-encoding", encoding);
        let decision = decided(&app, &fake, vec![reply], "ana").await;
        assert_eq!(
            decision["steps"][0]["error"],
            Value::Null,
            "{encoding}: {decision:#}"
        );
    }
    let error = zipped(json!({"error": {"message": "Bad thing"}}));
    let reply = Reply::raw(400, "application/json", error).header("content-encoding", "gzip");
    let decision = decided(&app, &fake, vec![reply], "ben").await;
    let said = decision["steps"][0]["error"].as_str().unwrap();
    assert!(said.ends_with("400: Bad thing"), "{said}");
    let bomb = raw(zipped(" ".repeat(64 << 20))).header("content-encoding", "gzip");
    let decision = decided(&app, &fake, vec![bomb], "kim").await;
    let said = decision["steps"][0]["error"].as_str().unwrap();
    assert!(said.ends_with("not a chat completion"), "{said}");
}

#[tokio::test]
async fn an_answer_in_almost_valid_json_is_used() {
    let fake = FakeOpenAi::spawn().await;
    let app = TestApp::with_openai(&fake).await;
    let whole = completion().to_string();
    let content = |text: &str| {
        let mut body = completion();
        body["choices"][0]["message"]["content"] = text.into();
        body.to_string()
    };
    for (n, body) in [
        whole.replace("\"id\"", "\"created\": NaN, \"id\""),
        whole.replace("\"id\"", "\"created\": -Infinity, \"id\""),
        whole.replace("100", "Infinity"),
        whole.replace("100", "1e400"),
        whole.replace("chatcmpl-1", "\\ud83d"),
        whole.replace("ride", "ride \\ud83d"),
        whole.replace("ride", "ride \\ude95\\ud83d"),
        whole.replace("ride", "ri\nde\t"),
        content(&CORRECT.replace("ride", "ri\nde")),
        content(&CORRECT.replace("ride", "ri\r\n\tde")),
        content(&CORRECT.replace("ride", "ride \\ud83d")),
        content(&CORRECT.replace("}", ", \"confidence\": NaN}")),
        content(&format!(
            "It is NaN \" \n{}",
            CORRECT.replace("ride", "ri\nde")
        )),
    ]
    .into_iter()
    .enumerate()
    {
        let decision = decided(&app, &fake, vec![raw(body.clone())], &format!("u{n}")).await;
        assert_eq!(decision["outcome"], "approved", "{body}\n{decision:#}");
        assert_eq!(decision["steps"][0]["attempts"], 1, "{body}");
    }
}

#[test]
fn only_what_json_does_not_allow_is_mended() {
    for (text, expected) in [
        (
            r#"{"a": NaN, "b": [-Infinity, Infinity]}"#,
            r#"{"a": null, "b": [null, null]}"#,
        ),
        (r#"{"a": "NaN \" Infinity"}"#, r#"{"a": "NaN \" Infinity"}"#),
        ("{\"a\":\n \"b\nc\"}", "{\"a\":\n \"b\\u000ac\"}"),
        (
            r#"["\ud83d\ude95 \ud83d \ude95 \\ud83d"]"#,
            r#"["\ud83d\ude95 \ufffd \ufffd \\ud83d"]"#,
        ),
        (r#"["\uD83D\u0041"]"#, r#"["\ufffd\u0041"]"#),
        (
            r#"{"a": -1.5, 'b': undefined,}"#,
            r#"{"a": -1.5, 'b': undefined,}"#,
        ),
        ("\"\\ud83", "\"\\ud83"),
        ("\"\\", "\"\\"),
    ] {
        assert_eq!(mended(text), expected);
    }
}

proptest! {
    #[test]
    fn valid_json_is_unchanged_and_no_text_causes_a_panic(
        value in "\\PC{0,40}",
        noisy in "[\\\\\"uud8dc0-9eINaf\n é-]{0,40}",
    ) {
        let json = json!({"a": value, "b": [1, -2, null]}).to_string();
        prop_assert_eq!(mended(&json), json.as_str());
        let _mended = mended(&noisy);
    }
}
