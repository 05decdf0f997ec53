//! Policy files, TOML text to [`Policies`]. Reads on after a fault, so that one run names every one of them with its
//! file, line and key, and with what would be accepted.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use rust_decimal::Decimal;
use sha2::{Digest, Sha256};
use strum::VariantNames;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::domain::decision::{Role, Window};
use crate::domain::money::{self, Currency};
use crate::policy::evidence::{Codes, Evidence, Phrase};
use crate::policy::rule::{KindName, Rule, RuleKind};
use crate::policy::{Fault, Policies, Policy, PolicyFaults};

const NAME: &str = "lower-case letters, digits, `-` and `_`, such as \"travel\"";
const DATE: &str = "a date such as \"2026-01-01\"";
const TEXT: &str = "a text that is not empty";
const DAYS: &str = "a number of days from 0 to 9999, without quotes";
const CODES: &str = "four digits or a range such as \"3000-3999\"";
const PHRASE: &str = "words such as \"uber eats\", or the beginning of a word such as \"flight*\"";

/// Reads the policies of one folder from the texts of its files.
///
/// # Errors
/// With every fault of every file, and of how the files fit each other.
pub fn parse(dir: &Path, sources: &[(PathBuf, String)]) -> Result<Policies, PolicyFaults> {
    let mut faults = Vec::new();
    let mut policies = Vec::new();
    if sources.is_empty() {
        let message = "holds no policy; put files such as travel.toml there".to_owned();
        faults.push(Fault { file: dir.to_owned(), line: None, message });
    }
    let mut claims = Claims::default();
    for (file, text) in sources {
        let mut source = Source { file, text, faults: &mut faults };
        if let Some(policy) = parse_file(&mut source, &mut claims) {
            policies.push(policy);
        }
    }
    // A reader goes through a file from top to bottom; within a line the order of discovery stays.
    faults.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    if faults.is_empty() { Ok(Policies::build(policies)) } else { Err(PolicyFaults(faults)) }
}

/// What only one category may hold, and where it was written last.
#[derive(Default)]
struct Claims {
    by_thing: HashMap<String, Claim>,
}

struct Claim {
    category: String,
    file: PathBuf,
    line: usize,
}

impl Claims {
    /// Notes that a policy holds a thing. A fault when another category holds it, or the same file: versions of one
    /// policy share rule ids and evidence, but each writes them once.
    fn claim(&mut self, source: &mut Source<'_>, at: usize, thing: &str, category: &str) {
        if let Some(Claim { category: holder, file, line }) = self.by_thing.get(thing)
            && (holder != category || file == source.file)
        {
            source.fault(at, format!("{thing} already stands in {}:{line}; write it in one place", file.display()));
            return;
        }
        let claim = Claim { category: category.to_owned(), file: source.file.to_owned(), line: source.line(at) };
        self.by_thing.insert(thing.to_owned(), claim);
    }
}

/// One file under way.
struct Source<'a> {
    file: &'a Path,
    text: &'a str,
    faults: &'a mut Vec<Fault>,
}

impl Source<'_> {
    /// The line of an offset, from 1.
    fn line(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }

    fn fault(&mut self, offset: usize, message: String) {
        let line = Some(self.line(offset));
        self.faults.push(Fault { file: self.file.to_owned(), line, message });
    }

    /// The source text of a value, shortened for a message.
    fn excerpt(&self, value: &Spanned<DeValue<'_>>) -> String {
        let text = self.text.get(value.span()).unwrap_or_default();
        let first_line: String = text.lines().next().unwrap_or_default().chars().take(60).collect();
        if first_line.len() < text.len() { format!("{first_line}…") } else { first_line }
    }
}

/// One TOML table: its keys are taken out one by one, and what is left over at the end is unknown.
struct Table<'a, 'i> {
    entries: BTreeMap<&'a str, (usize, &'a Spanned<DeValue<'i>>)>,
    known: Vec<&'static str>,
    start: usize,
}

impl<'a, 'i> Table<'a, 'i> {
    fn new(table: &'a DeTable<'i>, start: usize) -> Self {
        let entries = table.iter().map(|(key, value)| (key.get_ref().as_ref(), (key.span().start, value)));
        Self { entries: entries.collect(), known: Vec::new(), start }
    }

    fn take(&mut self, key: &'static str) -> Option<(usize, &'a Spanned<DeValue<'i>>)> {
        self.known.push(key);
        self.entries.remove(key)
    }

