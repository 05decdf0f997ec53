//! What axe-core finds in the views, in light and dark colours: contrast, labels, names, roles.

use serde_json::{Value, json};

use super::{demo_with_mistakes, view_of};
use crate::harness::browser::{Browser, browse};
use crate::harness::expenses::flight;
use crate::harness::skip::skip;

/// Findings of axe-core that keep somebody from using a view, one line each.
async fn barriers(browser: &Browser, axe: &str) -> Vec<String> {
    browser.evaluate(axe).await;
    let run = "const done = arguments[0];
        axe.run(document, {resultTypes: ['violations']})
            .then((found) => done(found.violations), (error) => done(String(error)))";
    let found = browser.execute_async(run, Vec::new()).await.unwrap();
    let violations = found.json().as_array().cloned();
    let violations = violations.unwrap_or_else(|| panic!("axe-core failed: {}", found.json()));
    let is_serious =
        |violation: &Value| violation["impact"] == "serious" || violation["impact"] == "critical";
    let serious = violations.iter().filter(|violation| is_serious(violation));
    serious
        .map(|violation| {
            let nodes = violation["nodes"].as_array().unwrap();
            let at: Vec<_> = nodes.iter().map(|node| node["html"].to_string()).collect();
            let why = &nodes[0]["failureSummary"];
            format!("{}: {why} at {}", violation["id"], at.join(", "))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_serious_in_any_view_in_light_or_dark() {
    let Ok(file) = std::env::var("AXE_CORE") else {
        skip("no axe-core; name its file axe.min.js in AXE_CORE");
        return;
    };
    let axe = std::fs::read_to_string(file).unwrap();
    browse(async |browser| {
        let app = demo_with_mistakes().await;
        let denied = app.decide(flight()).await;
        let failed = app
            .get("/v1/expenses?failed_validation=category_evidence")
            .await;
        let failed = view_of(&failed.body["decisions"][0]);
        let views = [
            "/ui/",
            "/ui/decisions?outcome=denied",
            &view_of(&denied),
            &failed,
            "/ui/review",
            "/ui/policies",
            "/ui/login",
        ];
        let mut found = json!({});
        for scheme in ["light", "dark"] {
            browser.prefer(scheme).await;
            for view in views {
                browser.open(&app.url, view).await;
                browser
                    .evaluate(
                        "document.querySelectorAll('details').forEach((one) => (one.open = true))",
                    )
                    .await;
                let barriers = barriers(browser, &axe).await;
                if !barriers.is_empty() {
                    found[format!("{view} in {scheme}")] = json!(barriers);
                }
            }
        }
        assert_eq!(found, json!({}), "{found:#}");
    })
    .await;
}
