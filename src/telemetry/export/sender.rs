//! The sender: the one task that takes batches from the queue and delivers them. While the program
//! runs and the queue has room, a message is retried until the backend accepts it. A span may
//! therefore arrive twice, when an acknowledgement is lost, but no span is lost without being
//! counted.
//!
//! The retries of opentelemetry-otlp are not used: they give up within seconds and never retry the
//! code `Unknown`, which gRPC reports for a broken connection. `backon` only calculates the pauses
//! here, because an attempt does not repeat the one before: a message that is too large comes back
//! as two smaller ones, and while one is tried, the queue may evict others. How each kind of
//! failure is treated:
//!
//! - `Passing` (no connection, overload, a broken connection): the batch goes back, without limit.
//! - `TooLarge`: the batch goes back and the size of messages is halved, down to 64 KiB.
//! - `Refused` (the message itself is wrong): tried five times, then dropped.
//!
//! When the program stops, the sender goes on until nothing waits. `Pipeline` bounds that by a
//! time limit, and a backend that never accepted anything gets four last attempts.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::sync::watch;

use crate::telemetry::export::encode::Head;
use crate::telemetry::export::held::MESSAGES_OF_A_QUEUE;
use crate::telemetry::export::queue::{Batch, Queue};
use crate::telemetry::export::transport::{DeliveryFailure, Transport};

/// Bytes of the spans of one message: half of what receivers accept by default over gRPC.
const MAX_MESSAGE_BYTES: usize = 2 * 1024 * 1024;
/// Messages of several spans are not made smaller than this, even if the backend refuses them.
const MIN_MESSAGE_BYTES: usize = 64 * 1024;
/// A message is dropped when the backend has refused it this many times.
const MAX_REFUSALS: u32 = 5;
/// Attempts after the stop at a backend that never accepted anything, because most likely there is
/// none.
const LAST_ATTEMPTS: u32 = 4;
/// The first pause between two attempts. Each further pause is twice as long.
const MIN_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// Delivers batches of spans.
pub(super) struct Sender {
    queue: Arc<Queue>,
    transport: Transport,
    head: Head,
    /// How long spans wait for others before a message is sent.
    schedule_delay: Duration,
    /// For the log, so without a password.
    endpoint: String,
    /// Becomes true when the program stops.
    stop: watch::Receiver<bool>,
    max_message_bytes: usize,
    pauses: ExponentialBackoff,
    n_refusals: u32,
    n_last_attempts: u32,
    has_delivered: bool,
    is_failing: bool,
    has_logged_loss: bool,
    /// Spans that were lost in earlier outages, whose loss has been logged.
    n_lost_before: u64,
}

impl Sender {
    /// A sender that has not started.
    pub(super) fn new(
        queue: Arc<Queue>,
        transport: Transport,
        head: Head,
        schedule_delay: Duration,
        endpoint: String,
        stop: watch::Receiver<bool>,
    ) -> Self {
        // A batch that is being sent cannot be evicted. A message therefore takes only a part of
        // the queue, or a full queue could evict nothing but traces with failed checks.
        let max_message_bytes = MAX_MESSAGE_BYTES.min(queue.max_bytes() / MESSAGES_OF_A_QUEUE);
        Self {
            queue,
            transport,
            head,
            schedule_delay,
            endpoint,
            stop,
            max_message_bytes,
            pauses: pauses(),
            n_refusals: 0,
            n_last_attempts: 0,
            has_delivered: false,
            is_failing: false,
            has_logged_loss: false,
            n_lost_before: 0,
        }
    }

    /// Sends until the program stops and nothing waits.
    pub(super) async fn run(mut self) {
        let mut is_last = false;
        while !is_last && !self.gives_up() {
            is_last = tokio::select! {
                () = tokio::time::sleep(self.schedule_delay) => false,
                () = self.queue.filled() => false,
                _ = self.stop.wait_for(|stops| *stops) => true,
            };
            while let Some(batch) = self.queue.take(self.max_message_bytes) {
                let was_stopping = self.is_stopping();
                match self
                    .transport
                    .export(self.head.message(batch.spans()))
                    .await
                {
                    Ok(n_rejected) => self.delivered(&batch, n_rejected),
                    Err(failure) => self.failed(batch, &failure, was_stopping).await,
                }
                self.log_loss();
                if self.gives_up() {
                    break;
                }
            }
        }
        self.queue.abandon();
    }

    fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    fn gives_up(&self) -> bool {
        self.n_last_attempts >= LAST_ATTEMPTS && !self.has_delivered
    }

    fn delivered(&mut self, batch: &Batch, n_rejected: u64) {
        self.queue.confirm(batch, n_rejected);
        self.pauses = pauses();
        self.n_refusals = 0;
        self.has_delivered = true;
        if std::mem::replace(&mut self.is_failing, false) {
            let n_dropped = self.queue.counts().dropped;
            (self.has_logged_loss, self.n_lost_before) = (false, n_dropped);
            tracing::info!(
                endpoint = self.endpoint,
                n_dropped,
                "traces are delivered again"
            );
        }
    }

    async fn failed(&mut self, batch: Batch, failure: &DeliveryFailure, was_stopping: bool) {
        let n_bytes = batch.spans().map(<[u8]>::len).sum::<usize>();
        match failure {
            DeliveryFailure::TooLarge(_) if n_bytes > MIN_MESSAGE_BYTES && batch.n_spans() > 1 => {
                // The size is never raised again: backends seldom lift a limit, and small messages
                // cost little.
                self.max_message_bytes = (n_bytes / 2).max(MIN_MESSAGE_BYTES);
                return self.queue.give_back(batch);
            }
            DeliveryFailure::Refused(_) => self.refused(batch),
            // A single large span cannot be split.
            DeliveryFailure::TooLarge(_) if n_bytes > MIN_MESSAGE_BYTES => self.refused(batch),
            // gRPC reports an overloaded backend by the same code, and that may pass.
            DeliveryFailure::TooLarge(_) | DeliveryFailure::Passing(_) => {
                self.queue.give_back(batch)
            }
        }
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::warn!(
                endpoint = self.endpoint,
                error = %failure,
                "traces cannot be delivered; decisions are not affected. Start a trace backend there, name another one in \
                 OTEL_EXPORTER_OTLP_ENDPOINT, or turn traces off with OTEL_TRACES_EXPORTER=none"
            );
        }
        self.pause(was_stopping).await;
    }

    fn refused(&mut self, batch: Batch) {
        self.n_refusals += 1;
        if self.n_refusals < MAX_REFUSALS {
            return self.queue.give_back(batch);
        }
        self.n_refusals = 0;
        self.queue.discard(&batch);
    }

    /// Waits before the next attempt. The stop ends the wait, and the pauses start again with the
    /// shortest one. Only attempts that began after the stop count as last attempts.
    async fn pause(&mut self, was_stopping: bool) {
        let is_stopping = self.is_stopping();
        if was_stopping {
            self.n_last_attempts += 1;
        } else if is_stopping {
            // The program stopped during the attempt.
            self.pauses = pauses();
        }
        let pause = self.pauses.next().unwrap_or(MAX_PAUSE);
        tokio::select! {
            () = tokio::time::sleep(pause), if !self.gives_up() => {}
            _ = self.stop.wait_for(|stops| *stops), if !is_stopping => self.pauses = pauses(),
            else => {}
        }
    }

    /// Logs once per outage that spans are lost. Their number is in the counts.
    fn log_loss(&mut self) {
        let n_dropped = self.queue.counts().dropped;
        if n_dropped > self.n_lost_before && !std::mem::replace(&mut self.has_logged_loss, true) {
            tracing::warn!(n_dropped, "spans are lost; /readyz?verbose counts them");
        }
    }
}

fn pauses() -> ExponentialBackoff {
    let pauses = ExponentialBuilder::new()
        .with_min_delay(MIN_PAUSE)
        .with_max_delay(MAX_PAUSE);
    pauses.without_max_times().with_jitter().build()
}
