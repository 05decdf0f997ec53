//! The kinds of rules, with the keys of each.

use rust_decimal::Decimal;
use strum::VariantNames;
use toml::de::DeValue;

use crate::domain::approvers::ApprovedBy;
use crate::domain::counter::Counter;
use crate::domain::facts::FactName;
use crate::domain::money::{self, Currency};
use crate::domain::ruling::{Role, Ruling, Window};
use crate::policy::effect::{ChosenEffect, Effect};
use crate::policy::mcc::Codes;
use crate::policy::parse::allowance::parse_allowance;
use crate::policy::parse::counter::{Loaded, parse_counter};
use crate::policy::parse::{CODES, PHRASE};
use crate::policy::phrase::Phrase;
use crate::policy::rule::{KindName, ReceiptForm, RuleKind};
use crate::policy::unit::{PerUnit, Unit};
use crate::toml_reader::Source;
use crate::toml_reader::table::{Table, filled_list, list, values};
use crate::toml_reader::values::one_of;

/// What a broken rule may lead to.
const EFFECTS: [&str; 2] = ["denied", "needs_approval"];
const ROLES: &str = "two or more of \"manager\", \"director\", \"vp\" and \"cfo\", each once, from the lowest to the highest";
const SCORE: &str = "a similarity above 0 and up to 1 with one decimal, such as \"0.8\"";
const DAYS: &str = "a number of days from 0 to 9999, without quotes";

/// Parses the key `kind` and the keys that belong to the kind.
pub(super) fn parse_kind(
    source: &mut Source<'_>,
    table: &mut Table<'_, '_>,
    currency: Currency,
    loaded: Loaded<'_>,
) -> Option<RuleKind> {
    let kind = table.required(source, "kind", &one_of(KindName::VARIANTS), |value| {
        value.as_str()?.parse::<KindName>().ok()
    });
    match kind? {
        KindName::Cap if table.has("unit") => unit_cap(source, table, currency),
        KindName::Cap => cap(source, table, currency, loaded),
        KindName::Allowance => {
            parse_allowance(source, table, currency, loaded.tables).map(RuleKind::Allowance)
        }
        KindName::Approval => approval(source, table, currency),
        KindName::ApprovalAlways => {
            approved_by(source, table).map(|by| RuleKind::ApprovalAlways { by })
        }
        KindName::Preapproved => preapproved(source, table, currency),
        KindName::Receipt => receipt(source, table, currency),
        KindName::Required => required(source, table, currency),
        KindName::Split => split(source, table, currency),
        KindName::Duplicate => duplicate(source, table),
        KindName::MaxAge => max_age(source, table),
        KindName::Future => {
            let days = table
                .optional(source, "days", DAYS, days)?
                .unwrap_or_default();
            Some(RuleKind::Future { days })
        }
        KindName::BlockedMcc => codes(source, table).map(|mcc| RuleKind::BlockedMcc { mcc }),
        KindName::BlockedMerchant => {
            merchants(source, table).map(|merchant| RuleKind::BlockedMerchant { merchant })
        }
        KindName::BlockedWords => blocked_words(source, table),
        KindName::AllowedMcc => codes(source, table).map(|mcc| RuleKind::AllowedMcc { mcc }),
        KindName::AllowedMerchant => {
            merchants(source, table).map(|merchant| RuleKind::AllowedMerchant { merchant })
        }
        KindName::Advance => advance(source, table),
    }
}

// In each of these, every key is read before the first `?`, so that one wrong key does not hide
// another.

fn cap(
    source: &mut Source<'_>,
    table: &mut Table<'_, '_>,
    currency: Currency,
    loaded: Loaded<'_>,
) -> Option<RuleKind> {
    let counter = parse_counter(source, table, loaded);
    let max = table.amount(source, "max", currency);
    Some(RuleKind::Cap {
        counter: counter?,
        max: max?,
        per_unit: None,
    })
}

fn approval(
    source: &mut Source<'_>,
    table: &mut Table<'_, '_>,
    currency: Currency,
) -> Option<RuleKind> {
    let above = table.amount(source, "above", currency);
    Some(RuleKind::Approval {
        by: approved_by(source, table)?,
        above: above?,
    })
}

