//! Searching a tenant's decisions by what is in their documents: an agent outcome, a rule, a model, a
//! prompt, words. No index holds these, so a search reads decisions, newest first, and compares each.
//! It reads a bounded number for one page and reports how far it looked; the caller may go on from
//! there. The filters that an index answers are in `query` and narrow down what is read.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::domain::credit::Payment;
use crate::domain::decision::{AgentOutcome, Decision};
use crate::domain::overturned::{Judgement, judgement};
use crate::domain::step::PromptRef;
use crate::domain::validation::Validation;
use crate::ledger::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::query::{Filter, PageRequest, SELECT, StoredDecision, read, stored_decision};
use crate::spelling;

/// The most decisions that one search compares: some 30 ms on Postgres, if all of them are decoded.
pub const MAX_COMPARED: u32 = 500;
/// Decisions that are read at a time. Other tasks run between two reads.
const BATCH: u32 = 250;

/// Which decisions to find: those that pass every condition that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// The conditions that an index answers.
    pub filter: Filter,
    /// The conditions on the documents.
    pub content: Content,
}

/// Conditions on the documents of decisions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// A rule with this id has a finding.
    pub rule: Option<String>,
    /// How the reasoning went.
    pub agent_outcome: Option<AgentOutcome>,
    /// Whether policy code overruled the model.
    pub is_override: Option<bool>,
    /// Whether a check failed for good.
    pub has_failed_check: Option<bool>,
    /// Whether a person resolved it.
    pub is_resolved: Option<bool>,
    /// Whether its resolution says something about the machine's proposal.
    pub is_judged: Option<bool>,
    /// Whether its resolution overturned the machine's proposal.
    pub is_overturned: Option<bool>,
    /// Whether it is paid, or a credit that is taken back.
    pub is_paid: Option<bool>,
    /// Whether the model's cost is known.
    pub is_priced: Option<bool>,
    /// The name of a step of which it is known how long it took.
    pub timed_step: Option<String>,
    /// The model that was asked.
    pub model: Option<String>,
    /// The name of a prompt that a step used.
    pub prompt: Option<String>,
    /// The version of a prompt that a step used; of the prompt named above, if one is.
    pub prompt_version: Option<String>,
    /// Words, each of which begins a word of the expense's text, merchant, category hint or employee,
    /// or of the reason, in any spelling.
    pub text: Option<String>,
}

/// A page of what was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The decisions, newest first.
    pub decisions: Vec<StoredDecision>,
    /// The `after` of the next page; absent once everything has been compared.
    pub next: Option<Uuid>,
    /// How far the search looked before it stopped short of a full page; absent if the page is full,
    /// or nothing is left to compare.
    pub stopped: Option<Stopped>,
}

/// Where a search stopped because it had compared as many decisions as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// How many decisions it compared.
    pub n_compared: u32,
    /// When the last of them was received; older ones were not looked at.
    pub received_at: Timestamp,
}

impl Stopped {
    /// A search that stopped after so many documents, the last of which is this one.
    fn at(n_compared: u32, document: &str) -> Result<Self, LedgerError> {
        let received_at = read::<Decision>(document)?.received_at;
        Ok(Self {
            n_compared,
            received_at,
        })
    }
}

impl Ledger {
    /// A page of a tenant's decisions that pass all conditions, without those that were superseded, and
    /// with `seen_by` only those that this person may see. Without conditions on documents, the page is
    /// that of [`Ledger::list`].
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn search(
        &self,
        tenant_id: &str,
        seen_by: Option<&str>,
        search: &Search,
        page: PageRequest,
    ) -> Result<Found, LedgerError> {
        if search.content == Content::default() {
            let listed = self.list(tenant_id, seen_by, &search.filter, page).await?;
            return Ok(Found {
                decisions: listed.decisions,
                next: listed.next,
                stopped: None,
            });
        }
        let head = SELECT.replacen("SELECT", "SELECT decision.id,", 1);
        let wanted = Wanted::new(&search.content);
        let n_asked = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let mut decisions = Vec::new();
        let mut after = page.after;
        let mut n_compared = 0;
        loop {
            let limit = BATCH.min(MAX_COMPARED - n_compared);
            let batch = PageRequest { after, limit };
            let filter = &search.filter;
            let rows: Vec<FoundRow> = self.rows(&head, tenant_id, seen_by, filter, batch).await?;
            let n_rows = u32::try_from(rows.len()).unwrap_or(u32::MAX);
            let mut n_of_batch = 0;
            let mut last = String::new();
            for (id, document, resolution, superseded_by, fulfilled_by, approvals) in rows {
                if n_of_batch == limit || decisions.len() == n_asked {
                    break;
                }
                n_of_batch += 1;
                after = id.parse().ok();
                if wanted.may_match(&document, resolution.as_deref())? {
                    let stored = stored_decision((
                        document.clone(),
                        resolution,
                        superseded_by,
                        fulfilled_by,
                        approvals,
                    ))?;
                    decisions.extend(wanted.matches(&stored).then_some(stored));
                }
                last = document;
            }
            n_compared += n_of_batch;
            let has_more = n_of_batch < n_rows;
            let is_full = decisions.len() == n_asked;
            if is_full || !has_more || n_compared == MAX_COMPARED {
                let stops = has_more && !is_full;
                let stopped = stops.then(|| Stopped::at(n_compared, &last)).transpose()?;
                return Ok(Found {
                    decisions,
                    next: after.filter(|_| has_more),
                    stopped,
                });
            }
            tokio::task::yield_now().await;
        }
    }
}

