//! Rules that are valid but doubtful. Some can never matter, because another rule of the policy always
//! says as much or because their own keys contradict each other; others can be avoided by leaving out a
//! fact. `policies check` warns of them: most often somebody changed one amount and forgot another.

use std::collections::BTreeSet;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::domain::approvers::ApprovedBy;
use crate::domain::counter::Counter;
use crate::domain::facts::FactName;
use crate::domain::ruling::Window;
use crate::policy::Policy;
use crate::policy::condition::{Aspect, Conditions, Listed};
use crate::policy::effect::Effect;
use crate::policy::rule::{ReceiptForm, Rule, RuleKind};

/// A rule that is in doubt, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The id of the rule.
    pub rule: String,
    /// What is doubtful, and what to write.
    pub message: String,
}

/// The rules of a policy that are in doubt.
pub fn warnings(policy: &Policy) -> Vec<Warning> {
    let rules = &policy.rules;
    let mut warnings = Vec::new();
    for (n_rule, rule) in rules.iter().enumerate() {
        let others = rules.iter().enumerate();
        let others = others.filter(|(n_other, _)| *n_other != n_rule);
        let hidden = others.map(|(n_other, other)| {
            // Of two rules that say the same, the second is in doubt.
            let is_mutual = hidden_by(other, rule).is_some() && n_rule < n_other;
            hidden_by(rule, other).filter(|_| !is_mutual)
        });
        let messages = hidden.flatten().next().into_iter();
        let messages = messages
            .chain(contradiction(&rule.conditions))
            .chain(escape(rule, rules))
            .chain(disarmed(rule))
            .chain(swallows(rule));
        warnings.extend(messages.map(|message| Warning {
            rule: rule.id.clone(),
            message,
        }));
    }
    warnings
}

/// The categories in `except` of a file of common rules that do not exist, with the line and why that
/// is doubtful.
pub fn unknown_excepted(text: &str, categories: &BTreeSet<&str>) -> Option<(usize, String)> {
    let document = DeTable::parse(text).ok()?;
    let excepted = document.get_ref().get("except")?.get_ref().as_array()?;
    let is_unknown = |name: &&Spanned<DeValue<'_>>| {
        let name = name.get_ref().as_str();
        name.is_some_and(|name| !categories.contains(name))
    };
    let unknown = excepted.iter().find(is_unknown)?;
    let name = unknown.get_ref().as_str()?;
    let message = format!("`except` names `{name}`, which is no category; correct or remove it");
    Some((line(text, unknown.span().start)?, message))
}

/// The line of a rule in a file of the policy, or of common rules; `None` if the file is another one or
/// does not have the rule.
pub fn line_of_rule(text: &str, policy: &Policy, id: &str) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let file = document.get_ref();
    let key = |key: &str| file.get(key).and_then(|value| value.get_ref().as_str());
    let is_of_policy = |category: &str| {
        category == policy.category
            && key("effective_from") == Some(policy.effective_from.to_string().as_str())
    };
    if !key("category").is_none_or(is_of_policy) {
        return None;
    }
    let has_id = |rule: &&Spanned<DeValue<'_>>| {
        let rule = rule.get_ref().as_table();
        rule.and_then(|rule| rule.get("id")?.get_ref().as_str()) == Some(id)
    };
    let rule = file
        .get("rule")?
        .get_ref()
        .as_array()?
        .iter()
        .find(has_id)?;
    line(text, rule.span().start)
}

/// The line of an offset, from 1.
fn line(text: &str, offset: usize) -> Option<usize> {
    Some(1 + text.get(..offset)?.matches('\n').count())
}

