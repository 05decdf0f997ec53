//! What every counter holds is what the decisions of the ledger add up to, whatever happened to them and
//! in which order: approvals, denials, reviews, credits, resolutions, and expenses that were decided
//! anew after an outage.

use std::collections::BTreeMap;

use expense_agent::config::Config;
use expense_agent::config::model::ModelConfig;
use expense_agent::ledger::Store;
use expense_agent::spelling::person;
use futures_util::future::join_all;
use jiff::civil::Date;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::cap;
use crate::harness::expenses::id_of;
use crate::harness::store::on_each_store;
use crate::harness::{TestApp, config, policies_with};

/// Days around the ends of windows.
const DAYS: [&str; 8] = [
    "2025-12-31",
    "2026-01-01",
    "2026-03-29",
    "2026-03-30",
    "2026-03-31",
    "2026-04-01",
    "2026-04-05",
    "2026-04-06",
];
const PEOPLE: [&str; 3] = ["ana", "ANA", "ben"];
const PROJECTS: [Option<&str>; 4] = [None, Some("Apollo"), Some("APOLLO"), Some("Zeus")];

/// A rule of the office policy, told in other words than the service's.
struct Counted {
    id: &'static str,
    keys: &'static str,
    /// The name of the window of a day.
    window: fn(Date) -> String,
    categories: &'static [&'static str],
    /// The field of the expenses that count together.
    by: &'static str,
}

const CAPS: [Counted; 7] = [
    Counted {
        id: "week",
        keys: "per = \"week\"",
        window: |day| day.strftime("%G-%V").to_string(),
        categories: &["office"],
        by: "user_id",
    },
    Counted {
        id: "month",
        keys: "per = \"month\"",
        window: month,
        categories: &["office"],
        by: "user_id",
    },
    Counted {
        id: "quarter",
        keys: "per = \"quarter\"",
        window: quarter,
        categories: &["office"],
        by: "user_id",
    },
    Counted {
        id: "tax-year",
        keys: "per = \"year\"\nbegins = \"04-06\"",
        window: tax_year,
        categories: &["office"],
        by: "user_id",
    },
    Counted {
        id: "all",
        keys: "per = \"month\"\nover = \"all\"",
        window: month,
        categories: &["meals", "office"],
        by: "user_id",
    },
    Counted {
        id: "project",
        keys: "per = \"quarter\"\nby = \"project\"\nover = [\"meals\", \"office\"]",
        window: quarter,
        categories: &["meals", "office"],
        by: "project",
    },
    Counted {
        id: "project-year",
        keys: "per = \"year\"\nby = \"project\"",
        window: |day| day.year().to_string(),
        categories: &["office"],
        by: "project",
    },
];

fn month(day: Date) -> String {
    day.strftime("%Y %B").to_string()
}

fn quarter(day: Date) -> String {
    format!("{} {}", day.year(), (day.month() + 2) / 3)
}

fn tax_year(day: Date) -> String {
    let is_early = (day.month(), day.day()) < (4, 6);
    (day.year() - i16::from(is_early)).to_string()
}

/// Something that happens to the expenses of a tenant. Numbers choose among what there is.
#[derive(Clone, Debug)]
enum Event {
    Purchase {
        person: usize,
        day: usize,
        project: usize,
        is_meal: bool,
        cents: i64,
    },
    Credit {
        of: usize,
        cents: i64,
    },
    Resolve {
        of: usize,
        action: &'static str,
        cents: i64,
    },
    DecideAnew {
        of: usize,
    },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let purchase = (
        0..PEOPLE.len(),
        0..DAYS.len(),
        0..PROJECTS.len(),
        any::<bool>(),
        1_i64..70_000,
    )
        .prop_map(|(person, day, project, is_meal, cents)| {
            let cents = if is_meal { cents / 20 + 1 } else { cents };
            Event::Purchase {
                person,
                day,
                project,
                is_meal,
                cents,
            }
        });
    let credit = (0_usize..100, 1_i64..30_000).prop_map(|(of, cents)| Event::Credit { of, cents });
    let actions = prop::sample::select(vec!["approve", "approve", "deny", "withdraw"]);
    let resolve = (0_usize..100, actions, 1_i64..70_000)
        .prop_map(|(of, action, cents)| Event::Resolve { of, action, cents });
    let anew = (0_usize..100).prop_map(|of| Event::DecideAnew { of });
    let event = prop_oneof![5 => purchase, 2 => credit, 3 => resolve, 1 => anew];
    prop::collection::vec(event, 30..60)
}

/// A service with the caps above. With faults, its model fails now and then.
async fn app(store: &Store, policies: &std::path::Path, faults: &[&str]) -> TestApp {
    let faults = faults.iter().map(|fault| fault.parse().unwrap());
    TestApp::with(Config {
        policies: policies.to_owned(),
        store: store.clone(),
        model: ModelConfig::Offline {
            faults: faults.collect(),
            fault_seed: 7,
        },
        ..config()
    })
    .await
}

