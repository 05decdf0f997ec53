//! The sender: takes what waits in the queue, and tries each message until the backend has it. A
//! message may arrive twice when its answer is lost, never not at all while the program runs and
//! there is room to wait.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::sync::watch;

use crate::telemetry::export::encode::Head;
use crate::telemetry::export::queue::{Batch, MESSAGES_OF_A_QUEUE, Queue};
use crate::telemetry::export::transport::{Failure, Transport};

/// Spans of one message, in bytes: half of what receivers take by default over gRPC.
const MAX_MESSAGE_BYTES: usize = 2 * 1024 * 1024;
/// However small the messages that a backend asks for, no smaller ones are made of many spans.
const MIN_MESSAGE_BYTES: usize = 64 * 1024;
/// How often a backend may refuse a message before it is given up. Anything else is tried until
/// there is no more room.
const MAX_REFUSALS: u32 = 5;
/// How often a backend that never took anything is tried when the program stops: most likely there
/// is none.
const LAST_ATTEMPTS: u32 = 4;
/// Pauses between attempts.
const MIN_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// What sends.
pub(super) struct Sender {
    queue: Arc<Queue>,
    transport: Transport,
    head: Head,
    /// How long spans wait for company.
    schedule_delay: Duration,
    /// For the log, so without a password.
    endpoint: String,
    /// True once the program stops.
    stop: watch::Receiver<bool>,
    max_message_bytes: usize,
    pauses: ExponentialBackoff,
    n_refusals: u32,
    n_last_attempts: u32,
    has_delivered: bool,
    is_failing: bool,
    has_told_of_loss: bool,
    /// Losses of earlier outages, which are told already.
    n_lost_before: u64,
}

impl Sender {
    /// A sender that has not begun.
    pub(super) fn new(
        queue: Arc<Queue>,
        transport: Transport,
        head: Head,
        schedule_delay: Duration,
        endpoint: String,
        stop: watch::Receiver<bool>,
    ) -> Self {
        // What is under way cannot be given up, so it leaves room for what can: a full queue would
        // otherwise have nothing to give up but what failed.
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
            has_told_of_loss: false,
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
                self.tell_of_loss();
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
        self.queue.settle(batch, n_rejected);
        self.pauses = pauses();
        self.n_refusals = 0;
        self.has_delivered = true;
        if std::mem::replace(&mut self.is_failing, false) {
            let n_dropped = self.queue.counts().dropped;
            (self.has_told_of_loss, self.n_lost_before) = (false, n_dropped);
            tracing::info!(
                endpoint = self.endpoint,
                n_dropped,
                "traces are delivered again"
            );
        }
    }

    async fn failed(&mut self, batch: Batch, failure: &Failure, was_stopping: bool) {
        let n_bytes = batch.spans().map(<[u8]>::len).sum::<usize>();
        match failure {
            Failure::TooLarge(_) if n_bytes > MIN_MESSAGE_BYTES && batch.n_spans() > 1 => {
                // It stays so: a limit is seldom lifted, and small messages cost little.
                self.max_message_bytes = (n_bytes / 2).max(MIN_MESSAGE_BYTES);
                return self.queue.give_back(batch);
            }
            Failure::Refused(_) => self.refused(batch),
            Failure::TooLarge(_) if n_bytes > MIN_MESSAGE_BYTES => self.refused(batch),
            Failure::TooLarge(_) | Failure::Passing(_) => self.queue.give_back(batch),
        }
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::warn!(
                endpoint = self.endpoint,
                error = %failure,
                "traces cannot be delivered; decisions go on. Start a trace backend there, name another one in \
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

    /// Waits between an attempt and the next; when the program stops, the pauses begin anew with
    /// the shortest. The last attempts are those that begin after the stop.
    async fn pause(&mut self, was_stopping: bool) {
        let is_stopping = self.is_stopping();
        if was_stopping {
            self.n_last_attempts += 1;
        } else if is_stopping {
            // The stop came while the attempt was under way.
            self.pauses = pauses();
        }
        let pause = self.pauses.next().unwrap_or(MAX_PAUSE);
        tokio::select! {
            () = tokio::time::sleep(pause), if !self.gives_up() => {}
            _ = self.stop.wait_for(|stops| *stops), if !is_stopping => self.pauses = pauses(),
            else => {}
        }
    }

    /// Says once in an outage that spans are lost; how many they are is counted.
    fn tell_of_loss(&mut self) {
        let n_dropped = self.queue.counts().dropped;
        if n_dropped > self.n_lost_before && !std::mem::replace(&mut self.has_told_of_loss, true) {
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
