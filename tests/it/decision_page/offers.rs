//! What the page offers before the click is what the API accepts, and what it says a person may not do
//! is what the API refuses, in the same words. Every person of the office, every kind of open decision.

use expense_agent::config::Config;
use serde_json::{Value, json};

use super::{Office, view_of};
use crate::harness::expenses::{expense, laptop, meal, of_user};
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::store::TestStore;
use crate::harness::{TestApp, config, policy_folder};

const ACTIONS: [&str; 3] = ["approve", "deny", "withdraw"];
const ROLES: [&str; 4] = ["manager", "director", "vp", "cfo"];

/// A key, and the person who acts with it, where it belongs to no single one.
const PEOPLE: [(&str, Option<&str>); 8] = [
    ("ea_feed", Some("zoe")),
    ("ea_manager", Some("zoe")),
    ("ea_manager", Some("Ana")),
    ("ea_vp", Some("zoe")),
    ("ea_vp", Some("ana")),
    ("ea_ben", None),
    ("ea_dora", None),
    ("ea_ana", None),
];

/// Expenses that stay open: each is handed in with this key.
fn expenses() -> Vec<(&'static str, Value)> {
    let mut odd_meal = expense("Team lunch", "30.00");
    odd_meal["mcc"] = "4511".into();
    odd_meal["receipt"] = true.into();
    // Approving all of it as a meal takes an exception.
    let mut large_meal = odd_meal.clone();
    large_meal["amount"] = "90.00".into();
    vec![
        ("ea_feed", laptop("1000.00")),
        ("ea_feed", of_user(laptop("1000.00"), "ben")),
        ("ea_dora", of_user(laptop("1000.00"), "cleo")),
        (
            "ea_feed",
            json!({"transaction": "Retirement gift", "amount": "30.00", "user_id": "ana"}),
        ),
        ("ea_feed", odd_meal),
        ("ea_feed", large_meal),
    ]
}

/// What a page offers.
struct Offered<'a>(&'a str);

impl Offered<'_> {
    /// Whether there is a button for the action, and nothing that says that it would be refused.
    fn has(&self, action: &str) -> bool {
        let button = format!("name=\"action\" value=\"{action}\"");
        self.0.contains(&button) && self.refusal(action).is_none()
    }

    /// Why an action would be refused.
    fn refusal(&self, action: &str) -> Option<&str> {
        let notices = self.0.split("<p class=\"notice refusal\"><b>").skip(1);
        let mut notices =
            notices.filter_map(|notice| notice.split("</p>").next()?.split_once(": </b>"));
        let named =
            notices.find(|(names, _)| names.to_lowercase().split(", ").any(|name| name == action));
        named.map(|(_, why)| why)
    }

    /// The roles in which the person may act; `None` without a choice.
    fn roles(&self) -> Vec<Option<&str>> {
        let Some((_, rest)) = self.0.split_once("<select name=\"role\">") else {
            return vec![None];
        };
        let options = rest.split("</select>").next().unwrap();
        ROLES
            .into_iter()
            .filter(|role| options.contains(&format!(">{role}</option>")))
            .map(Some)
            .collect()
    }
}

#[tokio::test]
async fn what_is_offered_is_accepted_and_what_is_refused_is_refused_in_the_same_words() {
    let office = Office::open().await;
    let (mut n_accepted, mut n_refused) = (0, 0);
    for (by, body) in expenses() {
        let mut decision = decide(&office, by, &body).await;
        for (key, actor) in PEOPLE {
            let query = actor
                .map(|actor| format!("?actor={actor}"))
                .unwrap_or_default();
            let path = format!("{}{query}", view_of(&decision));
            let view = office.person(key).get(&path).await;
            if view.status == 404 {
                // Somebody without a role does not see the expenses of others.
                assert_eq!(key, "ea_ana");
                continue;
            }
            let offered = Offered(&view.html);
            for action in ACTIONS {
                if offered.has(action) {
                    for role in offered.roles() {
                        let reply = resolve(&office, &decision, key, actor, action, role).await;
                        assert_eq!(
                            reply.0, 201,
                            "{key} {actor:?} {action} {role:?}: {:#}",
                            reply.1
                        );
                        decision = decide(&office, by, &body).await;
                        n_accepted += 1;
                    }
                    continue;
                }
                for role in [Some("manager"), Some("cfo"), None] {
                    let (status, problem) =
                        resolve(&office, &decision, key, actor, action, role).await;
                    assert!(
                        status >= 400,
                        "{key} {actor:?} {action} {role:?} was not offered: {}",
                        view.html
                    );
                    // With a role that the key does not have, the problem is that role.
                    let is_tried = problem["code"] != "role_missing"
                        && problem["code"] != "invalid_resolution";
                    if let Some(why) = offered.refusal(action).filter(|_| is_tried) {
                        let detail = problem["detail"].as_str().unwrap();
                        assert!(
                            why.contains(detail) || problem["code"] == "role_too_low",
                            "{why} is not {detail}"
                        );
                    }
                    n_refused += 1;
                }
            }
        }
    }
    assert!(
        n_accepted > 40 && n_refused > 60,
        "{n_accepted} {n_refused}"
    );
}