/// The id of a decision, and its [`Row`](crate::ledger::query::Row).
type FoundRow = (
    String,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
);

/// The conditions on documents, prepared for comparing many.
struct Wanted<'a> {
    content: &'a Content,
    words: Vec<String>,
    /// The members, such as `"override":true`, that every document that passes contains.
    excerpts: Vec<String>,
}

/// The texts of a document that are searched for words.
#[derive(Deserialize)]
struct Texts {
    reason: String,
    transaction: String,
    user_id: String,
    merchant: Option<String>,
    category_hint: Option<String>,
}

impl<'a> Wanted<'a> {
    fn new(content: &'a Content) -> Self {
        let text = content.text.as_deref().unwrap_or_default();
        let text_of = |name: &Option<String>| name.clone().map(Value::from);
        let failed = content.has_failed_check.filter(|has_failed| *has_failed);
        let unpriced = content.is_priced.filter(|is_priced| !is_priced);
        let members = [
            (
                "agent_outcome",
                content.agent_outcome.map(|outcome| json!(outcome)),
            ),
            ("override", content.is_override.map(Value::from)),
            ("passed", failed.map(|_| false.into())),
            ("cost_usd", unpriced.map(|_| Value::Null)),
            ("rule", text_of(&content.rule)),
            ("model", text_of(&content.model)),
            ("name", text_of(&content.prompt)),
            ("version", text_of(&content.prompt_version)),
            ("step", text_of(&content.timed_step)),
        ];
        let excerpts = members
            .into_iter()
            .filter_map(|(name, value)| Some(format!("\"{name}\":{}", value?)));
        Self {
            content,
            words: spelling::words(text),
            excerpts: excerpts.collect(),
        }
    }

    /// Whether a decision may pass all conditions, as far as can be told without decoding it, which
    /// takes longer than everything else. Documents are written without blanks between
    /// members, and a quotation mark in a text is escaped, so a text cannot look like a member.
    fn may_match(&self, document: &str, resolution: Option<&str>) -> Result<bool, LedgerError> {
        let wanted = self.content;
        let needs_resolution = [wanted.is_resolved, wanted.is_judged, wanted.is_overturned];
        let lacks_resolution = resolution.is_none() && needs_resolution.contains(&Some(true));
        if lacks_resolution
            || !self
                .excerpts
                .iter()
                .all(|excerpt| document.contains(excerpt))
        {
            return Ok(false);
        }
        if self.words.is_empty() {
            return Ok(true);
        }
        let texts: Texts = read(document)?;
        Ok(self.has_words(&texts))
    }

    /// Whether a decision that may match passes all conditions.
    fn matches(&self, stored: &StoredDecision) -> bool {
        let wanted = self.content;
        let decision = &stored.decision;
        let mut findings = decision.findings.iter();
        let mut validations = decision.validations.iter();
        is(wanted.agent_outcome, || decision.agent_outcome)
            && is(wanted.is_override, || decision.is_override)
            && is(wanted.is_resolved, || stored.resolution.is_some())
            && is(wanted.is_judged, || judgement_of(stored).is_some())
            && is(wanted.is_overturned, || {
                matches!(judgement_of(stored), Some(Judgement::Overturned(_)))
            })
            && is(wanted.is_paid, || stored.payment() == Payment::Paid)
            && is(wanted.is_priced, || decision.cost_usd.is_some())
            && wanted.timed_step.as_ref().is_none_or(|name| {
                let mut timed = decision
                    .steps
                    .iter()
                    .filter(|report| report.duration_ms.is_some());
                timed.any(|report| report.step.to_string() == *name)
            })
            && is(wanted.has_failed_check, || {
                validations.any(Validation::failed_for_good)
            })
            && wanted
                .rule
                .as_ref()
                .is_none_or(|rule| findings.any(|finding| finding.rule == *rule))
            && is(wanted.model.as_deref().map(Some), || decision.asked_model())
            && self.uses_prompt(decision)
    }

    fn uses_prompt(&self, decision: &Decision) -> bool {
        let Content {
            prompt,
            prompt_version,
            ..
        } = self.content;
        let is_wanted = |used: &PromptRef| {
            prompt.as_ref().is_none_or(|name| used.name == *name)
                && prompt_version
                    .as_ref()
                    .is_none_or(|version| used.version == *version)
        };
        let is_any = prompt.is_none() && prompt_version.is_none();
        let mut prompts = decision
            .steps
            .iter()
            .filter_map(|step| step.prompt.as_ref());
        is_any || prompts.any(is_wanted)
    }

    fn has_words(&self, texts: &Texts) -> bool {
        let Texts {
            reason,
            transaction,
            user_id,
            merchant,
            category_hint,
        } = texts;
        let required = [reason, transaction, user_id].into_iter();
        let all = required.chain(merchant).chain(category_hint);
        let words: Vec<String> = all.flat_map(|text| spelling::words(text)).collect();
        let is_there = |wanted: &String| words.iter().any(|word| word.starts_with(wanted));
        self.words.iter().all(is_there)
    }
}

fn judgement_of(stored: &StoredDecision) -> Option<Judgement> {
    judgement(&stored.decision, stored.resolution.as_ref()?)
}

/// Whether a value is the one that is wanted, if one is.
fn is<T: PartialEq>(wanted: Option<T>, value: impl FnOnce() -> T) -> bool {
    wanted.is_none_or(|wanted| wanted == value())
}
