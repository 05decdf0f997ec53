//! The ledger: caps hold under concurrency, tenants are separate, and answered decisions are there
//! after a restart.

use std::time::Duration;

use expense_agent::ledger::{Ledger, Store};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::harness::expenses::{meal, of_user, path_of, without_page};
use crate::harness::store::{TestStore, on_each_store};
use crate::harness::{TestApp, poll};

/// What is approved or pending approval among decisions.
fn granted(decisions: &[Value]) -> Decimal {
    let counts = |decision: &&Value| {
        ["approved", "needs_approval"].contains(&decision["outcome"].as_str().unwrap())
    };
    decisions
        .iter()
        .filter(counts)
        .map(|decision| {
            decision["amount"]
                .as_str()
                .unwrap()
                .parse::<Decimal>()
                .unwrap()
        })
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_meals_never_end_above_the_day_cap() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        let meals = (0..1_000).map(|n| app.decide(meal(&format!("{}.{:02}", 1 + n % 9, n % 100))));
        let decisions = futures_util::future::join_all(meals).await;
        let granted = granted(&decisions);
        let cap = Decimal::from(75);
        assert!(granted <= cap, "{granted}");
        // A denied meal would not have fitted beside what is granted.
        let denied = decisions
            .iter()
            .filter(|decision| decision["outcome"] == "denied");
        for decision in denied {
            let amount: Decimal = decision["amount"].as_str().unwrap().parse().unwrap();
            assert!(granted + amount > cap, "{decision:#}");
        }
        // A cap that moved does not count as an override of the model, and a decision that was
        // recomputed for it says so.
        for decision in &decisions {
            assert_eq!(decision["override"], false);
            assert!(
                decision["cap_moved"] == true
                    || decision["policy_verdict"] == decision["model_decision"],
                "{decision:#}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn denied_and_reviewed_expenses_take_nothing_of_a_cap() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        assert_eq!(
            app.decide(of_user(meal("80.00"), "ana")).await["outcome"],
            "denied"
        );
        let conflict = json!({
            "transaction": "Team lunch",
            "amount": "70.00",
            "mcc": "4511",
            "date": "2026-03-14",
            "user_id": "ana",
        });
        assert_eq!(app.decide(conflict).await["outcome"], "needs_review");
        assert_eq!(
            app.decide(of_user(meal("75.00"), "ana")).await["outcome"],
            "approved"
        );
        let last = app.decide(of_user(meal("0.01"), "ana")).await;
        assert_eq!(
            (&last["outcome"], &last["findings"][0]["used"]),
            (&json!("denied"), &json!("75.00"))
        );
    })
    .await;
}

#[tokio::test]
async fn windows_are_per_employee_tenant_day_trip_and_year() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        let outcome = async |body: Value, tenant: &str| {
            let baggage = format!("tenant.id={tenant}");
            app.post_with(body, &[("baggage", &baggage)]).await.body["outcome"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        let meal_on = |day: &str| {
            json!({
                "transaction": "Lunch",
                "amount": "75.00",
                "date": day,
                "user_id": "ana",
                "receipt": true,
            })
        };
        assert_eq!(outcome(meal_on("2026-03-14"), "acme").await, "approved");
        assert_eq!(outcome(meal_on("2026-03-14"), "acme").await, "denied");
        assert_eq!(outcome(meal_on("2026-03-15"), "acme").await, "approved");
        assert_eq!(outcome(meal_on("2026-03-14"), "zeta").await, "approved");
        assert_eq!(
            outcome(of_user(meal("75.00"), "ben"), "acme").await,
            "approved"
        );

        let leg = |trip: Value| {
            json!({
                "transaction": "Flight",
                "amount": "200.00",
                "trip_id": trip,
                "user_id": "ana",
            })
        };
        for expected in ["approved", "approved", "denied"] {
            assert_eq!(outcome(leg(json!("oslo")), "acme").await, expected);
        }
        // Without a trip id, every expense is a trip of its own.
        for _ in 0..3 {
            assert_eq!(outcome(leg(Value::Null), "acme").await, "approved");
        }

        let desk = |day: &str| {
            json!({
                "transaction": "Standing desk",
                "amount": "2000.00",
                "date": day,
                "user_id": "ana",
            })
        };
        assert_eq!(outcome(desk("2025-12-31"), "acme").await, "needs_approval");
        assert_eq!(outcome(desk("2025-01-01"), "acme").await, "denied");
        assert_eq!(outcome(desk("2026-01-01"), "acme").await, "needs_approval");
    })
    .await;
}

