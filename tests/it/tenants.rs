//! Policies of single tenants: they replace or add categories for one tenant, the shared policies
//! hold for the rest, and no tenant gets the policies of another.

use expense_agent::config::Config;
use expense_agent::rulebook::Rulebooks;
use serde_json::{Value, json};

use crate::harness::binary::run;
use crate::harness::expenses::taxi;
use crate::harness::fake_openai::FakeOpenAi;
use crate::harness::policy_folder::{
    PolicyFolder, shipped_with, wait_for_policies_check, wait_for_policy_text,
};
use crate::harness::replies::category;
use crate::harness::{TestApp, assert_golden, openai};

/// A category that the shipped policies do not have, with its evidence.
const TRAINING: &str = r#"category = "training"
version = "1"
effective_from = "2026-01-01"
currency = "USD"
uncorroborated_limit = "25.00"
text = "Courses and their fees, up to 900.00."

[[rule]]
id = "training-cap"
kind = "cap"
per = "expense"
max = "900.00"
text = "A course costs at most 900.00."

[evidence]
transaction = ["evening class*"]
"#;

/// The shipped policies, and two of the tenant `acme`: for meals until June, with a lower cap, and for
/// a category of its own.
fn with_tenants() -> PolicyFolder {
    let folder = PolicyFolder::shipped();
    let meals = shipped_with("meals.toml", "max = \"75.00\"", "max = \"40.00\"");
    let until_june = meals.replace("category = ", "effective_to = \"2026-06-30\"\ncategory = ");
    folder.write("tenants/acme/meals-2026.toml", &until_june);
    folder.write("tenants/acme/training.toml", TRAINING);
    folder
}

async fn decide(app: &TestApp, tenant: &str, body: Value) -> Value {
    let reply = app
        .post_with(body, &[("baggage", &format!("tenant.id={tenant}"))])
        .await;
    assert_eq!(
        (reply.status, &reply.body["tenant_id"]),
        (201, &json!(tenant.replace("%2F", "/"))),
        "{:#}",
        reply.body
    );
    reply.body
}

fn meal(date: &str) -> Value {
    json!({"transaction": "Team lunch", "amount": "50.00", "receipt": true, "date": date})
}

#[tokio::test]
async fn a_tenant_replaces_a_category_with_all_its_versions_and_adds_others() {
    let folder = with_tenants();
    let app = folder.app().await;
    assert_eq!(
        decide(&app, "acme", meal("2026-03-14")).await["findings"][0]["limit"],
        "40.00"
    );
    // The shared meals policy has no end, but it does not hold for a tenant whose own has ended.
    let ended = decide(&app, "acme", meal("2026-07-01")).await;
    assert_eq!(
        (&ended["outcome"], &ended["policy"]),
        (&json!("needs_review"), &Value::Null)
    );
    let course = json!({"transaction": "Evening class in book-keeping", "amount": "800.00"});
    let ours = decide(&app, "acme", course.clone()).await;
    assert_eq!(
        (&ours["category"], &ours["outcome"]),
        (&json!("training"), &json!("approved"))
    );
    let ride = decide(&app, "acme", taxi()).await;
    assert_eq!(
        ride["policy"]["rules"],
        json!(["travel-trip-cap", "travel-manager-approval"]),
        "the other categories are the shared ones"
    );

    assert_eq!(
        decide(&app, "zeta", meal("2026-07-01")).await["outcome"],
        "approved"
    );
    assert_eq!(
        decide(&app, "zeta", course).await["category"],
        "other",
        "the tenant's evidence counts for no other tenant"
    );
}

#[tokio::test]
async fn the_model_chooses_among_the_categories_of_the_tenant() {
    let folder = with_tenants();
    let fake = FakeOpenAi::spawn().await;
    fake.always(category("training"));
    let app = TestApp::with(Config {
        model: openai(&fake),
        ..folder.config()
    })
    .await;
    let body = json!({"transaction": "Evening class", "amount": "5.00"});
    for (tenant, n_categories, category) in
        [("acme", 5, json!("training")), ("zeta", 4, Value::Null)]
    {
        let n_before = fake.requests().len();
        assert_eq!(
            decide(&app, tenant, body.clone()).await["category"],
            category
        );
        let asked = &fake.requests()[n_before].body;
        let pointer = "/response_format/json_schema/schema/properties/category/enum";
        assert_eq!(
            asked.pointer(pointer).unwrap().as_array().unwrap().len(),
            n_categories,
            "{tenant}"
        );
        let mentions = |word: &str| asked["messages"].to_string().contains(word);
        assert_eq!(mentions("up to 900.00"), tenant == "acme");
    }
}

