//! Metrics of values that other parts of the program keep: open decisions in the ledger, reloads of
//! files, the state of the circuit breaker, and the counts of spans.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use strum::IntoEnumIterator;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::domain::ruling::Role;
use crate::ledger::Ledger;
use crate::llm::breaker::{Breaker, BreakerState};
use crate::redact::redact;
use crate::reload::ReloadCounts;
use crate::telemetry::Instruments;
use crate::telemetry::export::queue::{Queue, SpanCounts};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::names;
use crate::telemetry::names::metrics as list;

/// Time between two reads of the ledger. It is read at an interval and not when metrics are read,
/// so that no reader of metrics waits for the ledger.
const PERIOD: Duration = Duration::from_secs(5);

impl Instruments {
    /// Measures, for as long as it is polled, whether the ledger is ready and how many decisions
    /// are open. The ledger is ready if the last readiness probe or a recent commit succeeded.
    /// Nothing is written for the metric itself, so an idle service leaves the disk alone. If
    /// the ledger fails, the number of open decisions keeps its last value.
    pub async fn watch_ledger(&self, ledger: &Ledger) -> Infallible {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let pending = ledger.pending_by_role().await;
            let is_ready = pending.is_ok() && ledger.was_ready();
            self.scope.metrics.ledger_ready.record(is_ready.into(), &[]);
            let Ok(pending) = pending else { continue };
            for role in Role::iter() {
                let n_pending = pending.get(&role).copied().unwrap_or_default();
                let series = [list::EXPENSE_PENDING_ROLE.with(role.to_string())];
                self.scope.metrics.pending.record(n_pending, &series);
            }
        }
    }

    /// Measures reloads of files that may change while the service runs.
    pub fn watch_reloads(
        &self,
        files: &'static str,
        counts: impl Fn() -> ReloadCounts + Clone + Send + Sync + 'static,
    ) {
        let meter = &self.scope.metrics.meter;
        let now = counts.clone();
        list::EXPENSE_RELOADS.observed_counter(meter, move |observer| {
            let ReloadCounts {
                n_applied,
                n_rejected,
                ..
            } = now();
            for (result, n_reloads) in [("taken", n_applied), ("refused", n_rejected)] {
                let series = [
                    list::EXPENSE_RELOAD_FILES.with(files),
                    list::EXPENSE_RELOAD_RESULT.with(result),
                ];
                observer.observe(n_reloads, &series);
            }
        });
        list::EXPENSE_RELOAD_STALE.observed_gauge(meter, move |observer| {
            observer.observe(
                counts().is_stale.into(),
                &[list::EXPENSE_RELOAD_FILES.with(files)],
            );
        });
    }

    /// Measures the state of a model's circuit breaker.
    pub fn watch_breaker(&self, model: &str, breaker: &Arc<Breaker>) {
        let model = names::GEN_AI_REQUEST_MODEL.with(redact(model).into_owned());
        let breaker = Arc::clone(breaker);
        list::EXPENSE_MODEL_BREAKER_STATE.observed_gauge(
            &self.scope.metrics.meter,
            move |observer| {
                let now = breaker.state(Instant::now());
                for state in BreakerState::iter() {
                    let series = [
                        model.clone(),
                        list::EXPENSE_BREAKER_STATE.with(state.to_string()),
                    ];
                    observer.observe((state == now).into(), &series);
                }
            },
        );
    }
}

impl Metrics {
    /// Measures what became of spans, and the memory of the queue.
    pub(crate) fn watch_spans(&self, queue: &Arc<Queue>) {
        let (of_spans, of_open, of_memory) =
            (Arc::clone(queue), Arc::clone(queue), Arc::clone(queue));
        list::TELEMETRY_SPANS.observed_counter(&self.meter, move |observer| {
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
                observer.observe(n_spans, &[list::TELEMETRY_RESULT.with(result)]);
            }
        });
        list::TELEMETRY_SPANS_IN_FLIGHT.observed_gauge(&self.meter, move |observer| {
            observer.observe(of_open.counts().in_flight, &[])
        });
        list::TELEMETRY_QUEUE_MEMORY.observed_gauge(&self.meter, move |observer| {
            observer.observe(u64::try_from(of_memory.n_bytes()).unwrap_or(u64::MAX), &[]);
        });
    }
}
