//! Decisions that are open: the queue of a role, many people who resolve the same decision at once,
//! and the trace of a resolution.

use serde_json::{Value, json};

use super::{Office, by, odd_meal};
use crate::harness::Reply;
use crate::harness::expenses::{id_of, laptop};
use crate::harness::store::on_each_store;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_concurrent_resolutions_is_recorded() {
    on_each_store(async |store| {
        let office = Office::on(&store).await;
        let pending = office.decide(laptop("1000.00")).await;
        let resolve = async |n: usize| {
            let action = if n.is_multiple_of(2) {
                "approve"
            } else {
                "deny"
            };
            office
                .resolve(
                    "ea_manager",
                    &pending,
                    by(&format!("boss-{n}"), action, "manager"),
                )
                .await
        };
        let replies = futures_util::future::join_all((0..20).map(resolve)).await;
        let (done, late): (Vec<&Reply>, Vec<&Reply>) =
            replies.iter().partition(|reply| reply.status == 201);
        assert_eq!((done.len(), late.len()), (1, 19));
        assert!(
            late.iter()
                .all(|reply| reply.status == 409 && reply.body["code"] == "already_settled")
        );
        let is_approved = done[0].body["resolution"]["action"] == "approve";
        let used = if is_approved { "1000.00" } else { "0.00" };
        assert_eq!(office.used(laptop("1.00")).await, used);
        assert_eq!(
            office.get("/v1/expenses?pending=manager").await["decisions"],
            json!([])
        );
    })
    .await;
}

#[tokio::test]
async fn the_pending_list_of_a_role_holds_the_decisions_that_wait_for_it() {
    on_each_store(async |store| {
        let office = Office::on(&store).await;
        let laptop = office.decide(laptop("1000.00")).await;
        let meal = office.decide(odd_meal("60.00")).await;
        let gift = office
            .decide(json!({"transaction": "Retirement gift", "amount": "30.00", "user_id": "ana"}))
            .await;
        let queue = async |role: &str| {
            let page = office.get(&format!("/v1/expenses?pending={role}")).await;
            page["decisions"]
                .as_array()
                .unwrap()
                .iter()
                .map(|decision| decision["id"].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            queue("manager").await,
            [meal["id"].clone(), laptop["id"].clone()]
        );
        assert_eq!(queue("vp").await, [gift["id"].clone()]);
        assert_eq!(queue("cfo").await, Vec::<Value>::new());
        office
            .resolve("ea_vp", &gift, by("ben", "approve", "vp"))
            .await;
        assert_eq!(queue("vp").await, Vec::<Value>::new());
        assert_eq!(
            office.get("/v1/expenses?pending=boss").await["code"],
            "unknown_filter"
        );
    })
    .await;
}

#[tokio::test]
async fn a_resolution_has_its_own_trace_with_a_link_to_the_decision() {
    let office = Office::on_sqlite().await;
    let pending = office.decide(laptop("1000.00")).await;
    let reply = office
        .resolve("ea_manager", &pending, by("ben", "approve", "manager"))
        .await;
    let spans = office.app.trace(&reply.body["resolution"]["trace_id"]);
    assert_ne!(reply.body["resolution"]["trace_id"], pending["trace_id"]);
    let span = spans
        .iter()
        .find(|span| span.name == "resolve_expense")
        .unwrap();
    let attribute = |key: &str| {
        let found = span
            .attributes
            .iter()
            .find(|attribute| attribute.key.as_str() == key);
        found.map(|attribute| attribute.value.as_str().into_owned())
    };
    assert_eq!(attribute("expense.id").unwrap(), id_of(&pending));
    assert_eq!(attribute("expense.resolution.action").unwrap(), "approve");
    assert_eq!(attribute("user.id").unwrap(), "ben");
    assert_eq!(attribute("expense.record.hash").unwrap().len(), 64);
    let link = &span.links.links[0].span_context;
    let decided = office.app.trace(&pending["trace_id"]);
    let server = decided
        .iter()
        .find(|span| span.name == "POST /v1/expenses")
        .unwrap();
    assert_eq!(
        (link.trace_id(), link.span_id()),
        (
            server.span_context.trace_id(),
            server.span_context.span_id()
        )
    );

    let refused = office
        .resolve("ea_manager", &pending, by("ana", "approve", "manager"))
        .await;
    let spans = office.app.trace(&refused.body["trace_id"]);
    let span = spans
        .iter()
        .find(|span| span.name == "resolve_expense")
        .unwrap();
    assert!(
        span.attributes
            .iter()
            .any(|a| a.key.as_str() == "expense.resolution.refused")
    );
}
