//! What the holder of a key with a user and no role sees in lists, files and live rows: only what they
//! handed in or are the employee of.

use reqwest::header::SET_COOKIE;

use super::live::Stream;
use super::{attributes, ids, send_form};
use crate::harness::TestApp;
use crate::harness::expenses::{id_of, of_user, ride};
use crate::harness::key_file::{KeyFile, entry};

/// The session of a key, as a browser sends it back.
async fn session(app: &TestApp, key: &str) -> String {
    let response = send_form(app, "/ui/login", &[("key", key)]).await;
    assert_eq!(response.status(), 303);
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

/// A view or a file, as the holder of a session sees it.
async fn seen(app: &TestApp, path: &str, session: &str) -> String {
    let reply = app.get_with(path, &[("cookie", session)]).await;
    assert_eq!(reply.status, 200, "{path}");
    match reply.body {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    }
}

#[tokio::test]
async fn a_key_without_a_role_sees_only_its_own_decisions_in_lists_files_and_live_rows() {
    let file = KeyFile::new(&[
        entry("mia", "acme", "ea_mia", "user = \"mia\""),
        entry("pay", "acme", "ea_pay", "roles = [\"manager\"]"),
    ]);
    let app = file.app().await;
    let own = app.post_as("ea_pay", of_user(ride(), "mia")).await.body;
    let handed_in = app.post_as("ea_mia", of_user(ride(), "ben")).await.body;
    let other = app.post_as("ea_pay", of_user(ride(), "ben")).await.body;
    let mine = [id_of(&handed_in), id_of(&own)];
    let session = session(&app, "ea_mia").await;

    for path in ["/ui/", "/ui/decisions", "/ui/decisions?text=uber"] {
        assert_eq!(ids(&seen(&app, path, &session).await), mine, "{path}");
    }
    let by_ben = seen(&app, "/ui/decisions?user_id=ben", &session).await;
    assert_eq!(ids(&by_ben), [id_of(&handed_in)]);
    for path in ["/ui/decisions.csv", "/ui/decisions.ndjson"] {
        let text = seen(&app, path, &session).await;
        assert!(mine.iter().all(|id| text.contains(id)), "{path}");
        assert!(!text.contains(id_of(&other)), "{path}");
    }

    let list = seen(&app, "/ui/decisions", &session).await;
    let live = &attributes(&list, "data-live")[0];
    app.post_as("ea_pay", of_user(ride(), "ben")).await;
    app.post_as("ea_pay", of_user(ride(), "mia")).await;
    let mut stream = Stream::open(&app, live, &[("cookie", &session)]).await;
    let event = stream.next().await.unwrap();
    assert_eq!(event, "id: 5\nevent: decisions\ndata: 1");
}
