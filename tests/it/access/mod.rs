//! Who can do what, with each set-up: `start` tests what the program prints and which settings it
//! accepts, `local_key` the key of a service without API keys, `login` the form that takes a key,
//! `sessions` what a browser may do from then on, `same_origin` that no other site acts for it, and
//! `setups` the defaults of every way to run the service. What API keys admit and show is tested in
//! `crate::keys`.

mod local_key;
mod login;
mod same_origin;
mod sessions;
mod setups;
mod start;

use clap::Parser;
use expense_agent::cli::Cli;
use expense_agent::config::{Config, ConfigErrors};
use expense_agent::telemetry::settings::Variables;
use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::{Method, Response};

use crate::harness::TestApp;
use crate::harness::key_file::entry;
use crate::page::encoded;

/// The configuration that results from flags.
fn built(flags: &[&str]) -> Result<Config, ConfigErrors> {
    let cli = Cli::try_parse_from([&["expense-agent"], flags].concat()).unwrap();
    Config::build(cli.settings, &Variables::new())
}

/// A client that shows redirects instead of following them.
fn browser() -> reqwest::Client {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    client.build().unwrap()
}

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

/// The same, with the fields of a form.
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

/// Sends the form to log in.
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
