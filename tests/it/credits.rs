//! Credits: money that comes back frees at most the share of its purchase.

use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::harness::TestApp;
use crate::harness::expenses::meal;
use crate::harness::store::on_each_store;

fn credit(amount: &str, purchase: &Value) -> Value {
    json!({
        "transaction": "Credit note",
        "amount": amount,
        "user_id": "ana",
        "refunds": purchase["id"],
    })
}

async fn used(app: &TestApp) -> Value {
    app.decide(meal("80.00")).await["findings"][0]["used"].clone()
}

#[tokio::test]
async fn a_credit_frees_at_most_the_share_of_its_purchase() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        let lunch = app.decide(meal("60.00")).await;
        app.decide(meal("10.00")).await;
        let back = app.decide(credit("-25.00", &lunch)).await;
        assert_eq!(
            (&back["outcome"], &back["category"]),
            (&json!("approved"), &json!("meals"))
        );
        assert_eq!(
            (&back["amount"], &back["reimbursable"]),
            (&json!("-25.00"), &json!("-25.00"))
        );
        assert_eq!(
            (&back["steps"], &back["validations"]),
            (&json!([]), &json!([])),
            "no model is asked"
        );
        assert_eq!(used(&app).await, "45.00");
        // A credit of more than what is left of the purchase frees what is left.
        let rest = app.decide(credit("-100.00", &lunch)).await;
        assert_eq!(rest["reimbursable"], "-35.00");
        assert_eq!(used(&app).await, "10.00");
        assert_eq!(
            app.decide(credit("-1.00", &lunch)).await["reimbursable"],
            "0.00"
        );
        // What was freed can be used again.
        assert_eq!(app.decide(meal("65.00")).await["outcome"], "approved");
    })
    .await;
}

#[tokio::test]
async fn the_run_of_a_credit_names_no_model() {
    let app = TestApp::spawn().await;
    let lunch = app.decide(meal("60.00")).await;
    let back = app.decide(credit("-25.00", &lunch)).await;
    for (decision, has_model) in [(lunch, true), (back, false)] {
        let spans = app.trace(&decision["trace_id"]);
        let run = spans
            .iter()
            .find(|span| span.name == "invoke_agent expense_agent")
            .unwrap();
        let names_it = run
            .attributes
            .iter()
            .any(|attribute| attribute.key.as_str() == "gen_ai.request.model");
        assert_eq!(names_it, has_model, "{}", app.tree(&decision));
    }
}

#[tokio::test]
async fn a_credit_of_a_denied_purchase_frees_nothing() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        let denied = app.decide(meal("80.00")).await;
        assert_eq!(
            app.decide(credit("-80.00", &denied)).await["reimbursable"],
            "0.00"
        );
        assert_eq!(used(&app).await, "0.00");
    })
    .await;
}

#[tokio::test]
async fn a_credit_in_a_foreign_currency_frees_what_its_purchase_used() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        let mut lunch = meal("40.00");
        lunch["currency"] = "EUR".into();
        let lunch = app.decide(lunch).await;
        assert_eq!(lunch["converted_amount"]["amount"], "43.40");
        let mut back = credit("-40.00", &lunch);
        back["currency"] = "EUR".into();
        let back = app.decide(back).await;
        assert_eq!(
            (&back["converted_amount"]["amount"], &back["reimbursable"]),
            (&json!("-43.40"), &json!("-43.40"))
        );
        assert_eq!(used(&app).await, "0.00");
    })
    .await;
}

#[tokio::test]
async fn a_credit_must_name_a_purchase_of_the_same_employee_tenant_and_currency() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        let lunch = app.decide(meal("60.00")).await;
        let back = app.decide(credit("-10.00", &lunch)).await;
        let with = |field: &str, value: Value| {
            let mut body = credit("-10.00", &lunch);
            body[field] = value;
            body
        };
        for (body, field, said) in [
            (
                with("refunds", Value::Null),
                "amount",
                "name the purchase it refunds in `refunds`",
            ),
            (
                with("amount", "10.00".into()),
                "amount",
                "a credit is below zero",
            ),
            (
                with("amount", "-0.00".into()),
                "amount",
                "the amount is zero",
            ),
            (
                with("amount", "--1".into()),
                "amount",
                "write up to 12 digits",
            ),
            (
                with("refunds", "lunch".into()),
                "refunds",
                "write the id of the purchase's decision",
            ),
            (
                with("refunds", "01890a5d-ac96-774b-bcce-b302099a8057".into()),
                "refunds",
                "has no such purchase",
            ),
            (
                with("refunds", back["id"].clone()),
                "refunds",
                "has no such purchase",
            ),
            (
                with("user_id", "ben".into()),
                "refunds",
                "has no such purchase",
            ),
            (
                with("currency", "EUR".into()),
                "refunds",
                "has no such purchase",
            ),
        ] {
            let reply = app.post(body.clone()).await;
            assert_eq!(
                (reply.status, &reply.body["errors"][0]["field"]),
                (422, &json!(field)),
                "{body} {}",
                reply.body
            );
            let message = reply.body["errors"][0]["message"].as_str().unwrap();
            assert!(message.contains(said), "{message}");
        }
        let reply = app
            .post_with(credit("-10.00", &lunch), &[("baggage", "tenant.id=acme")])
            .await;
        assert_eq!(reply.status, 422, "the purchase belongs to another tenant");
        let number = json!({
            "transaction": "Credit",
            "amount": -9.5,
            "user_id": "ana",
            "refunds": lunch["id"],
        });
        assert_eq!(app.decide(number).await["amount"], "-9.50");
    })
    .await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn after_concurrent_credits_the_cap_usage_is_the_purchase_less_the_credits(
        bought in 1_i64..7_500, credits in prop::collection::vec(1_i64..4_000, 1..8)
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let app = TestApp::spawn().await;
            let lunch = app.decide(meal(&Decimal::new(bought, 2).to_string())).await;
            let credits = credits.iter().map(|cents| app.decide(credit(&Decimal::new(-cents, 2).to_string(), &lunch)));
            let credits = futures_util::future::join_all(credits).await;
            let amount = |body: &Value, field: &str| body[field].as_str().unwrap().parse::<Decimal>().unwrap();
            let freed: Decimal = credits.iter().map(|credit| -amount(credit, "reimbursable")).sum();
            let wanted: Decimal = credits.iter().map(|credit| -amount(credit, "amount")).sum();
            assert_eq!(freed, wanted.min(Decimal::new(bought, 2)));
            let used: Decimal = used(&app).await.as_str().unwrap().parse().unwrap();
            assert_eq!(used, Decimal::new(bought, 2) - freed);
        });
    }
}
