//! Sessions of the browser: what they may do, how they end, and that nothing but the service makes one.

use std::time::Duration;

use expense_agent::clock::Clock;
use expense_agent::config::Config;
use expense_agent::config::http::HttpConfig;
use expense_agent::config::public_url::PublicUrl;
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use reqwest::header::{LOCATION, SET_COOKIE};

use super::{browse, entries, log_in, send, session};
use crate::harness::expenses::{id_of, of_user, path_of, taxi};
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::{TestApp, config, poll};

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
        assert!(page.contains("This is not the name of a tenant"), "{page}");
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
