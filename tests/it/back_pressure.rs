//! What callers of the service see when it has more expenses than the model can answer: requests wait
//! or are refused, and no expense goes to review because the model is busy. The order in which calls
//! wait is tested in `permits`.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use expense_agent::cli::Cli;
use expense_agent::config::Config;
use expense_agent::config::http::HttpConfig;
use expense_agent::config::model::ModelConfig;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::harness::expenses::ride;
use crate::harness::fake_openai::{FakeOpenAi, Reply};
use crate::harness::replies::{advice, approved_trip, category};
use crate::harness::{TestApp, config, http_config, openai, poll};

const TIMEOUT: Duration = Duration::from_secs(60);

fn calls_at_once(fake: &FakeOpenAi, n_calls: u32) -> Config {
    Config {
        model: openai(fake),
        model_concurrency: NonZeroU32::new(n_calls),
        ..config()
    }
}

fn numbered(n: usize) -> Value {
    json!({"transaction": format!("Uber ride {n}"), "amount": "45.00", "user_id": format!("u{n}")})
}

/// Replies for any number of rides.
fn script_rides(fake: &FakeOpenAi, n: usize) {
    fake.on_classify(vec![category("travel"); n]);
    fake.on_decide(vec![advice("approved", "travel-trip-cap"); n]);
}

#[tokio::test]
async fn forty_requests_at_once_are_answered_by_a_model_that_takes_one_call_at_a_time() {
    let (fake, gate) = (FakeOpenAi::spawn().await, Arc::new(Notify::new()));
    fake.on_classify([Reply::held(&gate, category("travel"))]);
    script_rides(&fake, 40);
    let app = TestApp::with(calls_at_once(&fake, 1)).await;
    // The model gives its first answer once all requests have arrived.
    let release = async {
        poll::until(TIMEOUT, "forty requests in flight", async || {
            let ready = app.get("/readyz").await.body;
            match ready["checks"]["in_flight"] == 40 {
                true => Ok(()),
                false => Err(ready),
            }
        })
        .await;
        gate.notify_one();
    };
    let requests = join_all((0..40).map(|n| app.decide(numbered(n))));
    let (decisions, ()) = tokio::join!(requests, release);
    assert_eq!(fake.most_at_once(), 1);
    for decision in &decisions {
        assert_eq!(decision["outcome"], "approved", "{decision:#}");
    }
    let page = app.metrics().await;
    let n_calls = page.sum("expense_model_wait_duration_seconds_count", &[]);
    assert_eq!(n_calls, 80.0, "{}", page.text);
    let waits = app
        .ended_spans()
        .into_iter()
        .flat_map(|span| span.attributes)
        .filter(|attribute| attribute.key.as_str() == "expense.model.wait.duration");
    // Every call but the first one may have waited, and most calls did.
    let n_waits = waits.count();
    assert!((40..80).contains(&n_waits), "{n_waits}");
}

#[tokio::test]
async fn a_batch_decides_at_most_as_many_lines_at_once_as_the_model_takes_calls() {
    for n_calls in [1, 3] {
        let fake = FakeOpenAi::spawn().await;
        script_rides(&fake, 20);
        let gate = Arc::new(Notify::new());
        fake.always(Reply::held(&gate, category("travel")));
        let app = TestApp::with(calls_at_once(&fake, n_calls)).await;
        let lines: String = (0..20).map(|n| format!("{}\n", numbered(n))).collect();
        let response = app
            .request(
                reqwest::Method::POST,
                "/v1/expenses/batch",
                &[("content-type", "application/x-ndjson")],
            )
            .body(lines)
            .send()
            .await
            .unwrap();
        let answers = response.text().await.unwrap();
        let statuses = answers.lines().map(|line| {
            let answer: Value = serde_json::from_str(line).unwrap();
            answer["status"].clone()
        });
        assert_eq!(statuses.collect::<Vec<_>>(), vec![json!(201); 20]);
        let most = fake.most_at_once();
        assert!(most <= n_calls as usize, "{most}");
        // No line spent a part of its deadline on waiting for another one.
        let page = app.metrics().await;
        let waited = page.sum("expense_model_wait_duration_seconds_sum", &[]);
        assert_eq!(waited, 0.0, "{}", page.text);
    }
}