/// Why a rule never matters beside another one; `None` if it may.
fn hidden_by(rule: &Rule, other: &Rule) -> Option<String> {
    let holds = other.conditions.is_empty() || other.conditions == rule.conditions;
    if !holds {
        return None;
    }
    if is_no_weaker(other, rule)
        && let Some(message) = says_no_more(rule, other)
    {
        return Some(message);
    }
    let id = &other.id;
    match (&rule.kind, &other.kind) {
        // An amount that a cap denies anyway need not be asked about, unless the cap is set aside.
        (
            RuleKind::Approval { above, .. }
            | RuleKind::Receipt { above, .. }
            | RuleKind::Required { above, .. },
            RuleKind::Cap {
                max,
                per_unit: None,
                counter,
            },
        ) if counter.by.is_none() && max <= above && other.exception.is_none() => Some(format!(
            "never asks: what is above {above} is denied by `{id}`, whose limit is {max}; lower one, or \
             raise the other"
        )),
        _ => None,
    }
}

/// Why a rule says no more than another one, which leads to as much wherever the rule holds.
fn says_no_more(rule: &Rule, other: &Rule) -> Option<String> {
    use RuleKind::{
        Advance, Approval, ApprovalAlways, BlockedMcc, BlockedMerchant, Cap, Duplicate, Future,
        MaxAge, Receipt, Required,
    };
    let is_included = match (&rule.kind, &other.kind) {
        (Cap { .. }, Cap { .. }) => is_higher_cap(&rule.kind, &other.kind),
        (Approval { above, .. }, Approval { above: least, .. }) => least <= above,
        (Approval { .. } | ApprovalAlways { .. }, ApprovalAlways { .. }) => true,
        (
            Receipt { above, form, .. },
            Receipt {
                above: least,
                form: other_form,
                ..
            },
        ) => least <= above && (form == other_form || *other_form == ReceiptForm::Itemized),
        (
            Required { above, facts, .. },
            Required {
                above: least,
                facts: all,
                ..
            },
        ) => least <= above && facts.iter().all(|fact| all.contains(fact)),
        (MaxAge { days, .. }, MaxAge { days: fewest, .. })
        | (Future { days }, Future { days: fewest }) => fewest <= days,
        (Advance { days, .. }, Advance { days: most, .. }) => days <= most,
        (Duplicate { score, .. }, Duplicate { score: least, .. }) => least <= score,
        (BlockedMcc { mcc }, BlockedMcc { mcc: all }) => mcc.iter().all(|one| all.contains(one)),
        (BlockedMerchant { merchant }, BlockedMerchant { merchant: all }) => {
            merchant.iter().all(|one| all.contains(one))
        }
        _ => false,
    };
    let id = &other.id;
    is_included.then(|| {
        format!("changes nothing: `{id}` says as much for every expense; change or remove one")
    })
}

/// Whether a cap allows all that another one allows.
fn is_higher_cap(cap: &RuleKind, other: &RuleKind) -> bool {
    let (
        RuleKind::Cap {
            counter,
            max,
            per_unit,
        },
        RuleKind::Cap {
            counter: wider,
            max: least,
            per_unit: other_unit,
        },
    ) = (cap, other)
    else {
        return false;
    };
    let is_unit_included = match (per_unit, other_unit) {
        (None, None) => true,
        (Some(one), Some(other)) => {
            one.unit == other.unit && other.most.unwrap_or(u16::MAX) <= one.most.unwrap_or(u16::MAX)
        }
        _ => false,
    };
    is_unit_included && includes(wider, counter) && least <= max
}

/// Why the tolerance of a rule makes its plans pointless.
fn swallows(rule: &Rule) -> Option<String> {
    let RuleKind::Preapproved {
        above, tolerance, ..
    } = &rule.kind
    else {
        return None;
    };
    let is_larger = !above.is_zero() && tolerance > above;
    is_larger.then(|| {
        format!(
            "needs a plan above {above}, and its tolerance of {tolerance} is larger: a plan of any amount \
             would do; lower the tolerance"
        )
    })
}

/// Whether another rule leads to as much as a rule. A rule that denies may be set aside.
fn is_no_weaker(other: &Rule, rule: &Rule) -> bool {
    match (other.kind.effect(), rule.kind.effect()) {
        (Effect::Asks(ApprovedBy::Role(role)), Effect::Asks(ApprovedBy::Role(of_rule))) => {
            of_rule <= role
        }
        // Roles in a row add up.
        (Effect::Asks(roles), Effect::Asks(of_rule)) => of_rule == roles,
        (Effect::Asks(_), Effect::Denied) => false,
        (Effect::Denied, Effect::Asks(_)) => other.exception.is_none(),
        (Effect::Denied, Effect::Denied) => match (other.exception, rule.exception) {
            (None, _) => true,
            (Some(_), None) => false,
            // Whoever sets the other rule aside sets this one aside too.
            (Some(role), Some(of_rule)) => of_rule <= role,
        },
    }
}

