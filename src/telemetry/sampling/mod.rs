//! Which traces are kept when the ratio is below 1. A trace with a reason is always kept, and the
//! service writes the reason on the local root itself, so that a sampler in a Collector behind it
//! decides the same. Of the other traces a share is kept, chosen by trace id. When the decision is
//! made, and what happens to spans until then, is in `export::tail`.

pub(super) mod reasons;

use std::str::FromStr;
use std::time::Duration;

use opentelemetry::trace::TraceId;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::domain::decision::Decision;

/// The number of values of the random part of a trace id, 56 bits by
/// [W3C trace context](https://www.w3.org/TR/trace-context-2/#random-trace-id-flag).
const N_RANDOM: u64 = 1 << 56;

/// The share of ordinary traces that is kept, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio(Decimal);

impl Ratio {
    /// Every trace is kept.
    pub const ALL: Self = Self(Decimal::ONE);

    /// Whether a trace is in the share. The answer depends on the trace id alone, so every process
    /// gives the same one, and a larger share contains every smaller share.
    pub fn keeps(self, trace_id: TraceId) -> bool {
        let [.., a, b, c, d, e, f, g] = trace_id.to_bytes();
        let random = u64::from_be_bytes([0, a, b, c, d, e, f, g]);
        let threshold = (Decimal::ONE - self.0) * Decimal::from(N_RANDOM);
        Decimal::from(random) >= threshold
    }

    /// The ratio as a span attribute, from which backends extrapolate.
    pub(super) fn as_number(self) -> f64 {
        self.0.to_f64().unwrap_or(f64::NAN)
    }
}

impl FromStr for Ratio {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ratio = text
            .parse()
            .ok()
            .filter(|ratio| (Decimal::ZERO..=Decimal::ONE).contains(ratio));
        ratio.map(Self).ok_or("write a number from 0 to 1")
    }
}

/// Which traces are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// The share of ordinary traces.
    pub ratio: Ratio,
    /// A request that took longer than this is kept.
    pub slow: Duration,
    /// A decision that cost more than this, in USD, is kept.
    pub costly: Decimal,
}

/// Every trace is kept.
impl Default for Sampling {
    fn default() -> Self {
        Self {
            ratio: Ratio::ALL,
            slow: Duration::from_secs(5),
            costly: Decimal::new(5, 2),
        }
    }
}

impl Sampling {
    /// Whether the trace of a decision is kept, as far as the decision itself shows.
    pub fn keeps(&self, decision: &Decision) -> bool {
        let trace_id = TraceId::from_hex(&decision.trace_id);
        self.reason(decision).is_some() || trace_id.is_ok_and(|trace_id| self.ratio.keeps(trace_id))
    }
}
