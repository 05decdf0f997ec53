//! Plans: a purchase that a person agreed to before it is made takes over the share of its plan.

use std::path::Path;

use expense_agent::config::Config;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::expenses::{id_of, laptop, path_of};
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::store::{TestStore, on_each_store};
use crate::harness::{Reply, TestApp, config, policies_with};

/// Office expenses above 200.00 are agreed on before, up to 10.00 more is still as agreed. A manager
/// approves those above 500.00, as shipped, and the year's cap is 2500.00.
const RULE: &str = r#"
[[rule]]
id = "agreed-before"
kind = "preapproved"
above = "200.00"
tolerance = "10.00"
role = "director"
text = "What costs more than 200.00 is agreed on before; 10.00 more is still as agreed."
"#;

struct Office {
    app: TestApp,
    _keys: KeyFile,
    _policies: TempDir,
}

impl Office {
    async fn on(store: &TestStore) -> Self {
        let keys = KeyFile::new(&[
            entry("feed", "acme", "ea_feed", ""),
            entry(
                "boss",
                "acme",
                "ea_boss",
                "roles = [\"manager\", \"director\", \"cfo\"]",
            ),
        ]);
        let policies = policies_with("office.toml", RULE);
        let app = TestApp::with(Config {
            http: keys.http_config(),
            store: store.store.clone(),
            policies: policies.path().to_owned(),
            ..config()
        })
        .await;
        Self {
            app,
            _keys: keys,
            _policies: policies,
        }
    }

    async fn decide(&self, body: Value) -> Value {
        self.app.decide_as("ea_feed", body).await
    }

    async fn approve(&self, decision: &Value, amount: Option<&str>) -> Value {
        let mut body =
            json!({"action": "approve", "role": "director", "actor": "dan", "reason": "Agreed."});
        if let Some(amount) = amount {
            body["amount"] = amount.into();
        }
        let reply = self.app.resolve("ea_boss", decision, body).await;
        assert_eq!(reply.status, 201, "{:#}", reply.body);
        reply.body
    }

    /// An approved plan of this amount.
    async fn agreed(&self, amount: &str) -> Value {
        let plan = self.decide(plan(amount)).await;
        assert_eq!(plan["outcome"], "needs_approval", "{plan:#}");
        self.approve(&plan, None).await
    }

    async fn read(&self, decision: &Value) -> Value {
        let headers = [("authorization", "Bearer ea_feed")];
        self.app.get_with(&path_of(decision), &headers).await.body
    }

    /// How much of the year's cap is used.
    async fn used(&self) -> Value {
        self.decide(laptop("9000.00")).await["findings"][0]["used"].clone()
    }
}

fn plan(amount: &str) -> Value {
    let mut plan = laptop(amount);
    plan["plan"] = true.into();
    plan
}

/// A purchase under a plan.
fn under(plan: &Value, amount: &str) -> Value {
    let mut purchase = laptop(amount);
    purchase["under"] = plan["id"].clone();
    purchase
}

fn refusal(reply: &Reply) -> (u16, &Value, &Value) {
    let error = &reply.body["errors"][0];
    (reply.status, &reply.body["code"], &error["field"])
}

#[tokio::test]
async fn a_purchase_is_as_agreed_up_to_its_plan_and_the_tolerance() {
    on_each_store(async |store| {
        for (amount, outcome, approver) in [
            ("900.00", "approved", Value::Null),
            ("250.00", "approved", Value::Null),
            ("910.00", "approved", Value::Null),
            // What is above is judged as if it were alone: up to 200.00 needs no plan.
            ("910.01", "approved", Value::Null),
            ("1110.00", "approved", Value::Null),
            ("1110.01", "needs_approval", json!("director")),
            ("2500.00", "needs_approval", json!("director")),
            ("2500.01", "denied", Value::Null),
        ] {
            let office = Office::on(&store).await;
            let employee = format!("ana-{amount}");
            let of = |mut body: Value| {
                body["user_id"] = employee.as_str().into();
                body
            };
            let plan = office.decide(of(plan("900.00"))).await;
            assert_eq!(plan["approver"], "director", "{plan:#}");
            assert_eq!(plan["reimbursable"], Value::Null);
            let plan = office.approve(&plan, None).await;
            let bought = office.decide(of(under(&plan, amount))).await;
            assert_eq!(
                (&bought["outcome"], &bought["approver"]),
                (&json!(outcome), &approver),
                "{amount} {bought:#}"
            );
            // It counts once, with what it costs.
            let mut more = of(laptop("9000.00"));
            more["transaction"] = "Laptop for all".into();
            let used = office.decide(more).await["findings"][0]["used"].clone();
            let is_taken = outcome != "denied";
            let counted = if is_taken { amount } else { "900.00" };
            assert_eq!(used, counted, "{amount}");
            let stored = office.read(&plan).await;
            let fulfilled_by = if is_taken {
                &bought["id"]
            } else {
                &Value::Null
            };
            assert_eq!(&stored["fulfilled_by"], fulfilled_by, "{amount}");
            office.app.stop().await;
        }
        store.assert_chain_holds("acme").await;
    })
    .await;
}