/// Whether a counter adds up everything that another one adds up, and maybe more.
fn includes(wider: &Counter, counter: &Counter) -> bool {
    let is_over = wider.over == counter.over || counter.over.is_empty();
    let is_by = wider.by == counter.by;
    let is_longer = match (counter.per, wider.per) {
        (Window::Expense, _) => true,
        (one, other) if one == other => wider.begins == counter.begins,
        (Window::Day, Window::Week | Window::Month | Window::Quarter | Window::Year) => true,
        (Window::Month, Window::Quarter) => true,
        (Window::Month | Window::Quarter, Window::Year) => wider.begins.is_none(),
        _ => false,
    };
    is_over && is_by && is_longer
}

/// Why a rule never holds: whatever is in `when` is also in `unless`.
fn contradiction(conditions: &Conditions) -> Option<String> {
    let excludes = |(aspect, excluded): (&Aspect, &Listed)| {
        let listed = conditions.when.get(aspect);
        listed.is_some_and(|listed| is_within(listed, excluded))
    };
    let never = !conditions.unless.is_empty() && conditions.unless.iter().all(excludes);
    never.then(|| "never holds: `unless` excludes all that `when` lists; change one".to_owned())
}

fn is_within(listed: &Listed, all: &Listed) -> bool {
    match (listed, all) {
        (Listed::Words(listed), Listed::Words(all)) => listed.iter().all(|one| all.contains(one)),
        (Listed::Phrases(listed), Listed::Phrases(all)) => {
            listed.iter().all(|one| all.contains(one))
        }
        _ => false,
    }
}

/// Why a rule is easily avoided: an expense that leaves out a fact in `when` is in no list. An
/// expense need not leave it out if another rule asks for it, or holds for all the rest.
fn escape(rule: &Rule, rules: &[Rule]) -> Option<String> {
    let asked: BTreeSet<FactName> = rules
        .iter()
        .filter(|other| other.id != rule.id)
        .flat_map(asked_by)
        .chain(asked_by(rule))
        .collect();
    let is_complement = |other: &Rule| {
        other.conditions.unless == rule.conditions.when
            && std::mem::discriminant(&other.kind) == std::mem::discriminant(&rule.kind)
    };
    if rules.iter().any(is_complement) {
        return None;
    }
    let fact = rule
        .conditions
        .when
        .keys()
        .find_map(|aspect| match aspect {
            // The group comes from the key or from a table, not from the expense.
            Aspect::Fact(FactName::EmployeeGroup) | Aspect::Weekday(_) => None,
            Aspect::Fact(name) => (!asked.contains(name)).then_some(*name),
        })?;
    Some(format!(
        "does not hold for an expense that leaves out `{fact}`, which no rule asks for; add a rule of the \
         kind `required`, or use `unless`"
    ))
}

/// The facts without which a rule asks somebody.
fn asked_by(rule: &Rule) -> BTreeSet<FactName> {
    match &rule.kind {
        RuleKind::Required { facts, .. } => facts.iter().copied().collect(),
        RuleKind::Cap { .. } | RuleKind::Allowance(_) | RuleKind::Advance { .. } => {
            let conditions: BTreeSet<_> = rule.conditions.facts().collect();
            rule.facts().difference(&conditions).copied().collect()
        }
        _ => BTreeSet::new(),
    }
}

/// Which blocked words never count.
fn disarmed(rule: &Rule) -> Option<String> {
    let RuleKind::BlockedWords { words, but, .. } = &rule.kind else {
        return None;
    };
    let word = words.iter().find(|word| but.contains(word))?;
    Some(format!(
        "never finds \"{word}\": `but` allows the same phrase; remove it from one of the two"
    ))
}
