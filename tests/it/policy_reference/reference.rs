//! The slow reference: what the documentation of the policies says of an expense, told once more and
//! independently of the engine. It reads the files as plain TOML and the expense as plain JSON, and
//! shares only decimals and dates with the service.

use std::collections::BTreeSet;

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde_json::Value as Json;
use toml::Table;

use super::history::Earlier;
use super::periods;
use super::verdict::{Cap, Finding, Told};
use super::words;

/// What the reference is told.
pub(super) struct Question<'a> {
    /// The policy files of a folder, parsed.
    pub(super) files: &'a [Table],
    /// The rules of every category, parsed.
    pub(super) common: Option<&'a Table>,
    /// The table of places, parsed.
    pub(super) places: &'a Table,
    /// The table of exchange rates, parsed.
    pub(super) rates: &'a Table,
    /// The category of the expense.
    pub(super) category: &'a str,
    /// The day on which it is handed in.
    pub(super) today: Date,
    /// The expense, as the body of a request.
    pub(super) body: &'a Json,
    /// What was decided before.
    pub(super) history: &'a [Earlier],
}

pub(super) fn text<'t>(table: &'t Table, key: &str) -> Option<&'t str> {
    table.get(key)?.as_str()
}

pub(super) fn amount(table: &Table, key: &str) -> Option<Decimal> {
    text(table, key).map(|text| text.parse().unwrap())
}

pub(super) fn texts(table: &Table, key: &str) -> Vec<String> {
    let list = table.get(key).and_then(|list| list.as_array());
    let texts = list.into_iter().flatten();
    texts
        .map(|text| text.as_str().unwrap().to_owned())
        .collect()
}

pub(super) const ROLES: [&str; 4] = ["manager", "director", "vp", "cfo"];
/// What can be missing, in the order in which it is told.
const MISSING: [&str; 24] = [
    "receipt",
    "itemized_receipt",
    "merchant",
    "mcc",
    "attendees",
    "nights",
    "distance",
    "distance_unit",
    "place",
    "country",
    "class",
    "meal",
    "paid_by",
    "recurring",
    "employee_group",
    "purpose",
    "project",
    "cost_center",
    "department",
    "recipient",
    "travel_date",
    "meals_provided",
    "day",
    "receipt_url",
];

/// How many decimals amounts in a currency have.
pub(super) fn decimals(currency: &str) -> u32 {
    match currency {
        "JPY" => 0,
        "KWD" => 3,
        _ => 2,
    }
}

