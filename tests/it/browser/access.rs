//! Logging in and out, what a key lets its holder see, and forms on other sites.

use std::time::Duration;

use axum::Router;
use axum::response::Html;
use axum::routing::get;

use super::view_of;
use crate::harness::TestApp;
use crate::harness::browser::{Browser, browse};
use crate::harness::expenses::{laptop, of_user, path_of};
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::poll;
use crate::harness::server::Server;

const MANAGER: &str = "roles = [\"manager\"]\nuser = \"mia\"";

/// The form that ends a session, which is there only within one.
pub(super) const LOG_OUT: &str = "form[action='/ui/logout']";

/// Sends the form to log in.
pub(super) async fn log_in(browser: &Browser, key: &str) {
    browser.fill("input[name=key]", key).await;
    browser.leave(browser.press("Log in")).await;
}

async fn path(browser: &Browser) -> String {
    browser.current_url().await.unwrap().path().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_link_logs_in_and_its_key_leaves_the_address() {
    browse(async |browser| {
        let app = TestApp::spawn().await;
        let key = app.local_key.clone().unwrap();
        browser.open(&app.url, &format!("/ui/#key={key}")).await;
        browser.see(LOG_OUT).await;
        let url = browser.current_url().await.unwrap();
        assert_eq!(url.as_str(), format!("{}/ui/", app.url));
        // Scripts cannot read the session, and nothing else keeps the key.
        let kept = "return document.cookie + JSON.stringify({...localStorage, ...sessionStorage})
                + document.documentElement.outerHTML";
        let kept = browser.evaluate(kept).await;
        assert!(kept.as_str().unwrap().starts_with("{}<html"), "{kept}");
        assert!(!kept.as_str().unwrap().contains(&key));
        browser.back().await.unwrap();
        let url = browser.current_url().await.unwrap();
        assert!(!url.as_str().contains(&key), "{url}");

        browser.open(&app.url, "/ui/review").await;
        browser.leave(browser.press("Log out")).await;
        browser.see("a[href^='/ui/login']").await;
        assert!(browser.get_all_cookies().await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_told_and_a_right_one_opens_the_view_that_was_asked_for() {
    browse(async |browser| {
        let app = KeyFile::new(&[entry("mia", "acme", "ea_mia", MANAGER)]);
        let app = app.app().await;
        browser.open(&app.url, "/ui/review?role=vp").await;
        assert_eq!(path(browser).await, "/ui/login");
        browser.provokes("status of 401");
        log_in(browser, "ea_of_somebody_else").await;
        browser.until_shown("This key is not valid.").await;
        log_in(browser, "ea_mia").await;
        let url = browser.current_url().await.unwrap();
        assert_eq!(url.as_str(), format!("{}/ui/review?role=vp", app.url));
        assert!(browser.text("header").await.contains("acme"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_revoked_ends_its_session_between_two_clicks() {
    browse(async |browser| {
        let erp = entry("erp", "acme", "ea_erp", "");
        let keys = KeyFile::new(&[entry("mia", "acme", "ea_mia", MANAGER), erp.clone()]);
        let app = keys.app().await;
        let expense = of_user(laptop("600.00"), "ana");
        let decision = app.post_as("ea_erp", expense).await.body;
        browser.open(&app.url, "/ui/review").await;
        log_in(browser, "ea_mia").await;
        browser
            .fill("form.resolve [name=reason]", "It is needed")
            .await;

        let revoked = format!("{MANAGER}\nrevoked = true");
        keys.replace(&[entry("mia", "acme", "ea_mia", &revoked), erp]);
        let header = [("authorization", "Bearer ea_mia")];
        poll::until(Duration::from_secs(10), "revocation", async || {
            match app.get_with("/v1/expenses", &header).await.status {
                401 => Ok(()),
                status => Err(status),
            }
        })
        .await;
        browser.provokes("status of 401");
        browser.leave(browser.press("Approve")).await;
        browser.until_shown("Your session has ended").await;
        let header = [("authorization", "Bearer ea_erp")];
        let kept = app.get_with(&path_of(&decision), &header).await;
        assert!(kept.body["resolution"].is_null(), "{}", kept.body);
        browser.open(&app.url, "/ui/").await;
        assert_eq!(path(browser).await, "/ui/login");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_a_role_sees_what_is_its_own_and_is_told_what_it_may_not_do() {
    browse(async |browser| {
        let app = KeyFile::new(&[
            entry("ana", "acme", "ea_ana", "user = \"ana\""),
            entry("all", "acme", "ea_all", ""),
        ]);
        let app = app.app().await;
        let own = app.post_as("ea_ana", laptop("600.00")).await.body;
        let other = app
            .post_as("ea_all", of_user(laptop("700.00"), "ben"))
            .await
            .body;
        browser.open(&app.url, "/ui/decisions").await;
        log_in(browser, "ea_ana").await;
        let rows = browser.text("#rows").await;
        assert!(rows.contains("600.00") && !rows.contains("700.00"), "{rows}");
        browser.open(&app.url, &view_of(&own)).await;
        let buttons = browser
            .evaluate("return [...document.querySelectorAll('form.resolve button')].map((one) => one.value)")
            .await;
        assert_eq!(buttons, serde_json::json!(["withdraw"]));
        assert!(browser.text("main").await.contains("Approve, deny:"));

        browser.provokes("status of 404");
        browser.open(&app.url, &view_of(&other)).await;
        let told = browser.text("body").await;
        assert!(!told.contains("ben") && !told.contains("700.00"), "{told}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_on_another_site_changes_nothing_for_somebody_who_is_logged_in() {
    browse(async |browser| {
        let app = TestApp::spawn().await;
        let open = app.decide(laptop("600.00")).await;
        let key = app.local_key.clone().unwrap();
        browser.open(&app.url, "/ui/login").await;
        log_in(browser, &key).await;

        // Another port of the same host: the browser sends the cookie, because ports are one site.
        let form = |action: String| {
            format!(
                "<form method=post action='{}{action}'><input name=action value=approve>
                 <input name=role value=manager><input name=actor value=eve><input name=reason value=yes>
                 <input name=transaction value=Taxi><input name=amount value=5><button>{action}</button></form>",
                app.url
            )
        };
        let actions = [
            format!("{}/resolution", view_of(&open)),
            "/ui/review".to_owned(),
            "/ui/expense".to_owned(),
            "/ui/demo".to_owned(),
            "/ui/logout".to_owned(),
        ];
        let forms: Vec<String> = actions.iter().cloned().map(form).collect();
        let document = format!("<link rel=icon href='data:,'>{}", forms.concat());
        let elsewhere = Router::new().route("/", get(async || Html(document)));
        let elsewhere = Server::spawn(elsewhere).await;
        browser.provokes("status of 403");
        for action in &actions {
            browser.open(&elsewhere.origin(), "/").await;
            browser.leave(browser.press(action)).await;
            browser.until_shown("This form was refused").await;
        }
        browser.open(&app.url, "/ui/").await;
        browser.see(LOG_OUT).await;
        let all = app.get("/v1/expenses").await.body;
        assert_eq!(all["decisions"].as_array().unwrap().len(), 1, "{all}");
        assert!(all["decisions"][0]["resolution"].is_null());
    })
    .await;
}
