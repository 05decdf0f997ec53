//! The review queue: by keyboard, by several people, and several decisions at once.

use serde_json::Value;
use thirtyfour::{By, Key};

use super::access::log_in;
use super::view_of;
use crate::harness::TestApp;
use crate::harness::browser::{Browser, browse, browse_with};
use crate::harness::expenses::{laptop, of_user, path_of};
use crate::harness::key_file::{KeyFile, entry};

/// A service with two managers, `mia` and `max`, and open decisions about laptops of these prices.
async fn with_two_managers(prices: &[&str]) -> (TestApp, Vec<Value>) {
    let manager = |user: &str| format!("roles = [\"manager\"]\nuser = \"{user}\"");
    let app = KeyFile::new(&[
        entry("mia", "acme", "ea_mia", &manager("mia")),
        entry("max", "acme", "ea_max", &manager("max")),
        entry("erp", "acme", "ea_erp", ""),
    ]);
    let app = app.app().await;
    let mut open = Vec::new();
    for price in prices {
        let reply = app.post_as("ea_erp", of_user(laptop(price), "ana")).await;
        assert_eq!(reply.body["outcome"], "needs_approval", "{}", reply.body);
        open.push(reply.body);
    }
    (app, open)
}

/// The resolution of a decision.
async fn resolution(app: &TestApp, decision: &Value) -> Value {
    let bearer = [("authorization", "Bearer ea_erp")];
    let reply = app.get_with(&path_of(decision), &bearer).await;
    reply.body["resolution"].clone()
}

