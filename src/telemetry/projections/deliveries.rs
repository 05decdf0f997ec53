//! Attempts to deliver notifications, as spans and metrics.

use crate::notify::attempt::Attempt;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::metrics::ended::Ended;
use crate::telemetry::names;
use crate::telemetry::settings::Captures;
use crate::telemetry::spans::span::{Failure, Projection};
use crate::telemetry::spans::step::StepResult;

impl StepResult for Attempt {
    fn project(&self, _: Captures) -> Projection {
        let result = <&'static str>::from(self.result);
        let mut attributes = vec![names::EXPENSE_NOTIFICATION_RESULT.with(result)];
        attributes.extend(
            self.status
                .map(|status| names::HTTP_RESPONSE_STATUS_CODE.with(i64::from(status))),
        );
        Projection {
            attributes,
            failure: self.failure.map(|failure| Failure {
                kind: failure.error_type(),
                message: failure.to_string(),
            }),
            ..Projection::default()
        }
    }

    fn measure(&self, metrics: &Metrics, ended: &Ended<'_>) {
        let attempts = &metrics.instruments.notification_attempts;
        attempts.add(1, &metrics.series(attempts, ended));
    }
}
