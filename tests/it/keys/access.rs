//! Which requests a key admits, until which day, and for which tenant.

use std::collections::BTreeSet;

use expense_agent::clock::Clock;
use expense_agent::config::Config;
use expense_agent::keys::Digest;
use opentelemetry::trace::Status;
use opentelemetry_sdk::trace::SpanData;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::harness::expenses::{id_of, path_of, taxi};
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::{SPANS_OF_A_DECISION, TestApp, config};

#[tokio::test]
async fn a_key_is_valid_through_its_whole_last_day_in_utc() {
    let file = KeyFile::new(&[
        entry("old", "acme", "ea_old", "expires = \"2027-12-31\""),
        entry("new", "acme", "ea_new", "expires = \"2028-02-29\""),
    ]);
    for (moment, day, status) in [
        ("2027-12-31T00:00:00Z", "2027-12-31", 201),
        ("2027-12-31T23:59:59.999999999Z", "2027-12-31", 201),
        ("2028-01-01T00:00:00Z", "2028-01-01", 401),
        ("2028-02-29T23:59:59Z", "2028-02-29", 401),
    ] {
        let clock = Clock::fixed(moment.parse().unwrap());
        let app = TestApp::with_clock(
            clock,
            Config {
                http: file.http_config(),
                ..config()
            },
        )
        .await;
        assert_eq!(
            app.post_as("ea_old", taxi()).await.status,
            status,
            "{moment}"
        );
        // An expense without a date gets the day on which it arrives.
        assert_eq!(
            app.post_as("ea_new", taxi()).await.body["date"],
            day,
            "{moment}"
        );
    }
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

/// Every value of an attribute on a span; more than one would be an error.
fn values(span: &SpanData, key: &str) -> Vec<String> {
    let found = span
        .attributes
        .iter()
        .filter(|attribute| attribute.key.as_str() == key);
    found.map(|attribute| attribute.value.to_string()).collect()
}

/// Every value of an attribute in a trace, with the name of its span.
fn attributes(app: &TestApp, trace_id: &Value, key: &str) -> Vec<(String, String)> {
    let spans = app.trace(trace_id);
    let named = |span: &SpanData| {
        values(span, key)
            .into_iter()
            .map(|value| (span.name.to_string(), value))
            .collect()
    };
    spans
        .iter()
        .flat_map(|span| -> Vec<_> { named(span) })
        .collect()
}

#[tokio::test]
async fn every_request_without_a_valid_key_is_refused_in_the_same_words() {
    let file = KeyFile::new(&[
        entry("good", "acme", "ea_good", ""),
        entry("revoked", "acme", "ea_revoked", "revoked = true"),
        entry("expired", "acme", "ea_expired", "expires = \"2000-01-01\""),
    ]);
    let app = file.app().await;
    let digest = bearer(&Digest::of("ea_good").to_string());
    let claims = (
        "baggage",
        "tenant.id=acme,user.id=ana,session.id=s,feature.name=f",
    );
    let auth = |value| ("authorization", value);
    for (headers, key_id) in [
        (vec![], None),
        (vec![auth("Bearer")], None),
        (vec![auth("Bearer ea_unknown")], None),
        (vec![auth("Bearer ea_goo")], None),
        (vec![auth("Bearer ea_good2")], None),
        (vec![auth("Bearer EA_GOOD")], None),
        (vec![auth("ea_good")], None),
        (vec![auth("Basic ea_good")], None),
        (vec![auth(&digest)], None),
        (vec![auth("Bearer ea_revoked")], Some("revoked")),
        (vec![auth("Bearer ea_expired")], Some("expired")),
    ] {
        let headers = [headers.as_slice(), &[claims]].concat();
        let replies = [
            app.post_with(taxi(), &headers).await,
            app.get_with("/v1/expenses", &headers).await,
            app.get_with(
                "/v1/expenses/01a1fc3f-8232-75b3-ae94-bf307466c95a",
                &headers,
            )
            .await,
            app.get_with("/v1/policies", &headers).await,
        ];
        for mut reply in replies {
            assert_eq!(reply.headers["www-authenticate"], "Bearer", "{headers:?}");
            assert_eq!(reply.headers["content-type"], "application/problem+json");
            let trace_id = reply.body["trace_id"].take();
            let expected = json!({
                "status": 401,
                "title": "Unauthorized",
                "code": "unauthorized",
                "detail": "this route requires a valid API key; send it as `Authorization: Bearer KEY`",
                "trace_id": null,
            });
            assert_eq!((reply.status, &reply.body), (401, &expected), "{headers:?}");
            let spans = app.trace(&trace_id);
            assert_eq!(spans.len(), 1);
            assert_eq!(spans[0].status, Status::Unset);
            // The span has nothing that the caller claims. The id of a revoked or expired key is
            // no claim: it comes from the file.
            for claim in ["tenant.id", "user.id", "session.id", "feature.name"] {
                assert_eq!(attributes(&app, &trace_id, claim), [], "{claim}");
            }
            let shown = attributes(&app, &trace_id, "tenant.api_key.id")
                .pop()
                .map(|(_, id)| id);
            assert_eq!(shown.as_deref(), key_id);
        }
    }
    let list = app
        .get_with("/v1/expenses", &[auth("Bearer ea_good")])
        .await;
    assert_eq!((list.status, &list.body["decisions"]), (200, &json!([])));
}

#[tokio::test]
async fn the_contract_its_page_and_probes_need_no_key() {
    let app = KeyFile::new(&[entry("good", "acme", "ea_good", "")])
        .app()
        .await;
    for path in ["/openapi.json", "/docs/", "/healthz", "/readyz"] {
        assert_eq!(app.get(path).await.status, 200, "{path}");
        assert_eq!(
            app.get_with(path, &[("authorization", "Bearer ea_bad")])
                .await
                .status,
            200,
            "{path}"
        );
    }
    let contract = app.get("/openapi.json").await.body;
    assert_eq!(
        contract["components"]["securitySchemes"]["api_key"]["scheme"],
        "bearer"
    );
    for (path, operations) in contract["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let needs_key = operation["responses"]["401"].is_object();
            assert_eq!(needs_key, path.starts_with("/v1/"), "{method} {path}");
        }
    }
    let without = TestApp::spawn().await;
    assert_eq!(
        without.get("/readyz").await.body["checks"]["api_keys"],
        "off"
    );
}

