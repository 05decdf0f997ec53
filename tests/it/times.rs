//! When the steps of a decision and their model calls ran, as the record says: offsets from the
//! arrival of the request, so that the tree can be drawn from the ledger alone.

use std::time::{Duration, Instant};

use expense_agent::domain::decision::Decision;
use expense_agent::domain::milliseconds::Milliseconds;
use serde_json::{Value, json};

use crate::harness::TestApp;
use crate::harness::expenses::expense;
use crate::harness::fake_openai::{FakeOpenAi, Reply};
use crate::harness::replies::{advice, category};

fn parse(number: &Value) -> Result<Milliseconds, serde_json::Error> {
    serde_json::from_value(number.clone())
}

#[test]
fn a_span_of_time_is_a_number_with_the_decimals_that_it_needs() {
    for (micros, written) in [
        (0, "0"),
        (1, "0.001"),
        (250, "0.25"),
        (12_000, "12"),
        (12_340, "12.34"),
        (3_600_000_001, "3600000.001"),
        (u64::MAX, "999999999999.999"),
    ] {
        let span = Milliseconds::from(Duration::from_micros(micros));
        assert_eq!(json!(span).to_string(), written);
        assert_eq!(span.to_string(), written);
    }
    let below_a_microsecond = Milliseconds::from(Duration::from_nanos(1_999));
    assert_eq!(below_a_microsecond.micros(), 1);
}

#[test]
fn a_number_that_no_record_holds_is_not_a_span_of_time() {
    for wrong in [
        json!(-1),
        json!(-0.5),
        json!(0.0001),
        json!(1e300),
        json!(1_000_000_000_000_u64),
        json!(u64::MAX),
        json!("12"),
        json!(null),
    ] {
        assert!(parse(&wrong).is_err(), "{wrong}");
    }
    assert_eq!(
        parse(&json!(12.0)).unwrap(),
        parse(&json!(12)).unwrap(),
        "another writer's form of the same number"
    );
}

/// How long the fake model takes for each answer.
const ANSWER_TIME: Duration = Duration::from_millis(20);

/// When something began and ended, in microseconds after the request arrived.
fn began_and_ended(started: Option<Milliseconds>, duration: Option<Milliseconds>) -> (u64, u64) {
    let (began, took) = (started.unwrap().micros(), duration.unwrap().micros());
    (began, began + took)
}

#[tokio::test]
async fn steps_follow_each_other_and_hold_their_calls() {
    let fake = FakeOpenAi::spawn().await;
    let answers = [
        category("a category that does not exist"),
        category("travel"),
        advice("approved", "travel-trip-cap"),
    ];
    fake.script(answers.map(|answer| Reply::delayed(ANSWER_TIME, answer)));
    let app = TestApp::with_openai(&fake).await;
    let sent = Instant::now();
    let body = app.decide(expense("Flight to Chicago", "350.00")).await;
    let request_took = u64::try_from(sent.elapsed().as_micros()).unwrap();

    let decision: Decision = serde_json::from_value(body).unwrap();
    let n_calls: Vec<_> = decision.steps.iter().map(|step| step.calls.len()).collect();
    assert_eq!(n_calls, [2, 0, 1]);
    let mut before = 0;
    for step in &decision.steps {
        let (began, ended) = began_and_ended(step.started_ms, step.duration_ms);
        assert!(
            before <= began,
            "{} began before the step before it ended",
            step.step
        );
        before = began;
        for call in &step.calls {
            let (call_began, call_ended) = began_and_ended(call.started_ms, call.duration_ms);
            assert!(
                before <= call_began && call_ended <= ended,
                "{call:?} of {step:?}"
            );
            let answer_time = u64::try_from(ANSWER_TIME.as_micros()).unwrap();
            assert!(call_ended - call_began >= answer_time, "{call:?}");
            before = call_ended;
        }
        before = ended;
    }
    assert!(before <= request_took, "{before} of {request_took}");
}
