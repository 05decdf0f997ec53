//! Random expenses, and random histories of several employees.

use jiff::ToSpan;
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde_json::{Value as Json, json};

use super::chance::Chance;
use super::history::Earlier;
use super::reference::decimals;
use super::rules::{CATEGORIES, DAYS, MCC, MINOR};

/// Days around the ends of windows.
const DATES: [&str; 20] = [
    "2024-02-28",
    "2024-02-29",
    "2024-03-01",
    "2025-12-28",
    "2025-12-29",
    "2025-12-31",
    "2026-01-01",
    "2026-01-04",
    "2026-01-05",
    "2026-03-29",
    "2026-03-30",
    "2026-03-31",
    "2026-04-01",
    "2026-04-05",
    "2026-04-06",
    "2026-06-30",
    "2026-07-01",
    "2027-02-27",
    "2027-02-28",
    "2019-12-31",
];
const MERCHANTS: [&str; 9] = [
    "Grand CASINO Ltd",
    "Сasino Royal",
    "Lucky Joe's",
    "LUCKY JOE’S",
    "UBER *EATS",
    "Uber",
    "Le Cafe\u{301}",
    "Gift Card Holders",
    "Papers & Co",
];
const TRANSACTIONS: [&str; 9] = [
    "Dinner",
    "gift-card for a client",
    "Gift card holder and a gift",
    "Commuting to work",
    "A gift",
    "Parking: fine",
    "Parking, fined",
    "An evening at the CAFÉ",
    "gift card holders",
];
const USERS: [&str; 3] = ["ana", "ANA", "ben"];

/// The facts that an expense may state, each with some of its values.
fn facts() -> Vec<(&'static str, Vec<Json>)> {
    let texts = |texts: &[&str]| texts.iter().map(|text| json!(text)).collect();
    vec![
        (
            "attendees",
            vec![json!(1), json!(2), json!(3), json!(7), json!(999)],
        ),
        ("nights", vec![json!(1), json!(3), json!(4), json!(99)]),
        (
            "place",
            texts(&[
                "London",
                "London Heathrow",
                "SÃO PAULO",
                "New York",
                "Atlantis",
            ]),
        ),
        ("country", texts(&["DE", "FR", "GB", "US"])),
        ("class", texts(&["economy", "premium", "business", "first"])),
        (
            "meal",
            texts(&["breakfast", "lunch", "dinner", "refreshments"]),
        ),
        ("paid_by", texts(&["card", "own", "invoice"])),
        ("recurring", texts(&["once", "monthly", "yearly"])),
        ("employee_group", texts(&["Sales", "First-Year", "board"])),
        ("purpose", texts(&["A visit"])),
        ("project", texts(&["Apollo", "APOLLO", "Zeus II"])),
        ("cost_center", texts(&["4711", "4712"])),
        ("department", texts(&["Research", "research", "Sales"])),
        ("recipient", texts(&["Joan Doe", "JOAN DOE"])),
        (
            "meals_provided",
            vec![
                json!(["breakfast"]),
                json!(["lunch", "dinner"]),
                json!(["breakfast", "lunch", "dinner"]),
            ],
        ),
        ("day", texts(&["full", "part"])),
        ("receipt_url", texts(&["https://receipts.example/17"])),
    ]
}

fn amount(minor: i64, currency: &str) -> String {
    Decimal::new(minor, decimals(currency)).to_string()
}

/// A body that states some merchant, trip and facts.
fn stated(chance: &mut Chance, date: Date) -> Json {
    let mut body = json!({"transaction": chance.pick(&TRANSACTIONS), "date": date.to_string(), "user_id": chance.pick(&USERS)});
    for (key, values) in [
        ("merchant", &MERCHANTS[..]),
        ("mcc", &MCC),
        ("trip_id", &["Rome 1", "rome 1"]),
    ] {
        if chance.percent(60) {
            body[key] = chance.pick(values).into();
        }
    }
    for (fact, values) in facts() {
        if chance.percent(65) {
            body[fact] = values[chance.below(values.len())].clone();
        }
    }
    if chance.percent(50) {
        body["distance"] = chance.pick(&["12.5", "0.1", "100", "33.3"]).into();
        body["distance_unit"] = chance.pick(&["km", "mile"]).into();
    }
    if chance.percent(60) {
        let apart = chance.pick(&DAYS) + chance.pick(&[-1_i64, 0, 1]);
        body["travel_date"] = date.saturating_add(apart.days()).to_string().into();
    }
    body
}

