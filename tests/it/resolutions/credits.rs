//! Credits of a purchase and its resolution: the sum that is paid in the end does not depend on
//! their order and is never below zero, and the caps hold exactly what is paid or pending.

use proptest::prelude::*;
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Value, json};

use super::{Office, by};
use crate::harness::expenses::{id_of, of_user, path_of};
use crate::harness::store::{TestStore, on_each_store};

/// What happens to a purchase after it was decided. Amounts are in minor units of its currency.
#[derive(Clone, Copy, Debug)]
enum Event {
    Credit(i64),
    Approve,
    ApproveLess(i64),
    Deny,
    Withdraw,
}

/// A currency with its minor digits, and its rate to that of the policy in ten-thousandths.
const CURRENCIES: [(&str, u32, i64); 4] = [
    ("USD", 2, 10_000),
    ("EUR", 2, 10_850),
    ("CHF", 2, 11_300),
    ("JPY", 0, 67),
];

/// The only purchase of an employee, and what happens to it.
#[derive(Clone, Debug)]
struct Script {
    currency: usize,
    /// Whether the agent approves it, so that no person has to.
    is_approved: bool,
    minor: i64,
    events: Vec<Event>,
}

impl Script {
    fn amount(&self, minor: i64) -> Decimal {
        Decimal::new(minor, CURRENCIES[self.currency].1)
    }

    fn converted(&self, minor: i64) -> Decimal {
        let rate = Decimal::new(CURRENCIES[self.currency].2, 4);
        (self.amount(minor) * rate).round_dp_with_strategy(2, RoundingStrategy::ToPositiveInfinity)
    }

    /// What is paid and what is pending after these events, in the currency of the policy. It does not
    /// depend on their order.
    fn expected(&self, events: &[Event]) -> (Decimal, Decimal) {
        let mut credited = 0;
        let (mut paid, mut pending) = match self.is_approved {
            true => (self.minor, 0),
            false => (0, self.minor),
        };
        for event in events {
            match event {
                Event::Credit(minor) => credited += minor,
                Event::Approve => (paid, pending) = (self.minor, 0),
                Event::ApproveLess(minor) => (paid, pending) = (*minor, 0),
                Event::Deny | Event::Withdraw => (paid, pending) = (0, 0),
            }
        }
        let less = |minor: i64| self.converted((minor - credited).max(0));
        (less(paid), less(pending))
    }
}

/// A purchase to which the events of a script are applied.
struct Purchase<'a> {
    office: &'a Office,
    script: &'a Script,
    user: String,
    decision: Value,
}

impl<'a> Purchase<'a> {
    async fn decide(office: &'a Office, script: &'a Script, user: String) -> Self {
        let body = json!({
            "transaction": "Laptop",
            "amount": script.amount(script.minor).to_string(),
            "currency": CURRENCIES[script.currency].0,
            "date": "2026-03-14",
        });
        let decision = office.decide(of_user(body, &user)).await;
        let outcome = match script.is_approved {
            true => "approved",
            false => "needs_approval",
        };
        assert_eq!(decision["outcome"], outcome, "{decision:#}");
        Self {
            office,
            script,
            user,
            decision,
        }
    }

    async fn apply(&self, event: Event) {
        let (action, amount) = match event {
            Event::Credit(minor) => {
                let credit = json!({
                    "transaction": "Credit note",
                    "amount": self.script.amount(-minor).to_string(),
                    "currency": CURRENCIES[self.script.currency].0,
                    "refunds": id_of(&self.decision),
                });
                let credit = self.office.decide(of_user(credit, &self.user)).await;
                assert_eq!(credit["outcome"], "approved", "{credit:#}");
                return;
            }
            Event::Approve => ("approve", None),
            Event::ApproveLess(minor) => ("approve", Some(minor)),
            Event::Deny => ("deny", None),
            Event::Withdraw => ("withdraw", None),
        };
        let mut body = by("ben", action, "manager");
        if let Some(minor) = amount {
            body["amount"] = self.script.amount(minor).to_string().into();
        }
        if action == "approve" && self.decision["outcome"] == "needs_review" {
            body["category"] = "office".into();
        }
        let first = self
            .office
            .resolve("ea_manager", &self.decision, body.clone())
            .await;
        assert_eq!(first.status, 201, "{:#}", first.body);
        let again = self
            .office
            .resolve("ea_manager", &self.decision, body)
            .await;
        assert_eq!((again.status, &again.body), (201, &first.body));
    }

