//! Error responses of a model endpoint, in the many forms that endpoints give them: they decide
//! whether a call is retried, and are shown to operators in the span, the log and the record, but not
//! to employees. `endpoint_retries` tests which statuses, messages and waits lead to a retry.

use opentelemetry::trace::Status;
use serde_json::{Value, json};

use crate::harness::TestApp;
use crate::harness::binary::Service;
use crate::harness::expenses::{expense, of_user, ride};
use crate::harness::fake_openai::{FakeOpenAi, Reply};
use crate::harness::replies::{advice, category};
use crate::harness::server::UnusedPort;

const QUIET: [(&str, &str); 2] = [
    ("OTEL_TRACES_EXPORTER", "none"),
    ("OTEL_METRICS_EXPORTER", "none"),
];

pub(crate) fn raw(status: u16, body: &Value) -> Reply {
    Reply::raw(status, "application/json", body.to_string()).header("retry-after", "0")
}

/// The decision on an employee's ride; the model gives these replies in the step classify.
pub(crate) async fn decision(
    app: &TestApp,
    fake: &FakeOpenAi,
    replies: Vec<Reply>,
    user: &str,
) -> Value {
    fake.clear();
    fake.on_classify(replies);
    fake.on_decide([advice("approved", "travel-trip-cap")]);
    app.decide(of_user(ride(), user)).await
}