#[tokio::test]
async fn without_a_plan_the_role_is_asked_above_the_amount() {
    let store = TestStore::sqlite();
    let office = Office::on(&store).await;
    let below = office.decide(laptop("200.00")).await;
    assert_eq!(below["outcome"], "approved", "{below:#}");
    let above = office.decide(laptop("200.01")).await;
    assert_eq!(
        (&above["outcome"], &above["approver"]),
        (&json!("needs_approval"), &json!("director"))
    );
}

#[tokio::test]
async fn a_person_may_agree_to_less_than_was_planned() {
    on_each_store(async |store| {
        let office = Office::on(&store).await;
        let plan = office.decide(plan("900.00")).await;
        let plan = office.approve(&plan, Some("600.00")).await;
        assert_eq!(office.used().await, "600.00");
        let above = office.decide(under(&plan, "810.01")).await;
        assert_eq!(above["approver"], "director");
        assert_eq!(office.used().await, "810.01");
    })
    .await;
}

#[tokio::test]
async fn a_plan_takes_its_share_and_gives_back_what_the_purchase_does_not_need() {
    on_each_store(async |store| {
        let office = Office::on(&store).await;
        let plan = office.agreed("2400.00").await;
        assert_eq!(office.used().await, "2400.00");
        // The plan leaves 100.00 to others, and all of it to its own purchase.
        let other = office.decide(laptop("150.00")).await;
        assert_eq!(other["outcome"], "denied", "{other:#}");
        let bought = office.decide(under(&plan, "2000.00")).await;
        assert_eq!(bought["outcome"], "approved", "{bought:#}");
        assert_eq!(bought["caps"][0]["used"], "0.00");
        assert_eq!(office.used().await, "2000.00");
        // A credit takes off the purchase, in the same windows.
        let credit = json!({
            "transaction": "Laptop back", "amount": "-500.00", "user_id": "ana", "refunds": bought["id"],
        });
        assert_eq!(office.decide(credit).await["reimbursable"], "-500.00");
        assert_eq!(office.used().await, "1500.00");
    })
    .await;
}

#[tokio::test]
async fn only_an_approved_plan_of_the_employee_that_is_not_used_covers_a_purchase() {
    let store = TestStore::sqlite();
    let office = Office::on(&store).await;
    let open = office.decide(plan("900.00")).await;
    let used = office.agreed("800.00").await;
    office.decide(under(&used, "700.00")).await;
    let purchase = office.decide(laptop("100.00")).await;
    let agreed = office.agreed("300.00").await;
    let mut of_ben = under(&agreed, "300.00");
    of_ben["user_id"] = "ben".into();
    let mut in_euros = under(&agreed, "300.00");
    in_euros["currency"] = "EUR".into();
    let mut plan_under = under(&agreed, "300.00");
    plan_under["plan"] = true.into();
    for body in [
        under(&open, "900.00"),
        under(&used, "100.00"),
        under(&purchase, "100.00"),
        of_ben,
        in_euros,
        plan_under,
    ] {
        let reply = office.app.post_as("ea_feed", body.clone()).await;
        assert_eq!(
            refusal(&reply),
            (422, &json!("invalid_expense"), &json!("under")),
            "{body}"
        );
    }
    let refund = json!({
        "transaction": "Laptop back", "amount": "-50.00", "user_id": "ana", "refunds": agreed["id"],
    });
    let reply = office.app.post_as("ea_feed", refund).await;
    assert_eq!(
        refusal(&reply),
        (422, &json!("invalid_expense"), &json!("refunds"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_purchases_at_once_one_takes_the_plan_over() {
    on_each_store(async |store| {
        let office = Office::on(&store).await;
        let plan = office.agreed("400.00").await;
        let purchase = |n: usize| {
            let mut body = under(&plan, "300.00");
            body["transaction"] = format!("Laptop {n}").into();
            office.app.post_as("ea_feed", body)
        };
        let replies = join_all((0..12).map(purchase)).await;
        let (done, refused): (Vec<&Reply>, Vec<&Reply>) =
            replies.iter().partition(|reply| reply.status == 201);
        assert_eq!((done.len(), refused.len()), (1, 11));
        for reply in refused {
            assert_eq!(
                refusal(reply),
                (422, &json!("invalid_expense"), &json!("under"))
            );
        }
        assert_eq!(office.used().await, "300.00");
        let stored = office.read(&plan).await;
        assert_eq!(stored["fulfilled_by"], id_of(&done[0].body));
    })
    .await;
}

#[tokio::test]
async fn a_plan_has_no_receipt_and_its_day_may_come() {
    let store = TestStore::sqlite();
    let rule = format!(
        "{RULE}\n[[rule]]\nid = \"no-future\"\nkind = \"future\"\ntext = \"Not before it is bought.\"\n\
         \n[[rule]]\nid = \"with-receipt\"\nkind = \"receipt\"\nabove = \"10.00\"\ntext = \"With a receipt.\"\n"
    );
    let policies = policies_with("office.toml", &rule);
    let app = TestApp::with(Config {
        store: store.store.clone(),
        policies: Path::to_owned(policies.path()),
        ..config()
    })
    .await;
    let mut body = laptop("100.00");
    body["date"] = "2999-01-01".into();
    assert_eq!(app.decide(body.clone()).await["outcome"], "denied");
    body["plan"] = true.into();
    let plan = app.decide(body).await;
    assert_eq!(
        (&plan["outcome"], &plan["missing"], &plan["plan"]),
        (&json!("approved"), &json!([]), &json!(true))
    );
}
