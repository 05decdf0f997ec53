//! Random rules as text: every kind with every key.

use super::chance::Chance;
use super::reference::decimals;

/// Amounts that rules and expenses share, in minor units, so that they meet often.
pub(super) const MINOR: [i64; 9] = [0, 1, 1_250, 2_500, 3_333, 5_000, 10_000, 12_345, 50_000];
pub(super) const DAYS: [i64; 6] = [0, 1, 5, 30, 60, 90];
pub(super) const MCC: [&str; 6] = ["0742", "5811", "5812", "5814", "5815", "7995"];
pub(super) const CATEGORIES: [&str; 3] = ["away", "board", "cloud"];
const PHRASES: [&str; 10] = [
    "casino*",
    "lucky joes",
    "gift card*",
    "gift*",
    "gift card holder*",
    "café",
    "commut*",
    "uber",
    "uber eats",
    "parking fine",
];
const ROLES: [&str; 4] = ["manager", "director", "vp", "cfo"];

/// Draws the texts of the rules of one file.
pub(super) struct Rules<'a> {
    pub(super) chance: &'a mut Chance,
    pub(super) currency: &'static str,
    /// Categories whose amounts are in the same currency.
    pub(super) siblings: &'a [&'static str],
    pub(super) category: &'static str,
    /// Whether `over = "all"` adds up amounts in one currency.
    pub(super) may_say_all: bool,
}

/// An amount in the currency of a file.
pub(super) fn money(minor: i64, currency: &str) -> String {
    rust_decimal::Decimal::new(minor, decimals(currency)).to_string()
}

