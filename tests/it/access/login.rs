//! The form to log in: which keys it takes, over which connections, and where it leads.

use expense_agent::config::Config;
use expense_agent::config::http::HttpConfig;
use expense_agent::config::public_url::PublicUrl;
use reqwest::Method;
use reqwest::header::{LOCATION, SET_COOKIE};

use super::{browse, entries, log_in, send, session};
use crate::harness::key_file::KeyFile;
use crate::harness::{TestApp, config, http_config};
use crate::page::attributes;

const VIEWS: [&str; 7] = [
    "/ui/",
    "/ui/decisions",
    "/ui/decisions?outcome=denied&limit=2",
    "/ui/decisions/01a1fc3f-8232-75b3-ae94-bf307466c95a",
    "/ui/review",
    "/ui/policies",
    "/ui/none",
];

#[tokio::test]
async fn an_invalid_key_begins_no_session_and_the_answer_does_not_say_why() {
    let file = KeyFile::new(&entries());
    let app = file.app().await;
    let mut answers = Vec::new();
    for key in [
        "", "ea_none", "ea_mi", "EA_MIA", "mia", "ea_old", "ea_late", "<script>",
    ] {
        let response = log_in(&app, key, "/ui/review").await;
        assert_eq!(response.status(), 401, "{key}");
        assert!(!response.headers().contains_key(SET_COOKIE), "{key}");
        answers.push(response.text().await.unwrap());
    }
    assert!(
        answers[0].contains("This key is not valid"),
        "{}",
        answers[0]
    );
    answers.dedup();
    assert_eq!(answers.len(), 1);
}

#[tokio::test]
async fn with_api_keys_every_view_asks_a_browser_without_a_session_to_log_in() {
    let file = KeyFile::new(&entries());
    let app = file.app().await;
    for view in VIEWS {
        let response = browse(&app, Method::GET, view, &[]).await;
        assert_eq!(response.status(), 303, "{view}");
        let login = response.headers()[LOCATION].to_str().unwrap().to_owned();
        assert!(login.starts_with("/ui/login?next=%2Fui%2F"), "{login}");
        let form = browse(&app, Method::GET, &login, &[])
            .await
            .text()
            .await
            .unwrap();
        let next = attributes(&form, "value").remove(0);
        assert_eq!(next, view);
        let response = log_in(&app, "ea_mia", &next).await;
        assert_eq!(response.headers()[LOCATION], view);
    }
    let response = send(&app, Method::POST, "/ui/expense", &[], &[]).await;
    assert_eq!(response.status(), 401);
    assert!(
        response
            .text()
            .await
            .unwrap()
            .contains("Your session has ended")
    );
    // What a browser needs to draw the form is not kept from it.
    for path in ["/ui/login", "/ui/login?next=%ff", "/ui/login?next=a&next=b"] {
        assert_eq!(
            browse(&app, Method::GET, path, &[]).await.status(),
            200,
            "{path}"
        );
    }
}

#[tokio::test]
async fn after_the_login_only_views_of_this_page_are_followed() {
    let file = KeyFile::new(&entries());
    let app = file.app().await;
    for (next, expected) in [
        ("/ui/decisions?a=b%26c", "/ui/decisions?a=b%26c"),
        ("/ui/decisions?q=\u{e9}", "/ui/decisions?q=%C3%A9"),
        ("/ui//evil.example", "/ui//evil.example"),
        ("", "/ui/"),
        ("/", "/ui/"),
        ("/ui", "/ui/"),
        ("/docs", "/ui/"),
        ("/v1/expenses", "/ui/"),
        ("/ui/../docs", "/ui/"),
        ("/ui/%2e%2e/docs", "/ui/"),
        ("/uix/", "/ui/"),
        ("/ui/login", "/ui/"),
        ("/ui/login?next=/ui/", "/ui/"),
        ("//evil.example/ui/", "/ui/"),
        ("/\\evil.example/ui/", "/ui/"),
        ("\\\\evil.example/ui/", "/ui/"),
        ("/\t/evil.example/ui/", "/ui/"),
        ("https://evil.example/ui/", "/ui/"),
        ("https:/ui/decisions", "/ui/"),
        ("javascript:alert(1)", "/ui/"),
        ("data:text/html,x", "/ui/"),
        ("/ui/x\r\nSet-Cookie: a=b", "/ui/xSet-Cookie:%20a=b"),
    ] {
        let response = log_in(&app, "ea_mia", next).await;
        assert_eq!(response.status(), 303, "{next:?}");
        assert_eq!(response.headers()[LOCATION], expected, "{next:?}");
        assert_eq!(response.headers().get_all(SET_COOKIE).iter().count(), 1);
    }
}

