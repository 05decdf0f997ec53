//! Faults that the offline model injects into its answers, so that failed traces can be seen without
//! an API key. They are reproducible: with the same seed, the n-th request of a kind gets the same
//! fault in every run.
//!
//! The counters are atomics, because requests arrive in parallel. Each only hands out numbers, so
//! relaxed ordering is enough. Which of two parallel requests gets which number is not defined.

use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use strum::{Display, EnumString, VariantNames};

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum FaultKind {
    /// A category for which there is no evidence.
    Misclassify,
    /// A category that does not exist.
    InvalidCategory,
    /// An approval, regardless of the rules.
    ApproveEverything,
    /// Text that is not JSON.
    Garbage,
    /// An answer cut off in the middle.
    Truncated,
    /// An answer that takes five seconds.
    Slow,
    /// No answer at all.
    Unavailable,
}

/// One fault and how often it is injected, written `misclassify:0.12`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultRate {
    /// The fault.
    pub kind: FaultKind,
    /// In how many requests of a million.
    pub per_million: u32,
}

/// The help text of `--model-fault`.
pub fn help() -> String {
    format!(
        "Make the offline model fail: FAULT:RATE, such as misclassify:0.12; may be given several times.\nFaults: {}",
        FaultKind::VARIANTS.join(", ")
    )
}

/// The text is not a fault and a rate.
#[derive(Debug, thiserror::Error)]
#[error("write a fault and its rate from 0 to 1, such as \"misclassify:0.12\"; faults are {}", FaultKind::VARIANTS.join(", "))]
pub struct FaultRateError;

impl FromStr for FaultRate {
    type Err = FaultRateError;

    fn from_str(text: &str) -> Result<Self, FaultRateError> {
        let (kind, rate) = text.split_once(':').ok_or(FaultRateError)?;
        let rate: rust_decimal::Decimal = rate.parse().map_err(|_| FaultRateError)?;
        let millions = rust_decimal::Decimal::from(1_000_000);
        let scaled = rate
            .checked_mul(millions)
            .filter(|scaled| *scaled <= millions)
            .ok_or(FaultRateError)?;
        let per_million = scaled.try_into().map_err(|_| FaultRateError)?;
        Ok(Self {
            kind: kind.parse().map_err(|_| FaultRateError)?,
            per_million,
        })
    }
}

/// The faults of one run.
#[derive(Debug, Default)]
pub struct Faults {
    rates: Vec<(FaultRate, AtomicU64)>,
    seed: u64,
}

impl Faults {
    /// Sets up faults that are injected into the same requests in every run with the same seed.
    pub fn new(rates: &[FaultRate], seed: u64) -> Self {
        Self {
            rates: rates
                .iter()
                .map(|rate| (*rate, AtomicU64::new(0)))
                .collect(),
            seed,
        }
    }

    /// The fault for the next request, among those that apply to it. When several are due, the one
    /// that was configured first wins; the others are still counted, so that the rates do not
    /// influence one another.
    pub fn next(&self, applies: impl Fn(FaultKind) -> bool) -> Option<FaultKind> {
        let mut chosen = None;
        for (rate, n_asked) in self.rates.iter().filter(|(rate, _)| applies(rate.kind)) {
            let n = n_asked.fetch_add(1, Ordering::Relaxed);
            if self.draw(rate.kind, n) < u64::from(rate.per_million) {
                chosen = chosen.or(Some(rate.kind));
            }
        }
        chosen
    }

    /// A number below a million that depends on seed, fault and count alone. Multiples of the golden
    /// ratio are spread evenly, so a rate of one eighth injects the fault into about every eighth
    /// request, in short runs too.
    fn draw(&self, kind: FaultKind, n: u64) -> u64 {
        const GOLDEN_RATIO: u64 = 0x9E37_79B9_7F4A_7C15;
        let digest = Sha256::digest(format!("{} {kind}", self.seed).as_bytes());
        let start = digest
            .iter()
            .take(8)
            .fold(0, |word, byte| (word << 8) | u64::from(*byte));
        let point = n.wrapping_mul(GOLDEN_RATIO).wrapping_add(start);
        ((point >> 32) * 1_000_000) >> 32
    }
}