impl Rules<'_> {
    pub(super) fn amount(&mut self) -> String {
        let minor = self.chance.pick(&MINOR);
        money(minor, self.currency)
    }

    fn role(&mut self) -> String {
        format!("role = \"{}\"\n", self.chance.pick(&ROLES))
    }

    /// `role`, or `roles` in a row.
    fn asked(&mut self) -> String {
        let row = self.chance.some(&ROLES);
        match row.len() > 1 && self.chance.percent(60) {
            true => format!("roles = [\"{}\"]\n", row.join("\", \"")),
            false => self.role(),
        }
    }

    /// The effect of a rule that may choose it.
    fn effect(&mut self, denies: bool) -> String {
        match self.chance.below(5) {
            0 => "effect = \"denied\"\n".to_owned(),
            1 => format!("effect = \"needs_approval\"\n{}", self.role()),
            2 => self.role(),
            3 if !denies => "effect = \"needs_approval\"\n".to_owned(),
            _ => String::new(),
        }
    }

    /// A key that is there some of the time.
    fn maybe(&mut self, percent: usize, key: impl FnOnce(&mut Self) -> String) -> String {
        if self.chance.percent(percent) {
            key(self)
        } else {
            String::new()
        }
    }

    fn phrases(&mut self, key: &str) -> String {
        format!("{key} = {}\n", self.chance.list(&PHRASES))
    }

    /// One rule with its conditions.
    pub(super) fn rule(&mut self, id: &str) -> String {
        let (kind, keys, denies) = self.kind();
        let mut text = format!(
            "\n[[rule]]\nid = \"{id}\"\nkind = \"{kind}\"\n{keys}text = \"The rule {id} says so.\"\n"
        );
        if denies {
            text += &self.maybe(30, |rules| {
                format!("exception = \"{}\"\n", rules.chance.pick(&ROLES))
            });
        }
        text += &self.maybe(25, |rules| rules.conditions("when"));
        text + self.maybe(25, |rules| rules.conditions("unless")).as_str()
    }

    fn conditions(&mut self, key: &str) -> String {
        let lists = [
            ("class", &["economy", "premium", "business", "first"][..]),
            ("place", &["london", "são paulo", "new y*", "paris"]),
            ("country", &["DE", "FR", "GB", "US"]),
            ("meal", &["breakfast", "lunch", "dinner", "refreshments"]),
            ("paid_by", &["card", "own", "invoice"]),
            ("recurring", &["once", "monthly", "yearly"]),
            ("employee_group", &["sales", "first year"]),
            ("distance_unit", &["km", "mile"]),
            ("day", &["full", "part"]),
            ("project", &["apollo", "zeus*"]),
            ("cost_center", &["4711"]),
            ("department", &["research"]),
            (
                "weekday",
                &[
                    "monday",
                    "tuesday",
                    "wednesday",
                    "thursday",
                    "friday",
                    "saturday",
                    "sunday",
                ],
            ),
        ];
        let n = 1 + self.chance.below(2);
        let first = self.chance.below(lists.len());
        let keys: Vec<String> = (0..n)
            .map(|more| {
                let (fact, words) = lists[(first + more * 5) % lists.len()];
                format!("{fact} = {}", self.chance.list(words))
            })
            .collect();
        format!("{key} = {{ {} }}\n", keys.join(", "))
    }

    /// The kind of a rule, its keys, and whether it denies.
    fn kind(&mut self) -> (&'static str, String, bool) {
        match self.chance.below(23) {
            0..4 => {
                let max = self.amount();
                ("cap", self.cap(&max), true)
            }
            4 | 5 => ("cap", self.unit_cap(), true),
            6 | 7 => ("allowance", self.allowance(), true),
            8 => (
                "approval",
                format!("above = \"{}\"\n{}", self.amount(), self.asked()),
                false,
            ),
            9 => ("approval_always", self.asked(), false),
            10 => {
                let above = self.maybe(60, |rules| format!("above = \"{}\"\n", rules.amount()));
                let tolerance =
                    self.maybe(60, |rules| format!("tolerance = \"{}\"\n", rules.amount()));
                (
                    "preapproved",
                    format!("{above}{tolerance}{}", self.asked()),
                    false,
                )
            }
            11 | 12 => {
                let form = self.maybe(60, |rules| {
                    format!("form = \"{}\"\n", rules.chance.pick(&["any", "itemized"]))
                });
                let keys = format!(
                    "above = \"{}\"\n{form}{}",
                    self.amount(),
                    self.effect(false)
                );
                let denies = keys.contains("\"denied\"");
                ("receipt", keys, denies)
            }
            13 => {
                let facts = self.chance.list(&[
                    "attendees",
                    "nights",
                    "distance",
                    "place",
                    "class",
                    "meal",
                    "recurring",
                    "purpose",
                    "project",
                    "cost_center",
                    "recipient",
                    "travel_date",
                    "meals_provided",
                    "day",
                    "receipt_url",
                    "paid_by",
                    "country",
                    "employee_group",
                ]);
                let above = self.maybe(60, |rules| format!("above = \"{}\"\n", rules.amount()));
                let keys = format!("facts = {facts}\n{above}{}", self.effect(false));
                let denies = keys.contains("\"denied\"");
                ("required", keys, denies)
            }
            14 => (
                "split",
                format!(
                    "{}limit = \"{}\"\n{}",
                    self.days(),
                    self.amount(),
                    self.role()
                ),
                false,
            ),
            15 => {
                let keys = format!("{}{}", self.days(), self.effect(true));
                let denies = !keys.contains("role");
                ("max_age", keys, denies)
            }
            16 => ("future", self.maybe(60, Self::days), true),
            17 => (
                self.chance.pick(&["blocked_mcc", "allowed_mcc"]),
                self.codes(),
                true,
            ),
            18 => ("blocked_merchant", self.phrases("merchant"), true),
            19 => {
                let but = self.maybe(60, |rules| rules.phrases("but"));
                let keys = format!("{}{but}{}", self.phrases("words"), self.effect(true));
                let denies = !keys.contains("role");
                ("blocked_words", keys, denies)
            }
            20 => ("allowed_merchant", self.phrases("merchant"), true),
            21 => {
                let score = self.chance.pick(&["0.6", "0.7", "0.8", "0.9", "1"]);
                let keys = format!("score = \"{score}\"\n{}", self.effect(false));
                let denies = keys.contains("\"denied\"");
                ("duplicate", keys, denies)
            }
            _ => ("advance", format!("{}{}", self.days(), self.role()), false),
        }
    }

    fn days(&mut self) -> String {
        format!("days = {}\n", self.chance.pick(&DAYS))
    }

    fn codes(&mut self) -> String {
        let codes = [
            MCC[0],
            MCC[1],
            MCC[5],
            "5812-5814",
            "5814-5816",
            "0700-0741",
            "0743-1000",
        ];
        format!("mcc = {}\n", self.chance.list(&codes))
    }

    /// The keys of a cap.
    pub(super) fn cap(&mut self, max: &str) -> String {
        let per = self
            .chance
            .pick(&["expense", "day", "week", "month", "quarter", "trip", "year"]);
        let mut keys = format!("per = \"{per}\"\nmax = \"{max}\"\n");
        if per == "year" {
            keys += &self.maybe(60, |rules| {
                format!(
                    "begins = \"{}\"\n",
                    rules
                        .chance
                        .pick(&["01-01", "04-06", "07-01", "02-28", "12-31"])
                )
            });
        }
        if per != "expense" {
            keys += &self.maybe(40, |rules| {
                let others: Vec<&str> = rules
                    .siblings
                    .iter()
                    .copied()
                    .filter(|other| *other != rules.category)
                    .collect();
                match others.is_empty() {
                    true => format!("over = [\"{}\"]\n", rules.category),
                    false if rules.may_say_all && rules.chance.percent(40) => {
                        "over = \"all\"\n".to_owned()
                    }
                    false => {
                        let mut over = rules.chance.some(&others);
                        over.insert(0, rules.category);
                        format!("over = [\"{}\"]\n", over.join("\", \""))
                    }
                }
            });
        }
        if per != "expense" && per != "trip" {
            let keys_of_others = [
                "employee",
                "department",
                "cost_center",
                "project",
                "recipient",
            ];
            keys += &self.maybe(50, |rules| {
                format!("by = \"{}\"\n", rules.chance.pick(&keys_of_others))
            });
        }
        keys
    }

    fn unit_cap(&mut self) -> String {
        let unit = self.chance.pick(&["attendee", "night", "km", "mile"]);
        let max = match unit {
            "km" | "mile" => self
                .chance
                .pick(&["0.3", "0.4567", "1", "0.0001", "12.3333"])
                .to_owned(),
            _ => self.amount(),
        };
        let per = self.maybe(20, |_| "per = \"expense\"\n".to_owned());
        let most = self.maybe(50, |rules| {
            format!("most = {}\n", rules.chance.pick(&[1, 3, 20, 999]))
        });
        format!("unit = \"{unit}\"\nmax = \"{max}\"\n{per}{most}")
    }

    fn allowance(&mut self) -> String {
        let has_table = self.siblings.contains(&CATEGORIES[0]) && self.chance.percent(50);
        let mut keys = String::new();
        if has_table {
            keys += "table = \"places\"\n";
        }
        if !has_table || self.chance.percent(30) {
            let full = self.chance.pick(&MINOR);
            let part = if self.chance.percent(50) {
                full
            } else {
                full / 2
            };
            let [full, part] = [full, part].map(|minor| money(minor, self.currency));
            keys += &format!("full = \"{full}\"\npart = \"{part}\"\n");
        }
        keys += &self.maybe(70, |rules| {
            let meals: Vec<String> = rules
                .chance
                .some(&["breakfast", "lunch", "dinner"])
                .into_iter()
                .map(|meal| {
                    let off = match rules.chance.percent(50) {
                        true => rules
                            .chance
                            .pick(&["20%", "40%", "33.33%", "100%", "0%"])
                            .to_owned(),
                        false => rules.amount(),
                    };
                    format!("{meal} = \"{off}\"")
                })
                .collect();
            format!("meals = {{ {} }}\n", meals.join(", "))
        });
        keys
    }
}
