//! A list that is open learns of new decisions.

use serde_json::json;
use thirtyfour::By;

use crate::harness::TestApp;
use crate::harness::browser::browse;
use crate::harness::expenses::{flight, numbered_ride};

#[tokio::test(flavor = "multi_thread")]
async fn new_decisions_are_announced_and_shown_on_request_and_the_filter_stays() {
    browse(async |browser| {
        let app = TestApp::spawn().await;
        app.decide(flight()).await;
        let filtered = "/ui/decisions?outcome=denied";
        browser.open(&app.url, filtered).await;
        let n_rows = async || {
            browser
                .find_all(By::Css("#rows tbody tr"))
                .await
                .unwrap()
                .len()
        };
        assert_eq!(n_rows().await, 1);

        app.decide(numbered_ride(1)).await;
        let mut second = flight();
        second["transaction"] = json!("Flight to Boston");
        app.decide(second).await;
        let announced = browser.see("[data-live] button").await;
        assert_eq!(
            announced.text().await.unwrap(),
            "1 new",
            "only what the filter lets through"
        );
        assert_eq!(n_rows().await, 1, "nothing moves before it is asked for");

        announced.click().await.unwrap();
        browser.until_shown("Flight to Boston").await;
        assert_eq!(n_rows().await, 2);
        assert!(browser.text("tr.new").await.contains("Flight to Boston"));
        let url = browser.current_url().await.unwrap();
        assert_eq!(url.as_str(), format!("{}{filtered}", app.url));
        let chosen = browser.evaluate("return document.querySelector('[name=outcome]').value");
        assert_eq!(chosen.await, "denied");

        // The stream goes on after the rows were shown.
        let mut third = flight();
        third["transaction"] = json!("Flight to Denver");
        app.decide(third).await;
        browser.click("[data-live] button").await;
        browser.until_shown("Flight to Denver").await;
        assert_eq!(n_rows().await, 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_open_when_the_service_stops_does_not_hold_it() {
    browse(async |browser| {
        let app = TestApp::spawn().await;
        app.decide(flight()).await;
        browser.open(&app.url, "/ui/").await;
        browser
            .until("performance.getEntriesByType('resource').length > 0")
            .await;
        browser.provokes("ERR_");
        let stopping = app.stop();
        tokio::time::timeout(std::time::Duration::from_secs(5), stopping)
            .await
            .expect("the service stops while a page is open");
        // The browser tries to connect again, and reports that it cannot.
        browser.until_reported("ERR_").await;
    })
    .await;
}
