//! A circuit breaker around a model. After a number of consecutive calls without an answer, each
//! with all of its retries, the breaker opens: further calls fail at once instead of waiting for
//! retries of their own. After a cool-down the breaker is half-open and permits one call, the
//! probe. If the probe is answered, the breaker closes and permits every call again; if not, it
//! stays open for another cool-down.
//!
//! A failed call counts only if the endpoint has answered no other call since the failed one began:
//! an endpoint that answers some calls and is late with others is slow, not down.
//!
//! [`Breaker::admit`] hands out a [`Permit`] for each call, and [`Permit::finish`] reports how the
//! call ended. A permit may also be dropped without a result, because the future of a call is
//! dropped when its client disconnects. If that permit was the probe's, dropping it permits the
//! next call as a new probe. The phase and the time of the last answer are behind one mutex, which
//! is never held across an await.
//!
//! Hand-written because a half-open breaker of `failsafe` or `tower-circuitbreaker` permits every
//! call until one has ended, so all of them would wait for an endpoint that is still down. Both
//! crates also read the clock of the standard library, which a test cannot advance as it can
//! tokio's.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::llm::{ChatModel, ChatRequest, ModelError, ModelInfo, Reply};
use crate::lock::lock;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerLimits {
    /// The number of consecutive calls without an answer that opens the breaker.
    pub max_failures: NonZeroU32,
    /// How long the breaker is open before it permits a probe.
    pub cool_down: Duration,
}

impl BreakerLimits {
    /// The limits; `None`, which means no breaker, when `max_failures` is zero.
    pub fn new(max_failures: u32, cool_down: Duration) -> Option<Self> {
        NonZeroU32::new(max_failures).map(|max_failures| Self {
            max_failures,
            cool_down,
        })
    }
}

/// The state of a breaker, as metrics and `/readyz?verbose` show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::EnumIter)]
#[strum(serialize_all = "snake_case")]
pub enum BreakerState {
    /// Every call is permitted.
    Closed,
    /// One probe is permitted or in progress; other calls are rejected.
    HalfOpen,
    /// Every call is rejected.
    Open,
}

/// The breaker of one model, shared by its callers and by the metrics that observe it.
#[derive(Debug)]
pub struct Breaker {
    limits: BreakerLimits,
    on_change: fn(BreakerState),
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// When the endpoint last answered a call.
    answered_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Closed { n_failures: u32 },
    Open { until: Instant },
    Probing,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(limits: BreakerLimits) -> Self {
        Self {
            limits,
            on_change: |_| {},
            state: Mutex::new(State {
                phase: Phase::Closed { n_failures: 0 },
                answered_at: None,
            }),
        }
    }

    /// Calls `on_change` whenever the breaker opens, and whenever it closes. A probe that fails
    /// changes nothing: the breaker stays open.
    #[must_use]
    pub fn on_change(self, on_change: fn(BreakerState)) -> Self {
        Self { on_change, ..self }
    }

    /// The state at a moment.
    pub fn state(&self, now: Instant) -> BreakerState {
        match self.lock().phase {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::Open { until } if now < until => BreakerState::Open,
            Phase::Open { .. } | Phase::Probing => BreakerState::HalfOpen,
        }
    }

    /// Whether a call would be rejected now. Unlike [`Breaker::admit`], this takes no permit, so it
    /// can be asked before a call waits for something else.
    pub fn is_rejecting(&self, now: Instant) -> bool {
        match self.lock().phase {
            Phase::Closed { .. } => false,
            Phase::Open { until } => now < until,
            Phase::Probing => true,
        }
    }

    /// Permits a call; `None` when it is rejected.
    pub fn admit(&self, now: Instant) -> Option<Permit<'_>> {
        let mut state = self.lock();
        let is_probe = match state.phase {
            Phase::Closed { .. } => false,
            Phase::Open { until } if now >= until => {
                state.phase = Phase::Probing;
                true
            }
            Phase::Open { .. } | Phase::Probing => return None,
        };
        Some(Permit {
            breaker: self,
            began: now,
            is_probe,
        })
    }

    /// Closes the breaker. An answer shows that the model is up, even if its call began before the
    /// breaker opened.
    fn close(&self, now: Instant) {
        let closed = State {
            phase: Phase::Closed { n_failures: 0 },
            answered_at: Some(now),
        };
        let before = std::mem::replace(&mut *self.lock(), closed);
        if !matches!(before.phase, Phase::Closed { .. }) {
            (self.on_change)(BreakerState::Closed);
        }
    }

    /// Counts a failed call. Opens the breaker if there were too many, or if the call was the probe.
    fn fail(&self, permit: &Permit<'_>, now: Instant) {
        let until = now + self.limits.cool_down;
        let mut state = self.lock();
        let has_answered_others = state.answered_at.is_some_and(|at| at > permit.began);
        match &mut state.phase {
            Phase::Closed { .. } if has_answered_others => {}
            Phase::Closed { n_failures } => {
                *n_failures += 1;
                if *n_failures >= self.limits.max_failures.get() {
                    state.phase = Phase::Open { until };
                    // `on_change` may be slow, and other callers need the lock meanwhile.
                    drop(state);
                    (self.on_change)(BreakerState::Open);
                }
            }
            Phase::Probing if permit.is_probe => state.phase = Phase::Open { until },
            // The call began before the breaker opened, so its failure says nothing new.
            Phase::Open { .. } | Phase::Probing => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// The right to make one call.
#[derive(Debug)]
#[must_use = "report the end of the call with `finish`"]
pub struct Permit<'a> {
    breaker: &'a Breaker,
    began: Instant,
    is_probe: bool,
}

impl Permit<'_> {
    /// Reports the end of the call: whether the endpoint answered, if only to reject the request.
    pub fn finish(mut self, has_answered: bool, now: Instant) {
        match has_answered {
            true => self.breaker.close(now),
            false => self.breaker.fail(&self, now),
        }
        self.is_probe = false;
    }
}

impl Drop for Permit<'_> {
    /// A probe that is dropped without a result proves nothing, so the next call becomes the probe.
    fn drop(&mut self) {
        let mut state = self.breaker.lock();
        if self.is_probe && matches!(state.phase, Phase::Probing) {
            state.phase = Phase::Open {
                until: Instant::now(),
            };
        }
    }
}

/// A model behind a circuit breaker.
pub struct Guarded<M> {
    model: M,
    breaker: Arc<Breaker>,
}

impl<M: ChatModel> Guarded<M> {
    /// Puts a breaker in front of a model.
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
        let Some(permit) = self.breaker.admit(Instant::now()) else {
            return Reply::new(Err(ModelError::CircuitOpen));
        };
        let reply = self.model.chat(request).await;
        let has_answered = !reply.answer.as_ref().is_err_and(ModelError::is_outage);
        permit.finish(has_answered, Instant::now());
        reply
    }
}
