//! The harness itself: it notices each kind of fault that fails a test.

use axum::Router;
use axum::http::header;
use axum::response::Html;
use axum::routing::get;

use crate::harness::browser::browse;
use crate::harness::server::{Server, UnusedPort};

const POLICY: &str = "default-src 'self'; img-src data: http://127.0.0.1:*";

#[tokio::test(flavor = "multi_thread")]
async fn errors_violations_of_the_policy_and_requests_to_other_origins_are_noticed() {
    browse(async |browser| {
        let elsewhere = UnusedPort::new().origin();
        let document = format!(
            "<link rel=icon href='data:,'><script src=/script.js></script><script>1</script>\
             <img src='{elsewhere}/image.png'>"
        );
        let script = [(header::CONTENT_TYPE, "text/javascript")];
        let router = Router::new()
            .route(
                "/",
                get(async || ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(document))),
            )
            .route(
                "/script.js",
                get(async move || (script, "console.error('told'); missing()")),
            );
        let server = Server::spawn(router).await;
        browser.open(&server.origin(), "/").await;
        browser.provokes("told");
        browser.provokes("missing is not defined");
        browser.provokes("Content Security Policy");
        browser.provokes("ERR_CONNECTION_REFUSED");
        browser.provokes(&format!(
            "a request beyond the origin: {elsewhere}/image.png"
        ));
    })
    .await;
}
