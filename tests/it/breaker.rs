//! The circuit breaker around the model: when it opens, what callers and traces show then, how a
//! probe closes it, and what does not open it. Tests pass the time in, or use a cool-down of zero or
//! of an hour.

use std::sync::Arc;
use std::time::Duration;

use expense_agent::config::Config;
use expense_agent::config::model::ModelConfig;
use expense_agent::llm::breaker::{Breaker, BreakerLimits, BreakerState};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::harness::expenses::ride;
use crate::harness::fake_openai::{FakeOpenAi, Reply};
use crate::harness::replies::approved_trip;
use crate::harness::{TestApp, assert_golden, config, openai};

const COOL_DOWN: Duration = Duration::from_secs(10);
const ENDLESS: Duration = Duration::from_secs(3600);

fn limits(max_failures: u32, cool_down: Duration) -> BreakerLimits {
    BreakerLimits::new(max_failures, cool_down).unwrap()
}

/// A service that does not retry model calls.
async fn app(fake: &FakeOpenAi, model_breaker: Option<BreakerLimits>) -> TestApp {
    let ModelConfig::OpenAi(mut model) = openai(fake) else {
        unreachable!("the fake is an OpenAI")
    };
    model.max_retries = 0;
    TestApp::with(Config {
        model: ModelConfig::OpenAi(model),
        model_breaker,
        ..config()
    })
    .await
}

/// The error of the first call of a decision.
fn call_error(decision: &Value) -> &Value {
    &decision["steps"][0]["calls"][0]["error"]
}

/// The state of the breaker, which `/readyz` and the metrics must agree on.
async fn state(app: &TestApp) -> Value {
    let state = app.get("/readyz?verbose").await.body["model_breaker"].clone();
    let page = app.metrics().await;
    let of = |state: &str| {
        page.sum(
            "expense_model_breaker_state",
            &[("expense_breaker_state", state)],
        )
    };
    let shown: Vec<_> = ["closed", "half_open", "open"]
        .into_iter()
        .filter(|state| of(state) == 1.0)
        .collect();
    assert_eq!(json!(shown), json!([state]), "{}", page.text);
    state
}

#[test]
fn a_breaker_opens_after_consecutive_failures_and_permits_one_probe() {
    let breaker = Breaker::new(limits(3, COOL_DOWN));
    let began = Instant::now();
    let call = |has_answered, now| breaker.admit(now).unwrap().finish(has_answered, now);
    // An answer in between resets the count.
    [false, false, true, false, false]
        .into_iter()
        .for_each(|has_answered| call(has_answered, began));
    assert_eq!(breaker.state(began), BreakerState::Closed);
    call(false, began);
    let almost = began + COOL_DOWN - Duration::from_nanos(1);
    for now in [began, almost] {
        assert!(breaker.admit(now).is_none());
        assert_eq!(breaker.state(now), BreakerState::Open);
    }

    let now = began + COOL_DOWN;
    assert_eq!(breaker.state(now), BreakerState::HalfOpen);
    let probe = breaker.admit(now).unwrap();
    assert!(
        breaker.admit(now + COOL_DOWN).is_none(),
        "only one probe at a time"
    );
    assert_eq!(breaker.state(now), BreakerState::HalfOpen);
    probe.finish(false, now);
    assert!(breaker.admit(now).is_none());
    assert_eq!(breaker.state(now), BreakerState::Open);

    let now = now + COOL_DOWN;
    call(true, now);
    assert_eq!(breaker.state(now), BreakerState::Closed);
    // The count starts at zero, not at the one failure of a probe.
    [false, false]
        .into_iter()
        .for_each(|has_answered| call(has_answered, now));
    assert_eq!(breaker.state(now), BreakerState::Closed);
}

#[tokio::test]
async fn after_a_dropped_probe_the_next_call_is_the_probe() {
    let breaker = Breaker::new(limits(1, Duration::ZERO));
    breaker
        .admit(Instant::now())
        .unwrap()
        .finish(false, Instant::now());
    drop(breaker.admit(Instant::now()).unwrap());
    breaker
        .admit(Instant::now())
        .unwrap()
        .finish(true, Instant::now());
    assert_eq!(breaker.state(Instant::now()), BreakerState::Closed);
}

