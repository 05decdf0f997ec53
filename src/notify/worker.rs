//! The workers: one for each receiver takes its entries from the outbox and delivers them, a handful
//! at a time. There are two kinds of waiting after a failure:
//!
//! - A notification that failed is tried again after a backoff of its own, which the ledger keeps, so
//!   that one notification that a receiver cannot digest holds up no other.
//! - A receiver of which every attempt of a round failed is left alone for a while, so that one that is
//!   gone costs the ledger a few writes a minute, however many notifications wait.
//!
//! `backon` only calculates the pauses: the attempts of one notification are far apart, and the next
//! may be made by another process.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::domain::decision::Decision;
use crate::error_chain::error_chain;
use crate::ledger::{Claimed, EntriesOf, Ledger, LedgerError};
use crate::notify::attempt::{Attempt, AttemptResult, Failure, attempt, client};
use crate::notify::message::Message;
use crate::notify::unclaimed::Unclaimed;
use crate::notify::{MAX_AGE, NotifyConfig, Receiver};
use crate::telemetry::Instruments;
use crate::telemetry::spans::delivery::{Delivery, delivery};

/// Notifications that one receiver is sent at the same time, each of another expense.
const MAX_AT_ONCE: usize = 8;
/// How often the outbox is read for entries that became due, or that another replica wrote.
const PERIOD: Duration = Duration::from_secs(1);
/// The first pause after a failure. Each further one is twice as long. Jitter makes a pause longer, by
/// at most as much again.
const MIN_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause of a receiver of which every attempt failed, without jitter.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// The longest pause of a notification, without jitter.
const MAX_BACKOFF: Duration = Duration::from_secs(3600);
/// The longest wait that a receiver may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);
/// A lease outlasts an attempt by far, so that it ends only if the process has died.
const LEASE_OF_TIMEOUTS: u32 = 3;

/// Where the page shows a decision.
pub type PageUrl = Arc<dyn Fn(&Decision) -> Option<String> + Send + Sync>;

/// Delivers the notifications of every receiver.
pub struct Workers {
    workers: Vec<Worker>,
    unclaimed: Unclaimed,
}

impl Workers {
    /// Workers that have not started.
    ///
    /// # Errors
    /// When TLS cannot be initialised.
    pub fn new(
        config: &NotifyConfig,
        ledger: &Ledger,
        clock: &Clock,
        instruments: &Instruments,
        page_url: PageUrl,
    ) -> Result<Self, reqwest::Error> {
        let names_of = |tenant_id: &str| ledger.recorded_tenants.names_of(tenant_id);
        let others = || EntriesOf::Others(config.named_tenants().flat_map(names_of).collect());
        let mut workers = Vec::new();
        let mut receivers = config.receivers.iter();
        let has_one_for_all = receivers.any(|receiver| receiver.tenant_id.is_none());
        let unclaimed = Unclaimed {
            entries: (!has_one_for_all).then(others),
            ledger: ledger.clone(),
            clock: clock.clone(),
        };
        if config.receivers.is_empty() {
            return Ok(Self { workers, unclaimed });
        }
        let client = client(config.timeout)?;
        for receiver in config.receivers.clone() {
            let entries = match &receiver.tenant_id {
                Some(tenant_id) => EntriesOf::Tenant(names_of(tenant_id)),
                None => others(),
            };
            workers.push(Worker {
                receiver,
                entries,
                ledger: ledger.clone(),
                clock: clock.clone(),
                client: client.clone(),
                lease: config.timeout * LEASE_OF_TIMEOUTS,
                instruments: instruments.clone(),
                page_url: Arc::clone(&page_url),
            });
        }
        Ok(Self { workers, unclaimed })
    }

    /// Delivers until it is asked to stop, and ends the attempts that are under way by then. One that is
    /// dropped before its end is made again when its lease ends.
    pub async fn run(&self, stop: &CancellationToken) {
        let deliver = join_all(self.workers.iter().map(|worker| worker.run(stop)));
        tokio::join!(deliver, self.unclaimed.run(stop));
    }
}

/// Delivers the notifications of one receiver.
struct Worker {
    receiver: Receiver,
    entries: EntriesOf,
    ledger: Ledger,
    clock: Clock,
    client: reqwest::Client,
    lease: Duration,
    instruments: Instruments,
    page_url: PageUrl,
}

/// What a round came to.
enum Round {
    /// Nothing was due.
    Idle,
    /// The receiver accepted or refused at least one notification.
    Answered,
    /// The receiver took none, and at least one entry is gone: it was too old, or has nothing to tell any
    /// more. The next round follows at once, because those entries must not wait for the receiver.
    GivenUp,
    /// Every attempt failed, or the ledger did. The receiver asked to wait this long, at least.
    Failed(Duration),
}

impl Worker {
    async fn run(&self, stop: &CancellationToken) {
        let mut added = self.ledger.entries_added();
        let mut pauses = pauses(MAX_PAUSE);
        let mut is_failing = false;
        while !stop.is_cancelled() {
            // What is added from here on ends the wait below.
            added.mark_unchanged();
            let round = self.round(&mut is_failing).await.unwrap_or_else(|error| {
                let error = error_chain(&error);
                tracing::warn!(error, "the outbox of notifications cannot be used");
                Round::Failed(Duration::ZERO)
            });
            match round {
                Round::Idle => {
                    let added = timeout(PERIOD, added.changed());
                    let _stopped = stop.run_until_cancelled(added).await;
                }
                Round::Answered => pauses = self::pauses(MAX_PAUSE),
                Round::GivenUp => {}
                Round::Failed(wanted) => {
                    let pause = pauses.next().unwrap_or(MAX_PAUSE).max(wanted);
                    let _stopped = stop.run_until_cancelled(sleep(pause)).await;
                }
            }
        }
    }