/// Lets an event happen. What it concerns may not be possible any more: then it is refused.
async fn happen(app: &TestApp, purchases: &[Value], event: &Event) -> Option<Value> {
    let amount = |cents: i64| Decimal::new(cents, 2).to_string();
    let chosen = |of: &usize| purchases.get(of % purchases.len().max(1));
    match event {
        Event::Purchase {
            person,
            day,
            project,
            is_meal,
            cents,
        } => {
            let mut body = json!({
                "transaction": if *is_meal { "Team lunch" } else { "Printer toner" },
                "amount": amount(*cents), "date": DAYS[*day], "user_id": PEOPLE[*person], "receipt": true,
            });
            if let Some(project) = PROJECTS[*project] {
                body["project"] = project.into();
            }
            Some(app.decide(body).await)
        }
        Event::Credit { of, cents } => {
            let purchase = chosen(of)?;
            let body = json!({
                "transaction": "Credit note", "amount": amount(-cents), "user_id": purchase["user_id"],
                "refunds": id_of(purchase),
            });
            app.post(body).await;
            None
        }
        Event::Resolve { of, action, cents } => {
            let purchase = chosen(of)?;
            let mut body =
                json!({"action": action, "role": "cfo", "actor": "boss", "reason": "Talked."});
            if *action == "withdraw" {
                body["actor"] = purchase["user_id"].clone();
            }
            let all: Decimal = purchase["amount"].as_str()?.parse().ok()?;
            if *action == "approve" {
                body["amount"] = all.min(Decimal::new(*cents, 2)).to_string().into();
                if purchase["outcome"] == "needs_review" {
                    body["category"] = "office".into();
                }
            }
            let key = app.local_key.clone().unwrap();
            app.resolve(&key, purchase, body).await;
            None
        }
        Event::DecideAnew { of } => {
            let old = chosen(of)?;
            let mut body = json!({"supersedes": id_of(old)});
            for field in [
                "transaction",
                "amount",
                "date",
                "user_id",
                "receipt",
                "project",
            ] {
                if !old[field].is_null() {
                    body[field] = old[field].clone();
                }
            }
            let reply = app.post(body).await;
            (reply.status == 201).then_some(reply.body)
        }
    }
}

/// Every decision, with what became of it.
async fn decisions(app: &TestApp) -> Vec<Value> {
    let mut all = Vec::new();
    let mut path = "/v1/expenses?limit=100".to_owned();
    loop {
        let page = app.get(&path).await.body;
        all.extend(page["decisions"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => path = format!("/v1/expenses?limit=100&cursor={next}"),
            None => return all,
        }
    }
}

fn number(value: &Value) -> Decimal {
    value
        .as_str()
        .map_or(Decimal::ZERO, |text| text.parse().unwrap())
}

/// What a purchase holds: what was granted, less all credits of it.
fn share(purchase: &Value, all: &[Value]) -> Decimal {
    let resolution = &purchase["resolution"];
    let granted = match (resolution["action"].as_str(), purchase["outcome"].as_str()) {
        (Some("approve"), _) => number(&resolution["amount"]) + number(&resolution["credited"]),
        (Some(_), _) => Decimal::ZERO,
        (None, Some("approved" | "needs_approval")) => number(&purchase["amount"]),
        (None, _) => Decimal::ZERO,
    };
    let credits = all
        .iter()
        .filter(|credit| credit["refunds"] == purchase["id"]);
    let credited: Decimal = credits.map(|credit| -number(&credit["amount"])).sum();
    (granted - credited).max(Decimal::ZERO)
}

/// What the decisions add up to for a cap, an employee or a project, and a day.
fn recount(all: &[Value], cap: &Counted, key: &str, day: Date) -> Decimal {
    let window = cap.window;
    let counts = |purchase: &&Value| {
        let category = purchase["resolution"]["category"]
            .as_str()
            .or(purchase["category"].as_str());
        let date: Date = purchase["date"].as_str().unwrap().parse().unwrap();
        purchase["refunds"].is_null()
            && category.is_some_and(|category| cap.categories.contains(&category))
            && purchase[cap.by]
                .as_str()
                .is_some_and(|name| person(name) == person(key))
            && window(date) == window(day)
    };
    all.iter()
        .filter(counts)
        .map(|purchase| share(purchase, all))
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_counter_holds_what_the_decisions_add_up_to() {
    let rules: String = CAPS.map(|rule| cap(rule.id, rule.keys, "4000.00")).concat();
    let policies = policies_with("office.toml", &rules);
    let mut runner = TestRunner::new_with_rng(
        ProptestConfig::default(),
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    let courses: Vec<Vec<Event>> = (0..4)
        .map(|_| events().new_tree(&mut runner).unwrap().current())
        .collect();
    on_each_store(async |store| {
        for events in &courses {
            let service = app(&store.store, policies.path(), &["unavailable:0.1", "misclassify:0.1"]).await;
            let mut purchases = Vec::new();
            // Three at a time, so that they compete.
            for together in events.chunks(3) {
                let happened = together.iter().map(|event| happen(&service, &purchases, event));
                let happened: Vec<Option<Value>> = join_all(happened).await;
                purchases.extend(happened.into_iter().flatten());
            }
            service.stop().await;
            let service = app(&store.store, policies.path(), &[]).await;
            let all = decisions(&service).await;
            let mut held: BTreeMap<&str, usize> = BTreeMap::new();
            for day in DAYS {
                for (user_id, project) in [("ana", "apollo"), ("ben", "ZEUS")] {
                    let body = json!({
                        "transaction": "Printer toner", "amount": "90000.00", "date": day, "user_id": user_id,
                        "project": project,
                    });
                    let probe = service.decide(body).await;
                    assert_eq!(probe["outcome"], "denied", "{probe:#}");
                    for cap in &CAPS {
                        let key = if cap.by == "project" { project } else { user_id };
                        let expected = recount(&all, cap, key, day.parse().unwrap());
                        let used = number(&super::cap_of(&probe, cap.id)["used"]);
                        assert_eq!(used, expected, "{} of {key} on {day}", cap.id);
                        *held.entry(cap.id).or_default() += usize::from(!used.is_zero());
                    }
                }
            }
            assert_eq!(held.len(), CAPS.len());
            assert!(held.values().all(|n| *n > 0), "nothing is counted: {held:?}");
            service.stop().await;
        }
    })
    .await;
}