    /// What all decisions of the employee paid, less what credits took back.
    async fn paid(&self) -> Decimal {
        let path = format!("/v1/expenses?user_id={}", self.user);
        let page = self.office.get(&path).await;
        let decisions = page["decisions"].as_array().unwrap();
        decisions.iter().map(paid).sum()
    }

    /// Asserts what is paid, and that the caps hold what is paid or pending.
    async fn assert_sums(&self, store: &TestStore, (paid, pending): (Decimal, Decimal)) {
        assert_eq!(self.paid().await, paid, "{:?}", self.script);
        let pool = store.connect().await;
        let sql = "SELECT used_minor FROM cap_usage WHERE user_id = $1";
        let windows: Vec<(i64,)> = sqlx::query_as(sql)
            .bind(&self.user)
            .fetch_all(&pool)
            .await
            .unwrap();
        pool.close().await;
        assert_eq!(windows.len(), 2, "the day and the year");
        for (used,) in windows {
            assert_eq!(Decimal::new(used, 2), paid + pending, "{:?}", self.script);
        }
    }
}

fn number(value: &Value) -> Decimal {
    value
        .as_str()
        .map_or(Decimal::ZERO, |text| text.parse().unwrap())
}

/// What one decision paid or took back, in the currency of the policy.
fn paid(decision: &Value) -> Decimal {
    let resolution = &decision["resolution"];
    match (resolution.is_object(), decision["outcome"] == "approved") {
        (true, _) if resolution["converted_amount"].is_object() => {
            number(&resolution["converted_amount"]["amount"])
        }
        (true, _) => number(&resolution["amount"]),
        (false, true) => number(&decision["reimbursable"]),
        (false, false) => Decimal::ZERO,
    }
}

/// Every order of some events.
fn orders(events: &[Event]) -> Vec<Vec<Event>> {
    if events.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (index, first) in events.iter().enumerate() {
        let mut others = events.to_vec();
        others.remove(index);
        for rest in orders(&others) {
            all.push([vec![*first], rest].concat());
        }
    }
    all
}

