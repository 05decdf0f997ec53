//! Forms of other sites: a request that writes must come from the page itself.

use expense_agent::config::Config;
use expense_agent::config::http::HttpConfig;
use expense_agent::config::public_url::PublicUrl;
use reqwest::Method;

use super::browser;
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::{TestApp, config};

const HOST: &str = "agent.example.com";
const OURS: &str = "https://agent.example.com";

/// Whether a form with these headers is taken. It logs out, which needs no session.
async fn is_taken(app: &TestApp, headers: &[(&str, &str)]) -> bool {
    let request = browser().post(format!("{}/ui/logout", app.url));
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    let status = request.send().await.unwrap().status().as_u16();
    assert!([303, 403].contains(&status), "{status}");
    status == 303
}

#[tokio::test]
async fn a_form_is_taken_only_from_the_page_itself() {
    let keys = KeyFile::new(&[entry("ana", "acme", "ea_ana", "")]);
    let behind = |public_url: &str| {
        let public_url = PublicUrl::parse(public_url);
        let http = HttpConfig {
            public_url,
            ..keys.http_config()
        };
        TestApp::with(Config { http, ..config() })
    };
    // What the service knows of its address, and the host that a request names.
    let plain = behind("").await;
    let public = behind(OURS).await;
    let services = [
        (&plain, HOST, true),
        (&public, HOST, true),
        // A proxy that replaces the host.
        (&public, "10.0.0.7:8000", true),
        (&plain, "10.0.0.7:8000", false),
    ];
    for (app, host, knows_itself) in services {
        for site in [
            "same-origin",
            "same-site",
            "cross-site",
            "none",
            "",
            "SAME-ORIGIN",
            "same-origin, same-origin",
        ] {
            for origin in [None, Some(OURS), Some("https://evil.example"), Some("null")] {
                let mut headers = vec![("host", host), ("sec-fetch-site", site)];
                headers.extend(origin.map(|origin| ("origin", origin)));
                // The browser has decided, so the origin is not looked at.
                let expected = site == "same-origin";
                assert_eq!(is_taken(app, &headers).await, expected, "{headers:?}");
            }
        }
        for (origin, is_ours) in [
            (None, false),
            (Some(""), false),
            (Some("null"), false),
            (Some(OURS), knows_itself),
            (Some("https://AGENT.example.com"), host == HOST),
            (Some("https://agent.example.com:8443"), false),
            (Some("https://agent.example.com.evil.example"), false),
            (Some("https://evil.example/agent.example.com"), false),
            (
                Some("https://evil.example?https://agent.example.com"),
                false,
            ),
            (Some("https://agent.example.com@evil.example"), false),
            (Some("agent.example.com"), false),
            (Some("://agent.example.com.evil.example"), false),
        ] {
            let mut headers = vec![("host", host)];
            headers.extend(origin.map(|origin| ("origin", origin)));
            assert_eq!(is_taken(app, &headers).await, is_ours, "{headers:?}");
        }
        // Two of a header are ambiguous.
        for name in ["sec-fetch-site", "origin"] {
            let value = if name == "origin" {
                OURS
            } else {
                "same-origin"
            };
            let headers = [("host", host), (name, value), (name, value)];
            assert!(!is_taken(app, &headers).await, "{name}");
        }
    }
}

#[tokio::test]
async fn a_host_that_another_site_owns_reaches_neither_page_nor_form() {
    let app = TestApp::spawn().await;
    let key = app.local_key.clone().unwrap();
    // DNS rebinding: the browser takes the name for the page's own origin.
    let headers = [
        ("host", "evil.example"),
        ("origin", "http://evil.example"),
        ("sec-fetch-site", "same-origin"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let request = app.request(Method::POST, "/ui/login", &headers);
    let response = request.body(format!("key={key}")).send().await.unwrap();
    assert_eq!(response.status(), 421);
    for view in ["/ui/", "/ui/login", "/ui/decisions", "/ui/assets/x.js"] {
        assert_eq!(
            app.get_with(view, &headers[..1]).await.status,
            421,
            "{view}"
        );
    }
}