#[tokio::test]
async fn the_key_alone_decides_the_tenant() {
    let app = KeyFile::new(&[
        entry("feed", "Acme & Sons", "ea_acme", ""),
        entry("z", "zeta", "ea_zeta", ""),
    ])
    .app()
    .await;
    let headers = [
        ("authorization", "bearer  ea_acme"),
        ("baggage", "tenant.id=zeta,user.id=ana,session.id=s1"),
        ("baggage", "tenant.id=zeta"),
        ("tenant.id", "zeta"),
        ("x-tenant-id", "zeta"),
    ];
    let reply = app.post_with(taxi(), &headers).await;
    assert_eq!(
        (reply.status, &reply.body["tenant_id"]),
        (201, &json!("Acme & Sons"))
    );
    assert_eq!(
        reply.body["user_id"], "ana",
        "the holder of the key still names the employee"
    );
    let trace_id = &reply.body["trace_id"];
    let tenants = attributes(&app, trace_id, "tenant.id");
    assert_eq!(tenants.len(), SPANS_OF_A_DECISION, "once on every span");
    assert!(
        tenants.iter().all(|(_, tenant)| tenant == "Acme & Sons"),
        "{tenants:?}"
    );
    let shown = attributes(&app, trace_id, "tenant.api_key.id");
    assert_eq!(shown, [("POST /v1/expenses".to_owned(), "feed".to_owned())]);
    // The body cannot name a tenant.
    let body = json!({"transaction": "Taxi", "amount": "5.00", "tenant_id": "zeta"});
    assert_eq!(app.post_with(body, &headers).await.status, 422);
    let theirs = app.get_with(
        "/v1/expenses",
        &[
            ("authorization", "Bearer ea_zeta"),
            ("baggage", "tenant.id=Acme"),
        ],
    );
    assert_eq!(theirs.await.body["decisions"], json!([]));
}

