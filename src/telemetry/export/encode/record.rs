//! Log records as OTLP protobuf messages. Texts are scrubbed here, because the SDK does not let a
//! record's attributes be replaced earlier. The fields are those of
//! [logs.proto](https://github.com/open-telemetry/opentelemetry-proto).

use std::borrow::Cow;
use std::collections::BTreeMap;

use opentelemetry::InstrumentationScope;
use opentelemetry::logs::AnyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLogRecord;

use super::wire::{bytes, fixed_32, fixed_64, message, number, text};
use super::{
    encode_resource, encode_scope, unix_nanos, write_bool, write_double, write_int, write_string,
};

/// Scrubs the value of a key. `None` is a value that is not text, such as bytes.
pub type Scrub<'a> = &'a dyn for<'t> Fn(&str, Option<&'t str>) -> Cow<'t, str>;

/// Encodes messages of log records.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// The field `resource` of `ResourceLogs`.
    resource: Vec<u8>,
}

impl Records {
    /// Encodes the resource that sends the records.
    pub fn new(resource: &Resource) -> Self {
        Self {
            resource: encode_resource(resource),
        }
    }

    /// Encodes a `ResourceLogs` message with these records, scrubbed.
    pub fn message<'a>(
        &self,
        records: impl Iterator<Item = (&'a SdkLogRecord, &'a InstrumentationScope)>,
        scrub: Scrub<'_>,
    ) -> Vec<u8> {
        // The bridge from `tracing` sets the module of a line as the target, which OTLP calls the
        // scope.
        let mut scopes: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
        for (record, scope) in records {
            let name = record.target().map_or(scope.name(), |target| &**target);
            let buf = scopes.entry(name).or_insert_with(|| encode_scope(name));
            message(buf, 2, |buf| write_record(buf, record, scrub));
        }
        let mut buf = self.resource.clone();
        scopes.values().for_each(|scope| bytes(&mut buf, 2, scope));
        buf
    }
}

fn write_record(buf: &mut Vec<u8>, record: &SdkLogRecord, scrub: Scrub<'_>) {
    fixed_64(buf, 1, record.timestamp().map_or(0, unix_nanos));
    number(
        buf,
        2,
        record
            .severity_number()
            .map_or(0, |severity| severity as u64),
    );
    text(buf, 3, record.severity_text().unwrap_or_default());
    if let Some(body) = record.body() {
        message(buf, 5, |buf| write_any(buf, "", body, scrub));
    }
    for (key, value) in record.attributes_iter() {
        message(buf, 6, |buf| write_pair(buf, key.as_str(), value, scrub));
    }
    if let Some(context) = record.trace_context() {
        fixed_32(
            buf,
            8,
            context.trace_flags.map_or(0, |flags| flags.to_u8().into()),
        );
        bytes(buf, 9, &context.trace_id.to_bytes());
        bytes(buf, 10, &context.span_id.to_bytes());
    }
    fixed_64(buf, 11, record.observed_timestamp().map_or(0, unix_nanos));
    text(buf, 12, record.event_name().unwrap_or_default());
}

fn write_pair(buf: &mut Vec<u8>, key: &str, value: &AnyValue, scrub: Scrub<'_>) {
    text(buf, 1, key);
    message(buf, 2, |buf| write_any(buf, key, value, scrub));
}

fn write_any(buf: &mut Vec<u8>, key: &str, value: &AnyValue, scrub: Scrub<'_>) {
    match value {
        AnyValue::Boolean(flag) => write_bool(buf, *flag),
        AnyValue::Int(number) => write_int(buf, *number),
        AnyValue::Double(number) => write_double(buf, *number),
        AnyValue::String(text) => write_string(buf, &scrub(key, Some(text.as_str()))),
        AnyValue::ListAny(values) => message(buf, 5, |buf| {
            values
                .iter()
                .for_each(|value| message(buf, 1, |buf| write_any(buf, key, value, scrub)));
        }),
        AnyValue::Map(members) => message(buf, 6, |buf| {
            for (key, value) in members.iter() {
                message(buf, 1, |buf| write_pair(buf, key.as_str(), value, scrub));
            }
        }),
        // Bytes, and variants that a later version of the API may add.
        _ => write_string(buf, &scrub(key, None)),
    }
}
