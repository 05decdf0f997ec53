//! The rules of `common.toml`, which hold in every category but those that it excepts. They are read
//! anew for each policy, because what a cap adds up depends on the category, and become rules of that
//! policy: nothing later tells them from its own.

use std::path::Path;

use crate::domain::money::Currency;
use crate::domain::short_hash::short_hash;
use crate::policy::parse::counter::Loaded;
use crate::policy::parse::{CURRENCY, NAME, rules};
use crate::policy::rule::{Rule, RuleKind};
use crate::policy::{Policy, schema};
use crate::toml_reader::Source;
use crate::toml_reader::claims::Claims;
use crate::toml_reader::diagnostic::Diagnostic;
use crate::toml_reader::table::{Table, list, values};
use crate::toml_reader::values::{currency, name};

/// The name of the file.
pub const COMMON: &str = "common.toml";

/// Whether a file holds common rules instead of a policy.
pub fn is_common(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name == COMMON)
}

/// The file of common rules among those that are loaded together.
pub(super) struct CommonFile<'a> {
    file: &'a Path,
    pub(super) text: &'a str,
}

impl<'a> CommonFile<'a> {
    /// Finds the file.
    pub(super) fn find(sources: &[(&'a Path, &'a str)]) -> Option<Self> {
        let (file, text) = *sources.iter().find(|(file, _)| is_common(file))?;
        Some(Self { file, text })
    }

    /// Adds the rules to a policy, which was read from a text. Mistakes are reported.
    pub(super) fn add_to(
        &self,
        policy: &mut Policy,
        text: &str,
        loaded: Loaded<'_>,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let mut source = Source::new(self.file, self.text, diagnostics);
        let Some(rules) = parse(&mut source, Some(&*policy), loaded) else {
            return;
        };
        if !loaded.common.hold_in(&policy.category) {
            return;
        }
        let added: Vec<Rule> = rules
            .into_iter()
            .filter(|rule| !policy.rules.iter().any(|own| own.id == rule.id))
            .filter(|rule| adds_up(rule, &policy.category))
            .collect();
        policy.rules.extend(added);
        let ids = policy.rules.iter().map(|rule| rule.id.as_str());
        if let Some(message) = schema::too_many_rules(ids) {
            source.report(0, format!("with these rules, {message}"));
        }
        policy.hash = short_hash(&[text, self.text].concat());
        policy.rules_changed();
    }

    /// Reads the rules only for their mistakes, where there is no policy that they could be added to.
    pub(super) fn check(&self, loaded: Loaded<'_>, diagnostics: &mut Vec<Diagnostic>) {
        parse(
            &mut Source::new(self.file, self.text, diagnostics),
            None,
            loaded,
        );
    }
}

/// Parses the rules, as those of a policy.
fn parse(
    source: &mut Source<'_>,
    policy: Option<&Policy>,
    loaded: Loaded<'_>,
) -> Option<Vec<Rule>> {
    let document = source.document()?;
    let mut table = Table::new(document.get_ref(), 0);
    let currency_at = table.at("currency");
    let unit = table.required(source, "currency", CURRENCY, currency);
    let except = values(list(source, &mut table, "except", NAME, name));
    let mut claims = Claims::default();
    let rules = rules::parse(
        source,
        &mut table,
        unit.unwrap_or(Currency::USD),
        loaded,
        |source, at, id| claims.claim(source, at, &format!("the rule id `{id}`"), ""),
    );
    table.finish(source);
    if let (Some(unit), Some(policy)) = (unit, policy)
        && unit != policy.currency
        && !except.contains(&policy.category)
    {
        let (category, theirs) = (&policy.category, policy.currency);
        let message = format!(
            "`currency` is {unit}, and the amounts of `{category}` are in {theirs}; add \"{category}\" \
             to `except`, and repeat there the rules that hold for it"
        );
        source.report(currency_at, message);
    }
    rules
}

/// Whether a rule concerns the expenses of a category: a cap over some categories does not concern
/// others.
fn adds_up(rule: &Rule, category: &str) -> bool {
    match &rule.kind {
        RuleKind::Cap { counter, .. } => {
            counter.over.is_empty() || counter.over.iter().any(|name| name == category)
        }
        _ => true,
    }
}