#[tokio::test]
async fn credits_and_a_resolution_come_to_the_same_sum_in_every_order() {
    on_each_store(async |store| {
        let office = Office::on(&store).await;
        let resolutions = [
            Event::Approve,
            Event::ApproveLess(40_001),
            Event::ApproveLess(1),
            Event::Deny,
            Event::Withdraw,
        ];
        for (n, resolution) in resolutions.into_iter().enumerate() {
            let events = [Event::Credit(20_000), Event::Credit(33), resolution];
            for (m, events) in orders(&events).into_iter().enumerate() {
                let script = Script {
                    currency: 1,
                    is_approved: false,
                    minor: 100_003,
                    events,
                };
                let purchase = Purchase::decide(&office, &script, format!("ana-{n}-{m}")).await;
                for at in 1..=script.events.len() {
                    purchase.apply(script.events[at - 1]).await;
                    purchase
                        .assert_sums(&store, script.expected(&script.events[..at]))
                        .await;
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn credits_of_a_reviewed_purchase_take_back_what_the_review_approved() {
    on_each_store(async |store| {
        let office = Office::on(&store).await;
        for (n, events) in [
            vec![Event::ApproveLess(40_001), Event::Credit(20_000), Event::Credit(33)],
            vec![Event::ApproveLess(40_001), Event::Credit(90_000), Event::Credit(1)],
            vec![Event::Approve, Event::Credit(33_333), Event::Credit(33_333), Event::Credit(33_337)],
            vec![Event::Deny, Event::Credit(20_000)],
            vec![Event::Withdraw, Event::Credit(20_000)],
        ]
        .into_iter()
        .enumerate()
        {
            let script = Script { currency: 1, is_approved: false, minor: 60_003, events };
            let user = format!("ana-{n}");
            let mut body = json!({
                "transaction": "Laptop", "amount": "600.03", "currency": "EUR", "date": "2026-03-14", "mcc": "4511",
            });
            body["user_id"] = user.clone().into();
            let decision = office.decide(body).await;
            assert_eq!(decision["outcome"], "needs_review", "{decision:#}");
            let purchase = Purchase { office: &office, script: &script, user, decision };
            let credit = json!({
                "transaction": "Credit note", "amount": "-1.00", "currency": "EUR", "user_id": purchase.user,
                "refunds": id_of(&purchase.decision),
            });
            assert_eq!(office.app.post_as("ea_feed", credit).await.status, 422);
            for at in 1..=script.events.len() {
                purchase.apply(script.events[at - 1]).await;
                let (paid, _) = script.expected(&script.events[..at]);
                assert_eq!(purchase.paid().await, paid, "{script:?}");
                if paid > Decimal::ZERO {
                    purchase.assert_sums(&store, (paid, Decimal::ZERO)).await;
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_credit_of_a_pending_purchase_takes_nothing_back_and_the_approval_pays_the_rest() {
    let store = TestStore::sqlite();
    let office = Office::on(&store).await;
    let script = Script {
        currency: 0,
        is_approved: false,
        minor: 100_000,
        events: Vec::new(),
    };
    let purchase = Purchase::decide(&office, &script, "ana".to_owned()).await;
    let credit = |amount: &str| {
        json!({
            "transaction": "Credit note",
            "amount": amount,
            "user_id": "ana",
            "refunds": id_of(&purchase.decision),
        })
    };
    let early = office.decide(credit("-300.00")).await;
    assert_eq!(early["reimbursable"], "0.00");
    let reason = early["reason"].as_str().unwrap();
    assert!(
        reason.contains("Takes 300.00 USD off") && reason.contains("waits for approval"),
        "{reason}"
    );
    let mut less = by("ben", "approve", "manager");
    less["amount"] = "900.00".into();
    let approved = office.resolve("ea_manager", &purchase.decision, less).await;
    let resolution = &approved.body["resolution"];
    assert_eq!(
        (&resolution["amount"], &resolution["credited"]),
        (&json!("600.00"), &json!("300.00"))
    );
    let late = office.decide(credit("-200.00")).await;
    assert_eq!(late["reimbursable"], "-200.00");
    assert_eq!(
        office.get(&path_of(&purchase.decision)).await["resolution"]["amount"],
        "600.00",
        "what was recorded stays"
    );
    purchase
        .assert_sums(&store, (Decimal::new(40_000, 2), Decimal::ZERO))
        .await;
}

#[tokio::test]
async fn credits_of_a_purchase_that_an_earlier_version_recorded_come_to_the_same_sum() {
    on_each_store(async |store| {
        let office = Office::on(&store).await;
        // An earlier version did not count credits, and took them back from pending purchases too.
        let not_counted = "UPDATE decision SET credited_minor = NULL";
        let taken_back = "UPDATE decision SET document = replace(document, '\"reimbursable\":\"0.00\"', \
                          '\"reimbursable\":\"-200.00\"') WHERE amount_minor = -20000";
        let events = [Event::Credit(20_000), Event::ApproveLess(70_000), Event::Credit(10_000)];
        for (n, is_taken_back) in [false, true].into_iter().enumerate() {
            let script = Script { currency: 0, is_approved: false, minor: 100_000, events: events.to_vec() };
            let purchase = Purchase::decide(&office, &script, format!("ana-{n}")).await;
            store.execute(not_counted).await;
            purchase.apply(events[0]).await;
            if is_taken_back {
                store.execute(taken_back).await;
            }
            for at in 2..=3 {
                purchase.apply(events[at - 1]).await;
                purchase.assert_sums(&store, script.expected(&events[..at])).await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_reason_of_a_credit_larger_than_its_purchase_names_the_returned_amount() {
    let office = Office::on_sqlite().await;
    for (minor, is_approved, resolution, returned) in [
        (2_000, true, None, "Returns 20.00 USD"),
        (80_000, false, Some(Event::Approve), "Returns 800.00 USD"),
        (
            80_000,
            false,
            Some(Event::ApproveLess(700)),
            "Returns 7.00 USD",
        ),
        (80_000, false, None, "Takes 800.00 USD off"),
        (80_000, false, Some(Event::Deny), "Returns nothing"),
        (80_000, false, Some(Event::Withdraw), "Returns nothing"),
    ] {
        let script = Script {
            currency: 0,
            is_approved,
            minor,
            events: Vec::new(),
        };
        let user = format!("{minor} {resolution:?}");
        let purchase = Purchase::decide(&office, &script, user.clone()).await;
        if let Some(resolution) = resolution {
            purchase.apply(resolution).await;
        }
        let credit = json!({
            "transaction": "Credit note",
            "amount": "-5555.55",
            "user_id": user,
            "refunds": id_of(&purchase.decision),
        });
        let first = office.decide(credit.clone()).await;
        if !is_approved && resolution.is_none() {
            let late = office
                .resolve(
                    "ea_manager",
                    &purchase.decision,
                    by("ben", "approve", "manager"),
                )
                .await;
            let resolution = &late.body["resolution"];
            assert_eq!(
                (&resolution["amount"], &resolution["credited"]),
                (&json!("0.00"), &json!("800.00"))
            );
        }
        let reason = first["reason"].as_str().unwrap();
        assert!(
            reason.contains(returned) && !reason.contains("5555"),
            "{reason}"
        );
        let second = office.decide(credit).await;
        assert_eq!(second["reimbursable"], "0.00");
        assert!(
            second["reason"]
                .as_str()
                .unwrap()
                .starts_with("Returns nothing"),
            "{second:#}"
        );
    }
}

fn script() -> impl Strategy<Value = Script> {
    // In the policy's currency, amounts from 600.00 to 1,000.00 wait for a person's approval, and
    // the agent approves amounts from 1.00 to 101.00.
    let amount = (0..CURRENCIES.len(), any::<bool>(), 0_i64..40_000);
    amount.prop_flat_map(|(currency, is_approved, cents)| {
        let (_, digits, rate) = CURRENCIES[currency];
        let cents = if is_approved {
            cents / 4 + 100
        } else {
            cents + 60_000
        };
        let minor = cents * if digits == 2 { 10_000 } else { 100 } / rate;
        let resolution = prop_oneof![
            Just(Event::Approve),
            (1..=minor).prop_map(Event::ApproveLess),
            Just(Event::Deny),
            Just(Event::Withdraw),
        ];
        let resolution = prop::option::of(resolution);
        let credits = prop::collection::vec((1..=minor).prop_map(Event::Credit), 0..5);
        (credits, resolution)
            .prop_map(move |(mut events, resolution)| {
                events.extend(resolution.filter(|_| !is_approved));
                events
            })
            .prop_shuffle()
            .prop_map(move |events| Script {
                currency,
                is_approved,
                minor,
                events,
            })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn concurrent_credits_and_resolutions_come_to_the_same_sum_as_in_any_order(
        scripts in prop::collection::vec(script(), 1..5)
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let store = TestStore::sqlite();
            let offices = [Office::on(&store).await, Office::on(&store).await];
            for (n, script) in scripts.iter().enumerate() {
                let purchase = Purchase::decide(&offices[0], script, format!("ana-{n}")).await;
                for at in 1..=script.events.len() {
                    purchase.apply(script.events[at - 1]).await;
                    purchase.assert_sums(&store, script.expected(&script.events[..at])).await;
                }
            }
            // All at once, through two services that share the ledger.
            let at_once = scripts.iter().enumerate().map(async |(n, script)| {
                let purchase = Purchase::decide(&offices[0], script, format!("eva-{n}")).await;
                let elsewhere = Purchase { office: &offices[1], user: purchase.user.clone(), decision: purchase.decision.clone(), script };
                let events = script.events.iter().enumerate().map(|(m, event)| {
                    if m % 2 == 0 { purchase.apply(*event) } else { elsewhere.apply(*event) }
                });
                futures_util::future::join_all(events).await;
                purchase.assert_sums(&store, script.expected(&script.events)).await;
            });
            futures_util::future::join_all(at_once).await;
        });
    }
}
