//! Back-pressure towards a model: a bounded number of calls is under way at once, and a further
//! call waits for a permit before it is sent. The time limit of an attempt begins when the call is
//! sent, so waiting uses up the request's own deadline and nothing else. Otherwise the calls that a
//! slow endpoint keeps in a queue of its own would all run into that time limit together.
//!
//! A call keeps its permit through its retries: while an endpoint recovers, no other call takes its
//! place. `CallPermits` explains the order in which calls wait. A call that can no longer be
//! answered in time is not sent, and fails with [`ModelError::Overloaded`].
//!
//! Hand-written on tokio's semaphore because `tower`'s limits of concurrency wait without a
//! deadline, and know no order other than that of arrival.

use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::domain::step::Step;
use crate::llm::breaker::Breaker;
use crate::llm::{ChatModel, ChatRequest, ModelError, ModelInfo, Reply};
use crate::lock::lock;

/// The permits of one endpoint.
///
/// Permits are granted in order of arrival, with one exception: of the first questions about
/// expenses, only one at a time is in the queue for permits, and the others wait for it outside.
/// Other calls belong to expenses that the model already works on, so each of them waits for at most
/// one first question. Otherwise an endpoint that is too slow for its callers would answer the first
/// question of every expense, and finish none.
#[derive(Debug)]
struct CallPermits {
    calls: Semaphore,
    /// Locked by the one first question that is in the queue for permits.
    first_question: tokio::sync::Mutex<()>,
    /// How long answers took recently; a moving average, zero before the first answer.
    typical: Mutex<Duration>,
}

impl CallPermits {
    fn new(n_calls: NonZeroU32) -> Self {
        let n_calls = usize::try_from(n_calls.get()).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            calls: Semaphore::new(n_calls.min(Semaphore::MAX_PERMITS)),
            first_question: tokio::sync::Mutex::new(()),
            typical: Mutex::new(Duration::ZERO),
        }
    }

    /// A permit, and how long the call waited for it; zero if a permit was free. `None` if the call
    /// can no longer be answered in time.
    async fn acquire(&self, request: &ChatRequest<'_>) -> Option<(SemaphorePermit<'_>, Duration)> {
        let began = Instant::now();
        let mut granted = pin!(async {
            let _first_question = match is_first(request) {
                true => Some(self.first_question.lock().await),
                false => None,
            };
            self.calls.acquire().await.ok()
        });
        if let Some(permit) = granted.as_mut().now_or_never() {
            return Some((permit?, Duration::ZERO));
        }
        let permit = timeout_at(self.last_start(request), granted).await.ok()??;
        // Answers may have become slower during the wait.
        let now = Instant::now();
        (now <= self.last_start(request)).then_some((permit, now - began))
    }

    /// The last moment at which it makes sense to send a call. Before the deadline there must be
    /// the usual time for every answer that the expense still needs, and as much again, because
    /// between its answers an expense waits for those of others. With less, an overloaded endpoint
    /// would spend its time on calls that come too late, and finish almost no expense.
    fn last_start(&self, request: &ChatRequest<'_>) -> Instant {
        let n_answers = if is_first(request) { 2 } else { 1 };
        let reserved = *lock(&self.typical) * 2 * n_answers;
        request
            .deadline
            .checked_sub(reserved)
            .unwrap_or_else(Instant::now)
    }

    /// Adds the time of an answer to the moving average.
    fn answered(&self, took: Duration) {
        let mut typical = lock(&self.typical);
        *typical = match typical.is_zero() {
            true => took,
            false => (*typical * 7 + took) / 8,
        };
    }
}

/// Whether a request is the first question about an expense, and not a repair or a later step.
fn is_first(request: &ChatRequest<'_>) -> bool {
    request.step == Step::Classify && request.messages.len() == 1
}

/// A model with a bounded number of calls under way.
pub struct Limited<M> {
    model: M,
    permits: CallPermits,
    breaker: Option<Arc<Breaker>>,
}

impl<M: ChatModel> Limited<M> {
    /// Allows a model `n_calls` calls at once. `breaker` is the circuit breaker inside the model,
    /// if it has one: a call that the breaker would reject fails at once, without a permit.
    pub fn new(model: M, n_calls: NonZeroU32, breaker: Option<Arc<Breaker>>) -> Self {
        Self {
            model,
            permits: CallPermits::new(n_calls),
            breaker,
        }
    }
}

#[async_trait]
impl<M: ChatModel> ChatModel for Limited<M> {
    fn info(&self) -> &ModelInfo {
        self.model.info()
    }

    async fn chat(&self, request: &ChatRequest<'_>) -> Reply {
        let arrived = Instant::now();
        let is_rejected = |breaker: &Arc<Breaker>| breaker.is_rejecting(arrived);
        if self.breaker.as_ref().is_some_and(is_rejected) {
            return Reply::new(Err(ModelError::CircuitOpen));
        }
        let Some((_permit, waited)) = self.permits.acquire(request).await else {
            return Reply {
                waited: Some(arrived.elapsed()),
                ..Reply::new(Err(ModelError::Overloaded))
            };
        };
        let began = Instant::now();
        let mut reply = self.model.chat(request).await;
        let (ended, took) = (Instant::now(), began.elapsed());
        match &reply.answer {
            Ok(_) => self.permits.answered(took),
            // The deadline cut the call short, and most of its time had gone into waiting.
            Err(ModelError::Timeout) if ended >= request.deadline && waited > took => {
                reply.answer = Err(ModelError::Overloaded);
            }
            Err(_) => {}
        }
        reply.waited = Some(waited);
        reply
    }
}
