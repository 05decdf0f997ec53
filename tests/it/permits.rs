//! The permits of model calls: in which order calls get them, and which calls are not made. The model
//! of these tests answers only when a test allows it. `back_pressure` tests what callers of the
//! service see when permits are scarce.

use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use expense_agent::domain::step::Step;
use expense_agent::llm::breaker::{Breaker, BreakerLimits, BreakerState, Guarded};
use expense_agent::llm::permits::Limited;
use expense_agent::llm::{
    Answer, AnswerSchema, ChatModel, ChatRequest, Message, ModelError, ModelInfo, Prompt, Reply,
    Speaker,
};
use expense_agent::rulebook::Rulebook;
use futures_util::FutureExt;
use futures_util::future::join_all;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

static PROMPT: LazyLock<Prompt> = LazyLock::new(|| Prompt::new("classify", "1", "Name it."));
const HOUR: Duration = Duration::from_secs(3600);

/// A model that answers one call each time the test adds a permit to `answers`, in order, or fails
/// every call at once.
struct Scripted {
    info: ModelInfo,
    answers: Arc<Semaphore>,
    error: Option<ModelError>,
}

#[async_trait]
impl ChatModel for Scripted {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    async fn chat(&self, request: &ChatRequest<'_>) -> Reply {
        if let Some(error) = &self.error {
            return Reply::new(Err(error.clone()));
        }
        match timeout_at(request.deadline, self.answers.acquire()).await {
            Ok(answered) => {
                answered.unwrap().forget();
                Reply::new(Ok(Answer::default()))
            }
            Err(_) => Reply::new(Err(ModelError::Timeout)),
        }
    }
}

struct Endpoint {
    model: Limited<Guarded<Scripted>>,
    breaker: Arc<Breaker>,
    answers: Arc<Semaphore>,
}

fn endpoint(n_calls: u32, error: Option<ModelError>) -> Endpoint {
    endpoint_with(BreakerLimits::new(5, HOUR).unwrap(), n_calls, error)
}

fn endpoint_with(limits: BreakerLimits, n_calls: u32, error: Option<ModelError>) -> Endpoint {
    let breaker = Arc::new(Breaker::new(limits));
    let answers = Arc::new(Semaphore::new(0));
    let info = ModelInfo {
        provider: "openai",
        model: "scripted".to_owned(),
        server: None,
        max_tokens: None,
        temperature: None,
        seed: None,
    };
    let model = Scripted {
        info,
        answers: Arc::clone(&answers),
        error,
    };
    let guarded = Guarded::new(model, Arc::clone(&breaker));
    let n_calls = NonZeroU32::new(n_calls).unwrap();
    Endpoint {
        model: Limited::new(guarded, n_calls, Some(Arc::clone(&breaker))),
        breaker,
        answers,
    }
}

/// Makes one call; for the step classify it is the first call about its expense.
async fn call(endpoint: &Endpoint, step: Step, deadline: Instant) -> Reply {
    let schema = RawValue::from_string("{}".to_owned()).unwrap();
    let facts = Message {
        speaker: Speaker::User,
        text: "{}".to_owned(),
    };
    let request = ChatRequest {
        step,
        prompt: &PROMPT,
        messages: &[facts],
        schema: AnswerSchema {
            name: "classification",
            schema: &schema,
        },
        deadline,
        rulebook: &Rulebook::default(),
        traceparent: None,
    };
    endpoint.model.chat(&request).await
}

/// The results of the calls that have ended.
fn ended<F: Future<Output = Reply> + Unpin>(calls: &mut Vec<(usize, F)>) -> Vec<usize> {
    let mut names = Vec::new();
    calls.retain_mut(|(name, call)| {
        let reply = call.now_or_never();
        names.extend(reply.is_some().then_some(*name));
        reply.is_none()
    });
    names
}

