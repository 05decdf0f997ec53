//! A share among a number of cases, with the interval in which the true share probably lies. Of a
//! few cases a share says next to nothing, so it is shown from [`MIN_CASES`] on.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// The fewest cases of which a share is shown; of fewer, only the counts are.
pub const MIN_CASES: u64 = 20;

/// The quantile of the normal distribution for an interval of 95 %, times 10^6.
const Z_MICROS: i64 = 1_959_964;

/// How many of a number of cases have a property.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// How many have it.
    pub n: u64,
    /// How many cases there are.
    pub of: u64,
}

/// A share in percent with its interval, rounded to one decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percent {
    /// The share.
    pub value: Decimal,
    /// The lower end of the interval.
    pub low: Decimal,
    /// The upper end of the interval.
    pub high: Decimal,
}

impl Share {
    /// Counts one more case.
    pub fn count(&mut self, has_property: bool) {
        self.n += u64::from(has_property);
        self.of += 1;
    }

    /// The share with its [Wilson score interval](https://en.wikipedia.org/wiki/Binomial_proportion_confidence_interval#Wilson_score_interval)
    /// of 95 %; `None` below [`MIN_CASES`].
    pub fn percent(self) -> Option<Percent> {
        if self.of < MIN_CASES || self.n > self.of {
            return None;
        }
        let (n, of) = (Decimal::from(self.n), Decimal::from(self.of));
        let z = Decimal::new(Z_MICROS, 6);
        let z_squared = z * z;
        let middle = n + z_squared / Decimal::TWO;
        let spread = z * square_root(n * (of - n) / of + z_squared / Decimal::from(4));
        let percent = |cases: Decimal, of: Decimal| {
            let percent = (cases * Decimal::ONE_HUNDRED / of).round_dp(1);
            percent.clamp(Decimal::ZERO, Decimal::ONE_HUNDRED)
        };
        Some(Percent {
            value: percent(n, of),
            low: percent(middle - spread, of + z_squared),
            high: percent(middle + spread, of + z_squared),
        })
    }
}

/// The square root of a number of cases, to six decimals. By whole numbers, because rust_decimal has
/// square roots only in a feature with logarithms and trigonometry.
fn square_root(number: Decimal) -> Decimal {
    let scaled = (number * Decimal::from(1_000_000_000_000_u64)).to_u128();
    let root = scaled.unwrap_or_default().isqrt();
    Decimal::from_i128_with_scale(i128::try_from(root).unwrap_or(i128::MAX), 6)
}
