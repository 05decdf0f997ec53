//! How often people resolved a decision otherwise than the machine proposed, in all and by what may
//! explain it. Only the ledger knows: a resolution has a trace of its own.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Serialize, Serializer};

use crate::cli::audit::run::{NO_CATEGORY, Run};
use crate::domain::overturned::Judgement;
use crate::domain::share::{Percent, Share};

/// Overturned decisions among those whose resolution judged a proposal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overturns(pub Share);

impl Serialize for Overturns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown {
            overturned: u64,
            of: u64,
            /// Null below the fewest cases of which a share is shown, as are the ends of the interval.
            percent: Option<Decimal>,
            low: Option<Decimal>,
            high: Option<Decimal>,
        }
        let Share { n, of } = self.0;
        let percent = self.0.percent();
        Shown {
            overturned: n,
            of,
            percent: percent.map(|percent| percent.value.normalize()),
            low: percent.map(|percent| percent.low.normalize()),
            high: percent.map(|percent| percent.high.normalize()),
        }
        .serialize(serializer)
    }
}

impl Overturns {
    /// The rate with its interval, or why there is none, and the counts.
    pub fn in_words(self) -> [String; 2] {
        let Share { n, of } = self.0;
        let rate = match self.0.percent() {
            Some(Percent { value, low, high }) => {
                format!("{value:.1} % (95 %: {low:.1} to {high:.1})")
            }
            None => "too few for a rate".to_owned(),
        };
        [rate, format!("{n} of {of}")]
    }
}

/// Overturned decisions by name.
pub type OverturnsByName = BTreeMap<String, Overturns>;

/// The overturned decisions of a period.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Overturned {
    /// All.
    #[serde(flatten)]
    pub all: Overturns,
    /// In which way: `action`, `category` or `amount`.
    pub by_kind: BTreeMap<String, u64>,
    /// By the rules that spoke against the expense as it was.
    pub by_rule: OverturnsByName,
    /// By category.
    pub by_category: OverturnsByName,
    /// By tenant.
    pub by_tenant: OverturnsByName,
    /// By model, among decisions for which a model was called.
    pub by_model: OverturnsByName,
    /// By each prompt that was used.
    pub by_prompt: OverturnsByName,
}

impl Overturned {
    /// Adds one decision, unless no person judged what the machine proposed.
    pub(super) fn add(&mut self, run: &Run) {
        let Some(judgement) = run.judgement else {
            return;
        };
        let kind = match judgement {
            Judgement::Upheld => None,
            Judgement::Overturned(kind) => Some(kind),
        };
        if let Some(kind) = kind {
            *self.by_kind.entry(kind.to_string()).or_default() += 1;
        }
        let is_overturned = kind.is_some();
        self.all.0.count(is_overturned);
        let category = run.category.as_deref().unwrap_or(NO_CATEGORY);
        let prompts = run.prompts.iter().map(|(prompt, _)| prompt.as_str());
        count(
            &mut self.by_rule,
            run.rules.iter().map(String::as_str),
            is_overturned,
        );
        count(&mut self.by_category, [category], is_overturned);
        count(&mut self.by_tenant, [&*run.tenant_id], is_overturned);
        count(&mut self.by_model, run.model.as_deref(), is_overturned);
        count(&mut self.by_prompt, prompts, is_overturned);
    }
}

fn count<'a>(
    counted: &mut OverturnsByName,
    names: impl IntoIterator<Item = &'a str>,
    is_overturned: bool,
) {
    for name in names {
        let overturns = counted.entry(name.to_owned()).or_default();
        overturns.0.count(is_overturned);
    }
}
