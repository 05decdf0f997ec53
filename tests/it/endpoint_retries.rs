//! Which failures of a model endpoint are retried, and after which wait. This depends on the
//! status, on what the message says about a quota, and on the wait that the endpoint asks for.

use serde_json::{Value, json};

use crate::endpoint_failures::{decision, raw};
use crate::harness::TestApp;
use crate::harness::fake_openai::{FakeOpenAi, Reply};
use crate::harness::replies::category;

#[tokio::test]
async fn a_wait_is_understood_in_every_form_that_endpoints_write() {
    let fake = FakeOpenAi::spawn().await;
    let app = TestApp::with_openai(&fake).await;
    let seconds = "retry-after";
    // Each asks for a wait that ends after the deadline, so that no retry is made.
    for (n, (name, value)) in [
        (seconds, "3600"),
        (seconds, " 3600.5 "),
        (seconds, "+3600"),
        (seconds, "3600s"),
        (seconds, "60 minutes"),
        (seconds, "1h30m"),
        (seconds, "99999999999999999999"),
        (seconds, "Sun, 31 Dec 2051 23:59:59 GMT"),
        (seconds, "Sun, 31 Dec 2051 23:59:59 +0100"),
        (seconds, "Sunday, 31-Dec-51 23:59:59 GMT"),
        (seconds, "Sun Dec  3 23:59:59 2051"),
        (seconds, "2051-12-31T23:59:59Z"),
        ("retry-after-ms", "3600000"),
        ("retry-after-ms", "3600000.5"),
    ]
    .into_iter()
    .enumerate()
    {
        let n_before = fake.requests().len();
        let replies = vec![Reply::status(429).header(name, value); 4];
        let decided = decision(&app, &fake, replies, &format!("u{n}")).await;
        assert_eq!(decided["outcome"], "needs_review", "{value}");
        assert_eq!(fake.requests().len() - n_before, 1, "{name}: {value}");
    }
    let two_waits = Reply::status(429)
        .header(seconds, "0")
        .header(seconds, "3600");
    let decided = decision(&app, &fake, vec![two_waits, category("travel")], "v").await;
    assert_eq!(
        decided["outcome"], "needs_review",
        "the longer of two waits counts"
    );
    // A value that cannot be understood, or a date that has passed, asks for no wait.
    for (n, value) in [
        "",
        "soon",
        "-3600",
        "NaN",
        "3600, 3600",
        "Mon, 01 Jan 2024 00:00:00 GMT",
    ]
    .into_iter()
    .enumerate()
    {
        let reply = Reply::status(429).header(seconds, value);
        let decided = decision(
            &app,
            &fake,
            vec![reply, category("travel")],
            &format!("w{n}"),
        )
        .await;
        assert_eq!(decided["outcome"], "approved", "{value}");
    }
}

#[tokio::test]
async fn a_429_whose_message_reports_a_used_up_quota_is_retried_only_if_it_asks_for_a_wait() {
    let fake = FakeOpenAi::spawn().await;
    let app = TestApp::with_openai(&fake).await;
    let error = |message: &str| json!({"error": {"message": message, "type": "some_error"}});
    let gemini = |details: Value| {
        let message =
            "You exceeded your current quota, please check your plan and billing details.";
        let status = "RESOURCE_EXHAUSTED";
        json!({"error": {"code": 429, "message": message, "status": status, "details": details}})
    };
    let wait = |delay: &str| {
        let kind = "type.googleapis.com/google.rpc.RetryInfo";
        gemini(json!([{"reason": "x"}, {"@type": kind, "retryDelay": delay}]))
    };
    let reply = |body: &Value| Reply::raw(429, "application/json", body.to_string());
    let used_up = error("Your credits are exhausted. Not enough credits to go on.");
    for (n, (reply, n_retries)) in [
        (reply(&used_up), 0),
        (
            reply(&error("You have exceeded your monthly included credits")),
            0,
        ),
        (
            reply(&error(
                "The balance of this account is too low: Insufficient funds",
            )),
            0,
        ),
        (
            reply(&error("Your organisation reached its spending limit")),
            0,
        ),
        (
            reply(&error("Budget has been exceeded! Current cost: 2.1")),
            0,
        ),
        (reply(&error("您的账户额度不足，请充值")), 0),
        (
            reply(&json!({"error": {"code": "1113", "message": "您的账户已欠费"}})),
            0,
        ),
        (
            reply(&json!({"code": "Arrearage", "message": "Access denied"})),
            0,
        ),
        (reply(&gemini(json!([]))), 0),
        (reply(&wait("3600s")), 0),
        (reply(&wait("0.01s")), 1),
        (reply(&gemini(json!([]))).header("retry-after", "0"), 1),
        (reply(&used_up).header("retry-after", "0"), 1),
        (
            reply(&error(
                "Rate limit reached for TPM. Add a payment method under /account/billing",
            )),
            1,
        ),
        (
            reply(&error("Quota exceeded for metric: requests per minute")),
            1,
        ),
        (
            reply(&error("Resource has been exhausted (e.g. check quota).")),
            1,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let decided = decision(
            &app,
            &fake,
            vec![reply, category("travel")],
            &format!("u{n}"),
        )
        .await;
        assert_eq!(
            decided["steps"][0]["calls"][0]["retries"], n_retries,
            "{n}: {decided:#}"
        );
    }
}

#[tokio::test]
async fn a_status_is_retried_only_if_a_later_attempt_may_succeed() {
    let fake = FakeOpenAi::spawn().await;
    let app = TestApp::with_openai(&fake).await;
    for (status, n_retries) in [
        (400, 0),
        (402, 0),
        (404, 0),
        (408, 1),
        (409, 1),
        (424, 0),
        (425, 1),
        (426, 0),
        (429, 1),
        (500, 1),
        (529, 1),
        (599, 1),
        (600, 0),
        (999, 0),
    ] {
        let replies = vec![raw(status, &json!({})), category("travel")];
        let decided = decision(&app, &fake, replies, &format!("u{status}")).await;
        let call = &decided["steps"][0]["calls"][0];
        assert_eq!(call["retries"], n_retries, "{status}");
    }
}
