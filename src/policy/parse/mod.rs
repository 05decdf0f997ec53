//! Parses policy files, from TOML text to [`Policies`]. One run reports the mistakes of all files;
//! `toml_reader` explains how. `rulebook` decides which files are parsed.

mod allowance;
pub mod common;
mod conditions;
mod counter;
mod kinds;
mod rules;

use std::collections::BTreeSet;
use std::path::Path;

use jiff::civil::Date;
use toml::de::{DeTable, DeValue};

use crate::domain::facts::FactName;
use crate::domain::money::Currency;
use crate::domain::short_hash::short_hash;
use crate::policy::evidence::Evidence;
use crate::policy::mcc::Codes;
use crate::policy::parse::common::{CommonFile, is_common};
use crate::policy::parse::counter::{CommonHead, Head, Loaded};
use crate::policy::phrase::Phrase;
use crate::policy::places::PlaceTables;
use crate::policy::rule::Rule;
use crate::policy::stated::Stated;
use crate::policy::{Policies, Policy, schema};
use crate::toml_reader::Source;
use crate::toml_reader::claims::Claims;
use crate::toml_reader::diagnostic::{Diagnostic, Diagnostics};
use crate::toml_reader::table::{Table, list, values};
use crate::toml_reader::values::{DATE, TEXT, currency, date, filled_text, name};

const NAME: &str = "lower-case letters, digits, `-` and `_`, such as \"travel\"";
const CURRENCY: &str = "an ISO 4217 code such as \"USD\"";
const CODES: &str = "four digits or a range such as \"3000-3999\"";
const PHRASE: &str = "words such as \"uber eats\", or the beginning of a word such as \"flight*\"";

/// Parses the policies of one tenant from the texts of their files, without tables of places.
///
/// # Errors
/// As [`parse_with`].
pub fn parse(dir: &Path, sources: &[(&Path, &str)]) -> Result<Policies, Diagnostics> {
    parse_with(dir, sources, &PlaceTables::new())
}

/// Parses the policies of one tenant from the texts of their files. Where two files contradict each
/// other, the diagnostic is about the later one.
///
/// # Errors
/// With the diagnostics of all files, contradictions between files included.
pub fn parse_with(
    dir: &Path,
    sources: &[(&Path, &str)],
    tables: &PlaceTables,
) -> Result<Policies, Diagnostics> {
    let mut diagnostics = Vec::new();
    let mut policies = Vec::new();
    let common = CommonFile::find(sources);
    let common_head = CommonHead::of(common.as_ref().map(|common| common.text));
    let sources: Vec<(&Path, &str)> = sources
        .iter()
        .filter(|(file, _)| !is_common(file))
        .copied()
        .collect();
    if sources.is_empty() {
        let message = "contains no policy; add files such as travel.toml".to_owned();
        diagnostics.push(Diagnostic {
            file: dir.to_owned(),
            line: None,
            message,
        });
    }
    let mut claims = Claims::default();
    let heads: Vec<Option<Head>> = sources.iter().map(|(_, text)| Head::of(text)).collect();
    for ((file, text), own) in sources.iter().zip(&heads) {
        let mut source = Source::new(file, text, &mut diagnostics);
        let loaded = Loaded {
            all: &heads,
            own: own.as_ref(),
            tables,
            common: &common_head,
            is_common: false,
        };
        if let Some(mut policy) = parse_file(&mut source, &mut claims, loaded) {
            let loaded = Loaded {
                is_common: true,
                ..loaded
            };
            if let Some(common) = &common {
                common.add_to(&mut policy, text, loaded, &mut diagnostics);
            }
            policies.push(policy);
        }
    }
    if let (true, Some(common)) = (policies.is_empty(), &common) {
        let loaded = Loaded {
            all: &heads,
            own: None,
            tables,
            common: &common_head,
            is_common: true,
        };
        common.check(loaded, &mut diagnostics);
    }
    Diagnostics::none_in(diagnostics)?;
    let categories: BTreeSet<&str> = policies
        .iter()
        .map(|policy| policy.category.as_str())
        .collect();
    match schema::too_many_categories(categories.into_iter()) {
        Some(message) => Err(Diagnostics::of(dir, message)),
        None => Ok(Policies::build(policies)),
    }
}

/// The category of a policy file, if that much of the file can be parsed.
pub fn category(text: &str) -> Option<String> {
    name(
        DeTable::parse(text)
            .ok()?
            .get_ref()
            .get("category")?
            .get_ref()
            .as_str()?,
    )
}

/// The tables of places that the rules of a policy file name, as far as it can be parsed.
pub fn table_names(text: &str) -> Vec<String> {
    let Ok(document) = DeTable::parse(text) else {
        return Vec::new();
    };
    let rules = document.get_ref().get("rule");
    let rules = rules.and_then(|rules| rules.get_ref().as_array());
    let names = rules.into_iter().flat_map(|rules| rules.iter());
    let names =
        names.filter_map(|rule| rule.get_ref().as_table()?.get("table")?.get_ref().as_str());
    names.map(str::to_owned).collect()
}

