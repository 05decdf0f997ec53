//! Figures that others keep and that are only looked at: the ledger, what files were reloaded,
//! whether the model is asked, what became of spans.

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

/// How often the ledger is looked at. Nobody who reads metrics sees more, and no reader waits for
/// it.
const PERIOD: Duration = Duration::from_secs(5);

impl Instruments {
    /// Keeps an eye on the ledger for as long as it is polled: whether a decision could be
    /// recorded, and how many wait for a person. Only who asks for readiness has something
    /// written; a service that nobody asks leaves the disk alone. How many wait stays as it was
    /// when the ledger fails.
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

    /// Shows what has become of files that may change while the service runs.
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

    /// Shows what the breaker of a model does with calls.
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
    /// Shows what has become of spans, and what those take that wait.
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
