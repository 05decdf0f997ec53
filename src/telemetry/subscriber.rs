//! Log lines: text for people, JSON for machines, each with the ids of the trace and span it was
//! written in. `RUST_LOG` filters what is printed and nothing else: no log filter can take a span
//! away, or a record that is sent. Every line that is printed is redacted as a whole; those that
//! are sent pass `log_records`.

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
use crate::telemetry::names::twins;
use crate::telemetry::provider::{SCOPE, Telemetry};

/// What is printed when `RUST_LOG` says nothing.
const DEFAULT_FILTER: &str = "info";

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Logging cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// `RUST_LOG` is no filter.
    #[error("RUST_LOG is no filter; write levels and targets such as \"warn,expense_agent=debug\"")]
    Filter(#[from] ParseError),
    /// Something else logs already.
    #[error("logging is already set up")]
    Init(#[from] TryInitError),
}

/// Sets up logging for the process, to standard error.
///
/// # Errors
/// When the filter cannot be read, or logging is already set up.
pub fn init(
    filter: Option<&str>,
    format: LogFormat,
    sdk_level: &str,
    telemetry: &Telemetry,
) -> Result<(), LogsError> {
    let filter = EnvFilter::try_new(filter.unwrap_or(DEFAULT_FILTER))?
        // What the SDK says of itself is asked for by its own variable.
        .add_directive(format!("opentelemetry={sdk_level}").parse()?)
        .add_directive(format!("opentelemetry_sdk={sdk_level}").parse()?)
        // async-openai logs whole answers when it cannot read them. A directive against it would
        // give way to one for a longer target, so this is a filter of its own; by its level
        // none is held back.
        .and(
            filter_fn(|metadata| !metadata.target().starts_with("async_openai"))
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
    // The standard hook would print the message past all layers. It may hold anything, and the
    // place says enough.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(
            { twins::EXCEPTION_TYPE.key } = "panic",
            { twins::EXCEPTION_MESSAGE.key } = place,
            "a part of the program panicked"
        );
    }));
    Ok(())
}

/// Puts this crate's `tracing` spans (start-up, the ledger's) into the same traces as the decision
/// tree. Its filter is fixed and its own; whatever adds noise or turns a log line into a span's
/// status is off.
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

/// Sends this crate's own lines as log records, which say what span they were written in. Its
/// filter is fixed as well.
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
                // A text is always a JSON value; a line without ids is better than none.
                let _written = writer.write_field(name, id);
            }
        });
    layer
}

/// One line on its way to standard error: kept until it is whole, because half a card number is not
/// found.
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
        // Where standard error is closed there is nobody to tell.
        let _written = std::io::stderr().write_all(line.as_bytes());
    }
}

/// The ids of the current trace and span, whichever API made them.
fn current_ids() -> Option<(String, String)> {
    Context::map_current(|context| {
        let span = context.span();
        let ids = span.span_context();
        ids.is_valid()
            .then(|| (ids.trace_id().to_string(), ids.span_id().to_string()))
    })
}

/// The usual text line, with the ids of the current trace and span before it.
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