#[tokio::test]
async fn a_key_is_taken_only_where_it_is_not_sent_over_a_network_in_clear() {
    let file = KeyFile::new(&entries());
    let behind = |public_url: &str| {
        let public_url = PublicUrl::parse(public_url);
        TestApp::with(Config {
            http: HttpConfig {
                public_url,
                ..file.http_config()
            },
            ..config()
        })
    };
    let plain = behind("").await;
    let http = behind("http://expenses.example.com").await;
    let https = behind("https://expenses.example.com").await;
    for (host, is_local) in [
        ("localhost", true),
        ("LOCALHOST:8000", true),
        ("127.0.0.1:8000", true),
        ("127.9.9.9", true),
        ("[::1]:8000", true),
        ("0.0.0.0:8000", false),
        ("192.0.2.1:8000", false),
        ("[2001:db8::1]", false),
        ("expenses.example.com", false),
        ("localhost.example.com", false),
        ("evil@localhost", true),
    ] {
        for (app, is_taken) in [(&plain, is_local), (&http, is_local), (&https, true)] {
            let status = if is_taken { 200 } else { 403 };
            let reply = app.get_with("/ui/login", &[("host", host)]).await;
            assert_eq!(reply.status, status, "{host}");
            let body = reply.body.as_str().unwrap();
            assert_eq!(body.contains("type=\"password\""), is_taken, "{body}");
            let headers = [
                ("host", host),
                ("sec-fetch-site", "same-origin"),
                ("content-type", "application/x-www-form-urlencoded"),
            ];
            let request = app
                .request(Method::POST, "/ui/login", &headers)
                .body("key=ea_none");
            let expected = if is_taken { 401 } else { 403 };
            assert_eq!(request.send().await.unwrap().status(), expected, "{host}");
        }
    }
}

#[tokio::test]
async fn a_service_without_any_key_says_so_instead_of_asking_for_one() {
    let http = HttpConfig {
        makes_local_key: false,
        ..http_config()
    };
    let app = TestApp::with(Config { http, ..config() }).await;
    let page = app.get("/ui/login").await.body;
    let page = page.as_str().unwrap();
    assert!(
        page.contains("--api-keys") && !page.contains("type=\"password\""),
        "{page}"
    );
    assert!(
        !app.get("/ui/")
            .await
            .body
            .as_str()
            .unwrap()
            .contains("data-takes-key")
    );
}

#[tokio::test]
async fn only_a_page_without_a_session_takes_the_local_key_from_its_address() {
    let app = TestApp::spawn().await;
    let mark = "data-takes-key";
    let without = browse(&app, Method::GET, "/ui/", &[])
        .await
        .text()
        .await
        .unwrap();
    assert!(without.contains(mark), "{without}");
    let cookie = session(&app, app.local_key.as_ref().unwrap()).await;
    let with = browse(&app, Method::GET, "/ui/", &[&cookie])
        .await
        .text()
        .await
        .unwrap();
    assert!(!with.contains(mark), "{with}");
    // With API keys a stranger's link could log a reader in with the stranger's key.
    let file = KeyFile::new(&entries());
    let keyed = file.app().await;
    let cookie = session(&keyed, "ea_mia").await;
    for cookies in [vec![], vec![cookie.as_str()]] {
        for view in ["/ui/", "/ui/login"] {
            let page = browse(&keyed, Method::GET, view, &cookies)
                .await
                .text()
                .await
                .unwrap();
            assert!(!page.contains(mark), "{page}");
        }
    }
}
