//! Figures of decisions: counts and sums that add up, so that those of a day are those of its hours
//! together. What counts as overturned is in `overturned`; the ledger keeps figures by the hour, in
//! `ledger::figures`.
//!
//! All figures of a time range are about the decisions that were received in it, whenever they were
//! resolved, so that each of them is the size of a list. Superseded decisions are left out, as they are
//! from lists.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, VariantArray, VariantNames};

use crate::domain::decision::Decision;
use crate::domain::overturned::{Judgement, judgement};
use crate::domain::resolution::Resolution;
use crate::domain::ruling::Outcome;
use crate::domain::step::Step;

/// Counts and sums over some decisions. Counts have a sign, so that a decision can be taken out again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// Decisions by outcome.
    pub outcomes: BTreeMap<Outcome, i64>,
    /// Decisions in which a check failed for good.
    pub n_failed: i64,
    /// Decisions in which policy code overruled the model.
    pub n_overrides: i64,
    /// Decisions that a person resolved.
    pub n_resolved: i64,
    /// Resolutions that say something about the machine's proposal.
    pub n_judged: i64,
    /// Resolutions that overturned the machine's proposal.
    pub n_overturned: i64,
    /// Decisions by which an expense is paid, or money of a credit taken back.
    pub n_paid: i64,
    /// What is paid, less what credits take back, by the code of the policy's currency.
    pub paid: BTreeMap<String, Decimal>,
    /// Decisions of which the model's cost is known.
    pub n_priced: i64,
    /// What the model cost in these, in US dollars.
    pub cost_usd: Decimal,
    /// How long each step took, where that is known.
    pub durations: BTreeMap<Step, Durations>,
}

impl Figures {
    /// The figures of one decision, without its resolution.
    pub fn of_decision(decision: &Decision) -> Self {
        let mut figures = Self {
            outcomes: BTreeMap::from([(decision.outcome, 1)]),
            n_failed: i64::from(!decision.failed_types().is_empty()),
            n_overrides: i64::from(decision.is_override),
            n_priced: i64::from(decision.cost_usd.is_some()),
            cost_usd: decision.cost_usd.unwrap_or_default(),
            ..Self::default()
        };
        if decision.outcome == Outcome::Approved && !decision.expense.plan {
            let (_, currency) = decision.policy_amount();
            figures.pay(currency.code(), decision.reimbursable.unwrap_or_default());
        }
        for report in &decision.steps {
            if let Some(duration) = report.duration_ms {
                let durations = figures.durations.entry(report.step).or_default();
                durations.add(duration.micros());
            }
        }
        figures
    }

    /// What a resolution adds to the figures of its decision.
    pub fn of_resolution(decision: &Decision, resolution: &Resolution) -> Self {
        let judgement = judgement(decision, resolution);
        let mut figures = Self {
            n_resolved: 1,
            n_judged: i64::from(judgement.is_some()),
            n_overturned: i64::from(matches!(judgement, Some(Judgement::Overturned(_)))),
            ..Self::default()
        };
        let paid = resolution.amount.filter(|_| !decision.expense.plan);
        let own = paid.map(|amount| (decision.expense.currency, amount));
        let converted = resolution.converted_amount.as_ref();
        let converted = converted.map(|converted| (converted.currency, converted.amount));
        if let Some((currency, amount)) = own.map(|own| converted.unwrap_or(own)) {
            figures.pay(currency.code(), amount);
        }
        figures
    }

    fn pay(&mut self, currency: &str, amount: Decimal) {
        self.n_paid += 1;
        *self.paid.entry(currency.to_owned()).or_default() += amount;
    }

    /// How many decisions there are.
    pub fn n_decisions(&self) -> i64 {
        self.outcomes.values().sum()
    }

    /// How many of them have an outcome.
    pub fn n_of(&self, outcome: Outcome) -> i64 {
        self.outcomes.get(&outcome).copied().unwrap_or_default()
    }

    /// Adds the figures of other decisions.
    pub fn add(&mut self, other: &Self) {
        self.combine(other, 1);
    }

    /// Takes out the figures of some of these decisions.
    pub fn subtract(&mut self, other: &Self) {
        self.combine(other, -1);
    }

    fn combine(&mut self, other: &Self, sign: i64) {
        let Self {
            outcomes,
            n_failed,
            n_overrides,
            n_resolved,
            n_judged,
            n_overturned,
            n_paid,
            paid,
            n_priced,
            cost_usd,
            durations,
        } = other;
        for (outcome, n) in outcomes {
            *self.outcomes.entry(*outcome).or_default() += sign * n;
        }
        self.outcomes.retain(|_, n| *n != 0);
        self.n_failed += sign * n_failed;
        self.n_overrides += sign * n_overrides;
        self.n_resolved += sign * n_resolved;
        self.n_judged += sign * n_judged;
        self.n_overturned += sign * n_overturned;
        self.n_paid += sign * n_paid;
        for (currency, amount) in paid {
            *self.paid.entry(currency.clone()).or_default() += Decimal::from(sign) * amount;
        }
        self.n_priced += sign * n_priced;
        self.cost_usd += Decimal::from(sign) * cost_usd;
        for (step, other) in durations {
            self.durations
                .entry(*step)
                .or_default()
                .combine(other, sign);
        }
        self.durations.retain(|_, durations| !durations.is_empty());
    }
}

