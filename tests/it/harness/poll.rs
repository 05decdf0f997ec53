//! Waits for something that another task or process does, by trying again until it succeeds or the
//! time is up. No test sleeps for a guessed time; each names what it waits for, and a time limit.

use std::fmt::Debug;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval, timeout};

const PERIOD: Duration = Duration::from_millis(10);

/// Calls `attempt` until it returns `Ok`, and panics with `what` and the last `Err` when `limit` has
/// passed.
pub(crate) async fn until<T, E: Debug>(
    limit: Duration,
    what: &str,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let mut last_seen = None;
    let polling = async {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match attempt().await {
                Ok(found) => return found,
                Err(seen) => last_seen = Some(seen),
            }
        }
    };
    let outcome = timeout(limit, polling).await;
    outcome.unwrap_or_else(|_| match last_seen {
        Some(seen) => panic!("no {what} within {limit:?}; seen last: {seen:#?}"),
        None => panic!("no {what} within {limit:?}; no attempt has finished"),
    })
}

/// Waits until a check of `/readyz` starts with a text, and returns all of its text. Panics if the
/// service is not ready.
pub(crate) async fn until_check(limit: Duration, url: &str, check: &str, expected: &str) -> String {
    until(limit, expected, async || {
        let ready = reqwest::get(format!("{url}/readyz"))
            .await
            .map_err(|error| error.to_string())?;
        assert_eq!(
            ready.status(),
            200,
            "the service stays ready while its files change"
        );
        let body: Value = ready.json().await.map_err(|error| error.to_string())?;
        let said = body["checks"][check]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if said.starts_with(expected) {
            Ok(said)
        } else {
            Err(said)
        }
    })
    .await
}

#[tokio::test]
async fn polling_ends_with_the_first_success() {
    let mut n_calls = 0;
    let third = until(Duration::from_secs(5), "third call", async || {
        n_calls += 1;
        if n_calls == 3 {
            Ok(n_calls)
        } else {
            Err(n_calls)
        }
    });
    assert_eq!(third.await, 3);
}

#[tokio::test]
#[should_panic(expected = "no snow within 25ms; seen last: \"rain\"")]
async fn polling_past_the_limit_panics_with_what_was_seen_last() {
    until(Duration::from_millis(25), "snow", async || {
        Err::<(), _>("rain")
    })
    .await;
}
