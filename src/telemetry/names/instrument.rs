//! What is declared of a metric, and the macro that declares metrics with their instruments. The
//! entries themselves are in `metrics`; why this is a macro is said in `attribute`.

use std::ops::Deref;

use opentelemetry::metrics::{
    AsyncInstrument, AsyncInstrumentBuilder, Counter, Gauge, Histogram, Meter,
};

use crate::telemetry::names::attribute::{Attribute, Source};

/// How a metric behaves over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// A sum that only grows.
    Counter,
    /// A value at the moment of reading.
    Gauge,
    /// The distribution of values over buckets.
    Histogram,
}

/// What is declared of one metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// The name, as it is written.
    pub key: &'static str,
    /// How it behaves over time.
    pub kind: Kind,
    /// The unit in UCUM, or in braces the thing that is counted.
    pub unit: &'static str,
    /// Upper bounds of a histogram's buckets, in the unit; empty for other kinds.
    pub buckets: &'static [f64],
    /// The attributes that tell its series apart.
    pub attributes: &'static [Attribute],
    /// Its meaning in one or two sentences.
    pub meaning: &'static str,
    /// The convention it is from.
    pub source: Source,
}

/// An instrument that a metric can be declared with. The instruments of OpenTelemetry have no trait
/// in common, and each is made by a method of its own.
pub trait Instrument {
    /// The kind of metric that it feeds.
    const KIND: Kind;

    /// Makes the instrument of a metric.
    fn build(metric: &'static Metric, meter: &Meter) -> Self;
}

impl Instrument for Counter<u64> {
    const KIND: Kind = Kind::Counter;

    fn build(metric: &'static Metric, meter: &Meter) -> Self {
        let builder = meter.u64_counter(metric.key);
        builder
            .with_unit(metric.unit)
            .with_description(metric.meaning)
            .build()
    }
}

impl Instrument for Counter<f64> {
    const KIND: Kind = Kind::Counter;

    fn build(metric: &'static Metric, meter: &Meter) -> Self {
        let builder = meter.f64_counter(metric.key);
        builder
            .with_unit(metric.unit)
            .with_description(metric.meaning)
            .build()
    }
}

impl Instrument for Gauge<u64> {
    const KIND: Kind = Kind::Gauge;

    fn build(metric: &'static Metric, meter: &Meter) -> Self {
        let builder = meter.u64_gauge(metric.key);
        builder
            .with_unit(metric.unit)
            .with_description(metric.meaning)
            .build()
    }
}

impl Instrument for Histogram<u64> {
    const KIND: Kind = Kind::Histogram;

    fn build(metric: &'static Metric, meter: &Meter) -> Self {
        let builder = meter.u64_histogram(metric.key);
        builder
            .with_unit(metric.unit)
            .with_description(metric.meaning)
            .with_boundaries(metric.buckets.to_vec())
            .build()
    }
}

impl Instrument for Histogram<f64> {
    const KIND: Kind = Kind::Histogram;

    fn build(metric: &'static Metric, meter: &Meter) -> Self {
        let builder = meter.f64_histogram(metric.key);
        builder
            .with_unit(metric.unit)
            .with_description(metric.meaning)
            .with_boundaries(metric.buckets.to_vec())
            .build()
    }
}

/// A counter or gauge whose values are kept elsewhere, and read when metrics are collected.
#[derive(Debug)]
pub struct Observed<const IS_COUNTER: bool> {
    metric: &'static Metric,
    meter: Meter,
}

/// A counter whose values are kept elsewhere.
pub type ObservedCounter = Observed<true>;
/// A gauge whose values are kept elsewhere.
pub type ObservedGauge = Observed<false>;

impl<const IS_COUNTER: bool> Instrument for Observed<IS_COUNTER> {
    const KIND: Kind = match IS_COUNTER {
        true => Kind::Counter,
        false => Kind::Gauge,
    };

    fn build(metric: &'static Metric, meter: &Meter) -> Self {
        let meter = meter.clone();
        Self { metric, meter }
    }
}

impl<const IS_COUNTER: bool> Observed<IS_COUNTER> {
    /// Registers a callback that reads the values. The SDK accepts it only when the instrument is
    /// made, so the instrument is made here; every callback of a metric contributes its own series.
    pub fn observe(&self, read: impl Fn(&dyn AsyncInstrument<u64>) + Send + Sync + 'static) {
        if IS_COUNTER {
            let builder = self.meter.u64_observable_counter(self.metric.key);
            self.described(builder).with_callback(read).build();
        } else {
            let builder = self.meter.u64_observable_gauge(self.metric.key);
            self.described(builder).with_callback(read).build();
        }
    }

    fn described<'a, I>(
        &self,
        builder: AsyncInstrumentBuilder<'a, I, u64>,
    ) -> AsyncInstrumentBuilder<'a, I, u64> {
        builder
            .with_unit(self.metric.unit)
            .with_description(self.metric.meaning)
    }
}

/// An instrument together with the metric it was declared for, so that a value cannot be recorded
/// with the attributes of another metric. It derefs to the instrument.
#[derive(Debug)]
pub struct Declared<I> {
    /// The declaration.
    pub metric: &'static Metric,
    instrument: I,
}

impl<I: Instrument> Declared<I> {
    /// Makes the instrument of a metric.
    pub(super) fn build(metric: &'static Metric, meter: &Meter) -> Self {
        let instrument = I::build(metric, meter);
        Self { metric, instrument }
    }
}

impl<I> Deref for Declared<I> {
    type Target = I;

    fn deref(&self) -> &I {
        &self.instrument
    }
}

/// The buckets that an entry names, none if it names none.
pub(super) const fn buckets(named: &[&'static [f64]]) -> &'static [f64] {
    match named {
        [bounds] => bounds,
        _ => &[],
    }
}

/// Declares metrics. Each entry becomes a field with its doc comment in the struct of instruments,
/// which [`Declared::build`] makes, and an element of the list that the block opens with;
/// deploy/telemetry.md and `/metrics` print the doc comment as the meaning. A histogram names its
/// buckets in brackets.
macro_rules! metrics {
    (
        $(#[doc = $list_doc:literal])+
        pub const $list:ident;
        $(#[doc = $set_doc:literal])+
        pub struct $set:ident;
        $(
            $(#[doc = $doc:literal])+
            $field:ident: $instrument:ty $([$buckets:ident])? = $key:literal, $unit:literal,
                by $attributes:expr, $source:ident;
        )+
    ) => {
        $(#[doc = $list_doc])+
        pub const $list: &[Metric; [$($key),+].len()] = &[$(Metric {
            key: $key,
            kind: <$instrument as Instrument>::KIND,
            unit: $unit,
            buckets: buckets(&[$($buckets)?]),
            attributes: $attributes,
            // Every line of a doc comment begins with a blank, so they join as sentences.
            meaning: concat!($($doc),+).trim_ascii_start(),
            source: Source::$source,
        }),+];

        $(#[doc = $set_doc])+
        #[derive(Debug)]
        pub struct $set {
            $(
                $(#[doc = $doc])+
                pub $field: Declared<$instrument>,
            )+
        }

        impl $set {
            /// Makes every instrument.
            pub fn new(meter: &Meter) -> Self {
                let [$($field),+] = $list;
                Self { $($field: Declared::build($field, meter)),+ }
            }
        }
    };
}
pub(super) use metrics;
