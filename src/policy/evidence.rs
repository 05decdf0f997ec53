//! Evidence for a category that does not come from the model: the merchant category code, the
//! merchant's name, the words of the transaction and those of the card statement's category. Each of
//! these four sources names any number of categories, or none. Sources that agree do not outvote one
//! that disagrees: see [`FoundEvidence::objection`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use crate::policy::Policy;
use crate::policy::mcc::Codes;
use crate::policy::phrase::{Phrase, Words};
use crate::spelling::placed_words;

/// The evidence section of one policy file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Merchant category codes, ISO 18245.
    pub mcc: Vec<Codes>,
    /// Phrases that occur in merchants' names, and in transaction texts that name the merchant.
    pub merchant: Vec<Phrase>,
    /// Phrases that occur in merchants' names only: in a text they mean something else.
    pub name: Vec<Phrase>,
    /// Phrases that occur in transaction texts, and in the categories of card statements.
    pub transaction: Vec<Phrase>,
    /// Phrases that point to no category, although shorter ones in them do.
    pub but: Vec<Phrase>,
    /// The category whose evidence supports this one too. For a category by purpose: clients are
    /// invited to the same restaurants as colleagues.
    pub same_as: Option<String>,
}

/// Where evidence comes from, the strongest source first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvidenceSource {
    /// The merchant category code.
    Mcc,
    /// The merchant's name.
    Merchant,
    /// The words of the transaction.
    Transaction,
    /// The category that the card statement names: a bank's word for a merchant, which says little
    /// about what was bought.
    CategoryHint,
}

impl EvidenceSource {
    /// The source's name in messages.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Mcc => "merchant category code",
            Self::Merchant => "merchant",
            Self::Transaction => "text of the transaction",
            Self::CategoryHint => "category of the card statement",
        }
    }
}

/// One place in an expense that points to a category.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// The text of the expense in which it stands.
    pub source: EvidenceSource,
    /// The category.
    pub category: String,
    /// The codes or the phrase of the policy file.
    pub listed: String,
    /// The bytes of the source's text that it covers.
    pub place: Range<usize>,
}

/// The evidence found for one expense.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundEvidence {
    /// The sources that name a category, each with its categories in the order of the text.
    sources: Vec<(EvidenceSource, Vec<String>)>,
    /// For each category, the one whose evidence supports it too.
    same_as: Arc<BTreeMap<String, String>>,
}

impl FoundEvidence {
    /// Whether no source names any category.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// The first source that names other categories but not this one, with those categories.
    pub fn objection(&self, category: &str) -> Option<(EvidenceSource, &[String])> {
        let objecting = self
            .sources
            .iter()
            .find(|(_, named)| !self.supports(named, category));
        objecting.map(|(source, named)| (*source, named.as_slice()))
    }

    /// Whether a source that names these categories supports this one.
    fn supports(&self, named: &[String], category: &str) -> bool {
        let same_as = self.same_as.get(category);
        named
            .iter()
            .any(|name| name == category || Some(name) == same_as)
    }

    /// The other categories that a source names beside this one, in alphabetical order. Such a source
    /// objects to none of them, so an employee could choose among them by the order of the words. A
    /// merchant category code names one category only, and is not the employee's to choose, so it
    /// settles the question. A category that is supported by another one's evidence alone is only the
    /// model's word for a purpose, so the other one is a rival.
    pub fn rivals(&self, category: &str) -> Vec<String> {
        let is_settled = self
            .sources
            .iter()
            .any(|(source, named)| *source == EvidenceSource::Mcc && named == &[category]);
        if is_settled {
            return Vec::new();
        }
        let undecided = self
            .sources
            .iter()
            .filter(|(_, named)| self.supports(named, category));
        let is_named = self.categories().any(|name| name == category);
        let supporting = self.same_as.get(category).filter(|_| is_named);
        let rivals: BTreeSet<&String> = undecided
            .flat_map(|(_, named)| named)
            .filter(|name| *name != category && Some(*name) != supporting)
            .collect();
        rivals.into_iter().cloned().collect()
    }

    /// The categories named by each source, the strongest source first; a category that several
    /// sources name is repeated.
    pub fn categories(&self) -> impl Iterator<Item = &str> {
        self.sources
            .iter()
            .flat_map(|(_, named)| named)
            .map(String::as_str)
    }

    /// The category that most sources support; in a tie, the first one of [`Self::categories`]. A
    /// category by purpose has to be named itself: "client dinner" at a restaurant is a meal with
    /// clients, and the restaurant alone is not. The offline model answers with it.
    pub fn best(&self) -> Option<&str> {
        let votes = |category: &str| {
            let sources = self.sources.iter();
            sources
                .filter(|(_, named)| self.supports(named, category))
                .count()
        };
        let mut best: Option<(&str, usize)> = None;
        for category in self.categories() {
            let n_votes = votes(category);
            if best.is_none_or(|(_, most)| n_votes > most) {
                best = Some((category, n_votes));
            }
        }
        best.map(|(category, _)| category)
    }
}

/// The evidence of all policies, indexed for lookup.
#[derive(Clone, Debug, Default)]
pub struct EvidenceIndex {
    mcc: Vec<(Codes, String)>,
    merchant: Phrases,
    text: Phrases,
    same_as: Arc<BTreeMap<String, String>>,
}

