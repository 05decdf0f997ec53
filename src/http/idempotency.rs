//! `Idempotency-Key`: the same key and body get the same decision, and the model is asked once,
//! even when both requests are in progress together or the client of the first one has
//! disconnected.
//!
//! A request claims its key before it decides. The claim is a lease in the ledger: it ends with the
//! decision, which stays under the key, with a failure, which frees the key, or with time, when the
//! process that held it is gone. A second request with the key polls the ledger until one of the
//! three happens.

use std::time::Duration;

use axum::http::HeaderMap;
use tokio::time::Instant;

use crate::agent::supersede::{RunError, SupersedeRefusal};
use crate::agent::{Agent, Case};
use crate::clock::Clock;
use crate::domain::step::Step;
use crate::http::earlier::PLAN_USED;
use crate::http::error::{Code, Problem};
use crate::ledger::{KeyClaim, KeyState, LedgerError, RecordError, StoredDecision};

/// The request header that carries the key.
pub const KEY: &str = "idempotency-key";
/// The response header that marks an answer as repeated.
pub const REPLAYED: &str = "idempotency-replayed";

/// The longest key, in characters.
pub const MAX_KEY_CHARS: usize = 255;
/// The longest key of a batch: every line adds a hyphen and its number to it.
pub const MAX_BATCH_KEY_CHARS: usize = 240;
/// The interval at which a request that waits for a key asks the ledger.
const POLL: Duration = Duration::from_millis(25);

/// Reads the key of a request, if it has one.
///
/// # Errors
/// When it is not 1 to `max_chars` visible ASCII characters.
pub fn key(headers: &HeaderMap, max_chars: usize) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(KEY) else {
        return Ok(None);
    };
    let is_key = |text: &&str| {
        (1..=max_chars).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match value.to_str().ok().filter(is_key) {
        Some(key) => Ok(Some(key.to_owned())),
        None => Err(invalid_key(max_chars)),
    }
}

/// The problem of a key that is not 1 to `max_chars` visible ASCII characters.
pub fn invalid_key(max_chars: usize) -> Problem {
    let detail =
        format!("`Idempotency-Key` is invalid; send 1 to {max_chars} visible ASCII characters");
    Problem::new(Code::InvalidIdempotencyKey, detail)
}

/// A decision, and whether an earlier request came to it.
pub struct Answer {
    /// The decision, and its resolution if there is one.
    pub stored: StoredDecision,
    /// Whether an earlier request with the same key came to it.
    pub is_replay: bool,
}

/// Decides a case, or waits for the request that holds its key.
///
/// # Errors
/// When the key was used with another body, the ledger fails, or the other request takes too long.
pub async fn decide(
    agent: &Agent,
    clock: &Clock,
    mut case: Case,
    deadline: Instant,
    model_time: Duration,
) -> Result<Answer, Problem> {
    if let Some(key) = case.idempotency.clone() {
        let claim = claim(agent, clock, &key, deadline);
        let claimed = agent.recording(Step::ClaimIdempotencyKey, claim).await;
        let (state, has_waited) = claimed.map_err(LedgerError::from)?;
        match state {
            KeyState::Claimed => {}
            KeyState::Decided(stored) => {
                return Ok(Answer {
                    stored: *stored,
                    is_replay: true,
                });
            }
            KeyState::OtherBody => return Err(other_body()),
            KeyState::UnderWay => return Err(Problem::deadline_exceeded()),
        }
        if has_waited {
            // The wait must not use up the model's time: without the model the decision would be a
            // review, and stay under the key for good. The wait ends at the deadline and the lease
            // lasts twice as long, so the decision is made within the lease. It may come too late
            // for this attempt of the client, and is then kept for the next one.
            case.model_deadline = Instant::now() + model_time;
        }
    }
    match agent.run(&mut case).await {
        Ok(recorded) => Ok(Answer {
            stored: StoredDecision::new(recorded.decision),
            is_replay: false,
        }),
        Err(error) => {
            if let Some(claim) = &case.idempotency {
                release(agent, claim).await;
            }
            Err(error.into())
        }
    }
}

/// Claims a key. While another request holds it, asks again, until the deadline. Returns whether it
/// had to wait.
async fn claim(
    agent: &Agent,
    clock: &Clock,
    key: &KeyClaim,
    deadline: Instant,
) -> Result<(KeyState, bool), RecordError> {
    let mut has_waited = false;
    loop {
        match agent.ledger.claim(key, clock.now()).await? {
            KeyState::UnderWay if Instant::now() < deadline => {
                tokio::time::sleep(POLL).await;
                has_waited = true;
            }
            state => return Ok((state, has_waited)),
        }
    }
}

/// Frees the key for the client's next attempt. If that fails as well, the lease runs out.
async fn release(agent: &Agent, claim: &KeyClaim) {
    if let Err(error) = agent.ledger.release(claim).await {
        tracing::warn!(%error, "an idempotency key could not be released");
    }
}

/// The model's endpoint cannot answer in time, because too many other calls wait for it.
fn model_overloaded() -> Problem {
    let detail = "the model has more calls waiting than it can answer in time; retry in a moment";
    Problem::new(Code::Overloaded, detail)
}

/// The problem of a key that was used for something else.
pub fn other_body() -> Problem {
    let detail =
        "this `Idempotency-Key` was used with another body; send a new key for a new expense";
    Problem::new(Code::IdempotencyConflict, detail)
}

impl From<RunError> for Problem {
    fn from(error: RunError) -> Self {
        let refusal = match error {
            RunError::NotSuperseded(refusal) => refusal,
            RunError::Ledger(error) => return error.into(),
            RunError::Overloaded => return model_overloaded(),
            RunError::PlanUsed => return Self::invalid_field("under", PLAN_USED),
        };
        let detail = match refusal {
            SupersedeRefusal::AlreadySettled => {
                "a person has resolved the decision in `supersedes`, so it stays"
            }
            SupersedeRefusal::AlreadySuperseded => {
                "the decision in `supersedes` has already been superseded; name the one in its `superseded_by`"
            }
            SupersedeRefusal::HasAdvice => {
                "the model answered in the decision in `supersedes`, so it stays; have a person resolve it if it is open"
            }
        };
        Self::new(refusal.into(), detail)
    }
}