    /// `Some(None)` when the key is absent, `None` when its value is wrong (the fault is noted).
    fn optional<T>(
        &mut self,
        source: &mut Source<'_>,
        key: &'static str,
        accepted: &str,
        parse: impl Fn(&DeValue<'i>) -> Option<T>,
    ) -> Option<Option<T>> {
        let Some((at, value)) = self.take(key) else { return Some(None) };
        let parsed = parse(value.get_ref());
        if parsed.is_none() {
            source.fault(at, format!("`{key}` is {}; write {accepted}", source.excerpt(value)));
        }
        parsed.map(Some)
    }

    fn required<T>(
        &mut self,
        source: &mut Source<'_>,
        key: &'static str,
        accepted: &str,
        parse: impl Fn(&DeValue<'i>) -> Option<T>,
    ) -> Option<T> {
        let given = self.optional(source, key, accepted, parse)?;
        if given.is_none() {
            source.fault(self.start, format!("`{key}` is missing; write {accepted}"));
        }
        given
    }

    fn amount(&mut self, source: &mut Source<'_>, key: &'static str, currency: Currency) -> Option<Decimal> {
        let digits = currency.minor_digits();
        let sample = money::from_minor(7500, currency);
        self.required(source, key, &format!("a decimal such as \"{sample}\""), |value| {
            money::parse_amount(value.as_str()?, digits).ok()
        })
    }

    fn finish(self, source: &mut Source<'_>) {
        for (key, (at, _)) in self.entries {
            source.fault(at, format!("`{key}` is no key of this table; accepted are {}", self.known.join(", ")));
        }
    }
}

fn parse_file(source: &mut Source<'_>, claims: &mut Claims) -> Option<Policy> {
    let text = source.text;
    let document = match DeTable::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            source.fault(at, format!("is not TOML: {}", error.message()));
            return None;
        }
    };
    let mut table = Table::new(document.get_ref(), 0);
    let category = table.required(source, "category", NAME, |value| name(value.as_str()?));
    let version = table.required(source, "version", "a version such as \"1\"", filled_text);
    let effective_from = table.required(source, "effective_from", DATE, date);
    let effective_to = table.optional(source, "effective_to", DATE, date);
    let currency = table.required(source, "currency", "an ISO 4217 code such as \"USD\"", |value| {
        value.as_str()?.parse::<Currency>().ok()
    });
    // Amounts are judged in dollars where the currency itself is wrong, so that their faults are named as well.
    let unit = currency.unwrap_or(Currency::USD);
    let uncorroborated_limit = table.amount(source, "uncorroborated_limit", unit);
    let catch_all = table.optional(source, "catch_all", "true or false", DeValue::as_bool);
    let text_for_people = table.required(source, "text", TEXT, filled_text);
    let owner = category.clone().unwrap_or_default();
    let rules = parse_rules(source, &mut table, unit, |source, at, id| {
        claims.claim(source, at, &format!("the rule id `{id}`"), &owner);
    });
    let evidence = parse_evidence(source, &mut table, |source, at, thing| {
        claims.claim(source, at, thing, &owner);
    });
    table.finish(source);

    if let (Some(from), Some(Some(to))) = (effective_from, effective_to)
        && to < from
    {
        source.fault(0, format!("`effective_to` {to} is before `effective_from` {from}; write a later day"));
    }
    if let Some(from) = effective_from {
        // Two versions that begin on one day would leave open which of them is in force.
        claims.claim(source, 0, &format!("`effective_from` {from} of `{owner}`"), &source.file.display().to_string());
    }
    if catch_all == Some(Some(true)) {
        claims.claim(source, 0, "`catch_all`", &owner);
    }
    Some(Policy {
        category: category?,
        version: version?,
        hash: short_hash(text),
        effective_from: effective_from?,
        effective_to: effective_to?,
        currency: currency?,
        uncorroborated_limit: uncorroborated_limit?,
        catch_all: catch_all?.unwrap_or(false),
        text: text_for_people?,
        rules: rules?,
        evidence: evidence?,
    })
}