#[tokio::test]
async fn a_decision_of_another_tenant_is_answered_like_a_decision_that_does_not_exist() {
    let app = KeyFile::new(&[
        entry("a", "acme", "ea_acme", ""),
        entry("z", "zeta", "ea_zeta", ""),
    ])
    .app()
    .await;
    let theirs = app.post_as("ea_acme", taxi()).await.body;
    let zeta = [
        ("authorization", "Bearer ea_zeta"),
        ("baggage", "tenant.id=acme"),
    ];
    let answer = async |path: String| {
        let mut reply = app.get_with(&path, &zeta).await;
        reply.body["trace_id"].take();
        (reply.status, reply.body)
    };
    let absent = "01a1fc3f-8232-75b3-ae94-bf307466c95a";
    let found = answer(path_of(&theirs)).await;
    assert_eq!(found.0, 404);
    assert_eq!(found, answer(format!("/v1/expenses/{absent}")).await);
    let cursor = answer(format!("/v1/expenses?cursor={}", id_of(&theirs))).await;
    assert_eq!(cursor.0, 400);
    assert_eq!(
        cursor,
        answer(format!("/v1/expenses?cursor={absent}")).await
    );
}

/// Submits two hundred meals of one employee on one day, all at once, each claiming another tenant
/// in its baggage.
async fn lunches(app: &TestApp, key: &str, claimed: &str) -> Vec<Value> {
    let headers = [
        ("authorization", bearer(key)),
        ("baggage", format!("tenant.id={claimed},session.id={key}")),
    ];
    let headers = headers
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let meals = (0..200).map(|n| {
        let amount = format!("{}.{:02}", 1 + n % 9, n % 100);
        let meal = json!({
            "transaction": "Lunch",
            "amount": amount,
            "date": "2026-03-14",
            "user_id": "ana",
        });
        app.post_with(meal, &headers)
    });
    let replies = futures_util::future::join_all(meals).await;
    replies
        .into_iter()
        .map(|reply| {
            assert_eq!(reply.status, 201, "{:#}", reply.body);
            reply.body
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_tenants_at_once_neither_see_nor_count_against_each_other() {
    let app = KeyFile::new(&[
        entry("a", "acme", "ea_acme", ""),
        entry("z", "zeta", "ea_zeta", ""),
    ])
    .app()
    .await;
    let (acme, zeta) = tokio::join!(
        lunches(&app, "ea_acme", "zeta"),
        lunches(&app, "ea_zeta", "acme")
    );
    let spans = app.ended_spans();
    for (key, tenant, decisions) in [("ea_acme", "acme", acme), ("ea_zeta", "zeta", zeta)] {
        let amount = |decision: &Value| {
            decision["amount"]
                .as_str()
                .unwrap()
                .parse::<Decimal>()
                .unwrap()
        };
        let (denied, granted): (Vec<_>, Vec<_>) = decisions
            .iter()
            .partition(|decision| decision["outcome"] == "denied");
        let used: Decimal = granted.iter().copied().map(amount).sum();
        assert!(
            used <= Decimal::from(75),
            "{tenant} got {used}, above its cap"
        );
        for decision in denied {
            assert!(
                used + amount(decision) > Decimal::from(75),
                "{tenant} was denied for another tenant's expenses: {decision:#}"
            );
        }
        let mut ids: BTreeSet<&str> = decisions.iter().map(id_of).collect();
        assert_eq!(ids.len(), 200);
        assert!(
            decisions
                .iter()
                .all(|decision| decision["tenant_id"] == tenant)
        );
        let trace_ids: BTreeSet<&str> = decisions
            .iter()
            .map(|decision| decision["trace_id"].as_str().unwrap())
            .collect();
        let is_of_tenant = |span: &&SpanData| {
            trace_ids.contains(span.span_context.trace_id().to_string().as_str())
        };
        let values_of = |key| {
            spans
                .iter()
                .filter(is_of_tenant)
                .flat_map(move |span| values(span, key))
        };
        assert!(values_of("tenant.id").count() >= 200 * 7);
        assert!(values_of("tenant.id").all(|value| value == tenant));
        assert!(values_of("session.id").all(|session| session == key));
        let list = app
            .get_with(
                "/v1/expenses?limit=200&user_id=ana",
                &[("authorization", &bearer(key))],
            )
            .await
            .body;
        assert_eq!(
            list["next_cursor"],
            Value::Null,
            "two hundred and not one more"
        );
        for decision in list["decisions"].as_array().unwrap() {
            assert!(ids.remove(id_of(decision)), "{tenant} sees {decision:#}");
        }
        assert!(ids.is_empty());
    }
}