/// A category, and its expense with the day on which it is handed in.
pub(super) fn expense(chance: &mut Chance, currency: &str) -> (Date, Json) {
    let date: Date = chance.pick(&DATES).parse().unwrap();
    let mut body = stated(chance, date);
    let own = if chance.percent(85) {
        currency
    } else {
        chance.pick(&["USD", "EUR", "JPY", "KWD"])
    };
    body["currency"] = own.into();
    body["amount"] = amount(chance.pick(&MINOR).max(1), own).into();
    body["receipt"] = chance
        .pick(&["false", "true", "\"itemized\""])
        .parse()
        .unwrap();
    if chance.percent(10) {
        body["plan"] = true.into();
    }
    let apart = chance.pick(&DAYS) + chance.pick(&[-1_i64, 0, 1]);
    let apart = if chance.percent(30) { -apart } else { apart };
    (date.saturating_add(apart.days()), body)
}

/// The amount on or beside one of the amounts at which the verdict may change.
pub(super) fn beside(chance: &mut Chance, edges: &[Decimal], currency: &str) -> Option<String> {
    let edge = *edges.get(chance.below(edges.len().max(1)))?;
    let minor = Decimal::new(chance.pick(&[-1, 0, 1]), decimals(currency));
    let mut amount = edge + minor;
    amount.rescale(decimals(currency));
    (amount > Decimal::ZERO).then(|| amount.to_string())
}

/// Earlier expenses around the day of an expense. `currency` is that of a category.
pub(super) fn history(
    chance: &mut Chance,
    date: Date,
    currency: impl Fn(&str) -> String,
) -> Vec<Earlier> {
    let n_earlier = chance.below(25);
    let mut earlier = Vec::new();
    for _ in 0..n_earlier {
        let category = chance.pick(&CATEGORIES);
        let day = match chance.percent(50) {
            true => date.saturating_add(
                chance
                    .pick(&[-90_i64, -31, -7, -6, -1, 0, 0, 1, 6, 7, 31])
                    .days(),
            ),
            false => chance.pick(&DATES).parse().unwrap(),
        };
        let currency = currency(category);
        let body = stated(chance, day);
        earlier.push(Earlier {
            user: body["user_id"].as_str().unwrap().to_owned(),
            category: category.to_owned(),
            date: day,
            amount: amount(chance.pick(&MINOR).max(1) / 4 + 1, &currency)
                .parse()
                .unwrap(),
            currency,
            counts: chance.percent(80),
            body,
        });
    }
    earlier
}

/// Sometimes an earlier expense that is like one, or nearly so.
pub(super) fn twin(chance: &mut Chance, body: &Json, category: &str) -> Option<Earlier> {
    if chance.percent(70) {
        return None;
    }
    let mut like = body.clone();
    if chance.percent(30) {
        like["transaction"] = chance.pick(&TRANSACTIONS).into();
    }
    if chance.percent(30) {
        like["merchant"] = chance.pick(&MERCHANTS).into();
    }
    let date: Date = body["date"].as_str().unwrap().parse().unwrap();
    Some(Earlier {
        user: chance.pick(&USERS).to_owned(),
        category: category.to_owned(),
        currency: body["currency"].as_str().unwrap().to_owned(),
        date: date.saturating_add(chance.pick(&[-2_i64, -1, 0, 0, 0, 1]).days()),
        amount: body["amount"].as_str().unwrap().parse().unwrap(),
        counts: chance.percent(85),
        body: like,
    })
}
