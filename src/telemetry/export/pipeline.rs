//! The sink of finished spans: encodes each one as it ends, on the thread where it ends, and puts
//! it into the queue, which the sender empties.
//!
//! The sender runs on a runtime of its own, which `provider` keeps until the end. On the
//! application's runtime, a flush or shutdown from one of its own threads would wait for a sender
//! that cannot run, and once that runtime is gone nothing would be sent at all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::trace::{SpanId, Status};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::telemetry::export::encode::{self, Head};
use crate::telemetry::export::queue::Queue;
use crate::telemetry::export::sender::Sender;
use crate::telemetry::export::traces::EndedSpan;
use crate::telemetry::export::transport::Transport;
use crate::telemetry::names;
use crate::telemetry::sampling::Ratio;
use crate::telemetry::settings::TelemetrySettings;

/// Time limit of a flush.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// The sink of finished spans.
#[derive(Debug)]
pub(crate) struct Pipeline {
    queue: Arc<Queue>,
    ratio: Ratio,
    stop: watch::Sender<bool>,
}

impl Pipeline {
    /// Starts the sender on a runtime, which must not be the application's.
    pub(crate) fn start(
        settings: &TelemetrySettings,
        transport: Transport,
        resource: &Resource,
        scope: &str,
        runtime: &Runtime,
    ) -> Self {
        let queue = Arc::new(Queue::new(settings.queue, settings.sampling.ratio));
        let (stop, stops) = watch::channel(false);
        let endpoint = settings.exporter.shown_endpoint.clone();
        let head = Head::new(resource, scope);
        let sender = Sender::new(
            Arc::clone(&queue),
            transport,
            head,
            settings.schedule_delay,
            endpoint,
            stops,
        );
        runtime.spawn(sender.run());
        Self {
            queue,
            ratio: settings.sampling.ratio,
            stop,
        }
    }

    /// The queue, for code that reports its counts.
    pub(crate) fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.queue)
    }
}

impl SpanProcessor for Pipeline {
    fn on_start(&self, _: &mut Span, _: &Context) {
        self.queue.start();
    }

    fn on_end(&self, mut span: SpanData) {
        let is_local_root = span.parent_span_id == SpanId::INVALID || span.parent_span_is_remote;
        let has_failed_validation = span.attributes.iter().any(is_failed_status);
        let must_keep = has_failed_validation
            || matches!(span.status, Status::Error { .. })
            || span
                .attributes
                .iter()
                .any(|attribute| attribute.key.as_str() == names::SAMPLING_KEEP.key);
        if is_local_root && self.ratio != Ratio::ALL {
            let ratio = if must_keep { Ratio::ALL } else { self.ratio };
            span.attributes
                .push(names::SAMPLING_RATIO.with(ratio.as_number()));
        }
        self.queue.end(EndedSpan {
            trace_id: span.span_context.trace_id(),
            span_id: span.span_context.span_id(),
            parent_id: span.parent_span_id,
            at: Instant::now(),
            is_local_root,
            has_failed_validation,
            must_keep,
            encoded: encode::span(&span),
        });
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.queue.flush();
        match self.queue.wait_until_sent(FLUSH_TIMEOUT) {
            true => Ok(()),
            false => Err(OTelSdkError::Timeout(FLUSH_TIMEOUT)),
        }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.queue.keep_undecided();
        self.stop.send_replace(true);
        self.queue.wait_until_sent(timeout);
        match self.queue.close() {
            0 => Ok(()),
            n_lost => Err(OTelSdkError::InternalFailure(format!(
                "{n_lost} spans were not delivered"
            ))),
        }
    }

    /// Ignored: the resource was handed to [`start`](Self::start), because it is part of every
    /// message.
    fn set_resource(&mut self, _: &Resource) {}
}

fn is_failed_status(attribute: &KeyValue) -> bool {
    *attribute == names::VALIDATION_STATUS.with("failed")
}