#[tokio::test]
async fn a_request_whose_call_cannot_be_made_in_time_is_refused_and_can_be_sent_again() {
    let fake = FakeOpenAi::spawn().await;
    let gate = Arc::new(Notify::new());
    let [classified, advised] = approved_trip();
    // Answers that take this long show the service how early a call has to be made.
    let slow = |reply| Reply::delayed(Duration::from_millis(600), reply);
    fake.script([slow(classified.clone()), slow(advised)]);
    fake.script([Reply::held(&gate, classified)]);
    let app = TestApp::with(Config {
        http: HttpConfig {
            deadline: Duration::from_secs(6),
            ..http_config()
        },
        ..calls_at_once(&fake, 1)
    })
    .await;
    app.decide(numbered(1)).await;
    let key = [("idempotency-key", "ride-2")];
    let (first, second) = tokio::join!(app.post(ride()), async {
        fake.wait_for_requests(3).await;
        app.post_with(numbered(2), &key).await
    });
    // The model did not answer the first request, and was never asked about the second one.
    assert_eq!(first.status, 201, "{:#}", first.body);
    assert_eq!(first.body["steps"][0]["calls"][0]["error"], "timeout");
    assert_eq!(second.status, 503, "{:#}", second.body);
    assert_eq!(second.body["code"], "overloaded");
    let detail = second.body["detail"].as_str().unwrap();
    assert!(detail.contains("more calls waiting"), "{detail}");
    assert!(second.headers.contains_key("retry-after"));
    assert_eq!(fake.requests().len(), 3);

    let spans = app.trace(&second.body["trace_id"]);
    for name in ["invoke_agent expense_agent", "chat gpt-4o-mini"] {
        let span = spans.iter().find(|span| span.name == name);
        let error = span.unwrap().attributes.iter();
        let error = error.filter(|attribute| attribute.key.as_str() == "error.type");
        let errors: Vec<_> = error.map(|attribute| attribute.value.as_str()).collect();
        assert_eq!(errors, ["model_busy"], "{name}");
    }
    // The key is free, and the refusal left nothing behind.
    fake.always(Reply::status(500));
    script_rides(&fake, 1);
    let again = app.post_with(numbered(2), &key).await;
    assert_eq!(
        (again.status, &again.body["outcome"]),
        (201, &json!("approved"))
    );
    assert_eq!(again.headers.get("idempotency-replayed"), None);
}

#[tokio::test]
async fn a_timeout_is_not_retried_if_less_than_a_full_attempt_is_left() {
    // Milliseconds of an attempt and of the deadline, and the number of requests that fit into it:
    // nine tenths of the deadline are the model's, and the wait before a retry is at least 200 ms.
    for (attempt, deadline, n_requests) in [(1_000, 2_000, 1), (1_500, 3_000, 1), (100, 3_000, 2)] {
        let fake = FakeOpenAi::spawn().await;
        fake.always(Reply::hang());
        let ModelConfig::OpenAi(mut model) = openai(&fake) else {
            unreachable!("the fake is an OpenAI")
        };
        model.attempt_timeout = Duration::from_millis(attempt);
        model.max_retries = 1;
        let app = TestApp::with(Config {
            model: ModelConfig::OpenAi(model),
            http: HttpConfig {
                deadline: Duration::from_millis(deadline),
                ..http_config()
            },
            ..config()
        })
        .await;
        let decision = app.decide(ride()).await;
        let call = &decision["steps"][0]["calls"][0];
        assert_eq!(call["error"], "timeout");
        assert_eq!(call["retries"], n_requests - 1);
    }
}

#[test]
fn by_default_an_endpoint_on_this_machine_gets_4_calls_at_once_and_any_other_256() {
    let built = |arguments: &[&str], base_url: Option<&str>| {
        let arguments = ["expense-agent"].iter().chain(arguments);
        let cli = Cli::try_parse_from(arguments).unwrap();
        let mut variables = vec![("OPENAI_API_KEY".to_owned(), "sk".to_owned())];
        variables.extend(base_url.map(|url| ("OPENAI_BASE_URL".to_owned(), url.to_owned())));
        let config = Config::build(cli.settings, &variables.into_iter().collect());
        config.unwrap().model_concurrency.map(NonZeroU32::get)
    };
    for (url, expected) in [
        (None, 256),
        (Some("https://llm.example.com/v1"), 256),
        (Some("http://10.0.0.7:8000/v1"), 256),
        (Some("http://localhost.example.com/v1"), 256),
        (Some("http://localhost:11434/v1"), 4),
        (Some("http://model.localhost/v1"), 4),
        (Some("http://127.0.0.1:8080/v1"), 4),
        (Some("http://127.8.9.1/v1"), 4),
        (Some("http://[::1]:8080/v1"), 4),
        (Some("http://host.docker.internal:11434/v1"), 4),
        (Some("http://host.containers.internal:11434/v1"), 4),
        (Some("http://host.docker.internal.example.com/v1"), 256),
    ] {
        assert_eq!(built(&[], url), Some(expected), "{url:?}");
        assert_eq!(built(&["--model-concurrency", "7"], url), Some(7));
    }
    assert_eq!(built(&["--model", "offline"], None), None);
    for wrong in ["0", "-1", "many"] {
        let arguments = ["expense-agent", "--model-concurrency", wrong];
        assert!(Cli::try_parse_from(arguments).is_err(), "{wrong}");
    }
}