#[tokio::test]
async fn an_error_in_a_200_is_retried_like_the_same_error_with_its_own_status() {
    let fake = FakeOpenAi::spawn().await;
    let app = TestApp::with_openai(&fake).await;
    let choice = |choice: Value| json!({"id": "x", "choices": [choice]});
    let answer = r#"{"category": "meals", "confidence": 1, "rationale": ""}"#;
    for (n, body) in [
        json!({"error": {"message": "Rate limit exceeded", "code": 429}}),
        json!({"error": {"message": "Rate limit exceeded", "code": "429"}}),
        json!({"error": {"message": "slow down", "type": "rate_limit_error"}}),
        json!({"error": {"code": "RESOURCE_EXHAUSTED"}}),
        json!({"error": "Rate limit exceeded"}),
        json!({"error": "upstream is gone"}),
        json!({"error": true, "message": "Internal error"}),
        json!({"error": [{"code": 503, "message": "busy"}]}),
        json!([{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Quota per minute"}}]),
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
        json!({"object": "error", "message": "busy", "type": "ServiceUnavailable", "param": null, "code": 50302}),
        json!({"detail": "Too Many Requests"}),
        json!({"success": false, "errors": [{"code": 10000, "message": "timeout"}]}),
        json!({"statusCode": 503, "message": "try later"}),
        json!({"error": {"code": 502}, "choices": []}),
        json!({"error": {"code": 502}, "choices": null}),
        choice(json!({"error": {"code": 502, "message": "provider failed"}, "finish_reason": "error", "message": {"content": ""}})),
        choice(json!({"finish_reason": "error", "message": {"content": answer}})),
        choice(json!({"finish_reason": "insufficient_system_resource", "message": {"content": answer}})),
        choice(json!({"finish_reason": "abort", "message": {"content": answer}})),
        choice(json!({"finish_reason": "stop", "message": {"content": answer, "error": {"code": 500}}})),
    ]
    .into_iter()
    .enumerate()
    {
        let replies = vec![raw(200, &body), category("travel")];
        let decided = decision(&app, &fake, replies, &format!("u{n}")).await;
        assert_eq!(decided["outcome"], "approved", "{body}\n{decided:#}");
        assert_eq!(decided["steps"][0]["calls"][0]["retries"], 1, "{body}");
        assert_eq!(decided["steps"][0]["attempts"], 1, "{body}");
    }
}

#[tokio::test]
async fn a_200_in_which_a_gateway_or_a_proxy_reports_a_failure_is_retried() {
    let fake = FakeOpenAi::spawn().await;
    let app = TestApp::with_openai(&fake).await;
    let choice = json!({"message": {"content": ""}});
    let bodies = [
        json!({"base_resp": {"status_code": 1001, "status_msg": "request timeout"}, "choices": null}),
        json!({"base_resp": {"status_code": 1013, "status_msg": "internal error"}, "choices": []}),
        json!({"base_resp": {"status_code": 1000, "status_msg": "unknown error"}, "choices": [choice]}),
        json!({"code": 1305, "message": "当前请求过于频繁", "choices": null}),
        json!({"Response": {"Error": {"Code": "RequestLimitExceeded", "Message": "Slower"}, "RequestId": "x"}}),
        json!({"ResponseMetadata": {"RequestId": "x", "Error": {"Code": "InternalError", "CodeN": 1}}}),
        json!({"Code": "Throttling.User", "Message": "Requests throttling triggered.", "RequestId": "x"}),
        json!({"ErrorCode": 503, "ErrorMessage": "busy"}),
        json!({"error_code": 18, "error_msg": "Open api qps request limit reached"}),
        json!({"__type": "ThrottlingException", "message": null}),
        json!({"data": {"error": "the model crashed"}}),
        json!(json!({"error": {"code": 503}}).to_string()),
        json!("upstream request timeout"),
    ];
    let pages = [
        "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><center><h1>502 Bad Gateway</h1></center></body></html>",
        "<!DOCTYPE html><html><head><style>p {}</style><title>api | 504: Gateway time-out</title></head></html>",
        "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>",
        "<title>ERROR: The requested URL could not be retrieved</title>",
        "upstream request timeout",
        "no available server\n",
        "Internal Server Error",
    ];
    let bodies = bodies.iter().map(Value::to_string);
    for (n, body) in bodies.chain(pages.map(str::to_owned)).enumerate() {
        let reply = Reply::raw(200, "text/plain", body.clone()).header("retry-after", "0");
        let replies = vec![reply, category("travel")];
        let decided = decision(&app, &fake, replies, &format!("u{n}")).await;
        assert_eq!(decided["outcome"], "approved", "{body}\n{decided:#}");
        assert_eq!(decided["steps"][0]["calls"][0]["retries"], 1, "{body}");
        assert_eq!(decided["steps"][0]["attempts"], 1, "{body}");
    }
}

#[tokio::test]
async fn a_200_that_is_neither_a_completion_nor_a_failure_is_not_retried() {
    let fake = FakeOpenAi::spawn().await;
    let app = TestApp::with_openai(&fake).await;
    let content = json!([{"type": "output_text", "text": "{}"}]);
    for (n, body) in [
        json!({"object": "response", "status": "completed", "error": null, "output": [{"type": "message", "content": content}]}),
        json!({"type": "message", "role": "assistant", "content": content, "stop_reason": "end_turn"}),
        json!({"candidates": [{"content": {"parts": [{"text": "{}"}]}}]}),
        json!({"model": "m", "message": {"role": "assistant", "content": "{}"}, "done": true}),
        json!({"code": 0, "message": "success", "data": {"choices": []}}),
        json!({"status": 200, "msg": "OK", "data": {"choices": []}}),
        json!({"status": "ok"}),
        json!({"status": "ok", "message": "pong"}),
        json!({"id": "1", "type": "job", "status": "queued"}),
        json!({"object": "list", "data": []}),
        json!({"base_resp": {"status_code": 0, "status_msg": "success"}, "vectors": [[0.5]]}),
        json!({"base_resp": {"status_msg": "Success"}, "reply": "{}"}),
        json!({"Response": {"RequestId": "x", "Choices": [], "Error": null}}),
        json!({"response": "{}", "error": null, "done": true}),
        json!({"Status": "OK", "Message": "Success"}),
        json!({"status": "up", "checks": {"ledger": "ok", "errors": 0}}),
        json!("pong"),
    ]
    .iter()
    .map(Value::to_string)
    .chain([
        "OK".to_owned(),
        "<title>Welcome</title><h1>It works!</h1>".to_owned(),
        format!("<title>Manual</title>{} <h2>Bad gateway</h2>", "<p>Read this. </p>".repeat(40)),
    ])
    .enumerate()
    {
        let n_before = fake.requests().len();
        let replies = vec![Reply::raw(200, "application/json", body.clone()).header("retry-after", "0"); 2];
        let decided = decision(&app, &fake, replies, &format!("u{n}")).await;
        assert_eq!(fake.requests().len() - n_before, 1, "{body}");
        let error = "the model's endpoint returned a response that is not a chat completion";
        assert_eq!(decided["steps"][0]["error"], error, "{body}");
    }
}

#[tokio::test]
async fn a_permanent_error_is_not_retried_and_the_reason_names_its_status_and_code() {
    let fake = FakeOpenAi::spawn().await;
    let app = TestApp::with_openai(&fake).await;
    for (n, (status, body, shown)) in [
        (200, json!({"error": {"code": 401, "message": "No key"}}), "401"),
        (200, json!({"error": {"type": "invalid_request_error", "code": null, "param": "model"}}), "400 (invalid_request_error)"),
        (200, json!({"error": {"code": "model_not_found"}}), "404 (model_not_found)"),
        (200, json!({"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs", "type": "extra_forbidden"}]}), "422 (extra_forbidden)"),
        (200, json!({"error": {"code": "429", "type": "insufficient_quota"}}), "429 (insufficient_quota)"),
        (429, json!({"error": {"code": "429", "type": "insufficient_quota"}}), "429 (insufficient_quota)"),
        (429, json!({"error": {"code": "insufficient_quota", "type": "tokens"}}), "429 (insufficient_quota)"),
        (429, json!({"error": {"type": "exceeded_current_quota_error"}}), "429 (exceeded_current_quota_error)"),
        (429, json!({"error": {"code": "billing_hard_limit_reached"}}), "429 (billing_hard_limit_reached)"),
        (402, json!({"error": {"message": "Insufficient Balance", "type": "unknown_error", "code": "invalid_request_error"}}), "402 (invalid_request_error)"),
        (400, json!({"error": {"code": 400, "type": "exceed_context_size_error", "message": "too long"}}), "400 (exceed_context_size_error)"),
        (400, json!({"object": "error", "type": "BadRequestError", "message": "no", "code": 40001}), "400 (BadRequestError)"),
        (400, json!([{"error": {"code": 400, "status": "INVALID_ARGUMENT"}}]), "400 (INVALID_ARGUMENT)"),
        (404, json!({"error": "model 'x' not found, try pulling it first"}), "404"),
        (400, json!({"type": "https://example.com/errors/too-long/?lang=en#top", "title": "Too long"}), "400 (too-long)"),
        (400, json!({"type": "//example.com/problems/bad_seed", "status": 400}), "400 (bad_seed)"),
        (400, json!({"error": "https://example.com/errors/bad_seed", "message": "No"}), "400 (bad_seed)"),
        (400, json!({"type": "urn:problem:bad_seed", "detail": "No"}), "400 (bad_seed)"),
        (400, json!({"type": "https://tools.ietf.org/html/rfc7231#section-6.5.1", "title": "No"}), "400"),
        (400, json!({"type": "https://example.com/", "title": "No"}), "400"),
        (400, json!({"type": "https://example.com/help.html", "code": "bad_seed"}), "400 (bad_seed)"),
        (400, json!({"type": "about:blank", "title": "No"}), "400"),
        (200, json!({"type": "https://example.com/errors/not-found", "title": "No"}), "404 (not-found)"),
        (400, json!({"error": {"message": json!({"error": {"code": "bad_seed"}}).to_string()}}), "400 (bad_seed)"),
        (422, json!({"object": "error", "message": {"detail": [{"type": "extra_forbidden", "msg": "no"}]}}), "422 (extra_forbidden)"),
    ]
    .into_iter()
    .enumerate()
    {
        let n_before = fake.requests().len();
        let replies = vec![raw(status, &body); 2];
        let decided = decision(&app, &fake, replies, &format!("u{n}")).await;
        assert_eq!(fake.requests().len() - n_before, 1, "{body}");
        let expected = format!(
            "A person has to review this expense: the model's endpoint returned HTTP status {shown}."
        );
        assert_eq!(decided["reason"], expected, "{body}");
    }
}

#[tokio::test]
async fn the_endpoints_message_is_on_spans_and_in_the_record_but_not_in_the_reason() {
    let fake = FakeOpenAi::spawn().await;
    let app = TestApp::with_openai(&fake).await;
    let html = "<html><head><title>404 Not Found</title><style>p {}</style></head><body>nginx</body></html>";
    let long = "x ".repeat(5_000);
    for (n, (body, said)) in [
        (json!({"error": {"message": "Not offered\n here", "code": 7}}).to_string(), "Not offered here"),
        (json!({"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs", "input": "Uber ride to the client"}]}).to_string(), "body.seed: Extra inputs"),
        (json!({"error": {"message": "Unknown value", "param": "response_format"}}).to_string(), "response_format: Unknown value"),
        (json!({"message": {"detail": [{"msg": "Nested"}]}}).to_string(), "Nested"),
        (json!({"detail": json!([{"msg": "In a list"}]).to_string()}).to_string(), "In a list"),
        (json!({"error": json!({"message": "In a text"}).to_string()}).to_string(), "In a text"),
        (json!(json!({"message": "In one text"}).to_string()).to_string(), "In one text"),
        (json!({"message": format!("BackendError: {}", json!({"error": {"message": "Behind words"}}))}).to_string(), "BackendError: Behind words"),
        (json!({"error": {"message": r#"Wrong schema {"type": "object", "title": "x"}"#}}).to_string(), r#"Wrong schema {"type": "object", "title": "x"}"#),
        (json!({"error": {"message": r#"{"error": cut"#}}).to_string(), r#"{"error": cut"#),
        ("404 page not found".to_owned(), "404 page not found"),
        ("data: no such route".to_owned(), "data: no such route"),
        ("data: {\"error\": {\"message\": \"As a stream\"}}\n\n".to_owned(), "As a stream"),
        (html.to_owned(), "404 Not Found nginx"),
        (json!({"error": long}).to_string(), &long[..300]),
        (json!({"error": "Bill to 4012 8888 8888 1881"}).to_string(), "Bill to [CARD]"),
        (json!({"error": "The key sk-test-of-this is wrong"}).to_string(), "The key [SECRET] is wrong"),
        (json!({"error": "Cannot read \\\"Uber ride to the client\\\"!"}).to_string(), "Cannot read …!"),
    ]
    .into_iter()
    .enumerate()
    {
        let replies = vec![Reply::raw(404, "text/plain", body.clone())];
        let decided = decision(&app, &fake, replies, &format!("u{n}")).await;
        let error = decided["steps"][0]["error"].as_str().unwrap();
        let message = error.split_once(": ").unwrap_or_else(|| panic!("{error}")).1;
        assert_eq!(message.trim(), said.trim(), "{body}");
        assert!(!decided["reason"].as_str().unwrap().contains(said));
        for name in ["classify", "chat gpt-4o-mini"] {
            let spans = app.trace(&decided["trace_id"]);
            let span = spans.iter().find(|span| span.name == name).unwrap();
            let Status::Error { description } = &span.status else {
                panic!("{name} has no error");
            };
            assert_eq!(description, error, "{name}");
        }
    }
}

#[tokio::test]
async fn the_endpoints_message_is_on_the_event_of_each_retry() {
    let fake = FakeOpenAi::spawn().await;
    let app = TestApp::with_openai(&fake).await;
    let busy = json!({"error": {"message": "Slots are full, call 4012 8888 8888 1881"}});
    let replies = vec![raw(503, &busy), category("travel")];
    let decided = decision(&app, &fake, replies, "ana").await;
    assert_eq!(decided["outcome"], "approved");
    let spans = app.trace(&decided["trace_id"]);
    let retries: Vec<_> = spans
        .iter()
        .flat_map(|span| span.events.iter())
        .filter(|event| event.name == "retry")
        .collect();
    let messages: Vec<_> = retries
        .iter()
        .flat_map(|event| &event.attributes)
        .filter(|attribute| attribute.key.as_str() == "exception.message")
        .map(|attribute| attribute.value.to_string())
        .collect();
    assert_eq!(
        messages,
        ["the model's endpoint returned HTTP status 503: Slots are full, call [CARD]"]
    );
}

#[tokio::test]
async fn an_endpoint_that_refuses_every_call_is_reported_once_in_the_log_and_by_readyz() {
    let fake = FakeOpenAi::spawn().await;
    fake.always(Reply::error(
        401,
        "invalid_request_error",
        Some("invalid_api_key"),
    ));
    let base_url = fake.base_url();
    let variables = [&QUIET[..], &[("OPENAI_BASE_URL", &base_url)]].concat();
    let service = Service::start(&[], &variables).await;
    let before = service.get("/readyz?verbose").await;
    assert_eq!(before["model_failures"], Value::Null);
    for _ in 0..3 {
        service
            .post(expense("Zebra ride to the client", "12.00"))
            .await;
    }
    let ready = service.get("/readyz?verbose").await;
    assert_eq!(
        ready["model_failures"],
        json!({"n_calls": 3, "error_type": "401", "code": "invalid_api_key"})
    );
    assert_eq!(ready["status"], "ready");
    let (_, log) = service.stop().await;
    let lines: Vec<_> = log
        .lines()
        .filter(|line| line.contains("a call of the model failed"))
        .collect();
    assert_eq!(lines.len(), 1, "{log}");
    for part in [
        "WARN",
        "401 (invalid_api_key): scripted status 401",
        "gpt-4o-mini",
    ] {
        assert!(lines[0].contains(part), "{}", lines[0]);
    }
    assert!(!log.contains("Zebra"), "{log}");
}

#[tokio::test]
async fn each_kind_of_failure_is_logged_once_and_so_is_the_opening_of_the_breaker() {
    let fake = FakeOpenAi::spawn().await;
    fake.script([Reply::status(429), Reply::status(500)]);
    fake.always(Reply::raw(200, "text/html", "<h1>hi</h1>"));
    let base_url = fake.base_url();
    let variables = [&QUIET[..], &[("OPENAI_BASE_URL", &base_url)]].concat();
    let service = Service::start(&[], &variables).await;
    service.post(ride()).await;
    let (_, log) = service.stop().await;
    for part in [
        "HTTP status 429",
        "HTTP status 500",
        "not a chat completion",
    ] {
        assert_eq!(
            log.lines().filter(|line| line.contains(part)).count(),
            1,
            "{part}: {log}"
        );
    }

    let port = UnusedPort::new();
    let base_url = format!("{}/v1", port.origin());
    let variables = [&QUIET[..], &[("OPENAI_BASE_URL", &base_url)]].concat();
    let flags = ["--model-retries", "0", "--model-breaker-failures", "2"];
    let service = Service::start(&flags, &variables).await;
    for _ in 0..4 {
        service.post(ride()).await;
    }
    let ready = service.get("/readyz?verbose").await;
    assert_eq!(
        ready["model_failures"],
        json!({"n_calls": 2, "error_type": "connection", "code": null})
    );
    let (_, log) = service.stop().await;
    for part in ["could not be reached", "circuit breaker opened"] {
        let lines: Vec<_> = log.lines().filter(|line| line.contains(part)).collect();
        assert_eq!(lines.len(), 1, "{part}: {log}");
        assert!(lines[0].contains("WARN"), "{part}: {log}");
    }
}
