//! What each kind of rule says of an expense, by the documentation.

use rust_decimal::{Decimal, RoundingStrategy};
use toml::Table;

use super::history::{Earlier, used};
use super::reference::{
    Question, ROLES, amount, day_number, decimals, is_listed, rounded_up, text, texts,
};
use super::words;

/// What a rule says of an expense.
#[derive(Default)]
pub(super) struct Says {
    /// The limit; absent if the rule allows the whole expense or nothing of it.
    pub(super) limit: Option<Decimal>,
    /// Whether something other than the amount breaks the rule; absent if the limit alone decides.
    pub(super) is_broken: Option<bool>,
    pub(super) used: Decimal,
    pub(super) window: &'static str,
    /// The roles that have to approve if the rule is broken; absent if it denies.
    pub(super) asks: Option<Vec<&'static str>>,
    /// What would have to be submitted.
    pub(super) missing: Vec<String>,
    /// Why the rule is broken, where its text does not say it.
    pub(super) note: Option<String>,
    pub(super) is_unknown_place: bool,
}

impl Question<'_> {
    /// Whom a rule asks: `role` or `roles`; a manager if it does not say.
    fn asks(rule: &Table) -> Option<Vec<&'static str>> {
        let mut named = texts(rule, "roles");
        named.extend(text(rule, "role").map(ToOwned::to_owned));
        let roles: Vec<&str> = ROLES
            .into_iter()
            .filter(|role| named.iter().any(|name| name == role))
            .collect();
        Some(if roles.is_empty() {
            vec!["manager"]
        } else {
            roles
        })
    }

    /// What a kind with an effect of its own does in a file that may choose another one.
    fn effect(rule: &Table, denies: bool) -> Option<Vec<&'static str>> {
        match text(rule, "effect") {
            Some("denied") => None,
            None if denies && text(rule, "role").is_none() => None,
            _ => Self::asks(rule),
        }
    }

    fn lacks(names: &[&str]) -> Says {
        Says {
            limit: Some(Decimal::ZERO),
            window: "expense",
            asks: Some(vec!["manager"]),
            missing: names.iter().map(|name| (*name).to_owned()).collect(),
            note: Some(format!("The expense does not state: {}.", names.join(", "))),
            ..Says::default()
        }
    }

    /// What a rule says.
    pub(super) fn says(&self, rule: &Table, amount_of_expense: Decimal, currency: &str) -> Says {
        let forbidden = |is_broken: bool| Says {
            is_broken: Some(is_broken),
            window: "expense",
            ..Says::default()
        };
        let up_to = |limit: Decimal| Says {
            limit: Some(limit),
            window: "expense",
            ..Says::default()
        };
        let days = i64::from(
            rule.get("days")
                .and_then(|days| i32::try_from(days.as_integer()?).ok())
                .unwrap_or(0),
        );
        let (merchant, transaction) = (self.fact("merchant"), self.fact("transaction").unwrap());
        match text(rule, "kind").unwrap() {
            "cap" if rule.contains_key("unit") => self.says_per_unit(rule, currency),
            "cap" => self.says_cap(rule, currency),
            "allowance" => self.says_allowance(rule, currency),
            "approval" => Says {
                asks: Self::asks(rule),
                ..up_to(amount(rule, "above").unwrap())
            },
            "approval_always" => Says {
                asks: Self::asks(rule),
                ..forbidden(true)
            },
            "preapproved" => Says {
                asks: Self::asks(rule),
                ..up_to(amount(rule, "above").unwrap_or_default())
            },
            "receipt" => {
                let receipt = &self.body["receipt"];
                let wants_items = text(rule, "form") == Some("itemized");
                let is_there = *receipt == "itemized" || (*receipt == true && !wants_items);
                Says {
                    is_broken: Some(!is_there),
                    asks: Self::effect(rule, false),
                    missing: vec![
                        if wants_items {
                            "itemized_receipt"
                        } else {
                            "receipt"
                        }
                        .to_owned(),
                    ],
                    ..up_to(amount(rule, "above").unwrap())
                }
            }
            "required" => {
                let mut missing = texts(rule, "facts");
                missing.retain(|name| self.body.get(name).is_none());
                Says {
                    is_broken: Some(!missing.is_empty()),
                    asks: Self::effect(rule, false),
                    missing,
                    ..up_to(amount(rule, "above").unwrap_or_default())
                }
            }
            "max_age" => {
                let age = day_number(self.today) - day_number(self.date());
                Says {
                    asks: Self::effect(rule, true),
                    ..forbidden(age > days)
                }
            }
            "future" => forbidden(day_number(self.date()) - day_number(self.today) > days),
            "blocked_mcc" => forbidden(self.fact("mcc").is_some_and(|mcc| is_listed(rule, mcc))),
            "allowed_mcc" => match self.fact("mcc") {
                None => Self::lacks(&["mcc"]),
                Some(mcc) => forbidden(!is_listed(rule, mcc)),
            },
            "blocked_merchant" => {
                let name = merchant.unwrap_or(transaction);
                forbidden(
                    texts(rule, "merchant")
                        .iter()
                        .any(|phrase| words::is_hidden(phrase, name)),
                )
            }
            "allowed_merchant" => match merchant {
                None => Self::lacks(&["merchant"]),
                Some(name) => forbidden(
                    !texts(rule, "merchant")
                        .iter()
                        .any(|phrase| words::occurs(phrase, name)),
                ),
            },
            "blocked_words" => {
                let (listed, but) = (texts(rule, "words"), texts(rule, "but"));
                let phrase = merchant.and_then(|name| words::blocked_by(&listed, &but, name));
                let phrase = phrase.or_else(|| words::blocked_by(&listed, &but, transaction));
                Says {
                    asks: Self::effect(rule, true),
                    note: phrase
                        .as_ref()
                        .map(|phrase| format!("It says \"{phrase}\".")),
                    ..forbidden(phrase.is_some())
                }
            }
            "duplicate" => {
                let score = amount(rule, "score").unwrap();
                let is_alike = |earlier: &Earlier| self.likeness(earlier) >= score;
                let is_like_one = self.history.iter().any(is_alike);
                Says {
                    asks: Self::effect(rule, false),
                    ..forbidden(is_like_one)
                }
            }
            "advance" => match self.fact("travel_date") {
                None => Says {
                    asks: Self::asks(rule),
                    ..Self::lacks(&["travel_date"])
                },
                Some(day) => {
                    let ahead = day_number(day.parse().unwrap()) - day_number(self.date());
                    Says {
                        asks: Self::asks(rule),
                        ..forbidden(ahead < days)
                    }
                }
            },
            "split" => {
                let limit = amount(rule, "limit").unwrap();
                let mut used = Decimal::ZERO;
                for earlier in self.purchases() {
                    let apart = (day_number(earlier.date) - day_number(self.date())).abs();
                    if apart <= days && earlier.amount <= limit {
                        used += earlier.amount;
                    }
                }
                Says {
                    limit: Some(limit),
                    is_broken: Some(!used.is_zero() && used + amount_of_expense > limit),
                    used,
                    window: "merchant",
                    asks: Self::asks(rule),
                    ..Says::default()
                }
            }
            kind => panic!("the reference does not know the kind {kind}"),
        }
    }

    fn says_per_unit(&self, rule: &Table, currency: &str) -> Says {
        let number = |fact: &str| {
            let value = self.body.get(fact)?;
            Some(
                value
                    .to_string()
                    .trim_matches('"')
                    .parse::<Decimal>()
                    .unwrap(),
            )
        };
        let (fact, n) = match text(rule, "unit").unwrap() {
            "attendee" => ("attendees", number("attendees")),
            "night" => ("nights", number("nights")),
            unit => (
                "distance",
                number("distance").filter(|_| self.fact("distance_unit") == Some(unit)),
            ),
        };
        let Some(mut n) = n else {
            return Self::lacks(&[fact]);
        };
        if let Some(most) = rule.get("most").and_then(|most| most.as_integer()) {
            n = n.min(Decimal::from(most));
        }
        let limit = rounded_up(amount(rule, "max").unwrap() * n, decimals(currency));
        Says {
            limit: Some(limit),
            window: "expense",
            ..Says::default()
        }
    }

    fn says_cap(&self, rule: &Table, currency: &str) -> Says {
        let by = text(rule, "by").filter(|by| *by != "employee");
        if let Some(by) = by.filter(|by| self.fact(by).is_none()) {
            return Self::lacks(&[by]);
        }
        let per = text(rule, "per").unwrap();
        let windows = ["expense", "day", "week", "month", "quarter", "trip", "year"];
        Says {
            limit: amount(rule, "max"),
            used: used(self, rule, currency),
            window: windows.into_iter().find(|window| *window == per).unwrap(),
            ..Says::default()
        }
    }

    fn says_allowance(&self, rule: &Table, currency: &str) -> Says {
        let place = self.fact("place").filter(|_| rule.contains_key("table"));
        let rates = match place {
            Some(place) => {
                let of = |name: &str| {
                    let name = words::name(name);
                    self.latest(self.places, "place", |entry| {
                        words::name(text(entry, "place").unwrap()) == name
                    })
                };
                of(place).or_else(|| of("other"))
            }
            None if rule.contains_key("full") => Some(rule),
            None => {
                let lacks: &[&str] = match self.fact("day") {
                    None => &["place", "day"],
                    Some(_) => &["place"],
                };
                return Says {
                    used: used(self, rule, currency),
                    ..Self::lacks(lacks)
                };
            }
        };
        let Some(rates) = rates else {
            return Says {
                is_unknown_place: true,
                ..Says::default()
            };
        };
        let Some(day) = self.fact("day") else {
            return Says {
                used: used(self, rule, currency),
                ..Self::lacks(&["day"])
            };
        };
        let full = amount(rates, "full").unwrap();
        let mut limit = amount(rates, day).unwrap();
        let provided = self
            .body
            .get("meals_provided")
            .and_then(|meals| meals.as_array());
        for meal in provided.into_iter().flatten() {
            let meals = rule.get("meals").and_then(|meals| meals.as_table());
            match meals.and_then(|meals| text(meals, meal.as_str().unwrap())) {
                None => {}
                Some(off) => match off.strip_suffix('%') {
                    Some(percent) => {
                        let exact =
                            full * percent.parse::<Decimal>().unwrap() / Decimal::ONE_HUNDRED;
                        limit -= exact
                            .round_dp_with_strategy(decimals(currency), RoundingStrategy::ToZero);
                    }
                    None => limit -= off.parse::<Decimal>().unwrap(),
                },
            }
        }
        Says {
            limit: Some(limit.max(Decimal::ZERO)),
            used: used(self, rule, currency),
            window: "day",
            ..Says::default()
        }
    }

    /// How alike an earlier expense of the employee is, from 0 to 1.
    pub(super) fn likeness(&self, earlier: &Earlier) -> Decimal {
        let is_same = |key: &str| match (self.fact(key), earlier.fact(key)) {
            (Some(one), Some(other)) => {
                words::words(one) == words::words(other)
                    || words::merchant(one) == words::merchant(other)
            }
            (one, other) => one == other,
        };
        let is_of_employee =
            words::name(&earlier.user) == words::name(self.fact("user_id").unwrap());
        let is_same_amount = self.fact("amount").unwrap().parse() == Ok(earlier.amount)
            && self.fact("currency") == Some(&earlier.currency);
        if !earlier.counts || !is_of_employee || !is_same_amount {
            return Decimal::ZERO;
        }
        let has_merchant = self.fact("merchant").is_some();
        let apart = (day_number(earlier.date) - day_number(self.date())).abs();
        let tenths = match (apart, is_same("merchant"), is_same("transaction")) {
            (0, true, true) => 10,
            (0, false, true) => 8,
            (0, true, false) if has_merchant => 8,
            (1, true, true) if has_merchant => 8,
            (1, true, false) if has_merchant => 6,
            _ => 0,
        };
        Decimal::new(tenths, 1)
    }

    /// The earlier purchases of the employee at the merchant, in the category.
    pub(super) fn purchases(&self) -> Vec<&Earlier> {
        let Some(merchant) = self.fact("merchant").map(words::merchant) else {
            return Vec::new();
        };
        let currency = self.policy().and_then(|policy| text(policy, "currency"));
        let mut found = Vec::new();
        for earlier in self.history {
            let is_same = words::name(&earlier.user) == words::name(self.fact("user_id").unwrap())
                && earlier.category == self.category
                && currency == Some(&earlier.currency)
                && earlier.fact("merchant").map(words::merchant) == Some(merchant.clone());
            if is_same && earlier.counts {
                found.push(earlier);
            }
        }
        found
    }
}
