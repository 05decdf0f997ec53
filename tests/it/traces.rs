//! Golden traces: the whole span tree as text, for each way in which a decision can end. To learn
//! what a trace shows, read the golden files first.

use serde_json::{Value, json};

use crate::harness::expenses::{expense, flight, meal, ride};
use crate::harness::fake_openai::{FakeOpenAi, Reply};
use crate::harness::replies::{advice_because, category};
use crate::harness::{TestApp, assert_golden};

/// Decides one expense with scripted answers, and compares the tree.
async fn golden(name: &str, replies: impl IntoIterator<Item = Reply>, body: Value) -> Value {
    let fake = FakeOpenAi::spawn().await;
    fake.script(replies);
    let app = TestApp::with_openai(&fake).await;
    let decision = app.decide(body).await;
    assert_golden(name, &app.tree(&decision));
    decision
}

#[tokio::test]
async fn a_ride_within_policy_is_approved() {
    let replies = [
        category("travel"),
        advice_because(
            "approved",
            "45.00 is within the trip cap.",
            &["travel-trip-cap"],
        ),
    ];
    let body = golden("approved_ride", replies, ride()).await;
    assert_eq!(body["outcome"], "approved");
    assert_eq!(body["agent_outcome"], "success");
}

#[tokio::test]
async fn a_flight_above_the_trip_cap_is_denied() {
    let replies = [
        category("travel"),
        advice_because(
            "denied",
            "It is $150 above the cap of $500.",
            &["travel-trip-cap"],
        ),
    ];
    let body = golden("denied_flight", replies, flight()).await;
    assert_eq!(body["outcome"], "denied");
    assert_eq!(body["category"], "travel");
    assert_eq!(body["findings"][0]["rule"], "travel-trip-cap");
    assert_eq!(body["findings"][0]["limit"], "500.00");
    assert_eq!(body["findings"][0]["exceeded"], "150.00");
    assert_eq!(body["reimbursable"], "500.00");
}

#[tokio::test]
async fn a_flight_above_the_threshold_needs_a_manager() {
    let replies = [
        category("travel"),
        advice_because(
            "needs_approval",
            "Above 200.00 a manager agrees.",
            &["travel-manager-approval"],
        ),
    ];
    let body = expense("Flight to Boston", "310.00");
    let body = golden("manager_approval", replies, body).await;
    assert_eq!(body["outcome"], "needs_approval");
    assert_eq!(body["approver"], "manager");
    assert_eq!(body["reimbursable"], "310.00");
}

#[tokio::test]
async fn a_second_meal_that_reaches_the_day_cap_is_denied() {
    let fake = FakeOpenAi::spawn().await;
    fake.script([
        category("meals"),
        advice_because("approved", "Within the day's cap.", &["meals-day-cap"]),
        category("meals"),
        advice_because(
            "denied",
            "Only 15.00 of the day's 75.00 is left.",
            &["meals-day-cap"],
        ),
    ]);
    let app = TestApp::with_openai(&fake).await;
    assert_eq!(app.decide(meal("60.00")).await["outcome"], "approved");
    let second = app.decide(meal("20.00")).await;
    assert_eq!(second["outcome"], "denied");
    assert_eq!(second["findings"][0]["used"], "60.00");
    assert_eq!(second["findings"][0]["allowable"], "15.00");
    assert_golden("meals_day_cap_reached", &app.tree(&second));
}

#[tokio::test]
async fn the_right_denial_for_the_wrong_reason_is_a_review() {
    let replies = [
        category("meals"),
        advice_because("denied", "It is above the day's 75.00.", &["meals-day-cap"]),
    ];
    let body = golden("silent_compound_failure", replies, flight()).await;
    assert_eq!(body["outcome"], "needs_review");
    assert_eq!(body["model_decision"], "denied");
    assert_eq!(body["policy_verdict"], "denied");
    assert_eq!(body["agent_outcome"], "escalated");
    assert_eq!(
        body["reimbursable"],
        Value::Null,
        "a person decides how much is paid"
    );
}

#[tokio::test]
async fn evidence_for_a_stricter_category_is_a_review_without_a_failed_check() {
    let replies = [
        category("travel"),
        advice_because("approved", "Within policy.", &["travel-trip-cap"]),
    ];
    let body = expense("Travel: gym membership", "190.00");
    let body = golden("ambiguous_evidence", replies, body).await;
    assert_eq!(body["outcome"], "needs_review");
    assert_eq!(body["agent_outcome"], "escalated");
}

#[tokio::test]
async fn an_invalid_category_is_repaired_once() {
    let replies = [
        category("entertainment"),
        category("travel"),
        advice_because("approved", "Within policy.", &["travel-trip-cap"]),
    ];
    let body = golden("invalid_category_repaired", replies, ride()).await;
    assert_eq!(body["outcome"], "approved");
    assert_eq!(body["agent_outcome"], "corrected");
    assert_eq!(body["steps"][0]["attempts"], 2);
}

#[tokio::test]
async fn an_invalid_category_that_is_not_repaired_is_a_review() {
    let body = golden(
        "invalid_category",
        [category("entertainment"), category("fun")],
        ride(),
    )
    .await;
    assert_eq!(body["outcome"], "needs_review");
    assert_eq!(body["category"], Value::Null);
    assert_eq!(body["policy_verdict"], Value::Null);
}