async fn decide(office: &Office, key: &str, body: &Value) -> Value {
    let reply = office.app.post_as(key, body.clone()).await;
    assert_eq!(reply.status, 201, "{:#}", reply.body);
    assert!(
        !reply.body["approver"].is_null() || !reply.body["reviewer"].is_null(),
        "{:#}",
        reply.body
    );
    reply.body
}

async fn resolve(
    office: &Office,
    decision: &Value,
    key: &str,
    actor: Option<&str>,
    action: &str,
    role: Option<&str>,
) -> (u16, Value) {
    let mut body = json!({"action": action, "reason": "Checked."});
    // A small part of it, so that no cap is used up by the next ones.
    let is_pending = action == "approve" && decision["outcome"] == "needs_approval";
    let amount = is_pending.then_some("1.00");
    for (name, value) in [("role", role), ("actor", actor), ("amount", amount)] {
        if let Some(value) = value {
            body[name] = value.into();
        }
    }
    let reply = office.app.resolve(key, decision, body).await;
    (reply.status, reply.body)
}

#[tokio::test]
async fn an_exception_is_announced_with_the_role_that_may_grant_it() {
    let office = Office::open().await;
    let mut lunch = expense("Team lunch", "90.00");
    lunch["merchant"] = "Thai Restaurant".into();
    lunch["mcc"] = "4511".into();
    lunch["receipt"] = true.into();
    let decision = decide(&office, "ea_feed", &lunch).await;
    assert_eq!(decision["category"], "meals", "{decision:#}");
    let path = format!("{}?actor=zoe", view_of(&decision));
    let of_manager = office.person("ea_manager").get(&path).await.html;
    let offered = Offered(&of_manager);
    let why = offered.refusal("approve").unwrap();
    let role = Some("manager");
    let (_, problem) = resolve(
        &office,
        &decision,
        "ea_manager",
        Some("zoe"),
        "approve",
        role,
    )
    .await;
    assert_eq!(problem["code"], "exception_needed");
    assert!(why.contains(problem["detail"].as_str().unwrap()), "{why}");
    assert!(why.contains("director"), "whose exception it takes: {why}");
    // Less of it, or another category, can still be approved.
    assert!(of_manager.contains("value=\"approve\""), "{of_manager}");
    let of_vp = office.person("ea_vp").get(&path).await.html;
    assert!(
        of_vp.contains("Approving all of it takes the role <b>vp</b> or a higher one."),
        "{of_vp}"
    );
    assert!(of_vp.contains("<option selected>vp</option>"), "{of_vp}");
    assert!(
        of_vp.contains("As travel: takes the role manager or a higher one."),
        "{of_vp}"
    );
}

#[tokio::test]
async fn a_category_that_is_not_loaded_any_more_is_not_replaced_by_another_unasked() {
    let store = TestStore::sqlite();
    let mut body = meal("30.00");
    body["mcc"] = "4511".into();
    let before = TestApp::with(Config {
        store: store.store.clone(),
        ..config()
    })
    .await;
    let decision = before.decide(body).await;
    assert_eq!(
        (&decision["outcome"], &decision["category"]),
        (&json!("needs_review"), &json!("travel"))
    );
    before.stop().await;
    let folder = tempfile::tempdir().unwrap();
    policy_folder::copy_shipped(folder.path());
    std::fs::remove_file(folder.path().join("travel.toml")).unwrap();
    let keys = KeyFile::new(&[entry(
        "boss",
        "default",
        "ea_boss",
        "roles = [\"manager\", \"cfo\"]",
    )]);
    let app = TestApp::with(Config {
        store: store.store.clone(),
        policies: folder.path().to_owned(),
        http: keys.http_config(),
        ..config()
    })
    .await;
    let headers = [("authorization", "Bearer ea_boss")];
    let reply = app.get_with(&view_of(&decision), &headers).await;
    let html = reply.body.as_str().unwrap();
    let choice = "<select name=\"category\"><option value=\"\">choose</option>";
    assert!(html.contains(choice), "{html}");
}