    /// Delivers what is due, at most [`MAX_AT_ONCE`] notifications.
    async fn round(&self, is_failing: &mut bool) -> Result<Round, LedgerError> {
        let now = self.clock.now();
        let leased_until = later(now, self.lease);
        let claimed = self
            .ledger
            .claim_entries(&self.entries, now, leased_until, MAX_AT_ONCE)
            .await?;
        if claimed.is_empty() {
            return Ok(Round::Idle);
        }
        // All of them end before an error is returned, or the others would be made twice.
        let attempts = join_all(claimed.iter().map(|entry| self.deliver(entry))).await;
        let attempts: Vec<Option<Attempt>> = attempts.into_iter().collect::<Result<_, _>>()?;
        let attempts: Vec<Attempt> = attempts.into_iter().flatten().collect();
        let count = |wanted: AttemptResult| {
            let results = attempts.iter().map(|attempt| attempt.result);
            results.filter(|result| *result == wanted).count()
        };
        let n_delivered = count(AttemptResult::Delivered);
        let n_answered = n_delivered + count(AttemptResult::Refused);
        let failure = attempts.iter().find_map(|attempt| attempt.failure);
        self.log_outage(failure.filter(|_| n_answered == 0), n_delivered, is_failing);
        if n_answered > 0 {
            return Ok(Round::Answered);
        }
        if count(AttemptResult::Failed) < claimed.len() {
            return Ok(Round::GivenUp);
        }
        let waits = attempts.iter().filter_map(|attempt| attempt.retry_after);
        let wanted = waits.max().unwrap_or_default();
        Ok(Round::Failed(wanted.min(MAX_BACKOFF)))
    }

    /// Delivers one notification, if there still is one.
    async fn deliver(&self, entry: &Claimed) -> Result<Option<Attempt>, LedgerError> {
        let stored = self.ledger.get(&entry.tenant_id, entry.decision_id).await?;
        let message = stored.as_ref().and_then(|stored| {
            let page_url = (self.page_url)(&stored.decision);
            Message::of(entry, stored, page_url)
        });
        let (Some(stored), Some(message)) = (stored, message) else {
            self.ledger.delete_entry(entry).await?;
            return Ok(None);
        };
        let now = self.clock.now();
        let is_last = now.duration_since(entry.happened_at) >= MAX_AGE;
        let of = Delivery {
            kind: entry.kind,
            decision: &stored.decision,
            url: &self.receiver.url,
            n_retries: entry.n_attempts.saturating_sub(1),
        };
        let work = attempt(&self.client, &self.receiver, &message, now, is_last);
        let attempt = delivery(&self.instruments, &of, work).await;
        if attempt.result == AttemptResult::Failed {
            let wanted = attempt.retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
            let due_at = later(self.clock.now(), backoff(entry.n_attempts).max(wanted));
            self.ledger.postpone_entry(entry, due_at).await?;
        } else {
            self.ledger.delete_entry(entry).await?;
        }
        self.log_loss(entry, &attempt);
        Ok(Some(attempt))
    }

    /// Logs once that a receiver takes nothing, and once that it accepted a notification again.
    fn log_outage(&self, failure: Option<Failure>, n_delivered: usize, is_failing: &mut bool) {
        let receiver = self.receiver.to_string();
        if let Some(failure) = failure.filter(|_| !*is_failing) {
            *is_failing = true;
            tracing::warn!(
                receiver,
                error = %failure,
                "notifications cannot be delivered; each is tried again for three days. Decisions are not affected"
            );
        } else if n_delivered > 0 && *is_failing {
            *is_failing = false;
            tracing::info!(receiver, "notifications are delivered again");
        }
    }

    /// Logs that a notification will never arrive.
    fn log_loss(&self, entry: &Claimed, attempt: &Attempt) {
        let Some(failure) = attempt.failure else {
            return;
        };
        let why = match attempt.result {
            AttemptResult::Refused => "the receiver refuses it",
            AttemptResult::Expired => "it was tried for three days",
            AttemptResult::Delivered | AttemptResult::Failed => return,
        };
        tracing::warn!(
            receiver = %self.receiver,
            expense_id = %entry.decision_id,
            notification = %entry.kind,
            error = %failure,
            "a notification is not sent again: {why}"
        );
    }
}

/// Pauses that double up to a maximum, with jitter.
fn pauses(max: Duration) -> backon::ExponentialBackoff {
    let pauses = ExponentialBuilder::new()
        .with_min_delay(MIN_PAUSE)
        .with_max_delay(max);
    pauses.without_max_times().with_jitter().build()
}

/// The pause of a notification after so many attempts.
fn backoff(n_attempts: u32) -> Duration {
    let n_before = usize::try_from(n_attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    let pause = pauses(MAX_BACKOFF).nth(n_before.min(64));
    pause.unwrap_or(MAX_BACKOFF)
}

fn later(now: Timestamp, wait: Duration) -> Timestamp {
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}