#[test]
fn of_calls_that_began_before_the_breaker_opened_only_answers_count() {
    let breaker = Breaker::new(limits(1, COOL_DOWN));
    let began = Instant::now();
    let [first, second, third, fourth] = std::array::from_fn(|_| breaker.admit(began).unwrap());
    first.finish(false, began);
    // Does not extend the cool-down.
    second.finish(false, began + COOL_DOWN / 2);
    let probe = breaker.admit(began + COOL_DOWN).unwrap();
    third.finish(false, began + COOL_DOWN);
    assert_eq!(breaker.state(began + COOL_DOWN), BreakerState::HalfOpen);
    fourth.finish(true, began + COOL_DOWN);
    assert_eq!(breaker.state(began + COOL_DOWN), BreakerState::Closed);
    drop(probe);
    assert_eq!(breaker.state(began + COOL_DOWN), BreakerState::Closed);
}

#[tokio::test]
async fn a_model_that_is_down_is_not_called_and_the_trace_says_so() {
    let fake = FakeOpenAi::spawn().await;
    fake.script([Reply::status(503), Reply::close()]);
    let app = app(&fake, Some(limits(2, ENDLESS))).await;
    assert_eq!(state(&app).await, "closed");
    for error in ["503", "connection"] {
        assert_eq!(call_error(&app.decide(ride()).await), error);
    }
    assert_eq!(state(&app).await, "open");
    assert_eq!(app.get("/readyz").await.status, 200);

    let refused = app.decide(ride()).await;
    assert_eq!(fake.requests().len(), 2);
    assert_eq!(call_error(&refused), "circuit_open");
    assert_eq!(
        [&refused["outcome"], &refused["agent_outcome"]],
        ["needs_review", "error"]
    );
    assert_eq!(
        refused["reason"],
        "A person has to review this expense: the model was not called, because the circuit \
         breaker is open."
    );
    assert_golden("circuit_open", &app.tree(&refused));
    let page = app.metrics().await;
    let calls = |error| {
        page.sum(
            "gen_ai_client_inference_duration_seconds_count",
            &[("error_type", error)],
        )
    };
    assert_eq!(
        [calls("503"), calls("connection"), calls("circuit_open")],
        [1.0; 3]
    );
}

#[tokio::test]
async fn one_probe_finds_out_whether_the_model_is_up_again() {
    let fake = FakeOpenAi::spawn().await;
    let app = app(&fake, Some(limits(2, Duration::ZERO))).await;
    let gate = Arc::new(Notify::new());
    let [category, advice] = approved_trip();
    fake.script([
        Reply::status(500),
        Reply::status(500),
        Reply::status(500),
        Reply::held(&gate, category),
        advice,
    ]);
    // The third call is a probe, and fails.
    for _ in 0..3 {
        assert_eq!(call_error(&app.decide(ride()).await), "500");
    }
    assert_eq!(state(&app).await, "half_open");

    let others = async {
        fake.wait_for_requests(4).await;
        assert_eq!(call_error(&app.decide(ride()).await), "circuit_open");
        gate.notify_one();
    };
    let (probe, ()) = tokio::join!(app.decide(ride()), others);
    assert_eq!(probe["outcome"], "approved");
    assert_eq!(state(&app).await, "closed");
    fake.script(approved_trip());
    assert_eq!(app.decide(ride()).await["outcome"], "approved");
}

#[tokio::test]
async fn a_4xx_or_unusable_answer_does_not_open_the_breaker() {
    let fake = FakeOpenAi::spawn().await;
    let app = app(&fake, Some(limits(2, ENDLESS))).await;
    let page = Reply::raw(200, "text/html", "<html>the proxy's page</html>");
    for reply in [
        Reply::status(401),
        Reply::status(422),
        Reply::status(429),
        page,
        Reply::content("nonsense"),
    ] {
        // An outage that ends with the next answer.
        fake.script([Reply::status(503)]);
        assert_eq!(call_error(&app.decide(ride()).await), "503");
        fake.always(reply);
        app.decide(ride()).await;
        assert_eq!(state(&app).await, "closed");
    }
}

#[tokio::test]
async fn without_a_breaker_every_decision_calls_the_model() {
    let fake = FakeOpenAi::spawn().await;
    fake.always(Reply::status(503));
    let app = app(&fake, BreakerLimits::new(0, COOL_DOWN)).await;
    assert_eq!(
        app.get("/readyz?verbose").await.body["model_breaker"],
        Value::Null
    );
    for n_requests in 1..=10 {
        assert_eq!(call_error(&app.decide(ride()).await), "503");
        assert_eq!(fake.requests().len(), n_requests);
    }
}