fn preapproved(
    source: &mut Source<'_>,
    table: &mut Table<'_, '_>,
    currency: Currency,
) -> Option<RuleKind> {
    let above = table.optional_amount(source, "above", currency);
    let tolerance = table.optional_amount(source, "tolerance", currency);
    Some(RuleKind::Preapproved {
        by: approved_by(source, table)?,
        above: above?.unwrap_or_default(),
        tolerance: tolerance?.unwrap_or_default(),
    })
}

fn receipt(
    source: &mut Source<'_>,
    table: &mut Table<'_, '_>,
    currency: Currency,
) -> Option<RuleKind> {
    let above = table.amount(source, "above", currency);
    let forms = one_of(ReceiptForm::VARIANTS);
    let form = table.optional(source, "form", &forms, |form| form.as_str()?.parse().ok());
    Some(RuleKind::Receipt {
        effect: effect(source, table, RuleKind::LACKING)?,
        above: above?,
        form: form?.unwrap_or_default(),
    })
}

fn required(
    source: &mut Source<'_>,
    table: &mut Table<'_, '_>,
    currency: Currency,
) -> Option<RuleKind> {
    let names = one_of(FactName::VARIANTS);
    let facts = filled_list(source, table, "facts", &names, |fact| fact.parse().ok());
    let above = table.optional_amount(source, "above", currency);
    Some(RuleKind::Required {
        effect: effect(source, table, RuleKind::LACKING)?,
        facts: facts?,
        above: above?.unwrap_or_default(),
    })
}

fn split(
    source: &mut Source<'_>,
    table: &mut Table<'_, '_>,
    currency: Currency,
) -> Option<RuleKind> {
    let days = table.required(source, "days", DAYS, days);
    let limit = table.amount(source, "limit", currency);
    Some(RuleKind::Split {
        role: approver(source, table)?,
        days: days?,
        limit: limit?,
    })
}

fn duplicate(source: &mut Source<'_>, table: &mut Table<'_, '_>) -> Option<RuleKind> {
    let score = table.required(source, "score", SCORE, score);
    Some(RuleKind::Duplicate {
        effect: effect(source, table, RuleKind::LACKING)?,
        score: score?,
    })
}

fn max_age(source: &mut Source<'_>, table: &mut Table<'_, '_>) -> Option<RuleKind> {
    let days = table.required(source, "days", DAYS, days);
    Some(RuleKind::MaxAge {
        effect: effect(source, table, Effect::Denied)?,
        days: days?,
    })
}

fn blocked_words(source: &mut Source<'_>, table: &mut Table<'_, '_>) -> Option<RuleKind> {
    let words = filled_list(source, table, "words", PHRASE, Phrase::parse);
    let but = values(list(source, table, "but", PHRASE, Phrase::parse));
    Some(RuleKind::BlockedWords {
        effect: effect(source, table, Effect::Denied)?,
        words: words?,
        but,
    })
}

fn advance(source: &mut Source<'_>, table: &mut Table<'_, '_>) -> Option<RuleKind> {
    let days = table.required(source, "days", DAYS, days);
    Some(RuleKind::Advance {
        role: approver(source, table)?,
        days: days?,
    })
}

fn codes(source: &mut Source<'_>, table: &mut Table<'_, '_>) -> Option<Vec<Codes>> {
    filled_list(source, table, "mcc", CODES, Codes::parse)
}

fn merchants(source: &mut Source<'_>, table: &mut Table<'_, '_>) -> Option<Vec<Phrase>> {
    filled_list(source, table, "merchant", PHRASE, Phrase::parse)
}

fn approver(source: &mut Source<'_>, table: &mut Table<'_, '_>) -> Option<Role> {
    table.required(source, "role", &one_of(Role::VARIANTS), role)
}

