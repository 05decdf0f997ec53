//! The rules of a policy file: what all of them have, whatever their kind.

use strum::VariantNames;

use crate::domain::money::Currency;
use crate::domain::ruling::Role;
use crate::policy::effect::Effect;
use crate::policy::parse::counter::Loaded;
use crate::policy::parse::kinds::{parse_kind, role};
use crate::policy::parse::{NAME, conditions};
use crate::policy::rule::Rule;
use crate::toml_reader::Source;
use crate::toml_reader::table::Table;
use crate::toml_reader::values::{TEXT, filled_text, name, one_of};

/// Parses the rules; `claim_id` is told each id, to find one that occurs twice.
pub(super) fn parse(
    source: &mut Source<'_>,
    table: &mut Table<'_, '_>,
    currency: Currency,
    loaded: Loaded<'_>,
    mut claim_id: impl FnMut(&mut Source<'_>, usize, &str),
) -> Option<Vec<Rule>> {
    table.tables(source, "rule", |source, table, at| {
        let id = table.required(source, "id", NAME, |value| name(value.as_str()?));
        let kind = parse_kind(source, table, currency, loaded);
        let text = table.required(source, "text", TEXT, filled_text);
        let exception = table.optional(source, "exception", &one_of(Role::VARIANTS), role);
        let conditions = conditions::parse(source, table);
        if let Some(id) = &id {
            claim_id(source, at, id);
        }
        if exception.is_some_and(|role| role.is_some())
            && kind.as_ref().is_some_and(|kind| kind.effect() != Effect::Denied)
        {
            source.report(
                at,
                "`exception` is for rules that deny; this rule already asks a role to approve, so remove it"
                    .to_owned(),
            );
        }
        Some(Rule {
            id: id?,
            kind: kind?,
            text: text?,
            exception: exception?,
            conditions: conditions?,
        })
    })
}
