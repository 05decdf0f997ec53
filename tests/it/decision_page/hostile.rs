//! Texts that people and models write are never markup, whatever they contain.

use serde_json::json;

use super::{Office, hidden, view_of};
use crate::harness::expenses::id_of;

/// Closes elements and attributes, starts scripts, and turns the direction of writing.
const HOSTILE: &str =
    "</textarea></td><script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u{202e}&lt;b&gt;";

#[tokio::test]
async fn hostile_text_in_every_field_stays_text() {
    let office = Office::open().await;
    let long = "x".repeat(1_800);
    let transaction = format!("{HOSTILE} flight {long}");
    let decision = office
        .decide(json!({
            "transaction": transaction,
            "amount": "30.00",
            "merchant": format!("{HOSTILE} Hotel"),
            "mcc": "5812",
            "category_hint": HOSTILE,
            "trip_id": &HOSTILE[..60],
            "user_id": &HOSTILE[..70],
        }))
        .await;
    assert_eq!(decision["outcome"], "needs_review", "{decision:#}");
    let vp = office.person("ea_vp");
    let path = format!("{}/feedback", view_of(&decision));
    let feedback = [
        ("say", "note:"),
        ("comment", HOSTILE),
        ("actor", &HOSTILE[..50]),
    ];
    assert_eq!(vp.post(&path, &feedback).await.status, 303);

    let actor = "?actor=%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    let view = vp.get(&format!("{}{actor}", view_of(&decision))).await.html;
    assert_inert(&view, "the decision");
    assert!(
        view.contains("<mark title=\"travel\">flight</mark>"),
        "words are marked in it: {view}"
    );
    let queue = vp.get(&format!("/ui/review{actor}")).await.html;
    assert_inert(&queue, "the queue");

    // A form that is refused shows what was typed.
    let path = format!("{}/resolution", view_of(&decision));
    let mut fields = vec![
        ("item", id_of(&decision)),
        ("state", hidden(&view, "state")),
        ("role", HOSTILE),
        ("actor", HOSTILE),
        ("amount", HOSTILE),
        ("category", HOSTILE),
        ("reason", HOSTILE),
        ("action", "approve"),
    ];
    let refused = vp.post(&path, &fields).await;
    assert_eq!(refused.status, 422);
    assert_inert(&refused.html, "the refused form");
    fields[2..6].copy_from_slice(&[
        ("role", "manager"),
        ("actor", &HOSTILE[..50]),
        ("amount", "30.00"),
        ("category", "meals"),
    ]);
    let resolved = vp.post(&path, &fields).await;
    assert_eq!(resolved.status, 303, "{}", resolved.html);
    assert_inert(
        &vp.get(&view_of(&decision)).await.html,
        "the resolved decision",
    );
    let queue = format!("/ui/review?resolved={}", id_of(&decision));
    assert_inert(&vp.get(&queue).await.html, "the queue after it");
}

/// The only script is the page's own, and nothing that a person wrote became an element.
fn assert_inert(html: &str, what: &str) {
    assert_eq!(html.matches("<script").count(), 1, "{what}: {html}");
    assert!(
        !html.contains("<img") && !html.contains("onerror=alert(1)>"),
        "{what}: {html}"
    );
    assert!(
        html.contains("&lt;script&gt;alert(1)"),
        "{what} shows the text: {html}"
    );
}
