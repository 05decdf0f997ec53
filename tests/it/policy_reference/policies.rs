//! Random folders of valid policies, as text.

use std::fmt;

use super::chance::Chance;
use super::rules::{CATEGORIES, Rules, money};

/// The files of a folder.
#[derive(Debug)]
pub(super) struct Files {
    /// The policies.
    pub(super) policies: Vec<(String, String)>,
    /// `tables/places.toml`.
    pub(super) places: String,
    /// `tables/rates.toml`.
    pub(super) rates: String,
}

impl fmt::Display for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, text) in &self.policies {
            writeln!(f, "--- {name}\n{text}")?;
        }
        write!(
            f,
            "--- places.toml\n{}\n--- rates.toml\n{}",
            self.places, self.rates
        )
    }
}

/// A folder of policies.
pub(super) fn folder(chance: &mut Chance) -> Files {
    let home = chance.pick(&["USD", "EUR", "JPY", "KWD"]);
    let away = chance.pick(&[home, home, "GBP"]);
    let currencies = [home, home, away];
    let mut policies = Vec::new();
    for (n, category) in CATEGORIES.into_iter().enumerate() {
        let siblings: Vec<&str> = (0..CATEGORIES.len())
            .filter(|other| currencies[*other] == currencies[n])
            .map(|other| CATEGORIES[other])
            .collect();
        // One version, one after the other, or one that replaces the other before its end.
        let versions: &[&str] = match chance.below(4) {
            0 => &[
                "effective_from = \"2020-01-01\"\neffective_to = \"2026-03-31\"",
                "effective_from = \"2026-04-01\"",
            ],
            1 => &[
                "effective_from = \"2020-01-01\"",
                "effective_from = \"2026-03-30\"\neffective_to = \"2026-12-31\"",
            ],
            _ => &["effective_from = \"2020-01-01\""],
        };
        for (version, days) in versions.iter().enumerate() {
            let mut rules = Rules {
                chance,
                currency: currencies[n],
                siblings: &siblings,
                category,
                may_say_all: siblings.len() == CATEGORIES.len(),
            };
            let mut text = format!(
                "category = \"{category}\"\nversion = \"{version}\"\n{days}\ncurrency = \"{}\"\n\
                 uncorroborated_limit = \"{}\"\ntext = \"What may be bought.\"\n",
                currencies[n],
                rules.amount(),
            );
            for rule in 0..=rules.chance.below(8) {
                text += &rules.rule(&format!("{category}-{version}-{rule}"));
            }
            policies.push((format!("{category}-{version}.toml"), text));
        }
    }
    if chance.percent(40) {
        policies.push(("common.toml".to_owned(), common(chance, home, &currencies)));
    }
    Files {
        policies,
        places: places(chance, home),
        rates: rates(chance),
    }
}

/// Rules of every category in the first currency, some of which a policy replaces.
fn common(chance: &mut Chance, home: &'static str, currencies: &[&str]) -> String {
    let categories = CATEGORIES.into_iter().zip(currencies);
    let (own, mut except): (Vec<&str>, Vec<&str>) = {
        let (own, others): (Vec<_>, Vec<_>) =
            categories.partition(|(_, currency)| **currency == home);
        (
            own.iter().map(|(name, _)| *name).collect(),
            others.iter().map(|(name, _)| *name).collect(),
        )
    };
    if own.len() > 1 && chance.percent(30) {
        except.push(own[1]);
    }
    let siblings: Vec<&str> = own
        .into_iter()
        .filter(|name| !except.contains(name))
        .collect();
    let mut text = format!("currency = \"{home}\"\n");
    if !except.is_empty() {
        text += &format!("except = [\"{}\"]\n", except.join("\", \""));
    }
    let mut rules = Rules {
        chance,
        currency: home,
        siblings: &siblings,
        category: siblings[0],
        may_say_all: true,
    };
    for n in 0..3 {
        // A policy replaces the rule that has the id of one of its own.
        let id = if n == 0 {
            "away-0-0".to_owned()
        } else {
            format!("common-{n}")
        };
        text += &rules.rule(&id);
    }
    text
}

fn places(chance: &mut Chance, currency: &str) -> String {
    let mut text = format!("currency = \"{currency}\"\n");
    let mut add = |place: &str, from: &str, full: i64| {
        let (full, part) = (money(full, currency), money(full / 2, currency));
        text += &format!(
            "[[place]]\nplace = \"{place}\"\neffective_from = \"{from}\"\nfull = \"{full}\"\npart = \"{part}\"\n"
        );
    };
    add("São Paulo", "2026-01-01", 4_601);
    add("LONDON", "2020-01-01", 6_667);
    add("london", "2026-04-01", 7_001);
    if chance.percent(60) {
        add("other", "2026-01-01", 2_800);
    }
    text
}

fn rates(chance: &mut Chance) -> String {
    let mut text = String::new();
    for from in ["USD", "EUR", "JPY", "KWD", "GBP"] {
        for to in ["USD", "EUR", "JPY", "KWD", "GBP"] {
            for day in ["2020-01-01", "2026-03-31"] {
                if from != to && chance.percent(60) {
                    let rate = chance.pick(&["1.0850", "0.0067", "0.3333333333", "154", "2"]);
                    text += &format!(
                        "[[rate]]\nfrom = \"{from}\"\nto = \"{to}\"\neffective_from = \"{day}\"\nrate = \"{rate}\"\n\
                         source = \"invented\"\n"
                    );
                }
            }
        }
    }
    text
}
