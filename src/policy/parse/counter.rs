//! Parses what a cap adds up: the keys `per`, `begins`, `over` and `by` of a rule, and what that has to
//! know of the other files. The rest of a rule is parsed in `rules`.

use std::collections::BTreeSet;

use jiff::civil::Date;
use strum::VariantNames as _;
use toml::de::{DeTable, DeValue};

use crate::domain::counter::{By, Counter, YearStart};
use crate::domain::money::Currency;
use crate::domain::ruling::Window;
use crate::policy::places::PlaceTables;
use crate::toml_reader::Source;
use crate::toml_reader::table::Table;
use crate::toml_reader::values::{currency, date, name, one_of};

/// The windows of caps; [`Window::Merchant`] is for split purchases only.
const CAPPED: [Window; 7] = [
    Window::Expense,
    Window::Day,
    Window::Week,
    Window::Month,
    Window::Quarter,
    Window::Trip,
    Window::Year,
];
/// The default of `by`.
const EMPLOYEE: &str = "employee";
const YEAR_START: &str = "month and day, such as \"04-06\", but not \"02-29\"";

/// The head of a policy file, which other files need to know.
pub(super) struct Head {
    pub(super) category: String,
    currency: Currency,
    effective_from: Date,
    effective_to: Option<Date>,
}

impl Head {
    /// The head of a file, if that much of it can be parsed.
    pub(super) fn of(text: &str) -> Option<Self> {
        let document = DeTable::parse(text).ok()?;
        let value = |key: &str| document.get_ref().get(key).map(|value| value.get_ref());
        let effective_to = match value("effective_to") {
            Some(last) => Some(date(last)?),
            None => None,
        };
        Some(Self {
            category: name(value("category")?.as_str()?)?,
            currency: currency(value("currency")?)?,
            effective_from: date(value("effective_from")?)?,
            effective_to,
        })
    }

    /// Whether two files are in force on the same day at some time.
    fn overlaps(&self, other: &Self) -> bool {
        let ends_before = |one: &Self, other: &Self| {
            one.effective_to
                .is_some_and(|last| last < other.effective_from)
        };
        !ends_before(self, other) && !ends_before(other, self)
    }
}

/// What other files need to know of the common rules.
#[derive(Debug, Default)]
pub(super) struct CommonHead {
    /// The ids of the rules: a policy may have a rule with such an id, which replaces the common one.
    ids: BTreeSet<String>,
    /// The categories in which the rules do not hold.
    except: BTreeSet<String>,
}

impl CommonHead {
    /// The head of a file, as far as it can be parsed.
    pub(super) fn of(text: Option<&str>) -> Self {
        let Some(document) = text.and_then(|text| DeTable::parse(text).ok()) else {
            return Self::default();
        };
        let list = |key: &str| {
            let entries = document.get_ref().get(key)?.get_ref().as_array()?;
            Some(entries.iter().map(|entry| entry.get_ref()))
        };
        let id = |rule: &DeValue<'_>| {
            rule.as_table()?
                .get("id")?
                .get_ref()
                .as_str()
                .map(str::to_owned)
        };
        let name = |entry: &DeValue<'_>| entry.as_str().map(str::to_owned);
        Self {
            ids: list("rule").into_iter().flatten().filter_map(id).collect(),
            except: list("except")
                .into_iter()
                .flatten()
                .filter_map(name)
                .collect(),
        }
    }

    /// Whether a common rule has this id.
    pub(super) fn has(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    /// Whether the common rules hold in a category.
    pub(super) fn hold_in(&self, category: &str) -> bool {
        !self.except.contains(category)
    }
}

/// The policies that are loaded together, and which of them is being parsed.
#[derive(Clone, Copy)]
pub(super) struct Loaded<'a> {
    pub(super) all: &'a [Option<Head>],
    /// The head of the file; `None` if it has mistakes, which are then reported.
    pub(super) own: Option<&'a Head>,
    /// The tables that rules may name.
    pub(super) tables: &'a PlaceTables,
    /// The common rules beside these policies.
    pub(super) common: &'a CommonHead,
    /// Whether it is the common rules that are being parsed, as rules of the policy.
    pub(super) is_common: bool,
}