#[tokio::test]
async fn a_tenant_is_shown_its_own_policies() {
    let folder = with_tenants();
    let app = folder.app().await;
    let list = async |tenant: &str| {
        let policies = app
            .get_with(
                "/v1/policies",
                &[("baggage", &format!("tenant.id={tenant}"))],
            )
            .await
            .body;
        let policies = policies["policies"].as_array().unwrap().clone();
        let shown = |policy: &Value| {
            format!(
                "{} {}",
                policy["category"].as_str().unwrap(),
                policy["rules"][0]["max"]
            )
        };
        policies.iter().map(shown).collect::<Vec<_>>().join(", ")
    };
    let shared = "meals \"75.00\", office \"2500.00\", other null, travel \"500.00\"";
    assert_eq!(
        list("acme").await,
        shared
            .replace("75.00", "40.00")
            .replace("null,", "null, training \"900.00\",")
    );
    assert_eq!(list("zeta").await, shared);
    wait_for_policies_check(&app.url, "6 loaded").await;
}

#[tokio::test]
async fn a_tenant_id_that_is_a_path_gets_the_shared_policies() {
    let folder = with_tenants();
    folder.write("tenants/.hidden/meals.toml", "no toml");
    folder.write("tenants/..data/meals.toml", "no toml");
    folder.write(".#meals.toml", "an editor's lock");
    let app = folder.app().await;
    for tenant in [
        "..%2Ftenants%2Facme",
        "acme%2F",
        ".%2Facme",
        "..",
        ".",
        ".hidden",
        "..data",
        "ACME",
        "acme%2F..%2Facme",
    ] {
        assert_eq!(
            decide(&app, tenant, meal("2026-03-14")).await["outcome"],
            "approved",
            "{tenant}"
        );
    }
}

#[tokio::test]
async fn the_policies_of_a_tenant_are_added_and_removed_without_a_restart() {
    let folder = PolicyFolder::shipped();
    let app = folder.app().await;
    folder.write("tenants/acme & söhne/training.toml", TRAINING);
    wait_for_policy_text(&app, "acme%20&%20s%C3%B6hne", "900.00").await;
    std::fs::remove_dir_all(folder.path().join("tenants")).unwrap();
    wait_for_policies_check(&app.url, "4 loaded").await;
    assert!(
        !app.get_with("/v1/policies", &[("baggage", "tenant.id=acme")])
            .await
            .body
            .to_string()
            .contains("900.00")
    );
}

#[test]
fn diagnostics_of_a_tenants_policies_name_the_tenants_file() {
    let folder = with_tenants();
    let clash = TRAINING
        .replace("training-cap", "travel-trip-cap")
        .replace("evening class*", "printer paper");
    folder.write("tenants/zeta/training.toml", &clash);
    folder.write(
        "tenants/zeta/meals.toml",
        &clash
            .replace("\"training\"", "\"meals\"")
            .replace("900.00", "900,00"),
    );
    folder.write("tenants/meals.toml", TRAINING);
    folder.write("tenants/ blank/meals.toml", TRAINING);
    folder.write("tenants/both/one.toml", TRAINING);
    folder.write("tenants/both/two.toml", TRAINING);
    folder.write(
        "office.toml",
        &shipped_with("office.toml", "currency = \"USD\"", "currency = \"EURO\""),
    );
    let diagnostics = Rulebooks::load(folder.path()).unwrap_err().to_string();
    assert_golden(
        "diagnostics_of_tenants_policies",
        &diagnostics.replace(folder.name(), "policies"),
    );
}

#[tokio::test]
async fn policies_check_shows_the_policies_of_a_tenant() {
    let output = run(&["policies", "check", with_tenants().name()], &[]).await;
    let shown = String::from_utf8(output.stdout).unwrap();
    let (_, own) = shown.split_once("tenant acme:\n").unwrap();
    let headlines: Vec<&str> = own.lines().filter(|line| !line.starts_with("  ")).collect();
    assert!(
        headlines[0].starts_with("meals version 1 in force from 2010-01-01 to 2026-06-30, sha256 "),
        "{own}"
    );
    assert!(headlines[1].starts_with("training version 1"), "{own}");
    assert_eq!(headlines.len(), 3, "{own}");
}

#[tokio::test]
async fn the_folder_of_a_tenant_is_found_in_every_spelling() {
    let folder = PolicyFolder::shipped();
    folder.write("tenants/acme\u{301}/training.toml", TRAINING);
    let app = TestApp::with(folder.config()).await;
    for tenant in [
        "acm%C3%A9",
        "acme%CC%81",
        "%EF%BD%81cm%C3%A9",
        "acm%C3%A9%E2%80%8B",
    ] {
        let course = json!({"transaction": "Evening class", "amount": "800.00"});
        let baggage = format!("tenant.id={tenant}");
        let reply = app.post_with(course, &[("baggage", &baggage)]).await;
        assert_eq!(
            (&reply.body["category"], &reply.body["tenant_id"]),
            (&json!("training"), &json!("acm\u{e9}")),
            "{tenant}"
        );
    }
}

#[test]
fn two_folders_of_one_tenant_are_refused() {
    let folder = PolicyFolder::shipped();
    folder.write("tenants/acm\u{e9}/training.toml", TRAINING);
    folder.write("tenants/acme\u{301}/training.toml", TRAINING);
    let message = Rulebooks::load(folder.path()).unwrap_err().to_string();
    assert!(
        message.contains("belongs to a tenant that has another folder"),
        "{message}"
    );
}
