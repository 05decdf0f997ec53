//! The `tracing` subscriber of the process. Log lines are printed as text or as JSON, each with the
//! ids of the trace and span in which it was written, and redacted as a whole. The same lines are
//! exported as log records, and `tracing` spans join the traces. `RUST_LOG` filters only what is
//! printed: no log filter can remove a span or an exported record.

use std::fmt;
use std::io::{IsTerminal, Write};

use json_subscriber::fmt::Layer as JsonLayer;
use opentelemetry::Context;
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{EnvFilter, FilterExt, ParseError, Targets, filter_fn};
use tracing_subscriber::fmt::format::{DefaultFields, Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::redact::redact;
use crate::telemetry::names::log_events;
use crate::telemetry::provider::{SCOPE, Telemetry};

/// The filter of printed lines when `RUST_LOG` is not set.
const DEFAULT_FILTER: &str = "info";

/// Targets that are never printed: async-openai logs whole model answers when it cannot parse them,
/// and sqlx the parameters of a database URL that it does not know, with their values.
const SILENT: [&str; 2] = ["async_openai", "sqlx_postgres::options"];

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Logging cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// `RUST_LOG` cannot be parsed.
    #[error(
        "RUST_LOG is not a valid filter; write levels and targets such as \"warn,expense_agent=debug\""
    )]
    Filter(#[from] ParseError),
    /// The process already has a subscriber.
    #[error("logging is already set up")]
    Init(#[from] TryInitError),
}

/// Sets up the subscriber of the process, which prints to standard error. `sdk_level` is the level
/// of OpenTelemetry's own lines.
///
/// # Errors
/// When the filter cannot be parsed, or the process already has a subscriber.
pub fn init(
    filter: Option<&str>,
    format: LogFormat,
    sdk_level: &str,
    telemetry: &Telemetry,
) -> Result<(), LogsError> {
    let filter = EnvFilter::try_new(filter.unwrap_or(DEFAULT_FILTER))?
        // OpenTelemetry's own lines have a variable of their own, `OTEL_LOG_LEVEL`.
        .add_directive(format!("opentelemetry={sdk_level}").parse()?)
        .add_directive(format!("opentelemetry_sdk={sdk_level}").parse()?)
        // A directive that turns these off would give way to one for a longer target, so this is a
        // separate filter. Its level hint is the most verbose one, so that it suppresses no other
        // lines.
        .and(
            filter_fn(|metadata| {
                !SILENT
                    .iter()
                    .any(|target| metadata.target().starts_with(target))
            })
            .with_max_level_hint(Level::TRACE),
        );
    let printed = match format {
        LogFormat::Json => json_layer().with_filter(filter).boxed(),
        LogFormat::Text => {
            let is_terminal = std::io::stderr().is_terminal();
            let layer = tracing_subscriber::fmt::layer()
                .with_writer(Line::new)
                .with_ansi(is_terminal);
            layer
                .event_format(WithTraceIds(Format::default()))
                .with_filter(filter)
                .boxed()
        }
    };
    tracing_subscriber::registry()
        .with(printed)
        .with(span_layer(telemetry))
        .with(record_layer(telemetry))
        .try_init()?;
    // The standard hook would print the panic message without redaction. The message may contain
    // anything, and the location suffices.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(
            { log_events::EXCEPTION_TYPE.key } = "panic",
            { log_events::EXCEPTION_MESSAGE.key } = place,
            "a part of the program panicked"
        );
    }));
    Ok(())
}

/// Exports this crate's `tracing` spans (start-up, ledger) in the same traces as the decision tree.
/// Its filter is fixed, and all that adds noise or lets a log line change a span's status is off.
fn span_layer<S: Subscriber + for<'a> LookupSpan<'a>>(telemetry: &Telemetry) -> impl Layer<S> {
    tracing_opentelemetry::layer()
        .with_tracer(telemetry.tracer_provider().tracer(SCOPE))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_target(false)
        .with_error_events_to_status(false)
        .with_error_records_to_exceptions(false)
        .with_filter(Targets::new().with_target("expense_agent", Level::INFO))
}

/// Exports this crate's own lines as log records of the span in which they were written. Its filter
/// is fixed as well.
fn record_layer<S: Subscriber + for<'a> LookupSpan<'a>>(telemetry: &Telemetry) -> impl Layer<S> {
    OpenTelemetryTracingBridge::new(telemetry.logger_provider())
        .with_filter(Targets::new().with_target("expense_agent", Level::INFO))
}

fn json_layer<S: Subscriber + for<'a> LookupSpan<'a>>() -> JsonLayer<S, fn() -> Line> {
    let mut layer = JsonLayer::default().with_writer(Line::new as fn() -> Line);
    layer
        .inner_layer_mut()
        .add_multiple_dynamic_fields(|_, _, writer| {
            let ids = current_ids()
                .map(|(trace_id, span_id)| [("trace_id", trace_id), ("span_id", span_id)]);
            for (name, id) in ids.into_iter().flatten() {
                // Writing a text as JSON cannot fail; if it did, a line without ids is better than
                // none.
                let _written = writer.write_field(name, id);
            }
        });
    layer
}

/// A line for standard error. It is collected until it is complete, because half a card number is
/// not recognised, and it is redacted and printed when it is dropped.
#[derive(Default)]
struct Line(Vec<u8>);

impl Line {
    fn new() -> Self {
        Self::default()
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let line = String::from_utf8_lossy(&self.0);
        let line = format!("{}\n", redact(line.trim_end_matches('\n')));
        // A failure cannot be reported, because standard error is where it would go.
        let _written = std::io::stderr().write_all(line.as_bytes());
    }
}

/// The ids of the current trace and span, whether made by OpenTelemetry or by `tracing`.
fn current_ids() -> Option<(String, String)> {
    Context::map_current(|context| {
        let span = context.span();
        let ids = span.span_context();
        ids.is_valid()
            .then(|| (ids.trace_id().to_string(), ids.span_id().to_string()))
    })
}

/// The default text format, with the ids of the current trace and span in front.
struct WithTraceIds(Format);

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, DefaultFields> for WithTraceIds {
    fn format_event(
        &self,
        context: &FmtContext<'_, S, DefaultFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if let Some((trace_id, span_id)) = current_ids() {
            write!(writer, "trace_id={trace_id} span_id={span_id} ")?;
        }
        self.0.format_event(context, writer, event)
    }
}
