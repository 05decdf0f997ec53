//! What somebody does who has just started the service.

use thirtyfour::By;

use super::{demo_with_mistakes, with_mistakes};
use crate::harness::TestApp;
use crate::harness::browser::{Browser, browse};

/// Presses the button that decides the flight, with which the form is filled in, and reads its tree.
async fn try_the_flight(browser: &Browser) {
    browser.leave(browser.press("Decide")).await;
    assert!(browser.text("h1").await.contains("denied"));
    assert!(
        browser
            .text("main")
            .await
            .contains("One trip costs at most 500.00")
    );
    let tree = browser.text(".tree").await;
    let mut rest = tree.as_str();
    for span in [
        "POST /v1/expenses",
        "invoke_agent expense_agent",
        "classify",
        "chat offline-rules-1",
        "execute_tool policy_lookup",
        "decide",
        "chat offline-rules-1",
        "record_decision",
    ] {
        let (_, after) = rest
            .split_once(span)
            .unwrap_or_else(|| panic!("no {span} in {tree}"));
        rest = after;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_minute_of_the_readme_shows_a_denied_flight_and_red_decisions() {
    browse(async |browser| {
        let app = TestApp::spawn().await;
        browser.open(&app.url, "/").await;
        let path = browser.current_url().await.unwrap().path().to_owned();
        assert_eq!(path, "/ui/", "a browser is sent on to the page");
        try_the_flight(browser).await;

        browser.leave(browser.press("Overview")).await;
        let hint = "--model-fault misclassify:0.12";
        assert!(browser.text("main").await.contains(hint));
        let app = with_mistakes().await;
        browser.open(&app.url, "/ui/").await;
        browser
            .leave(browser.press("Post the forty of the demo"))
            .await;
        let all = app.get("/v1/expenses?limit=200").await.body;
        assert_eq!(all["decisions"].as_array().unwrap().len(), 40);
        let red = browser.find_all(By::Css("#rows tr.failed")).await.unwrap();
        assert_eq!(red.len(), 5, "one in eight");
        browser
            .leave(browser.press("Ferry to the island site"))
            .await;
        let why = browser.text("details.span.failed[open]").await;
        assert!(
            why.contains("the merchant category code points to travel, but the model chose meals"),
            "{why}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_javascript_a_flight_is_decided_found_and_read() {
    browse(async |browser| {
        let app = TestApp::spawn().await;
        browser.turn_scripts_off().await;
        browser.open(&app.url, "/ui/").await;
        try_the_flight(browser).await;
        // What is folded opens without a script.
        browser.press("Text of the policy").await;
        assert!(browser.see("pre.text").await.is_displayed().await.unwrap());

        browser.leave(browser.press("Decisions")).await;
        browser
            .see("select[name=outcome] option[value=denied]")
            .await
            .click()
            .await
            .unwrap();
        browser.leave(browser.click("form.filters button")).await;
        let url = browser.current_url().await.unwrap();
        assert!(url.query().unwrap().contains("outcome=denied"), "{url}");
        browser
            .leave(browser.press("Flight to Chicago, $650"))
            .await;
        assert!(browser.text("h1").await.contains("denied"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_with_a_failed_check_is_red_in_the_list_and_says_why() {
    browse(async |browser| {
        let app = demo_with_mistakes().await;
        browser.open(&app.url, "/ui/decisions?limit=100").await;
        let rows = browser.find_all(By::Css("tr.failed")).await.unwrap();
        assert!(!rows.is_empty());
        assert!(
            rows[0]
                .text()
                .await
                .unwrap()
                .contains("failed: category evidence")
        );
        let usual = browser.see("tbody tr:not(.failed)").await;
        let ground = async |element: &thirtyfour::WebElement| {
            element.css_value("background-color").await.unwrap()
        };
        assert_ne!(ground(&rows[0]).await, ground(&usual).await);

        browser.leave(browser.click("tr.failed .expense a")).await;
        let open = browser.see("details.span.failed[open]").await;
        let told = open.text().await.unwrap();
        assert!(
            told.starts_with("classify") && told.contains("failed"),
            "{told}"
        );
        // What came, what was expected, and what that means.
        let check = browser.see("details.span.failed tr.failed").await;
        let cells = check.find_all(By::Tag("td")).await.unwrap();
        let (came, expected) = (
            cells[1].text().await.unwrap(),
            cells[2].text().await.unwrap(),
        );
        assert_ne!(came, expected);
        let result = cells[3].text().await.unwrap();
        assert!(
            result.contains(&format!("points to {expected}"))
                && result.contains(&format!("chose {came}")),
            "{result}"
        );
        // The steps that did not fail are closed.
        let opened = browser.find_all(By::Css("details.span[open]")).await;
        assert_eq!(opened.unwrap().len(), 1);
    })
    .await;
}
