//! What waits for whom, in which order, and who sees it.

use serde_json::{Value, json};

use super::{Office, Person, keys, pick_ids};
use crate::harness::expenses::{id_of, laptop, of_user};
use crate::harness::store::on_each_store;
use crate::harness::{TestApp, config};

fn gift() -> Value {
    json!({"transaction": "Retirement gift", "amount": "30.00", "user_id": "ana"})
}

#[tokio::test]
async fn a_queue_holds_what_the_roles_of_a_key_can_resolve_the_oldest_first() {
    on_each_store(async |store| {
        let keys = keys();
        let app = TestApp::with(expense_agent::config::Config {
            http: keys.http_config(),
            store: store.store.clone(),
            ..config()
        })
        .await;
        let mut decided = Vec::new();
        for body in [
            laptop("1000.00"),
            gift(),
            of_user(laptop("1001.00"), "cleo"),
        ] {
            let reply = app.post_as("ea_feed", body).await;
            decided.push(id_of(&reply.body).to_owned());
        }
        let of = async |key: &str, path: &str| {
            let person = Person {
                app: &app,
                key: Some(key),
            };
            pick_ids(&person.get(path).await.html)
        };
        assert_eq!(of("ea_vp", "/ui/review").await, decided);
        assert_eq!(of("ea_dora", "/ui/review").await, decided);
        assert_eq!(
            of("ea_manager", "/ui/review").await,
            [&decided[0], &decided[2]].map(String::clone)
        );
        assert_eq!(
            of("ea_vp", "/ui/review?role=vp").await,
            [decided[1].clone()]
        );
        assert_eq!(
            of("ea_vp", &format!("/ui/review?after={}", decided[1])).await,
            [decided[2].clone()]
        );
        // An employee without a role sees what concerns them, and another tenant nothing.
        assert_eq!(
            of("ea_ana", "/ui/review").await,
            [&decided[0], &decided[1]].map(String::clone)
        );
        assert_eq!(of("ea_zeta", "/ui/review").await, Vec::<String>::new());
        let zeta = Person {
            app: &app,
            key: Some("ea_zeta"),
        };
        let foreign = zeta
            .get(&format!(
                "/ui/review?item={}&resolved={}",
                decided[0], decided[1]
            ))
            .await;
        assert!(
            !foreign.html.contains("Laptop") && !foreign.html.contains("gift"),
            "{}",
            foreign.html
        );
    })
    .await;
}

#[tokio::test]
async fn a_long_queue_is_read_page_by_page() {
    let office = Office::open().await;
    let mut decided = Vec::new();
    for n in 0..30 {
        let decision = office
            .decide(of_user(laptop("1000.00"), &format!("employee {n}")))
            .await;
        decided.push(id_of(&decision).to_owned());
    }
    let ben = office.person("ea_ben");
    let first = ben.get("/ui/review").await.html;
    assert_eq!(pick_ids(&first), decided[..25]);
    assert!(
        first.contains(&format!("after={}", decided[24].replace('-', "%2D"))),
        "{first}"
    );
    let second = ben
        .get(&format!("/ui/review?after={}", decided[24]))
        .await
        .html;
    assert_eq!(pick_ids(&second), decided[25..]);
}

#[tokio::test]
async fn the_employees_other_decisions_of_the_day_and_the_trip_are_named() {
    let office = Office::open().await;
    let mut hotel = json!({"transaction": "Hotel in Oslo", "amount": "90.00", "date": "2026-03-14", "trip_id": "Oslo", "user_id": "ana"});
    let first = office.decide(hotel.clone()).await;
    hotel["transaction"] = "Train in Oslo".into();
    hotel["date"] = "2026-03-15".into();
    hotel["amount"] = "20.00".into();
    let second = office.decide(hotel.clone()).await;
    let lunch = json!({"transaction": "Lunch alone", "amount": "10.00", "date": "2026-03-14", "user_id": "ANA"});
    office.decide(lunch.clone()).await;
    office.decide(of_user(lunch, "cleo")).await;
    let credit = json!({"transaction": "Night not used", "amount": "-30.00", "refunds": id_of(&first), "user_id": "ana"});
    let credit = office.decide(credit).await;
    let view = office
        .person("ea_vp")
        .get(&super::view_of(&first))
        .await
        .html;
    let (_, history) = view.split_once("id=\"history\"").unwrap();
    let (trip, day) = history.split_once("Of the same day").unwrap();
    assert!(
        trip.contains("Credits of this purchase") && trip.contains(id_of(&credit)),
        "{history}"
    );
    assert!(trip.contains(id_of(&second)), "{history}");
    assert_eq!(
        day.matches("Lunch alone").count(),
        1,
        "not that of another employee: {history}"
    );
    let of_credit = office
        .person("ea_vp")
        .get(&super::view_of(&credit))
        .await
        .html;
    assert!(of_credit.contains("Credit of the purchase"), "{of_credit}");
    assert!(of_credit.contains(id_of(&first)));
}