/// A cap for each person, night or distance. It is always a cap on one expense.
fn unit_cap(
    source: &mut Source<'_>,
    table: &mut Table<'_, '_>,
    currency: Currency,
) -> Option<RuleKind> {
    let unit = table.required(source, "unit", &one_of(Unit::VARIANTS), |unit| {
        unit.as_str()?.parse::<Unit>().ok()
    });
    // When the unit itself is wrong, a `max` with the decimals of a distance is no second mistake.
    let unit_or_distance = unit.unwrap_or(Unit::Km);
    let decimals = unit_or_distance.decimals(currency.minor_digits());
    let accepted = format!("a decimal with at most {decimals} decimals, in quotes");
    let max = table.decimal(source, "max", decimals, &accepted);
    let most = table.optional(source, "most", "a whole number from 1 to 999", |most| {
        days(most).filter(|most| (1..=999).contains(most))
    });
    let only = "\"expense\", or leave it out: a cap with `unit` is for one expense";
    table.optional(source, "per", only, |per| {
        (per.as_str()? == "expense").then_some(())
    })?;
    Some(RuleKind::Cap {
        counter: Counter::per(Window::Expense),
        max: max?,
        per_unit: Some(PerUnit {
            unit: unit?,
            most: most?,
        }),
    })
}

/// Whom a rule asks: `role`, or `roles` that approve one after the other.
fn approved_by(source: &mut Source<'_>, table: &mut Table<'_, '_>) -> Option<ApprovedBy> {
    let at = table.at("roles");
    let role = table.optional(source, "role", &one_of(Role::VARIANTS), role);
    let roles = table.optional(source, "roles", ROLES, roles);
    let message = match (role?, roles?) {
        (Some(role), None) => return Some(ApprovedBy::Role(role)),
        (None, Some(roles)) => return Some(ApprovedBy::Roles(roles)),
        (None, None) => format!("`role` is missing; write {}", one_of(Role::VARIANTS)),
        (Some(_), Some(_)) => {
            "`role` and `roles` are both given; write `role` for one person, or `roles` for several in a row".to_owned()
        }
    };
    source.report(at, message);
    None
}

/// What the file says of the effect of a rule whose kind has an effect of its own: `effect`, `role`
/// or both. With `role` alone, that role has to approve.
fn effect(source: &mut Source<'_>, table: &mut Table<'_, '_>, own: Effect) -> Option<ChosenEffect> {
    let (effect_at, role_at) = (table.at("effect"), table.at("role"));
    let ruling = table.optional(source, "effect", &one_of(&EFFECTS), |effect| {
        let effect = effect.as_str()?;
        EFFECTS.contains(&effect).then(|| effect.parse().ok())?
    });
    let role = table.optional(source, "role", &one_of(Role::VARIANTS), role);
    let chosen = match (ruling?, role?) {
        (Some(Ruling::Denied), Some(_)) => {
            let message = "`role` is for a rule that asks; this rule denies, so remove `role`, or write `exception` \
                           for the role that may set the rule aside";
            source.report(role_at, message.to_owned());
            return None;
        }
        (Some(Ruling::Denied), None) => Effect::Denied,
        (_, Some(role)) => Effect::Asks(ApprovedBy::Role(role)),
        (Some(_), None) if own == Effect::Denied => {
            let roles = one_of(Role::VARIANTS);
            source.report(
                effect_at,
                format!("`role` is missing: who has to approve? write {roles}"),
            );
            return None;
        }
        (_, None) => own.clone(),
    };
    Some(ChosenEffect::new(&chosen, &own))
}

/// A role by its name.
pub(super) fn role(value: &DeValue<'_>) -> Option<Role> {
    value.as_str()?.parse().ok()
}

/// Two roles or more, from the lowest to the highest.
fn roles(value: &DeValue<'_>) -> Option<Vec<Role>> {
    let values = value.as_array()?.iter();
    let roles: Option<Vec<Role>> = values.map(|value| role(value.get_ref())).collect();
    roles.filter(|roles| roles.len() > 1 && roles.is_sorted_by(|lower, higher| lower < higher))
}

/// A similarity of two expenses; zero would be that of any two.
fn score(value: &DeValue<'_>) -> Option<Decimal> {
    let score = money::parse_amount(value.as_str()?, 1).ok()?;
    (score > Decimal::ZERO && score <= Decimal::ONE).then_some(score)
}

fn days(value: &DeValue<'_>) -> Option<u16> {
    value
        .as_integer()?
        .to_string()
        .parse()
        .ok()
        .filter(|days| *days <= 9999)
}