/// The first 16 hex digits of the SHA-256 of a text.
pub fn short_hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn parse_rules(
    source: &mut Source<'_>,
    table: &mut Table<'_, '_>,
    currency: Currency,
    mut claim_id: impl FnMut(&mut Source<'_>, usize, &str),
) -> Option<Vec<Rule>> {
    let Some((at, value)) = table.take("rule") else {
        source.fault(0, "`rule` is missing; write at least one [[rule]]".to_owned());
        return None;
    };
    let Some(entries) = value.get_ref().as_array() else {
        source.fault(at, "`rule` is no list of tables; write [[rule]] above each rule".to_owned());
        return None;
    };
    let mut rules = Vec::new();
    for entry in entries.iter() {
        let at = entry.span().start;
        let Some(entry) = entry.get_ref().as_table() else {
            source.fault(at, "`rule` holds something that is no table; write [[rule]] above each rule".to_owned());
            continue;
        };
        let mut table = Table::new(entry, at);
        let id = table.required(source, "id", NAME, |value| name(value.as_str()?));
        let kind = parse_kind(source, &mut table, currency);
        let text = table.required(source, "text", TEXT, filled_text);
        table.finish(source);
        if let Some(id) = &id {
            claim_id(source, at, id);
        }
        if let (Some(id), Some(kind), Some(text)) = (id, kind, text) {
            rules.push(Rule { id, kind, text });
        }
    }
    Some(rules)
}

fn parse_kind(source: &mut Source<'_>, table: &mut Table<'_, '_>, currency: Currency) -> Option<RuleKind> {
    let kind =
        table.required(source, "kind", &one_of(KindName::VARIANTS), |value| value.as_str()?.parse::<KindName>().ok());
    let role = |source: &mut Source<'_>, table: &mut Table<'_, '_>| {
        table.required(source, "role", &one_of(Role::VARIANTS), |value| value.as_str()?.parse::<Role>().ok())
    };
    match kind? {
        KindName::Cap => {
            let per = table
                .required(source, "per", &one_of(Window::VARIANTS), |value| value.as_str()?.parse::<Window>().ok());
            let max = table.amount(source, "max", currency);
            Some(RuleKind::Cap { per: per?, max: max? })
        }
        KindName::Approval => {
            let above = table.amount(source, "above", currency);
            Some(RuleKind::Approval { role: role(source, table)?, above: above? })
        }
        KindName::ApprovalAlways => Some(RuleKind::ApprovalAlways { role: role(source, table)? }),
        KindName::Receipt => Some(RuleKind::Receipt { above: table.amount(source, "above", currency)? }),
        KindName::MaxAge => Some(RuleKind::MaxAge { days: table.required(source, "days", DAYS, days)? }),
        KindName::Future => {
            Some(RuleKind::Future { days: table.optional(source, "days", DAYS, days)?.unwrap_or_default() })
        }
        KindName::BlockedMcc => {
            Some(RuleKind::BlockedMcc { mcc: filled_list(source, table, "mcc", CODES, Codes::parse)? })
        }
        KindName::BlockedMerchant => {
            let merchant = filled_list(source, table, "merchant", PHRASE, Phrase::parse)?;
            Some(RuleKind::BlockedMerchant { merchant })
        }
    }
}

fn one_of(variants: &[&str]) -> String {
    format!("one of \"{}\"", variants.join("\", \""))
}

fn parse_evidence(
    source: &mut Source<'_>,
    table: &mut Table<'_, '_>,
    mut claim: impl FnMut(&mut Source<'_>, usize, &str),
) -> Option<Evidence> {
    let Some((at, value)) = table.take("evidence") else { return Some(Evidence::default()) };
    let Some(section) = value.get_ref().as_table() else {
        source.fault(at, "`evidence` is no table; write [evidence]".to_owned());
        return None;
    };
    let mut table = Table::new(section, at);
    let mcc = list(source, &mut table, "mcc", CODES, Codes::parse);
    let merchant = list(source, &mut table, "merchant", PHRASE, Phrase::parse);
    let transaction = list(source, &mut table, "transaction", PHRASE, Phrase::parse);
    table.finish(source);
    for (at, codes) in &mcc {
        for code in codes.iter() {
            claim(source, *at, &format!("the merchant category code {code}"));
        }
    }
    for (kind, phrases) in [("merchant", &merchant), ("transaction", &transaction)] {
        for (at, phrase) in phrases {
            claim(source, *at, &format!("the {kind} phrase \"{phrase}\""));
        }
    }
    Some(Evidence { mcc: values(mcc), merchant: values(merchant), transaction: values(transaction) })
}

fn values<T>(located: Vec<(usize, T)>) -> Vec<T> {
    located.into_iter().map(|(_, value)| value).collect()
}

/// A list of texts, each with where it stands; absent counts as empty.
fn list<T>(
    source: &mut Source<'_>,
    table: &mut Table<'_, '_>,
    key: &'static str,
    accepted: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Vec<(usize, T)> {
    let Some((at, value)) = table.take(key) else { return Vec::new() };
    let Some(entries) = value.get_ref().as_array() else {
        source.fault(at, format!("`{key}` is {}; write a list of texts", source.excerpt(value)));
        return Vec::new();
    };
    let mut parsed = Vec::new();
    for entry in entries.iter() {
        let at = entry.span().start;
        match entry.get_ref().as_str().and_then(&parse) {
            Some(value) => parsed.push((at, value)),
            None => source.fault(at, format!("`{key}` holds {}; write {accepted}", source.excerpt(entry))),
        }
    }
    parsed
}

/// A list of texts that holds at least one.
fn filled_list<T>(
    source: &mut Source<'_>,
    table: &mut Table<'_, '_>,
    key: &'static str,
    accepted: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Option<Vec<T>> {
    let n_faults = source.faults.len();
    let found = values(list(source, table, key, accepted, parse));
    // A list whose entries are all faulty was complained of already.
    if found.is_empty() && source.faults.len() == n_faults {
        source.fault(table.start, format!("`{key}` is missing or empty; write a list that holds {accepted}"));
    }
    (!found.is_empty()).then_some(found)
}

fn name(text: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    (!text.is_empty() && text.chars().all(is_plain)).then(|| text.to_owned())
}

fn filled_text(value: &DeValue<'_>) -> Option<String> {
    value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn days(value: &DeValue<'_>) -> Option<u16> {
    value.as_integer()?.to_string().parse().ok().filter(|days| *days <= 9999)
}

fn date(value: &DeValue<'_>) -> Option<Date> {
    value.as_str().and_then(|text| text.parse().ok())
}