impl EvidenceIndex {
    /// Indexes the evidence of every policy.
    pub fn build(policies: &[Policy]) -> Self {
        let mut index = Self::default();
        let same_as = policies
            .iter()
            .filter_map(|policy| Some((policy.category.clone(), policy.evidence.same_as.clone()?)));
        index.same_as = Arc::new(same_as.collect());
        for policy in policies {
            let (category, evidence) = (&policy.category, &policy.evidence);
            let codes = evidence.mcc.iter().cloned();
            index
                .mcc
                .extend(codes.map(|codes| (codes, category.clone())));
            let category = Some(category.as_str());
            index.merchant.extend(&evidence.merchant, category);
            index.merchant.extend(&evidence.name, category);
            // A transaction text often names the merchant, so merchants' names count there too.
            index.text.extend(&evidence.merchant, category);
            index.text.extend(&evidence.transaction, category);
            index.merchant.extend(&evidence.but, None);
            index.text.extend(&evidence.but, None);
        }
        index
    }

    /// Finds the evidence for an expense.
    pub fn find(
        &self,
        mcc: Option<&str>,
        merchant: Option<&str>,
        transaction: &str,
        category_hint: Option<&str>,
    ) -> FoundEvidence {
        let by_code = mcc
            .and_then(|code| self.by_code(code))
            .map(|(_, category)| category.clone());
        let by_merchant = merchant.map(|name| self.merchant.find(&Words::of(name)));
        let by_hint = category_hint.map(|hint| self.text.find(&Words::of(hint)));
        let mut sources = vec![
            (EvidenceSource::Mcc, by_code.into_iter().collect()),
            (EvidenceSource::Merchant, by_merchant.unwrap_or_default()),
            (
                EvidenceSource::Transaction,
                self.text.find(&Words::of(transaction)),
            ),
            (EvidenceSource::CategoryHint, by_hint.unwrap_or_default()),
        ];
        sources.retain(|(_, named): &(_, Vec<String>)| !named.is_empty());
        FoundEvidence {
            sources,
            same_as: Arc::clone(&self.same_as),
        }
    }
}

impl EvidenceIndex {
    /// Where the evidence that [`Self::find`] finds stands, and what the policy files list there.
    pub fn pointers(
        &self,
        mcc: Option<&str>,
        merchant: Option<&str>,
        transaction: &str,
        category_hint: Option<&str>,
    ) -> Vec<Pointer> {
        let mut pointers = Vec::new();
        if let Some((code, (codes, category))) =
            mcc.and_then(|code| Some((code, self.by_code(code)?)))
        {
            pointers.push(Pointer {
                source: EvidenceSource::Mcc,
                category: category.clone(),
                listed: codes.to_string(),
                place: 0..code.len(),
            });
        }
        for (source, phrases, text) in [
            (EvidenceSource::Merchant, &self.merchant, merchant),
            (EvidenceSource::Transaction, &self.text, Some(transaction)),
            (EvidenceSource::CategoryHint, &self.text, category_hint),
        ] {
            let (words, places): (Vec<_>, Vec<_>) =
                placed_words(text.unwrap_or_default()).into_iter().unzip();
            let found = phrases.matches(&words);
            pointers.extend(found.filter_map(|(at, phrase, category)| {
                let words = &places[at..at + phrase.n_words()];
                Some(Pointer {
                    source,
                    category: category?.to_owned(),
                    listed: phrase.to_string(),
                    place: words.first()?.start..words.last()?.end,
                })
            }));
        }
        pointers
    }

    /// The evidence of a merchant category code.
    fn by_code(&self, code: &str) -> Option<&(Codes, String)> {
        self.mcc.iter().find(|(codes, _)| codes.contains(code))
    }
}

/// Phrases by the first letter of their first word, so that each word of a text is compared with a
/// few phrases only.
#[derive(Clone, Debug, Default)]
struct Phrases {
    by_initial: HashMap<char, Vec<(Phrase, Option<String>)>>,
}

impl Phrases {
    /// Adds phrases that point to a category, or to none.
    fn extend(&mut self, phrases: &[Phrase], category: Option<&str>) {
        for phrase in phrases {
            let Some(initial) = phrase.initial() else {
                continue;
            };
            let entry = (phrase.clone(), category.map(str::to_owned));
            let bucket = self.by_initial.entry(initial).or_default();
            if !bucket.contains(&entry) {
                bucket.push(entry);
            }
        }
    }

    /// The categories of the phrases that occur in a text, in the order of the text.
    fn find(&self, text: &Words) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for category in self
            .matches(text.as_slice())
            .filter_map(|(.., category)| category)
        {
            if !found.iter().any(|other| other == category) {
                found.push(category.to_owned());
            }
        }
        found
    }

    /// The phrases that occur in a text, each with the index of its first word and its category. At
    /// each word the most specific phrase wins and consumes its words, so "uber eats" is a meal
    /// although "uber" is a ride.
    fn matches<'a>(
        &'a self,
        words: &'a [String],
    ) -> impl Iterator<Item = (usize, &'a Phrase, Option<&'a str>)> {
        let mut at = 0;
        std::iter::from_fn(move || {
            while at < words.len() {
                let start = at;
                let found = self.at(&words[start..]);
                at += found.map_or(1, |(phrase, _)| phrase.n_words());
                if let Some((phrase, category)) = found {
                    return Some((start, phrase, category.as_deref()));
                }
            }
            None
        })
    }

    /// The most specific phrase with which these words begin.
    fn at(&self, words: &[String]) -> Option<&(Phrase, Option<String>)> {
        let initial = words.first()?.chars().next()?;
        let candidates = self.by_initial.get(&initial)?.iter();
        let matching = candidates.filter(|(phrase, _)| phrase.begins(words));
        matching.max_by_key(|(phrase, _)| phrase.specificity())
    }
}
