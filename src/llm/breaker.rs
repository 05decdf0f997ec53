//! A circuit breaker around a model: when so many calls in a row got no answer, retries included,
//! the provider is plainly down, and the next ones fail at once instead of each waiting for its own
//! retries. After a while one call is let through as a probe; an answer lets all through again.
//!
//! Of our own because a probe that is dropped must not count for ever, and time has to come from
//! tokio's clock; the libraries at hand lack one or the other, and are built around requests that
//! can be owned.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::llm::{ChatModel, ChatRequest, ModelError, ModelInfo, Reply};

/// When a model is left alone, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerLimits {
    /// Calls in a row without an answer, after which it is.
    pub max_failures: NonZeroU32,
    /// How long nothing is asked before one call is let through.
    pub cool_down: Duration,
}

impl BreakerLimits {
    /// Limits of a breaker; none for one that never opens.
    pub fn new(max_failures: u32, cool_down: Duration) -> Option<Self> {
        NonZeroU32::new(max_failures).map(|max_failures| Self {
            max_failures,
            cool_down,
        })
    }
}

/// What a breaker does with calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::EnumIter)]
#[strum(serialize_all = "snake_case")]
pub enum BreakerState {
    /// All are let through.
    Closed,
    /// One is let through, or is under way, and no other.
    HalfOpen,
    /// None is let through.
    Open,
}

/// The breaker of one model, shared by whoever calls it and whoever looks at it.
#[derive(Debug)]
pub struct Breaker {
    limits: BreakerLimits,
    phase: Mutex<Phase>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Closed { n_failures: u32 },
    Open { until: Instant },
    Probing,
}

impl Breaker {
    /// A breaker that lets all through.
    pub fn new(limits: BreakerLimits) -> Self {
        Self {
            limits,
            phase: Mutex::new(Phase::Closed { n_failures: 0 }),
        }
    }

    /// What it does with a call now.
    pub fn state(&self, now: Instant) -> BreakerState {
        match *self.phase() {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::Open { until } if now < until => BreakerState::Open,
            Phase::Open { .. } | Phase::Probing => BreakerState::HalfOpen,
        }
    }

    /// Lets a call through, or not.
    pub fn admit(&self, now: Instant) -> Option<Pass<'_>> {
        let mut phase = self.phase();
        match *phase {
            Phase::Closed { .. } => Some(Pass {
                breaker: self,
                is_probe: false,
            }),
            Phase::Open { until } if now >= until => {
                *phase = Phase::Probing;
                Some(Pass {
                    breaker: self,
                    is_probe: true,
                })
            }
            Phase::Open { .. } | Phase::Probing => None,
        }
    }

    /// An answer to any call is an answer, also to one that began before the model was left alone.
    fn close(&self) {
        *self.phase() = Phase::Closed { n_failures: 0 };
    }

    fn fail(&self, is_probe: bool, now: Instant) {
        let until = now + self.limits.cool_down;
        let mut phase = self.phase();
        match &mut *phase {
            Phase::Closed { n_failures } => {
                *n_failures += 1;
                if *n_failures >= self.limits.max_failures.get() {
                    *phase = Phase::Open { until };
                }
            }
            Phase::Probing if is_probe => *phase = Phase::Open { until },
            // One that began before the model was left alone tells nothing new.
            Phase::Open { .. } | Phase::Probing => {}
        }
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that was let through.
#[derive(Debug)]
#[must_use = "the breaker has to hear how the call ended"]
pub struct Pass<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
}

impl Pass<'_> {
    /// The call ended. Any answer of the endpoint counts, also one that says no.
    pub fn settle(mut self, has_answered: bool, now: Instant) {
        match has_answered {
            true => self.breaker.close(),
            false => self.breaker.fail(self.is_probe, now),
        }
        self.is_probe = false;
    }
}

impl Drop for Pass<'_> {
    /// A probe that was given up says nothing, so the next call is one.
    fn drop(&mut self) {
        let mut phase = self.breaker.phase();
        if self.is_probe && matches!(*phase, Phase::Probing) {
            *phase = Phase::Open {
                until: Instant::now(),
            };
        }
    }
}

/// A model behind a breaker.
pub struct Guarded<M> {
    model: M,
    breaker: Arc<Breaker>,
}

impl<M: ChatModel> Guarded<M> {
    /// Puts a breaker before a model.
    pub fn new(model: M, breaker: Arc<Breaker>) -> Self {
        Self { model, breaker }
    }
}

#[async_trait]
impl<M: ChatModel> ChatModel for Guarded<M> {
    fn info(&self) -> &ModelInfo {
        self.model.info()
    }

    async fn chat(&self, request: &ChatRequest<'_>) -> Reply {
        let Some(pass) = self.breaker.admit(Instant::now()) else {
            return Reply::new(Err(ModelError::CircuitOpen));
        };
        let reply = self.model.chat(request).await;
        let has_answered = !reply.answer.as_ref().is_err_and(ModelError::is_outage);
        pass.settle(has_answered, Instant::now());
        reply
    }
}