#[tokio::test]
async fn a_decide_call_overtakes_all_waiting_classify_calls_but_one() {
    let endpoint = endpoint(1, None);
    let deadline = Instant::now() + HOUR;
    let first = |name| (name, Box::pin(call(&endpoint, Step::Classify, deadline)));
    let mut calls: Vec<_> = (1..=6).map(first).collect();
    // The first call gets the permit, the second one is next, and the others wait in line.
    assert_eq!(ended(&mut calls), [0; 0]);
    let later = [7, 8].map(|name| (name, Box::pin(call(&endpoint, Step::Decide, deadline))));
    calls.extend(later);
    assert_eq!(ended(&mut calls), [0; 0]);
    let mut order = Vec::new();
    for _ in 0..8 {
        endpoint.answers.add_permits(1);
        // The end of one call lets the next one begin, which then has to be polled again.
        for _ in 0..4 {
            order.extend(ended(&mut calls));
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(order, [1, 2, 7, 8, 3, 4, 5, 6]);
}

#[tokio::test]
async fn a_call_without_a_permit_before_its_deadline_fails_as_overloaded() {
    let endpoint = endpoint(1, None);
    let deadline = Instant::now() + Duration::from_millis(300);
    let calls = (0..3).map(|_| call(&endpoint, Step::Classify, deadline));
    let replies = join_all(calls).await;
    let errors = replies
        .iter()
        .map(|reply| reply.answer.clone().unwrap_err());
    // The first call had the model to itself until its deadline, so the model is slow, not busy.
    assert_eq!(
        errors.collect::<Vec<_>>(),
        [
            ModelError::Timeout,
            ModelError::Overloaded,
            ModelError::Overloaded
        ]
    );
    let has_waited = |reply: &Reply| reply.waited.is_some_and(|waited| !waited.is_zero());
    assert_eq!(
        replies.iter().map(has_waited).collect::<Vec<_>>(),
        [false, true, true]
    );
    assert_eq!(endpoint.breaker.state(Instant::now()), BreakerState::Closed);
}

/// The service has learnt how long an answer takes. A call whose answer would come too late is not
/// made, even if it could get a permit before its deadline.
#[tokio::test]
async fn a_call_that_cannot_be_answered_in_time_is_not_made() {
    for (step, is_made) in [(Step::Decide, true), (Step::Classify, false)] {
        let endpoint = endpoint(1, None);
        // The service learns that an answer takes at least a tenth of a second. Twice that is
        // reserved for each answer that an expense still needs: four tenths at classify, two at
        // decide.
        let mut learning = pin!(call(&endpoint, Step::Decide, Instant::now() + HOUR));
        let tenth = Instant::now() + Duration::from_millis(100);
        assert!(timeout_at(tenth, learning.as_mut()).await.is_err());
        endpoint.answers.add_permits(1);
        assert!(learning.await.answer.is_ok());

        let mut busy = pin!(call(&endpoint, Step::Decide, Instant::now() + HOUR));
        assert!(busy.as_mut().now_or_never().is_none());
        // If this call is made, it is made as soon as the permit is free.
        let reserve = if is_made {
            HOUR
        } else {
            Duration::from_millis(390)
        };
        let deadline = Instant::now() + reserve;
        let mut next = pin!(call(&endpoint, step, deadline));
        let refused = next.as_mut().now_or_never().map(|reply| reply.answer);
        match is_made {
            true => {
                endpoint.answers.add_permits(2);
                assert!(busy.await.answer.is_ok());
                assert!(next.await.answer.is_ok());
            }
            false => assert_eq!(refused, Some(Err(ModelError::Overloaded))),
        }
    }
}

#[tokio::test]
async fn a_permit_is_returned_however_a_call_ends() {
    let endpoint = endpoint(1, None);
    let deadline = Instant::now() + HOUR;
    let mut calls: Vec<_> = (1..=4)
        .map(|name| (name, Box::pin(call(&endpoint, Step::Classify, deadline))))
        .collect();
    assert_eq!(ended(&mut calls), [0; 0]);
    // Calls are dropped while they wait in line, while next in line, and during the model's work.
    for index in [2, 1, 0] {
        drop(calls.remove(index));
        assert_eq!(ended(&mut calls), [0; 0]);
    }
    // The last one moves up, and its answer frees the permit for another one.
    endpoint.answers.add_permits(2);
    let (_, last) = calls.remove(0);
    assert!(last.await.answer.is_ok());
    let after = call(&endpoint, Step::Classify, deadline).await;
    assert!(after.answer.is_ok(), "{after:?}");
    assert_eq!(after.waited, Some(Duration::ZERO));
}

#[tokio::test]
async fn waiting_calls_fail_at_once_when_the_breaker_opens() {
    let endpoint = endpoint(2, Some(ModelError::Timeout));
    let deadline = Instant::now() + HOUR;
    let calls = (0..40).map(|_| call(&endpoint, Step::Classify, deadline));
    let replies = join_all(calls).await;
    let n_of = |error: &ModelError| {
        let errors = replies
            .iter()
            .filter_map(|reply| reply.answer.as_ref().err());
        errors.filter(|other| *other == error).count()
    };
    assert_eq!(
        (n_of(&ModelError::Timeout), n_of(&ModelError::CircuitOpen)),
        (5, 35)
    );
    assert_eq!(endpoint.breaker.state(Instant::now()), BreakerState::Open);
}

#[tokio::test]
async fn calls_are_rejected_and_do_not_wait_behind_a_probe() {
    let limits = BreakerLimits::new(1, Duration::ZERO).unwrap();
    let endpoint = endpoint_with(limits, 1, None);
    let now = Instant::now();
    endpoint.breaker.admit(now).unwrap().finish(false, now);
    let mut probe = pin!(call(&endpoint, Step::Classify, now + HOUR));
    assert!(probe.as_mut().now_or_never().is_none());
    let other = call(&endpoint, Step::Classify, now + HOUR).now_or_never();
    assert_eq!(
        other.map(|reply| reply.answer),
        Some(Err(ModelError::CircuitOpen))
    );
    endpoint.answers.add_permits(1);
    assert!(probe.await.answer.is_ok());
}

#[test]
fn a_failed_call_that_began_before_the_last_answer_does_not_open_the_breaker() {
    let limits = BreakerLimits::new(1, Duration::from_secs(10)).unwrap();
    let began = Instant::now();
    let at = |seconds| began + Duration::from_secs(seconds);
    // The failure of a call that began before another one was answered proves nothing; the failure
    // of a call that began afterwards does.
    for (late_begins, answered, state) in [
        (0, Some(1), BreakerState::Closed),
        (2, Some(1), BreakerState::Open),
        (0, None, BreakerState::Open),
    ] {
        let breaker = Breaker::new(limits);
        let other = breaker.admit(at(0)).unwrap();
        let late = breaker.admit(at(late_begins)).unwrap();
        match answered {
            Some(second) => other.finish(true, at(second)),
            None => drop(other),
        }
        late.finish(false, at(5));
        assert_eq!(breaker.state(at(5)), state, "{late_begins} {answered:?}");
    }
}