#[tokio::test]
async fn one_tenant_cannot_read_anothers_decisions() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        let theirs = app
            .post_with(
                of_user(meal("5.00"), "ana"),
                &[("baggage", "tenant.id=acme")],
            )
            .await
            .body;
        let path = path_of(&theirs);
        assert_eq!(app.get(&path).await.status, 404);
        assert_eq!(app.get("/v1/expenses").await.body["decisions"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn decisions_and_their_share_of_the_caps_outlive_a_restart() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        let before = app.decide(of_user(meal("70.00"), "ana")).await;
        app.stop().await;
        let app = TestApp::on(&store).await;
        let path = path_of(&before);
        assert_eq!(
            without_page(app.get(&path).await.body),
            without_page(before)
        );
        let after = app.decide(meal("10.00")).await;
        assert_eq!(
            (&after["outcome"], &after["findings"][0]["used"]),
            (&json!("denied"), &json!("70.00"))
        );
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_ledger_that_cannot_be_written_is_a_503_and_nothing_is_answered() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        // A table is renamed under the running service: the closest to a lost ledger.
        store.execute("ALTER TABLE cap_usage RENAME TO gone").await;
        let reply = app.post(of_user(meal("5.00"), "ana")).await;
        assert_eq!(
            (reply.status, &reply.body["code"]),
            (503, &json!("ledger_unavailable"))
        );
        assert_eq!(reply.headers["retry-after"], "1");
        // A write that was committed at the start counts as proof for a second.
        let ready = poll::until(
            Duration::from_secs(10),
            "ledger that is not ready",
            async || {
                let ready = app.get("/readyz").await;
                if ready.status == 503 {
                    Ok(ready)
                } else {
                    Err(ready)
                }
            },
        )
        .await;
        assert_eq!(ready.body["checks"]["ledger"], "failed");
        assert_eq!(app.get("/healthz").await.status, 200);
        let spans = app.trace(&reply.body["trace_id"]);
        let agent = spans
            .iter()
            .find(|span| span.name.starts_with("invoke_agent"))
            .unwrap();
        assert!(
            agent
                .attributes
                .iter()
                .any(|a| a.key.as_str() == "error.type" && a.value.as_str() == "ledger")
        );

        store.execute("ALTER TABLE gone RENAME TO cap_usage").await;
        assert_eq!(app.get("/readyz").await.status, 200);
        assert_eq!(app.get("/v1/expenses").await.body["decisions"], json!([]));
        assert_eq!(
            app.decide(of_user(meal("5.00"), "ana")).await["outcome"],
            "approved"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_services_on_one_ledger_behave_as_one() {
    on_each_store(async |store| {
        let replicas = [TestApp::on(&store).await, TestApp::on(&store).await];
        let meals = (0..100).map(|n| replicas[n % 2].decide(of_user(meal("4.00"), "ana")));
        let decisions = futures_util::future::join_all(meals).await;
        assert_eq!(
            granted(&decisions),
            Decimal::from(72),
            "eighteen meals of four fit below seventy-five"
        );
        // One key, sent to both at once, is decided once.
        let key = [("idempotency-key", "both")];
        let (one, other) = tokio::join!(
            replicas[0].post_with(of_user(meal("1.00"), "ben"), &key),
            replicas[1].post_with(of_user(meal("1.00"), "ben"), &key)
        );
        assert_eq!((one.status, &one.body["id"]), (201, &other.body["id"]));
        let path = path_of(&one.body);
        assert_eq!(
            without_page(replicas[1].get(&path).await.body),
            without_page(replicas[0].get(&path).await.body)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_write_that_the_database_refuses_does_not_fail_the_others_of_its_transaction() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        let refuse_eve = match store.store {
            Store::Sqlite(_) => {
                "CREATE TRIGGER refuse BEFORE INSERT ON decision WHEN NEW.user_id = 'eve'
                 BEGIN SELECT RAISE(ABORT, 'refused'); END"
            }
            Store::Postgres(_) => {
                "CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN RAISE 'refused'; END $$ \
                 LANGUAGE plpgsql;
                 CREATE TRIGGER refuse BEFORE INSERT ON decision FOR EACH ROW WHEN (NEW.user_id = \
                 'eve')
                 EXECUTE FUNCTION refuse()"
            }
        };
        store.execute(refuse_eve).await;
        let meals = (0..300).map(|n| {
            let user = if n % 3 == 0 {
                "eve".to_owned()
            } else {
                format!("user-{n}")
            };
            app.post(of_user(meal("1.00"), &user))
        });
        let replies = futures_util::future::join_all(meals).await;
        for (n, reply) in replies.iter().enumerate() {
            let expected = if n % 3 == 0 { 503 } else { 201 };
            assert_eq!(reply.status, expected, "{n}: {}", reply.body);
        }
        let ledger = Ledger::open(&store.store).await.unwrap();
        let walk = ledger.walk("default", None).await.unwrap();
        assert_eq!((walk.broken, walk.n_records), (None, 200));
        ledger.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_decision_recorded_by_an_earlier_version_can_still_be_read() {
    let store = TestStore::sqlite();
    let app = TestApp::on(&store).await;
    let before = app.decide(of_user(meal("5.00"), "ana")).await;
    let forget = "UPDATE decision SET amount_minor = NULL, currency = NULL, expense_date = NULL,
         document = json_remove(document, '$.reimbursable', '$.duplicates', '$.converted_amount')";
    store.execute(forget).await;
    let path = path_of(&before);
    let after = app.get(&path).await.body;
    assert_eq!(
        (&after["reimbursable"], &after["duplicates"]),
        (&Value::Null, &json!([]))
    );
    assert_eq!(after["outcome"], before["outcome"]);
    assert_eq!(
        app.decide(of_user(meal("5.00"), "ana")).await["duplicates"],
        json!([])
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn in_any_order_of_expenses_the_cap_holds_and_nothing_that_fits_is_denied(
        groups in prop::collection::vec(prop::collection::vec(1_i64..5_000, 1..6), 1..5)
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let app = TestApp::spawn().await;
            let mut decisions = Vec::new();
            // One group after the other, each group at once.
            for group in groups {
                let meals = group.iter().map(|cents| app.decide(meal(&Decimal::new(*cents, 2).to_string())));
                let decided = futures_util::future::join_all(meals).await;
                decisions.extend(decided.iter().cloned());
                let granted = granted(&decisions);
                assert!(granted <= Decimal::from(75), "{granted}");
                for denied in decided.iter().filter(|decision| decision["outcome"] == "denied") {
                    let amount: Decimal = denied["amount"].as_str().unwrap().parse().unwrap();
                    assert!(granted + amount > Decimal::from(75), "{denied:#}");
                }
            }
            // What the ledger counts is what was granted.
            let probe = app.decide(of_user(meal("80.00"), "ana")).await;
            let used: Decimal = probe["findings"][0]["used"].as_str().unwrap().parse().unwrap();
            assert_eq!(used, granted(&decisions));
        });
    }
}

/// Whether an unresolved decision passes a filter, given as in a query string.
fn passes(filter: &str, decision: &Value) -> bool {
    let (name, value) = filter.split_once('=').unwrap();
    match name {
        "failed_validation" => decision["validations"]
            .as_array()
            .unwrap()
            .iter()
            .any(|validation| validation["type"] == value && validation["passed"] == false),
        "pending" => decision["approver"] == value || decision["reviewer"] == value,
        _ => decision[name] == value,
    }
}

#[tokio::test]
async fn any_two_filters_combine_page_by_page() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        let kinds = [
            ("Team lunch", "12.00", "5812"),
            ("Flight to Chicago", "650.00", "4511"),
            ("Printer", "600.00", "5045"),
            ("Team lunch", "30.00", "4511"),
        ];
        let mut decisions = Vec::new();
        for n in 0..24 {
            let (transaction, amount, mcc) = kinds[n % kinds.len()];
            let user = ["ana", "ben"][n / kinds.len() % 2];
            let body = json!({
                "transaction": transaction,
                "amount": amount,
                "mcc": mcc,
                "user_id": user,
                "receipt": true,
                "date": format!("2026-03-{:02}", n + 1),
            });
            decisions.insert(0, app.decide(body).await);
        }
        let filters = [
            "user_id=ana",
            "outcome=approved",
            "outcome=needs_review",
            "category=meals",
            "category=travel",
            "failed_validation=category_evidence",
            "pending=manager",
        ];
        for (one, other) in filters
            .iter()
            .flat_map(|one| filters.iter().map(move |other| (one, other)))
        {
            // A filter may be given once; a pair of equal filters is a single filter.
            if one != other && one.split('=').next() == other.split('=').next() {
                continue;
            }
            let query = if one == other {
                (*one).to_owned()
            } else {
                format!("{one}&{other}")
            };
            let passing = decisions
                .iter()
                .filter(|decision| passes(one, decision) && passes(other, decision));
            let expected: Vec<_> = passing.map(|decision| decision["id"].clone()).collect();
            let mut listed = Vec::new();
            let mut cursor = String::new();
            loop {
                let page = app
                    .get(&format!("/v1/expenses?{query}&limit=2{cursor}"))
                    .await
                    .body;
                listed.extend(
                    page["decisions"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|decision| decision["id"].clone()),
                );
                let Some(next) = page["next_cursor"].as_str() else {
                    break;
                };
                cursor = format!("&cursor={next}");
            }
            assert_eq!(listed, expected, "{one} {other}");
        }
        app.stop().await;
    })
    .await;
}
