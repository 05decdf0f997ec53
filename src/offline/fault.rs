//! Faults the offline model can be told to have, so that a red tree can be seen without a key.
//! Repeatable: the n-th question of a kind has the same fate in every run with the same seed.

use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use strum::{Display, EnumString, VariantNames};

/// What goes wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum FaultKind {
    /// Another category than the evidence speaks for.
    Misclassify,
    /// A category that does not exist.
    InvalidCategory,
    /// Approval of whatever is asked.
    ApproveEverything,
    /// Text that is no JSON.
    Garbage,
    /// An answer cut off in the middle.
    Truncated,
    /// An answer that takes five seconds.
    Slow,
    /// No answer at all.
    Unavailable,
}

/// One fault and how often it strikes, written `misclassify:0.12`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultRate {
    /// What goes wrong.
    pub kind: FaultKind,
    /// In how many of a million questions.
    pub per_million: u32,
}

/// How faults are asked for, and which there are.
pub fn help() -> String {
    format!(
        "Make the offline model fail: FAULT:RATE, such as misclassify:0.12; may be given several times.\nFaults: {}",
        FaultKind::VARIANTS.join(", ")
    )
}

/// The text names no fault, or no rate.
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
    /// Sets up faults that strike the same questions in every run with the same seed.
    pub fn new(rates: &[FaultRate], seed: u64) -> Self {
        Self {
            rates: rates
                .iter()
                .map(|rate| (*rate, AtomicU64::new(0)))
                .collect(),
            seed,
        }
    }

    /// The fault that strikes the next question, among those that can; the first one told wins.
    pub fn next(&self, can_strike: impl Fn(FaultKind) -> bool) -> Option<FaultKind> {
        let mut struck = None;
        for (rate, n_asked) in self.rates.iter().filter(|(rate, _)| can_strike(rate.kind)) {
            let n = n_asked.fetch_add(1, Ordering::Relaxed);
            if self.draw(rate.kind, n) < u64::from(rate.per_million) {
                struck = struck.or(Some(rate.kind));
            }
        }
        struck
    }

    /// A number below a million that depends on nothing but seed, fault and count. Multiples of the
    /// golden ratio spread evenly, so that a rate of an eighth strikes about every eighth
    /// question, in a short run as well as in a long one.
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