impl Loaded<'_> {
    fn heads(&self) -> impl Iterator<Item = &Head> {
        self.all.iter().flatten()
    }

    /// Their categories without this one.
    pub(super) fn categories_but(&self, category: &str) -> Vec<&str> {
        let categories = self.categories().into_iter();
        categories.filter(|name| *name != category).collect()
    }

    fn categories(&self) -> BTreeSet<&str> {
        self.heads().map(|head| head.category.as_str()).collect()
    }
}

pub(super) fn parse_counter(
    source: &mut Source<'_>,
    table: &mut Table<'_, '_>,
    loaded: Loaded<'_>,
) -> Option<Counter> {
    let [begins_at, over_at, by_at] = ["begins", "over", "by"].map(|key| table.at(key));
    let per = table.required(source, "per", &one_of(&CAPPED.map(<&str>::from)), window);
    let begins = table.optional(source, "begins", YEAR_START, |value| {
        value.as_str()?.parse::<YearStart>().ok()
    });
    let over = parse_over(source, table, loaded);
    let accepted = format!("\"{EMPLOYEE}\", or {}", one_of(By::VARIANTS));
    let by = table.optional(source, "by", &accepted, |value| match value.as_str()? {
        EMPLOYEE => Some(None),
        other => other.parse::<By>().ok().map(Some),
    });
    let (per, begins, over, by) = (per?, begins?, over?, by?.flatten());
    if by.is_some() && matches!(per, Window::Expense | Window::Trip) {
        let message = format!(
            "`by` adds up the expenses of several people, and `per` is \"{per}\"; remove `by`, or write \
             another window"
        );
        source.report(by_at, message);
    }
    if begins.is_some() && per != Window::Year {
        let message = "`begins` is for `per = \"year\"` only; remove it".to_owned();
        source.report(begins_at, message);
    }
    if !over.is_empty() && per == Window::Expense {
        let message =
            "`over` adds up several expenses, and `per` is \"expense\"; remove `over`, or \
                       write another window"
                .to_owned();
        source.report(over_at, message);
    }
    Some(Counter {
        per,
        begins: begins.filter(|start| !start.is_new_year()),
        over,
        by,
    })
}

fn window(value: &DeValue<'_>) -> Option<Window> {
    let window = value.as_str()?.parse().ok()?;
    CAPPED.contains(&window).then_some(window)
}

/// The categories of `over`; empty if that is the category of the file alone.
fn parse_over(
    source: &mut Source<'_>,
    table: &mut Table<'_, '_>,
    loaded: Loaded<'_>,
) -> Option<Vec<String>> {
    let at = table.at("over");
    // Common rules do not count what they do not hold for.
    let mut known: Vec<&str> = loaded.categories().into_iter().collect();
    known.retain(|category| !loaded.is_common || loaded.common.hold_in(category));
    let accepted = format!(
        "\"all\", or a list with some of \"{}\"",
        known.join("\", \"")
    );
    let categories = table.optional(source, "over", &accepted, |value| {
        if value.as_str() == Some("all") {
            return Some(known.iter().map(|&name| name.to_owned()).collect());
        }
        let names = value.as_array().filter(|names| !names.is_empty())?;
        let names = names.iter().map(|name| {
            let name = name.get_ref().as_str()?;
            known.contains(&name).then(|| name.to_owned())
        });
        names.collect::<Option<BTreeSet<String>>>()
    })?;
    let (Some(mut categories), Some(own)) = (categories, loaded.own) else {
        return Some(Vec::new());
    };
    let is_own = categories.contains(&own.category);
    if loaded.is_common && !is_own {
        // The rule does not hold in this category.
        return Some(categories.into_iter().collect());
    }
    if !is_own {
        let message = format!(
            "`over` leaves out `{}`, the category of this file; add it",
            own.category
        );
        source.report(at, message);
    }
    let foreign = loaded.heads().find(|head| {
        categories.contains(&head.category) && head.currency != own.currency && head.overlaps(own)
    });
    if let Some(foreign) = foreign {
        let message = format!(
            "`over` adds up `{}`, whose amounts are in {}, while those of this file are in {}; \
             list only categories in {}",
            foreign.category, foreign.currency, own.currency, own.currency
        );
        source.report(at, message);
    }
    if categories.len() == 1 {
        categories.clear();
    }
    Some(categories.into_iter().collect())
}
