//! Narrow screens, zoom, and texts that are made to break a page.

use serde_json::json;

use super::access::log_in;
use super::{demo_with_mistakes, view_of};
use crate::harness::TestApp;
use crate::harness::browser::{Browser, browse};
use crate::harness::expenses::laptop;
use crate::page::MARKUP;

/// The width of a small telephone in CSS pixels.
const TELEPHONE: u32 = 360;
/// A window of 1280 pixels at 200 % zoom is this many CSS pixels wide.
const ZOOMED: u32 = 640;

/// Texts that are markup, end attributes, turn the direction of writing, or have no place to break.
fn hostile_texts() -> [String; 4] {
    [
        MARKUP.to_owned(),
        "'; window.hostile = true; //\" onfocus=\"window.hostile = true\" autofocus=\"".to_owned(),
        "\u{202e}0.05 ot desrever \u{2066}\u{200f}".to_owned(),
        "W".repeat(2000),
    ]
}

/// Fails if a part of the view is beyond the edges of the window.
async fn assert_fits(browser: &Browser, view: &str) {
    // Elements that scroll by themselves may hold wider ones.
    let wide = browser
        .evaluate(
            "const root = document.documentElement;
             if (root.scrollWidth <= root.clientWidth) return '';
             const scrolls = (element) => element !== null && element !== root &&
                 (getComputedStyle(element).overflowX !== 'visible' || scrolls(element.parentElement));
             return [...document.querySelectorAll('body *')]
                 .filter((element) => element.getBoundingClientRect().right > root.clientWidth + 1)
                 .filter((element) => !scrolls(element.parentElement))
                 .map((element) => element.outerHTML.slice(0, 200)).slice(0, 5).join('\\n') || 'unknown'",
        )
        .await;
    assert_eq!(wide, "", "{view} is too wide");
}

/// Fails if a text has become a part of the page.
async fn assert_inert(browser: &Browser, view: &str) {
    let strange = browser
        .evaluate(
            "return window.hostile === true || document.querySelectorAll(
                 'body script, body img, body [onfocus]').length > 0",
        )
        .await;
    assert_eq!(strange, false, "{view}");
}

/// A service with the demo and with expenses all of whose texts are hostile; the views that show them.
async fn hostile_service() -> (TestApp, Vec<String>) {
    let app = demo_with_mistakes().await;
    let mut views = Vec::new();
    for text in hostile_texts() {
        let id: String = text.chars().take(128).collect();
        let expense = json!({
            "transaction": text, "merchant": id, "user_id": id, "trip_id": id, "amount": "650.00",
            "category_hint": id, "date": "2026-03-14",
        });
        let reply = app.post(expense).await;
        if reply.status == 201 {
            views.push(view_of(&reply.body));
        } else {
            // Some are not accepted as ids. The text alone is.
            let expense = json!({"transaction": text, "amount": "650.00", "user_id": "ana"});
            views.push(view_of(&app.decide(expense).await));
        }
    }
    let known = [
        "/ui/",
        "/ui/decisions",
        "/ui/decisions?failed=true",
        "/ui/review",
        "/ui/policies",
        "/ui/login",
        "/ui/nothing",
    ];
    views.extend(known.map(str::to_owned));
    (app, views)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_view_fits_a_telephone_and_a_zoomed_window_whatever_was_written() {
    browse(async |browser| {
        let (app, views) = hostile_service().await;
        browser.provokes("status of 404");
        for (width, zoom) in [(TELEPHONE, 1), (ZOOMED, 2), (1200, 1)] {
            browser.resize(width, zoom).await;
            for view in &views {
                browser.open(&app.url, view).await;
                assert_inert(browser, view).await;
                assert_fits(browser, view).await;
                // What is folded has to fit as well.
                browser
                    .evaluate(
                        "document.querySelectorAll('details').forEach((one) => (one.open = true))",
                    )
                    .await;
                assert_fits(browser, view).await;
            }
        }
    })
    .await;
}

/// The forms of a document that take text, each by where it is sent, without ids and parameters.
const FORMS: &str = "
    const isText = (field) => field.matches(
        'textarea, input:not([type], [inputmode]), [type=text], [type=password]');
    const forms = {};
    for (const form of document.forms)
        if ([...form.elements].some(isText))
            forms[form.getAttribute('action').replace(/[?].*/, '').replace(/[0-9a-f-]{36}/, 'ID')] = form;";

/// Writes a text into every field of the forms of a view, and sends each form.
async fn send_every_form(browser: &Browser, app: &TestApp, view: &str, text: &str) {
    browser.open(&app.url, view).await;
    let forms = browser
        .evaluate(&format!("{FORMS} return Object.keys(forms)"))
        .await;
    for form in forms.as_array().unwrap() {
        browser.open(&app.url, view).await;
        // The field's length is not limited here, as a script on the page could do.
        let send = format!(
            "{FORMS}
             const form = forms[{form}];
             for (const field of form.elements) if (isText(field)) field.value = {};
             form.noValidate = true;
             form.requestSubmit(form.querySelector('button'))",
            json!(text)
        );
        let sending = async {
            browser.evaluate(&send).await;
        };
        browser.leave(sending).await;
        let told = format!("form {form} of {view} with {text:.20}");
        assert_inert(browser, &told).await;
        assert_fits(browser, &told).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_text_in_any_field_is_inert_and_keeps_the_layout() {
    browse(async |browser| {
        let app = demo_with_mistakes().await;
        let key = app.local_key.clone().unwrap();
        browser.resize(TELEPHONE, 1).await;
        browser.open(&app.url, "/ui/login").await;
        log_in(browser, &key).await;
        browser.provokes("status of 4");
        for (n, text) in hostile_texts().iter().enumerate() {
            let open = app.decide(laptop(&format!("60{n}.00"))).await;
            for view in [
                "/ui/",
                "/ui/decisions",
                "/ui/review",
                &view_of(&open),
                "/ui/login",
            ] {
                send_every_form(browser, &app, view, text).await;
            }
        }
    })
    .await;
}