async fn send_with_keyboard(browser: &Browser) {
    let chain = browser.action_chain().key_down(Key::Control);
    let chain = chain.send_keys(Key::Enter).key_up(Key::Control);
    chain.perform().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_resolved_by_keyboard_alone() {
    browse(async |browser| {
        let (app, open) = with_two_managers(&["600.00", "700.00", "800.00"]).await;
        browser.open(&app.url, "/ui/review").await;
        log_in(browser, "ea_mia").await;
        let assert_shown = async |price: &str| {
            let shown = browser.text(".item h1").await;
            assert!(shown.contains(price), "{price} instead of {shown}");
        };
        assert_shown("600.00").await;
        browser.leave(browser.key("j")).await;
        assert_shown("700.00").await;
        browser.leave(browser.key("k")).await;
        assert_shown("600.00").await;
        browser.key("?").await;
        browser.see("#keys dl").await;

        // The first key leads to the reason, where letters are letters.
        browser.key("a").await;
        browser.type_text("ad hoc, just as it came").await;
        browser.leave(send_with_keyboard(browser)).await;
        assert!(
            browser
                .text("[role=status]")
                .await
                .contains("approved by mia")
        );
        assert_shown("700.00").await;

        browser.key("d").await;
        browser.type_text("Not needed").await;
        browser.leave(send_with_keyboard(browser)).await;
        assert!(
            browser
                .text("[role=status]")
                .await
                .contains("denied by mia")
        );
        assert_shown("800.00").await;
        let [first, second, third] = [&open[0], &open[1], &open[2]];
        let first = resolution(&app, first).await;
        assert_eq!(first["action"], "approve");
        assert_eq!(first["reason"], "ad hoc, just as it came");
        assert_eq!(resolution(&app, second).await["action"], "deny");
        assert!(resolution(&app, third).await.is_null());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_person_at_one_decision_is_told_what_the_first_did() {
    browse_with(async |[mia, max]: &[Browser; 2]| {
        let (app, open) = with_two_managers(&["600.00"]).await;
        for (browser, key) in [(mia, "ea_mia"), (max, "ea_max")] {
            browser.open(&app.url, "/ui/review").await;
            log_in(browser, key).await;
            browser.fill("form.resolve [name=reason]", key).await;
        }
        mia.leave(mia.press("Approve")).await;
        assert!(mia.text("[role=status]").await.contains("approved by mia"));
        max.provokes("status of 409");
        max.leave(max.press("Deny")).await;
        let told = max.text("[role=alert]").await;
        assert!(told.contains("approved by mia"), "{told}");
        let kept = resolution(&app, &open[0]).await;
        assert_eq!(
            (&kept["action"], &kept["reason"]),
            (&"approve".into(), &"ea_mia".into())
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_button_that_is_pressed_twice_acts_once() {
    browse(async |browser| {
        let (app, open) = with_two_managers(&["600.00"]).await;
        browser.open(&app.url, "/ui/review").await;
        log_in(browser, "ea_mia").await;
        browser.fill("form.resolve [name=reason]", "Needed").await;
        let twice = async {
            let button = browser.see("form.resolve button[value=approve]").await;
            let chain = browser.action_chain().double_click_element(&button);
            chain.perform().await.unwrap();
        };
        browser.leave(twice).await;
        assert!(
            browser
                .text("[role=status]")
                .await
                .contains("approved by mia")
        );
        assert!(
            browser
                .find_all(By::Css("[role=alert]"))
                .await
                .unwrap()
                .is_empty()
        );
        assert_eq!(resolution(&app, &open[0]).await["action"], "approve");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_are_resolved_with_one_reason_and_each_refusal_is_told() {
    browse(async |browser| {
        let (app, mut open) = with_two_managers(&["600.00", "700.00"]).await;
        let own = app.post_as("ea_mia", laptop("800.00")).await.body;
        open.push(own);
        browser.open(&app.url, "/ui/review").await;
        log_in(browser, "ea_mia").await;
        for box_of_one in browser.find_all(By::Css("[name=picked]")).await.unwrap() {
            box_of_one.click().await.unwrap();
        }
        browser.fill(".queue [name=reason]", "Budgeted").await;
        browser.provokes("status of 403");
        browser.leave(browser.press("Approve them")).await;
        let done = browser.text("[role=status]").await;
        assert_eq!(done.matches("approved by mia").count(), 2, "{done}");
        let refused = browser.text("[role=alert]").await;
        assert_eq!(refused.matches("Refused").count(), 1, "{refused}");
        assert!(refused.contains(open[2]["id"].as_str().unwrap()));
        assert!(resolution(&app, &open[2]).await.is_null());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_may_not_do_is_said_before_the_click() {
    browse(async |browser| {
        let (app, _) = with_two_managers(&[]).await;
        let own = app.post_as("ea_mia", laptop("600.00")).await.body;
        browser.open(&app.url, &view_of(&own)).await;
        log_in(browser, "ea_mia").await;
        let refusal = browser.text(".refusal").await;
        assert!(refusal.starts_with("Approve, deny: "), "{refusal}");
        let buttons = browser
            .find_all(By::Css("form.resolve button"))
            .await
            .unwrap();
        assert_eq!(buttons.len(), 1);
        assert_eq!(buttons[0].text().await.unwrap(), "Withdraw");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_javascript_a_decision_is_resolved_and_commented() {
    browse(async |browser| {
        let (app, open) = with_two_managers(&["600.00"]).await;
        browser.turn_scripts_off().await;
        browser.open(&app.url, &view_of(&open[0])).await;
        log_in(browser, "ea_mia").await;
        browser.fill("form.resolve [name=amount]", "550.00").await;
        browser
            .fill("form.resolve [name=reason]", "A cheaper one")
            .await;
        browser.leave(browser.press("Approve")).await;
        let kept = resolution(&app, &open[0]).await;
        assert_eq!(
            (&kept["action"], &kept["amount"]),
            (&"approve".into(), &"550.00".into())
        );
        assert!(browser.text(".notice").await.contains("550.00"));

        browser.fill("[name=comment]", "Fair enough").await;
        browser.leave(browser.press("Send")).await;
        assert!(browser.text("main").await.contains("“Fair enough”"));
    })
    .await;
}
