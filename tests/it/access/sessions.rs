//! Sessions of the browser: how they begin and end, and that nothing but the service makes one.

use std::time::Duration;

use expense_agent::clock::Clock;
use expense_agent::config::Config;
use expense_agent::config::http::HttpConfig;
use expense_agent::config::public_url::PublicUrl;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Method, Response};

use super::browser;
use crate::harness::expenses::{id_of, of_user, path_of, taxi};
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::{TestApp, config, http_config, poll};
use crate::page::encoded;

const VIEWS: [&str; 7] = [
    "/ui/",
    "/ui/decisions",
    "/ui/decisions?outcome=denied&limit=2",
    "/ui/decisions/01a1fc3f-8232-75b3-ae94-bf307466c95a",
    "/ui/review",
    "/ui/policies",
    "/ui/none",
];

/// Keys of one tenant: Ana's has no role, Mia's has one; one was revoked, and one has expired.
fn entries() -> Vec<String> {
    vec![
        entry("ana", "acme", "ea_ana", "user = \"ana\""),
        entry(
            "mia",
            "acme",
            "ea_mia",
            "roles = [\"manager\"]\nuser = \"mia\"",
        ),
        entry("old", "acme", "ea_old", "revoked = true"),
        entry("late", "acme", "ea_late", "expires = \"2000-01-01\""),
    ]
}

/// A request as a browser makes it, which does not follow redirects.
async fn browse(app: &TestApp, method: Method, path: &str, cookies: &[&str]) -> Response {
    send(app, method, path, cookies, &[]).await
}

async fn send(
    app: &TestApp,
    method: Method,
    path: &str,
    cookies: &[&str],
    fields: &[(&str, &str)],
) -> Response {
    let mut request = browser().request(method.clone(), format!("{}{path}", app.url));
    for cookie in cookies {
        request = request.header(COOKIE, *cookie);
    }
    if method == Method::POST {
        request = request
            .header("sec-fetch-site", "same-origin")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(encoded(fields));
    }
    request.send().await.unwrap()
}

async fn log_in(app: &TestApp, key: &str, next: &str) -> Response {
    send(
        app,
        Method::POST,
        "/ui/login",
        &[],
        &[("key", key), ("next", next)],
    )
    .await
}

