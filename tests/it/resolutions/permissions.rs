//! Who may resolve, and what a resolution must say.

use serde_json::json;

use super::{Office, by};
use crate::harness::TestApp;
use crate::harness::expenses::{laptop, resolution_of};

#[tokio::test]
async fn resolving_needs_the_role_and_is_refused_to_the_employee_and_to_other_tenants() {
    let office = Office::on_sqlite().await;
    let pending = office.decide(laptop("1000.00")).await;
    let gift = office
        .decide(json!({"transaction": "Retirement gift", "amount": "30.00", "user_id": "ana"}))
        .await;
    assert_eq!(gift["approver"], "vp");
    let unsigned = json!({"action": "approve", "role": "manager", "reason": "Fine."});
    for (key, decision, body, status, code) in [
        (
            "ea_feed",
            &pending,
            by("ben", "approve", "manager"),
            403,
            "role_missing",
        ),
        (
            "ea_manager",
            &pending,
            by("ben", "approve", "cfo"),
            403,
            "role_missing",
        ),
        (
            "ea_manager",
            &pending,
            by("ana", "approve", "manager"),
            403,
            "own_expense",
        ),
        (
            "ea_manager",
            &pending,
            by("ana", "deny", "manager"),
            403,
            "own_expense",
        ),
        (
            "ea_manager",
            &gift,
            by("ben", "approve", "manager"),
            403,
            "role_too_low",
        ),
        (
            "ea_cfo",
            &pending,
            by("ben", "approve", "cfo"),
            403,
            "another_actor",
        ),
        (
            "ea_zeta",
            &pending,
            by("ben", "approve", "cfo"),
            404,
            "not_found",
        ),
        ("ea_manager", &pending, unsigned, 422, "invalid_resolution"),
    ] {
        let reply = office.resolve(key, decision, body.clone()).await;
        assert_eq!(
            (reply.status, &reply.body["code"]),
            (status, &json!(code)),
            "{key} {body}"
        );
    }
    // None of these requests resolved it.
    assert_eq!(
        office.get("/v1/expenses?pending=manager").await["decisions"][0]["id"],
        pending["id"]
    );
    let signed = json!({"action": "approve", "role": "cfo", "reason": "Fine."});
    let reply = office.resolve("ea_cfo", &pending, signed).await;
    assert_eq!(
        (reply.status, &reply.body["resolution"]["actor"]),
        (201, &json!("dora"))
    );

    let ride = office
        .decide(json!({"transaction": "Uber ride", "amount": "45.00", "user_id": "ana"}))
        .await;
    let closed = office
        .resolve("ea_manager", &ride, by("ben", "deny", "manager"))
        .await;
    assert_eq!(
        (closed.status, &closed.body["code"]),
        (409, &json!("not_open"))
    );
}

#[tokio::test]
async fn without_api_keys_every_resolution_is_refused() {
    let app = TestApp::spawn().await;
    let pending = app.decide(laptop("1000.00")).await;
    let path = resolution_of(&pending);
    let reply = app
        .post_to(&path, by("ben", "approve", "manager"), &[])
        .await;
    assert_eq!(
        (reply.status, &reply.body["code"]),
        (403, &json!("role_missing"))
    );
}

#[tokio::test]
async fn every_error_of_a_resolution_is_named() {
    let office = Office::on_sqlite().await;
    let pending = office.decide(laptop("1000.00")).await;
    let wrong =
        json!({"action": "burn", "role": "boss", "actor": " ", "amount": "-1", "colour": "red"});
    let reply = office.resolve("ea_manager", &pending, wrong).await;
    assert_eq!(
        (reply.status, &reply.body["code"]),
        (422, &json!("invalid_resolution"))
    );
    let fields = reply.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["field"].as_str().unwrap());
    assert_eq!(
        fields.collect::<Vec<_>>(),
        ["colour", "action", "role", "actor", "reason", "amount"]
    );
    let mut more = by("ben", "approve", "manager");
    more["amount"] = "1000.01".into();
    let reply = office.resolve("ea_manager", &pending, more).await;
    assert_eq!(
        (reply.status, &reply.body["errors"][0]["field"]),
        (422, &json!("amount"))
    );
}