/// How often something took how long: a sparse histogram. A duration is kept with its five highest
/// binary digits, so a percentile is at most 6 % too low, and the histogram of a step has some dozens
/// of entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Durations {
    /// How often, by the rounded duration in microseconds.
    by_micros: BTreeMap<u64, i64>,
}

/// Binary digits that are kept of a duration.
const DIGITS: u32 = 5;

impl Durations {
    fn add(&mut self, micros: u64) {
        let n_digits = u64::BITS - micros.leading_zeros();
        let n_dropped = n_digits.saturating_sub(DIGITS);
        let rounded = micros >> n_dropped << n_dropped;
        *self.by_micros.entry(rounded).or_default() += 1;
    }

    fn combine(&mut self, other: &Self, sign: i64) {
        for (micros, n) in &other.by_micros {
            *self.by_micros.entry(*micros).or_default() += sign * n;
        }
        self.by_micros.retain(|_, n| *n != 0);
    }

    /// How many durations there are.
    pub fn len(&self) -> i64 {
        self.by_micros.values().sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        // Not by their number: what one decision adds and another takes out may cancel in it.
        self.by_micros.is_empty()
    }

    /// The duration, in microseconds, that this share of them does not exceed, rounded down; absent
    /// if there are none.
    pub fn percentile(&self, per_cent: u8) -> Option<u64> {
        let rank = (self.len() * i64::from(per_cent) + 99).div_euclid(100);
        let mut n_up_to = 0;
        let mut by_micros = self.by_micros.iter();
        by_micros.find_map(|(micros, n)| {
            n_up_to += n;
            (n_up_to >= rank).then_some(*micros)
        })
    }
}

/// A time range that ends now. It consists of whole hours or days in UTC, of which the last one has
/// not ended yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, VariantArray, VariantNames)]
pub enum TimeRange {
    /// 24 hours.
    #[strum(to_string = "24h")]
    Day,
    /// Seven days.
    #[strum(to_string = "7d")]
    Week,
    /// Thirty days.
    #[strum(to_string = "30d")]
    Month,
}

/// Seconds of an hour.
const HOUR: i64 = 3600;

/// The hour of a moment, in hours since 1970.
pub fn hour_of(moment: Timestamp) -> i64 {
    moment.as_second().div_euclid(HOUR)
}

impl TimeRange {
    /// How many hours each of its parts has, and how many parts there are.
    fn parts(self) -> (i64, usize) {
        match self {
            Self::Day => (1, 24),
            Self::Week => (24, 7),
            Self::Month => (24, 30),
        }
    }
}

/// The figures of a time range, part by part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Which time range.
    pub range: TimeRange,
    /// The hour that it begins with, in hours since 1970.
    pub first_hour: i64,
    /// The figures of its hours or days, the oldest first.
    pub parts: Vec<Figures>,
    /// All of them together.
    pub total: Figures,
}

impl Series {
    /// An empty series of a time range that ends now.
    pub fn new(range: TimeRange, now: Timestamp) -> Self {
        let (hours, n_parts) = range.parts();
        let last_part = hour_of(now).div_euclid(hours) * hours;
        let n_before = i64::try_from(n_parts - 1).unwrap_or_default();
        Self {
            range,
            first_hour: last_part - n_before * hours,
            parts: vec![Figures::default(); n_parts],
            total: Figures::default(),
        }
    }

    /// Adds the figures of an hour. Those of an hour that has not begun belong to the last part: the
    /// clock of another replica may be ahead.
    pub fn add(&mut self, hour: i64, figures: &Figures) {
        let (hours, n_parts) = self.range.parts();
        let part = (hour - self.first_hour).div_euclid(hours);
        let Ok(part) = usize::try_from(part) else {
            return;
        };
        self.parts[part.min(n_parts - 1)].add(figures);
        self.total.add(figures);
    }

    /// When the time range began.
    pub fn from(&self) -> Timestamp {
        begin_of(self.first_hour)
    }

    /// When each part began.
    pub fn begins(&self) -> impl Iterator<Item = Timestamp> {
        let (hours, _) = self.range.parts();
        let first_hours = (self.first_hour..).step_by(usize::try_from(hours).unwrap_or(1));
        first_hours.map(begin_of).take(self.parts.len())
    }
}

fn begin_of(hour: i64) -> Timestamp {
    Timestamp::from_second(hour * HOUR).unwrap_or(Timestamp::UNIX_EPOCH)
}