/// The cookie of a new session, as a browser sends it back.
async fn session(app: &TestApp, key: &str) -> String {
    let response = log_in(app, key, "").await;
    assert_eq!(response.status(), 303);
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

/// Whether a request with this cookie sees a view as the holder of a key.
async fn is_logged_in(app: &TestApp, cookies: &[&str]) -> bool {
    let response = browse(app, Method::GET, "/ui/", cookies).await;
    let status = response.status().as_u16();
    assert!([200, 303].contains(&status), "{status}");
    response.text().await.unwrap().contains("Log out")
}

#[tokio::test]
async fn a_key_begins_a_session_that_only_the_page_reads() {
    let file = KeyFile::new(&entries());
    let app = file.app().await;
    let response = log_in(&app, "ea_mia", "/ui/review?role=manager").await;
    assert_eq!(response.status(), 303);
    assert_eq!(response.headers()[LOCATION], "/ui/review?role=manager");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    assert!(!cookie.contains("ea_mia"), "{cookie}");
    let (value, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(
        attributes,
        "HttpOnly; SameSite=Lax; Path=/ui; Max-Age=28800"
    );
    let page = browse(&app, Method::GET, "/ui/", &[value])
        .await
        .text()
        .await
        .unwrap();
    for shown in ["Tenant <b>acme</b>", "Key <b>mia</b>", "Log out"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    for path in ["/v1/expenses", "/v1/policies"] {
        assert_eq!(
            app.get_with(path, &[("cookie", value)]).await.status,
            401,
            "{path}"
        );
    }
}

#[tokio::test]
async fn behind_tls_the_cookie_is_secure() {
    let file = KeyFile::new(&entries());
    let http = HttpConfig {
        public_url: PublicUrl::parse("https://expenses.example.com"),
        ..file.http_config()
    };
    let app = TestApp::with(Config { http, ..config() }).await;
    let response = log_in(&app, "ea_mia", "").await;
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("; Secure"), "{cookie}");
}

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
        let next = crate::page::attributes(&form, "value").remove(0);
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
async fn a_cookie_that_the_service_did_not_make_is_no_session() {
    let file = KeyFile::new(&entries());
    let app = file.app().await;
    let ours = session(&app, "ea_ana").await;
    assert!(is_logged_in(&app, &[&ours]).await);
    let [id, ends, signature] = ours["ea_session=".len()..].split('.').collect::<Vec<_>>()[..]
    else {
        panic!("{ours}")
    };
    let flipped = if signature.starts_with('0') { "1" } else { "0" };
    let mut forged = vec![
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        format!("{id}.{ends}"),
        format!("{id}.{ends}."),
        format!("{id}.{ends}.{}", &signature[..62]),
        format!("{id}.{ends}.{flipped}{}", &signature[1..]),
        format!("{id}.{ends}.{signature}00"),
        format!("{id}.{ends}.{}", "0".repeat(64)),
        format!("mia.{ends}.{signature}"),
        format!("none.{ends}.{signature}"),
        format!("{id}.{}.{signature}", ends.parse::<i64>().unwrap() + 1),
        format!("{id}.-1.{signature}"),
        format!("{id}.99999999999999999999.{signature}"),
        format!("{id} .{ends}.{signature}"),
        "x".repeat(4000),
    ];
    // The session of a local key, of another service on this host.
    let other = TestApp::spawn().await;
    let local = session(&other, &other.local_key.clone().unwrap()).await;
    forged.push(local["ea_session=".len()..].to_owned());
    for value in &forged {
        let cookie = format!("ea_session={value}");
        assert!(!is_logged_in(&app, &[&cookie]).await, "{value}");
        // Beside a session it changes nothing, whichever comes first.
        assert!(
            is_logged_in(&app, &[&format!("{cookie}; {ours}")]).await,
            "{value}"
        );
        assert!(is_logged_in(&app, &[&ours, &cookie]).await, "{value}");
    }
    let another = TestApp::spawn().await;
    assert!(is_logged_in(&other, &[&local]).await);
    assert!(!is_logged_in(&another, &[&local]).await);
    // Two sessions with different keys do not say who acts.
    let mia = session(&app, "ea_mia").await;
    assert!(!is_logged_in(&app, &[&format!("{ours}; {mia}")]).await);
    let again = session(&app, "ea_ana").await;
    assert!(is_logged_in(&app, &[&ours, &again]).await);
}

#[tokio::test]
async fn a_session_ends_after_eight_hours_and_another_replica_takes_it_until_then() {
    let file = KeyFile::new(&entries());
    let at = async |moment: Timestamp| {
        let http = file.http_config();
        TestApp::with_clock(Clock::fixed(moment), Config { http, ..config() }).await
    };
    let begun: Timestamp = "2026-03-14T09:00:00Z".parse().unwrap();
    let cookie = session(&at(begun).await, "ea_mia").await;
    for (seconds, goes_on) in [(0, true), (8 * 3600 - 1, true), (8 * 3600, false)] {
        let replica = at(begun + SignedDuration::from_secs(seconds)).await;
        assert_eq!(
            is_logged_in(&replica, &[&cookie]).await,
            goes_on,
            "{seconds}"
        );
    }
}

#[tokio::test]
async fn a_session_has_the_rights_that_its_key_has_now() {
    let file = KeyFile::new(&entries());
    let app = file.app().await;
    let foreign = app.post_as("ea_mia", of_user(taxi(), "ben")).await.body;
    let view = format!("/ui/decisions/{}", id_of(&foreign));
    let cookie = session(&app, "ea_mia").await;
    for (more, key, status) in [
        ("roles = [\"manager\"]\nuser = \"mia\"", "ea_mia", 200),
        // Without the role it sees no decision of others. Mia handed this one in, so another user.
        ("user = \"eve\"", "ea_mia", 404),
        ("roles = [\"vp\"]", "ea_mia", 200),
        ("revoked = true", "ea_mia", 303),
        ("", "ea_mia", 200),
        ("expires = \"2000-01-01\"", "ea_mia", 303),
        // Rotated: the same id, and another key.
        ("", "ea_mia2", 303),
    ] {
        file.replace(&[entry("mia", "acme", key, more)]);
        poll::until(Duration::from_secs(20), more, async || {
            let found = browse(&app, Method::GET, &view, &[&cookie]).await.status();
            if found == status { Ok(()) } else { Err(found) }
        })
        .await;
    }
}

#[tokio::test]
async fn logging_out_deletes_the_cookie_and_takes_a_form_of_the_page() {
    let file = KeyFile::new(&entries());
    let app = file.app().await;
    let cookie = session(&app, "ea_mia").await;
    let response = send(&app, Method::POST, "/ui/logout", &[&cookie], &[]).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()[LOCATION]),
        (303, &"/ui/".parse().unwrap())
    );
    let expected = "ea_session=; HttpOnly; SameSite=Lax; Path=/ui; Max-Age=0";
    assert_eq!(response.headers()[SET_COOKIE], expected);
    assert_eq!(
        browse(&app, Method::GET, "/ui/logout", &[&cookie])
            .await
            .status(),
        405
    );
    let headers = [
        ("cookie", cookie.as_str()),
        ("sec-fetch-site", "cross-site"),
    ];
    assert_eq!(app.post_to("/ui/logout", "", &headers).await.status, 403);
}