#[tokio::test]
async fn a_model_more_lenient_than_policy_is_overruled() {
    let replies = [
        category("travel"),
        advice_because("approved", "Looks fine.", &["travel-trip-cap"]),
    ];
    let body = golden("model_more_lenient", replies, flight()).await;
    assert_eq!(body["outcome"], "denied");
    assert_eq!(body["override"], true);
    assert_eq!(body["agent_outcome"], "corrected");
}

#[tokio::test]
async fn a_model_stricter_than_policy_is_a_review() {
    let replies = [
        category("travel"),
        advice_because("denied", "I do not like it.", &["travel-trip-cap"]),
    ];
    let body = golden("model_stricter", replies, ride()).await;
    assert_eq!(body["outcome"], "needs_review");
    assert_eq!(body["override"], false);
}

#[tokio::test]
async fn a_hallucinated_amount_is_a_review() {
    let replies = [
        category("travel"),
        advice_because(
            "approved",
            "Rides up to $80.00 are fine.",
            &["travel-trip-cap"],
        ),
    ];
    let body = golden("hallucinated_amount", replies, ride()).await;
    assert_eq!(body["outcome"], "needs_review");
}

#[tokio::test]
async fn a_hallucinated_rule_is_a_review() {
    let replies = [
        category("travel"),
        advice_because("approved", "Within policy.", &["ride-cap"]),
    ];
    let body = golden("hallucinated_rule", replies, ride()).await;
    assert_eq!(body["outcome"], "needs_review");
}

#[tokio::test]
async fn a_date_before_any_policy_is_a_review_without_advice() {
    let body = json!({
        "transaction": "Uber ride",
        "amount": "45.00",
        "date": "1999-12-31",
        "user_id": "ana",
    });
    let body = golden("empty_policy", [category("travel")], body).await;
    assert_eq!(body["outcome"], "needs_review");
    assert_eq!(body["model_decision"], Value::Null);
}

#[tokio::test]
async fn a_model_that_cannot_be_reached_is_a_review() {
    let replies = [Reply::status(503), Reply::status(503), Reply::status(503)];
    let body = golden("model_unreachable", replies, ride()).await;
    assert_eq!(body["outcome"], "needs_review");
    assert_eq!(body["agent_outcome"], "error");
}

#[tokio::test]
async fn the_offline_model_gives_the_same_tree() {
    let app = TestApp::spawn().await;
    let decision = app.decide(flight()).await;
    assert_eq!(decision["outcome"], "denied");
    assert_eq!(decision["findings"][0]["limit"], "500.00");
    assert_golden("denied_flight_offline", &app.tree(&decision));
}

#[tokio::test]
async fn captured_content_is_on_chat_and_tool_spans() {
    let mut config = crate::harness::config();
    let variable = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
    config.telemetry = crate::harness::telemetry_settings(&[(variable, "SPAN_ONLY")]);
    let app = TestApp::with(config).await;
    let long = format!("Flight to Chicago {}", "x".repeat(1_900));
    let decision = app
        .decide(json!({"transaction": long, "amount": "650.00"}))
        .await;
    let spans = app.trace(&decision["trace_id"]);
    let json_of = |name: &str, key: &str| -> Value {
        let span = spans.iter().find(|span| span.name == name).unwrap();
        let value = span
            .attributes
            .iter()
            .find(|attribute| attribute.key.as_str() == key)
            .unwrap();
        serde_json::from_str(&value.value.as_str()).unwrap()
    };
    let chat = "chat offline-rules-1";
    assert_eq!(
        json_of(chat, "gen_ai.system_instructions")[0]["type"],
        "text"
    );
    assert_eq!(json_of(chat, "gen_ai.input.messages")[0]["role"], "user");
    assert_eq!(
        json_of(chat, "gen_ai.output.messages")[0]["finish_reason"],
        "stop"
    );
    assert_eq!(
        json_of("execute_tool policy_lookup", "gen_ai.tool.call.arguments")["category"],
        "travel"
    );
    assert_eq!(
        json_of("execute_tool policy_lookup", "gen_ai.tool.call.result")["currency"],
        "USD"
    );
}

#[tokio::test]
async fn a_step_keeps_the_prompt_that_its_chat_spans_show() {
    let fake = FakeOpenAi::spawn().await;
    // The first answer is repaired, so classify has two spans and one prompt.
    fake.on_classify([Reply::content("nonsense"), category("travel")]);
    fake.on_decide([advice_because(
        "approved",
        "45.00 is within the trip cap.",
        &["travel-trip-cap"],
    )]);
    let app = TestApp::with_openai(&fake).await;
    let body = app.decide(ride()).await;
    let kept = |field: &str| {
        let prompts = body["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|step| &step["prompt"][field]);
        prompts
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let spans = app.trace(&body["trace_id"]);
    let shown = |key: &str| {
        let attributes = spans
            .iter()
            .flat_map(|span| &span.attributes)
            .filter(|pair| pair.key.as_str() == key);
        let mut shown: Vec<_> = attributes.map(|pair| pair.value.to_string()).collect();
        assert_eq!(shown.len(), 3);
        shown.dedup();
        shown
    };
    assert_eq!(kept("name"), ["classify", "decide"]);
    assert_eq!(kept("name"), shown("gen_ai.prompt.name"));
    assert_eq!(kept("version"), shown("gen_ai.prompt.version"));
}
