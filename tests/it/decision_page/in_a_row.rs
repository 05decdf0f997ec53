//! Approvals in a row on the page: who is next, in the view, the queue and the history.

use expense_agent::config::Config;

use super::{Office, hidden, keys, pick_ids, view_of};
use crate::harness::expenses::{id_of, laptop};
use crate::harness::{TestApp, config, policies_with};
use crate::resolutions::in_a_row::TWO_SIGNATURES;

#[tokio::test]
async fn the_page_shows_who_is_next_and_who_has_approved() {
    let keys = keys();
    let policies = policies_with("office.toml", TWO_SIGNATURES);
    let app = TestApp::with(Config {
        http: keys.http_config(),
        policies: policies.path().to_owned(),
        ..config()
    })
    .await;
    let office = Office { app, _keys: keys };
    let pending = office.decide(laptop("900.00")).await;
    let (ben, dora) = (office.person("ea_ben"), office.person("ea_dora"));
    let seen = ben.get(&view_of(&pending)).await;
    assert!(
        seen.html.contains("approves or denies first, then cfo"),
        "{}",
        seen.html
    );
    assert_eq!(
        pick_ids(&ben.get("/ui/review").await.html),
        [id_of(&pending)]
    );

    let fields = [
        ("item", id_of(&pending)),
        ("state", hidden(&seen.html, "state")),
        ("role", "manager"),
        ("reason", "Fine with me."),
        ("action", "approve"),
    ];
    let path = format!("{}/resolution", view_of(&pending));
    assert_eq!(ben.post(&path, &fields).await.status, 303);
    // The same click once more.
    assert_eq!(ben.post(&path, &fields).await.status, 303);
    let after = ben.get(&view_of(&pending)).await.html;
    for shown in [
        "decides last",
        "approved by ben, as manager",
        "now waits for cfo",
        "Fine with me.",
    ] {
        assert!(after.contains(shown), "{shown}: {after}");
    }
    assert!(
        !after.contains("<button class=\"primary\" name=\"action\" value=\"approve\">"),
        "ben has approved: {after}"
    );
    assert_eq!(
        pick_ids(&ben.get("/ui/review").await.html),
        Vec::<String>::new()
    );

    assert_eq!(
        pick_ids(&dora.get("/ui/review").await.html),
        [id_of(&pending)]
    );
    let seen = dora.get(&view_of(&pending)).await;
    let fields = [
        ("item", id_of(&pending)),
        ("state", hidden(&seen.html, "state")),
        ("role", "cfo"),
        ("reason", "Paid."),
        ("action", "approve"),
    ];
    assert_eq!(dora.post(&path, &fields).await.status, 303);
    let resolved = dora.get(&view_of(&pending)).await.html;
    for shown in ["approved by ben, as manager", "approved by dora, as cfo"] {
        assert!(resolved.contains(shown), "{shown}: {resolved}");
    }
    assert!(!resolved.contains("<form class=\"resolve\""), "{resolved}");
}