impl Question<'_> {
    pub(super) fn fact(&self, name: &str) -> Option<&str> {
        self.body.get(name)?.as_str()
    }

    pub(super) fn date(&self) -> Date {
        self.fact("date").unwrap().parse().unwrap()
    }

    /// The policy in force: of several the one that began last.
    pub(super) fn policy(&self) -> Option<&Table> {
        let mut found: Option<&Table> = None;
        for file in self.files {
            let day = |key| text(file, key).map(|day| day.parse::<Date>().unwrap());
            let from = day("effective_from").unwrap();
            let is_in_force =
                from <= self.date() && day("effective_to").is_none_or(|to| self.date() <= to);
            let is_later = found
                .is_none_or(|found| text(found, "effective_from") < text(file, "effective_from"));
            if text(file, "category") == Some(self.category) && is_in_force && is_later {
                found = Some(file);
            }
        }
        found
    }

    /// The latest entry of a table on the day of the expense.
    pub(super) fn latest<'t>(
        &self,
        entries: &'t Table,
        key: &str,
        fits: impl Fn(&Table) -> bool,
    ) -> Option<&'t Table> {
        let mut found: Option<(Date, &Table)> = None;
        for entry in entries.get(key)?.as_array()? {
            let entry = entry.as_table()?;
            let from: Date = text(entry, "effective_from")?.parse().unwrap();
            if fits(entry) && from <= self.date() && found.is_none_or(|(day, _)| day < from) {
                found = Some((from, entry));
            }
        }
        Some(found?.1)
    }

    /// The amount in the currency of the policy, rounded up.
    fn amount_in(&self, currency: &str) -> Option<Decimal> {
        let amount: Decimal = self.fact("amount")?.parse().unwrap();
        let own = self.fact("currency").unwrap();
        let mut converted = amount;
        if own != currency {
            let is_pair = |rate: &Table| {
                text(rate, "from") == Some(own) && text(rate, "to") == Some(currency)
            };
            let rate = self.latest(self.rates, "rate", is_pair)?;
            converted = rounded_up(
                amount * text(rate, "rate")?.parse::<Decimal>().unwrap(),
                decimals(currency),
            );
        }
        converted.rescale(decimals(currency));
        Some(converted)
    }

    /// The rules of a policy, and those of every category that it does not replace.
    pub(super) fn rules<'t>(&'t self, policy: &'t Table) -> Vec<&'t Table> {
        let listed = |file: &'t Table| -> Vec<&'t Table> {
            let rules = file["rule"].as_array().unwrap();
            rules.iter().map(|rule| rule.as_table().unwrap()).collect()
        };
        let mut rules = listed(policy);
        let holds = |common: &&Table| {
            !texts(common, "except")
                .iter()
                .any(|name| name == self.category)
        };
        if let Some(common) = self.common.filter(holds) {
            for rule in listed(common) {
                let is_replaced = rules.iter().any(|own| own["id"] == rule["id"]);
                let is_of_others = rule.get("over").is_some_and(toml::Value::is_array)
                    && !texts(rule, "over").iter().any(|name| name == self.category);
                if !is_replaced && !is_of_others {
                    rules.push(rule);
                }
            }
        }
        rules
    }

    /// Whether every key of a table of conditions has its value in its list.
    fn all_in(&self, lists: &Table) -> bool {
        lists.keys().all(|key| {
            let day = self.date().strftime("%A").to_string().to_lowercase();
            let value = if key == "weekday" {
                Some(day.as_str())
            } else {
                self.fact(key)
            };
            let is_free_text = [
                "place",
                "employee_group",
                "project",
                "cost_center",
                "department",
            ]
            .contains(&key.as_str());
            value.is_some_and(|value| {
                texts(lists, key).iter().any(|listed| match is_free_text {
                    true => words::occurs(listed, value),
                    false => listed == value,
                })
            })
        })
    }

    fn holds(&self, rule: &Table) -> bool {
        let lists = |key: &str| rule.get(key).and_then(|lists| lists.as_table());
        let is_of_no_plan = ["receipt", "future"].contains(&text(rule, "kind").unwrap());
        lists("when").is_none_or(|lists| self.all_in(lists))
            && !lists("unless").is_some_and(|lists| self.all_in(lists))
            && !(self.body["plan"] == true && is_of_no_plan)
    }

    /// What the expense gets.
    pub(super) fn answer(&self) -> Told {
        let Some(policy) = self.policy() else {
            return Told::review();
        };
        let currency = text(policy, "currency").unwrap();
        let Some(amount) = self.amount_in(currency) else {
            return Told::review();
        };
        let mut told = Told {
            ruling: "approved",
            ..Told::default()
        };
        let (mut alone, mut row, mut missing) = (None, BTreeSet::new(), BTreeSet::new());
        let shown = |mut number: Decimal| {
            number.rescale(decimals(currency));
            number
        };
        for rule in self.rules(policy) {
            if !self.holds(rule) {
                continue;
            }
            let id = text(rule, "id").unwrap().to_owned();
            told.rules.push(id.clone());
            told.exceptions
                .extend(text(rule, "exception").map(|role| (id.clone(), role.to_owned())));
            let says = self.says(rule, amount, currency);
            if says.is_unknown_place {
                return Told::review();
            }
            let limit = says.limit.unwrap_or(match says.is_broken {
                Some(true) => Decimal::ZERO,
                _ => amount,
            });
            let allowable = (limit - says.used).max(Decimal::ZERO);
            told.edges.push(allowable);
            let is_cap = ["cap", "allowance"].contains(&text(rule, "kind").unwrap());
            if is_cap && says.missing.is_empty() {
                told.caps.push(Cap {
                    rule: id.clone(),
                    window: says.window,
                    key: self.window_key(rule),
                    limit: shown(limit),
                    used: shown(says.used),
                });
            }
            if amount <= allowable || says.is_broken == Some(false) {
                continue;
            }
            let message = text(rule, "text").unwrap();
            told.findings.push(Finding {
                rule: id,
                kind: text(rule, "kind").unwrap().to_owned(),
                effect: if says.asks.is_some() {
                    "needs_approval"
                } else {
                    "denied"
                },
                window: says.window,
                limit: shown(limit),
                used: shown(says.used),
                allowable: shown(allowable),
                exceeded: shown(amount - allowable),
                message: match says.note {
                    Some(note) => format!("{message} {note}"),
                    None => message.to_owned(),
                },
            });
            missing.extend(says.missing);
            match says.asks.as_deref() {
                Some([role]) => alone = alone.max(ROLES.iter().position(|known| known == role)),
                Some(roles) => row.extend(
                    roles
                        .iter()
                        .map(|role| ROLES.iter().position(|known| known == role)),
                ),
                None => {}
            }
        }
        // Denials first, otherwise in the order of the file.
        let (denials, others): (Vec<_>, Vec<_>) = told
            .findings
            .into_iter()
            .partition(|finding| finding.effect == "denied");
        told.findings = [denials, others].concat();
        told.ruling = told
            .findings
            .first()
            .map_or("approved", |finding| finding.effect);
        if row.last().is_none_or(|highest| alone > *highest) && alone.is_some() {
            row.insert(alone);
        }
        told.approvers = row
            .into_iter()
            .flatten()
            .map(|n| ROLES[n].to_owned())
            .collect();
        let in_order = MISSING.iter().filter(|name| missing.contains(**name));
        told.missing = in_order.map(|name| (*name).to_owned()).collect();
        told
    }

    /// The first and the last day of the window of a cap; none if it is not one of days.
    pub(super) fn window_days(&self, rule: &Table) -> Option<(Date, Date)> {
        match text(rule, "per").unwrap_or("day") {
            "expense" | "trip" => None,
            per => Some(periods::days(
                per,
                text(rule, "begins").unwrap_or("01-01"),
                self.date(),
            )),
        }
    }

    /// The name of the window of a cap that the expense is in.
    fn window_key(&self, rule: &Table) -> Option<String> {
        let begins = text(rule, "begins").unwrap_or("01-01");
        match text(rule, "per") {
            None if text(rule, "kind") == Some("allowance") => Some(self.date().to_string()),
            None | Some("expense") => None,
            Some("trip") => self.fact("trip_id").map(ToOwned::to_owned),
            Some(per) => Some(periods::key(per, begins, self.date())),
        }
    }
}

pub(super) fn rounded_up(number: Decimal, decimals: u32) -> Decimal {
    let mut rounded = number.trunc_with_scale(decimals);
    if rounded < number {
        rounded += Decimal::new(1, decimals);
    }
    rounded
}

/// Days since a day long ago.
pub(super) fn day_number(day: Date) -> i64 {
    let long_ago = jiff::civil::date(1900, 1, 1);
    i64::from((day - long_ago).get_days())
}

pub(super) fn is_listed(rule: &Table, mcc: &str) -> bool {
    texts(rule, "mcc").iter().any(|codes| {
        let (first, last) = codes.split_once('-').unwrap_or((codes, codes));
        // Four digits each, so that their order is that of the texts.
        first <= mcc && mcc <= last
    })
}