fn parse_file(source: &mut Source<'_>, claims: &mut Claims, loaded: Loaded<'_>) -> Option<Policy> {
    let document = source.document()?;
    let mut table = Table::new(document.get_ref(), 0);
    let [from_at, to_at, catch_all_at] =
        ["effective_from", "effective_to", "catch_all"].map(|key| table.at(key));
    let category = table.required(source, "category", NAME, |value| name(value.as_str()?));
    let version = table.required(source, "version", "a version such as \"1\"", filled_text);
    let effective_from = table.required(source, "effective_from", DATE, date);
    let effective_to = table.optional(source, "effective_to", DATE, date);
    let currency = table.required(source, "currency", CURRENCY, currency);
    // When the currency itself is wrong, amounts are parsed as dollars, so that their mistakes are
    // reported as well.
    let unit = currency.unwrap_or(Currency::USD);
    let uncorroborated_limit = table.amount(source, "uncorroborated_limit", unit);
    let catch_all = table.optional(source, "catch_all", "true or false", DeValue::as_bool);
    let text_for_people = table.required(source, "text", TEXT, filled_text);
    let owner = category.clone().unwrap_or_default();
    let rules = rules::parse(source, &mut table, unit, loaded, |source, at, id| {
        let thing = format!("the rule id `{id}`");
        if loaded.common.has(id) {
            // Each policy may replace a common rule by one of its own.
            claims.claim_as(source, at, &format!("{thing} of `{owner}`"), &thing, &owner);
        } else {
            claims.claim(source, at, &thing, &owner);
        }
    });
    let others = loaded.categories_but(&owner);
    let evidence = parse_evidence(source, &mut table, &others, |source, at, thing| {
        claims.claim(source, at, thing, &owner);
    });
    table.finish(source);

    if let Some(from) = effective_from {
        if let Some(to) = effective_to.flatten() {
            check_order(source, to_at, from, to);
        }
        // Of two versions that begin on the same day, neither would clearly be in force. The owner
        // of this claim is the file: versions of one category share their other claims, but not
        // their first day.
        let thing = format!("`effective_from` {from} of `{owner}`");
        claims.claim(source, from_at, &thing, &source.file.display().to_string());
    }
    if catch_all == Some(Some(true)) {
        claims.claim(source, catch_all_at, "`catch_all`", &owner);
    }
    let rules = rules?;
    if let Some(message) = schema::too_many_rules(rules.iter().map(|rule| rule.id.as_str())) {
        source.report(0, message);
        return None;
    }
    let text = text_for_people?;
    Some(Policy {
        category: category?,
        version: version?,
        hash: short_hash(source.text),
        effective_from: effective_from?,
        effective_to: effective_to?,
        currency: currency?,
        uncorroborated_limit: uncorroborated_limit?,
        catch_all: catch_all?.unwrap_or(false),
        decision_schema: schema::decision(&rules).into(),
        facts: facts_of(&rules).into(),
        stated: Stated::of(&text, &rules).into(),
        text,
        rules,
        evidence: evidence?,
    })
}

/// The facts that some rules look at.
fn facts_of(rules: &[Rule]) -> BTreeSet<FactName> {
    rules.iter().flat_map(Rule::facts).collect()
}

fn check_order(source: &mut Source<'_>, to_at: usize, from: Date, to: Date) {
    if to < from {
        let message =
            format!("`effective_to` {to} is before `effective_from` {from}; write a later day");
        source.report(to_at, message);
    }
}

/// `others` are the categories of the other files.
fn parse_evidence(
    source: &mut Source<'_>,
    table: &mut Table<'_, '_>,
    others: &[&str],
    mut claim: impl FnMut(&mut Source<'_>, usize, &str),
) -> Option<Evidence> {
    let Some((at, value)) = table.take("evidence") else {
        return Some(Evidence::default());
    };
    let Some(section) = value.get_ref().as_table() else {
        source.report(at, "`evidence` is not a table; write [evidence]".to_owned());
        return None;
    };
    let mut table = Table::new(section, at);
    let mcc = list(source, &mut table, "mcc", CODES, Codes::parse);
    let merchant = list(source, &mut table, "merchant", PHRASE, Phrase::parse);
    let name = list(source, &mut table, "name", PHRASE, Phrase::parse);
    let transaction = list(source, &mut table, "transaction", PHRASE, Phrase::parse);
    let but = list(source, &mut table, "but", PHRASE, Phrase::parse);
    let accepted = format!("another category, one of \"{}\"", others.join("\", \""));
    let same_as = table.optional(source, "same_as", &accepted, |value| {
        let category = value.as_str()?;
        others.contains(&category).then(|| category.to_owned())
    });
    table.finish(source);
    for (at, codes) in &mcc {
        for code in codes.iter() {
            claim(source, *at, &format!("the merchant category code {code}"));
        }
    }
    for (at, phrase) in merchant.iter().chain(&name).chain(&but) {
        claim(source, *at, &format!("the phrase \"{phrase}\""));
    }
    for (at, phrase) in &transaction {
        // Transaction texts are searched for merchants' phrases too. One category may list a phrase
        // as both, but two categories must not share it.
        let is_merchant = merchant.iter().any(|(_, known)| known == phrase);
        let kind = if is_merchant {
            "transaction phrase"
        } else {
            "phrase"
        };
        claim(source, *at, &format!("the {kind} \"{phrase}\""));
    }
    Some(Evidence {
        mcc: values(mcc),
        merchant: values(merchant),
        name: values(name),
        transaction: values(transaction),
        but: values(but),
        same_as: same_as?,
    })
}
