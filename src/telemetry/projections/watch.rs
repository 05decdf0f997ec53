//! Metrics of values that other parts of the program keep: open decisions in the ledger, reloads of
//! files, connections of clients, the state of the circuit breaker, and the counts of spans.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use strum::IntoEnumIterator;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::clock::Clock;
use crate::connections::Connections;
use crate::domain::ruling::Role;
use crate::ledger::Ledger;
use crate::llm::breaker::{Breaker, BreakerState};
use crate::redact::redact;
use crate::reload::ReloadCounts;
use crate::telemetry::Instruments;
use crate::telemetry::export::queue::{Queue, SpanCounts};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::names;
use crate::telemetry::names::metrics;

/// Time between two reads of the ledger. It is read at an interval and not when metrics are read,
/// so that no reader of metrics waits for the ledger.
const PERIOD: Duration = Duration::from_secs(5);

impl Instruments {
    /// Measures, for as long as it is polled, whether the ledger is ready, how many decisions are open
    /// and for how long, and how many notifications wait to be delivered. The ledger is ready if the last readiness probe or a recent commit succeeded.
    /// Nothing is written for the metric itself, so an idle service leaves the disk alone. If
    /// the ledger fails, what was read of it keeps its last value.
    pub async fn watch_ledger(&self, ledger: &Ledger, clock: &Clock) -> Infallible {
        let instruments = &self.scope.metrics.instruments;
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let pending = ledger.pending_by_role().await;
            let is_ready = pending.is_ok() && ledger.was_ready();
            instruments.ledger_ready.record(is_ready.into(), &[]);
            let Ok(pending) = pending else { continue };
            let now = clock.now();
            for role in Role::iter() {
                let of_role = pending.get(&role).copied().unwrap_or_default();
                let series = [metrics::EXPENSE_PENDING_ROLE.with(role.to_string())];
                instruments.pending.record(of_role.n_open, &series);
                let age = seconds_since(of_role.oldest, now);
                instruments.pending_age.record(age, &series);
            }
            if ledger.notifies()
                && let Ok(backlog) = ledger.backlog(now).await
            {
                let n_entries = backlog.n_entries;
                instruments.notifications_pending.record(n_entries, &[]);
                let age = seconds_since(backlog.oldest, now);
                instruments.notifications_pending_age.record(age, &[]);
            }
        }
    }

    /// Measures reloads of files that may change while the service runs.
    pub fn watch_reloads(
        &self,
        files: &'static str,
        counts: impl Fn() -> ReloadCounts + Clone + Send + Sync + 'static,
    ) {
        let instruments = &self.scope.metrics.instruments;
        let now = counts.clone();
        instruments.reloads.observe(move |observer| {
            let ReloadCounts {
                n_applied,
                n_rejected,
                ..
            } = now();
            for (result, n_reloads) in [("taken", n_applied), ("refused", n_rejected)] {
                let series = [
                    metrics::EXPENSE_RELOAD_FILES.with(files),
                    metrics::EXPENSE_RELOAD_RESULT.with(result),
                ];
                observer.observe(n_reloads, &series);
            }
        });
        instruments.reload_stale.observe(move |observer| {
            observer.observe(
                counts().is_stale.into(),
                &[metrics::EXPENSE_RELOAD_FILES.with(files)],
            );
        });
    }

    /// Measures the connections of clients.
    pub fn watch_connections(&self, connections: &Arc<Connections>) {
        let instruments = &self.scope.metrics.instruments;
        let (of_open, of_closed) = (Arc::clone(connections), Arc::clone(connections));
        instruments.connections_open.observe(move |observer| {
            observer.observe(u64::try_from(of_open.n_open()).unwrap_or(u64::MAX), &[]);
        });
        instruments.connections_closed.observe(move |observer| {
            for (reason, n_closed) in of_closed.n_closed() {
                let reason = <&'static str>::from(reason);
                observer.observe(n_closed, &[metrics::EXPENSE_CONNECTION_REASON.with(reason)]);
            }
        });
    }

    /// Measures the state of a model's circuit breaker.
    pub fn watch_breaker(&self, model: &str, breaker: &Arc<Breaker>) {
        let model = names::GEN_AI_REQUEST_MODEL.with(redact(model).into_owned());
        let breaker = Arc::clone(breaker);
        let states = &self.scope.metrics.instruments.breaker_state;
        states.observe(move |observer| {
            let now = breaker.state(Instant::now());
            for state in BreakerState::iter() {
                let series = [
                    model.clone(),
                    metrics::EXPENSE_BREAKER_STATE.with(state.to_string()),
                ];
                observer.observe((state == now).into(), &series);
            }
        });
    }
}

/// The whole seconds since a moment, 0 without one.
fn seconds_since(moment: Option<Timestamp>, now: Timestamp) -> u64 {
    let seconds = moment.map_or(0, |moment| now.duration_since(moment).as_secs());
    u64::try_from(seconds).unwrap_or(0)
}

impl Metrics {
    /// Measures what became of spans, and the memory of the queue.
    pub(crate) fn watch_spans(&self, queue: &Arc<Queue>) {
        let (of_spans, of_open, of_memory) =
            (Arc::clone(queue), Arc::clone(queue), Arc::clone(queue));
        self.instruments.spans.observe(move |observer| {
            let SpanCounts {
                exported,
                sampled_out,
                dropped,
                ..
            } = of_spans.counts();
            for (result, n_spans) in [
                ("exported", exported),
                ("sampled_out", sampled_out),
                ("dropped", dropped),
            ] {
                observer.observe(n_spans, &[metrics::TELEMETRY_RESULT.with(result)]);
            }
        });
        self.instruments
            .spans_in_flight
            .observe(move |observer| observer.observe(of_open.counts().in_flight, &[]));
        self.instruments.queue_memory.observe(move |observer| {
            observer.observe(u64::try_from(of_memory.n_bytes()).unwrap_or(u64::MAX), &[]);
        });
    }
}
