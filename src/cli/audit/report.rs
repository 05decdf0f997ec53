//! The result of an audit: one value, which is written as text or JSON. It does not depend on the
//! source; `ledger` and `spans` each turn what they read into a [`Run`].

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::cli::audit::Source;
use crate::cli::audit::overturned::Overturned;
use crate::cli::audit::run::{NO_CATEGORY, Run};
use crate::config::trace_url::TraceUrl;

/// The decisions that a report covers.
#[derive(Clone, Debug, Serialize)]
pub struct Scope {
    /// Where the decisions were read.
    pub source: Source,
    /// The beginning of the period.
    pub from: Timestamp,
    /// The end of the period, not included.
    pub until: Timestamp,
    /// The tenant, unless the report covers all.
    pub tenant: Option<String>,
}

/// A number of failures among a number of cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// How many failed.
    pub failed: u64,
    /// How many cases there are.
    pub of: u64,
}

impl Rate {
    /// Counts one more case.
    pub fn count(&mut self, has_failed: bool) {
        self.failed += u64::from(has_failed);
        self.of += 1;
    }

    /// Percent, rounded to two decimals; zero if there are no cases.
    pub fn percent(self) -> Decimal {
        let percent =
            Decimal::from(self.failed) * Decimal::ONE_HUNDRED / Decimal::from(self.of.max(1));
        percent.round_dp(2).normalize()
    }

    /// Whether the exact rate, not the rounded one, is above a percentage.
    pub fn is_above(self, percent: Decimal) -> bool {
        Decimal::from(self.failed) * Decimal::ONE_HUNDRED > percent * Decimal::from(self.of)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut percent = self.percent();
        percent.rescale(percent.scale().max(1));
        write!(f, "{percent} %")
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown {
            failed: u64,
            of: u64,
            percent: Decimal,
        }
        Shown {
            failed: self.failed,
            of: self.of,
            percent: self.percent(),
        }
        .serialize(serializer)
    }
}

/// Rates by name.
pub type Rates = BTreeMap<String, Rate>;

/// A decision in which a check failed for good.
#[derive(Clone, Debug, Serialize)]
pub struct Failing {
    /// The decision.
    pub id: Uuid,
    /// When its id was made, to the millisecond.
    pub at: Timestamp,
    /// The tenant.
    pub tenant_id: String,
    /// The category, unless classification failed.
    pub category: Option<String>,
    /// The outcome of the expense.
    pub outcome: String,
    /// The types of the checks that failed.
    pub failed_types: Vec<String>,
    /// Its trace.
    pub trace_id: String,
    /// A link to the trace.
    pub trace_url: String,
}

/// The result of an audit.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The source and the period.
    #[serde(flatten)]
    pub scope: Scope,
    /// The semantic error rate: decisions in which a check failed for good, among all.
    pub semantic_errors: Rate,
    /// Decisions by outcome.
    pub outcomes: BTreeMap<String, u64>,
    /// Decisions by the outcome of the reasoning.
    pub agent_outcomes: BTreeMap<String, u64>,
    /// Decisions in which policy code overruled the model.
    pub overrides: u64,
    /// The cost in US dollars of all decisions whose cost is known.
    pub cost_usd: Decimal,
    /// Checks that failed for good, among all of a type.
    pub by_type: Rates,
    /// Semantic errors by category.
    pub by_category: Rates,
    /// Semantic errors by tenant.
    pub by_tenant: Rates,
    /// Semantic errors by model, among decisions for which a model was called.
    pub by_model: Rates,
    /// Decisions in which a check of the prompt's own step failed for good, among all that used the
    /// prompt.
    pub by_prompt: Rates,
    /// Decisions that people overturned, of those received in the period; absent with a Jaeger as
    /// source.
    pub overturned: Option<Overturned>,
    /// The decisions to look at, in the order of time.
    pub failing: Vec<Failing>,
}

impl Report {
    /// An empty report.
    pub fn new(scope: Scope) -> Self {
        let has_resolutions = scope.source == Source::Ledger;
        Self {
            scope,
            overturned: has_resolutions.then(Overturned::default),
            semantic_errors: Rate::default(),
            outcomes: BTreeMap::new(),
            agent_outcomes: BTreeMap::new(),
            overrides: 0,
            cost_usd: Decimal::ZERO,
            by_type: Rates::new(),
            by_category: Rates::new(),
            by_tenant: Rates::new(),
            by_model: Rates::new(),
            by_prompt: Rates::new(),
            failing: Vec::new(),
        }
    }

    /// Adds one decision.
    pub fn add(&mut self, run: Run, links: &TraceUrl) {
        if let Some(overturned) = &mut self.overturned {
            overturned.add(&run);
        }
        let has_failed = !run.failed_types.is_empty();
        self.semantic_errors.count(has_failed);
        *self.outcomes.entry(run.outcome.clone()).or_default() += 1;
        *self.agent_outcomes.entry(run.agent_outcome).or_default() += 1;
        self.overrides += u64::from(run.is_override);
        self.cost_usd = (self.cost_usd + run.cost_usd.unwrap_or_default()).normalize();
        let category = run
            .category
            .clone()
            .unwrap_or_else(|| NO_CATEGORY.to_owned());
        self.by_category
            .entry(category)
            .or_default()
            .count(has_failed);
        self.by_tenant
            .entry(run.tenant_id.clone())
            .or_default()
            .count(has_failed);
        if let Some(model) = run.model {
            self.by_model.entry(model).or_default().count(has_failed);
        }
        for (rates, counted) in [
            (&mut self.by_type, run.checks),
            (&mut self.by_prompt, run.prompts),
        ] {
            counted
                .into_iter()
                .for_each(|(name, has_failed)| rates.entry(name).or_default().count(has_failed));
        }
        if has_failed {
            let failing = Failing {
                id: run.id,
                at: made_at(run.id).unwrap_or_default(),
                tenant_id: run.tenant_id,
                category: run.category,
                outcome: run.outcome,
                failed_types: run.failed_types,
                trace_url: links.of(&run.trace_id),
                trace_id: run.trace_id,
            };
            let place = self
                .failing
                .partition_point(|earlier| earlier.id < failing.id);
            self.failing.insert(place, failing);
        }
    }
}

/// The time at which an id was made, if the id contains a time.
pub fn made_at(id: Uuid) -> Option<Timestamp> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanos).ok()?).ok()
}