#[tokio::test]
async fn the_session_of_a_local_key_shows_the_tenant_of_the_url_and_that_of_an_api_key_its_own() {
    let app = TestApp::spawn().await;
    let cookie = session(&app, app.local_key.as_ref().unwrap()).await;
    let shown = async |app: &TestApp, cookie: &str, tenant: &str| {
        let path = format!("/ui/?tenant={tenant}");
        let response = browse(app, Method::GET, &path, &[cookie]).await;
        assert!(!response.headers().contains_key(SET_COOKIE), "{tenant}");
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let (status, page) = shown(&app, &cookie, "zeta").await;
    assert_eq!(status, 200);
    assert!(
        page.contains("value=\"zeta\"") && page.contains("Key <b>local</b>"),
        "{page}"
    );
    for tenant in [
        "a%0D%0ASet-Cookie:%20a=b",
        "a%00b",
        "%E2%80%8B",
        &"t".repeat(129),
    ] {
        let (status, page) = shown(&app, &cookie, tenant).await;
        assert_eq!(status, 400, "{tenant}");
        assert!(page.contains("There cannot be such a tenant"), "{page}");
    }
    let file = KeyFile::new(&entries());
    let app = file.app().await;
    let cookie = session(&app, "ea_mia").await;
    for tenant in ["zeta", "a%0D%0ASet-Cookie:%20a=b"] {
        let (status, page) = shown(&app, &cookie, tenant).await;
        assert_eq!(status, 200);
        assert!(page.contains("Tenant <b>acme</b>"), "{page}");
        assert!(!page.contains("tenant="), "no link repeats it: {page}");
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

#[tokio::test]
async fn a_person_without_a_role_sees_on_the_page_what_the_api_shows() {
    let file = KeyFile::new(&entries());
    let app = file.app().await;
    let mine = app.post_as("ea_ana", taxi()).await.body;
    let foreign = app.post_as("ea_mia", of_user(taxi(), "ben")).await.body;
    let cookie = session(&app, "ea_ana").await;
    for (decision, status) in [(&mine, 200), (&foreign, 404)] {
        let view = format!("/ui/decisions/{}", id_of(decision));
        for path in [view.clone(), format!("{view}/json")] {
            let found = browse(&app, Method::GET, &path, &[&cookie]).await.status();
            assert_eq!(found, status, "{path}");
        }
        let auth = [("authorization", "Bearer ea_ana")];
        assert_eq!(app.get_with(&path_of(decision), &auth).await.status, status);
    }
    for list in [
        "/ui/",
        "/ui/decisions",
        "/ui/decisions.csv",
        "/ui/decisions.ndjson",
        "/ui/review",
    ] {
        let page = browse(&app, Method::GET, list, &[&cookie])
            .await
            .text()
            .await
            .unwrap();
        assert!(!page.contains(id_of(&foreign)), "{list}: {page}");
    }
}
