//! Script and style sheet: their size, and how long browsers keep them.

use super::{attributes, view};
use crate::harness::TestApp;

/// The script may have this many bytes.
const MAX_SCRIPT_BYTES: usize = 15 * 1024;

/// The paths of the assets that a view loads, the script last.
pub(super) fn assets(html: &str) -> Vec<String> {
    let paths = [attributes(html, "href"), attributes(html, "src")].concat();
    let is_asset = |path: &String| path.starts_with("/ui/assets/");
    paths.into_iter().filter(is_asset).collect()
}

#[tokio::test]
async fn assets_are_kept_for_ever_and_documents_are_not() {
    let app = TestApp::spawn().await;
    let html = view(&app, "/ui/").await;
    let assets = assets(&html);
    assert_eq!(assets.len(), 2);
    for path in &assets {
        let reply = app.get(path).await;
        assert_eq!(reply.status, 200);
        assert!(
            reply.headers["cache-control"]
                .to_str()
                .unwrap()
                .contains("immutable")
        );
        assert_eq!(reply.headers["x-content-type-options"], "nosniff");
    }
    assert_eq!(app.get("/ui/").await.headers["cache-control"], "no-cache");
    let other = app.get("/ui/assets/0000000000000000.js").await;
    assert_eq!(other.status, 404);
}

#[tokio::test]
async fn the_script_stays_small() {
    let app = TestApp::spawn().await;
    let html = view(&app, "/ui/").await;
    let script = app.get(assets(&html).last().unwrap()).await;
    let n_bytes = script.body.as_str().unwrap().len();
    assert!(
        n_bytes <= MAX_SCRIPT_BYTES,
        "the script has {n_bytes} bytes"
    );
}
