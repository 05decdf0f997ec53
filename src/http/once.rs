//! `Idempotency-Key`: the same key and body get the same decision, and the model is asked once,
//! also when both requests are under way together or the first one's client went away.

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use tokio::time::Instant;

use crate::agent::{Agent, Case};
use crate::clock::Clock;
use crate::http::error::Problem;
use crate::ledger::{Entry, KeyState};

/// The header that a request brings its key in.
pub const KEY: &str = "idempotency-key";
/// The header that says of an answer that it was there before.
pub const REPLAYED: &str = "idempotency-replayed";

/// Characters a key may have.
const MAX_KEY_CHARS: usize = 255;
/// How often a request looks whether the one that holds its key has decided.
const POLL: Duration = Duration::from_millis(25);

/// Reads the key of a request, if it has one.
///
/// # Errors
/// When it is not 1 to 255 visible ASCII characters.
pub fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(KEY) else {
        return Ok(None);
    };
    let is_key = |text: &&str| {
        (1..=MAX_KEY_CHARS).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let key = value
        .to_str()
        .ok()
        .filter(is_key)
        .map(|key| Some(key.to_owned()));
    key.ok_or_else(no_key)
}

/// The key cannot be read.
pub fn no_key() -> Problem {
    let detail = format!(
        "`Idempotency-Key` cannot be read; send 1 to {MAX_KEY_CHARS} visible ASCII characters"
    );
    Problem::new(StatusCode::BAD_REQUEST, "invalid_idempotency_key", detail)
}

/// A decision, and whether it was there before.
pub struct Answer {
    /// The decision, and how it was settled if it was.
    pub entry: Entry,
    /// Whether an earlier request with the same key came to it.
    pub is_replay: bool,
}

/// Decides about a case, or waits for the request that holds its key.
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
    if let Some(claim) = &case.idempotency {
        loop {
            match agent.ledger.claim(claim, clock.now()).await? {
                KeyState::Claimed => break,
                KeyState::Decided(entry) => {
                    return Ok(Answer {
                        entry: *entry,
                        is_replay: true,
                    });
                }
                KeyState::OtherBody => return Err(other_body()),
                KeyState::UnderWay if Instant::now() >= deadline => {
                    return Err(Problem::deadline_exceeded());
                }
                KeyState::UnderWay => {
                    tokio::time::sleep(POLL).await;
                    // The wait was none of the model's: out of time, it would bind the key to a
                    // review for ever. A wait ends at the deadline, so this
                    // ends within the lease; the answer may come too late, and is kept.
                    case.model_deadline = Instant::now() + model_time;
                }
            }
        }
    }
    let recorded = agent.run(&case).await;
    if let (Err(_), Some(claim)) = (&recorded, &case.idempotency) {
        // The key may be tried again at once; where that fails too, its lease runs out.
        if let Err(error) = agent.ledger.release(claim).await {
            tracing::warn!(%error, "an idempotency key could not be given back");
        }
    }
    Ok(Answer {
        entry: Entry {
            decision: recorded?.decision,
            resolution: None,
        },
        is_replay: false,
    })
}

fn other_body() -> Problem {
    let detail =
        "this `Idempotency-Key` was used with another body; send a new key for a new expense";
    Problem::new(StatusCode::CONFLICT, "idempotency_conflict", detail)
}
