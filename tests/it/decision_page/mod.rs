//! The views of one decision and of the review queue. `views` compares them with golden files, `hostile`
//! shows that texts are never markup, `offers` that what is offered is what the API accepts, `acts` what
//! a click does, `in_a_row` what several approvers see, and `queue` what waits for whom.

mod acts;
mod hostile;
mod in_a_row;
mod offers;
mod queue;
mod views;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Client, Method, redirect};
use serde_json::Value;

use crate::harness::TestApp;
use crate::harness::expenses::{id_of, path_of};
use crate::harness::key_file::{KeyFile, entry};

/// A service with the keys of an office: a feed without roles, a manager, a vice president, a manager and
/// a chief financial officer whose keys name a person, and an employee without a role.
struct Office {
    app: TestApp,
    _keys: KeyFile,
}

impl Office {
    async fn open() -> Self {
        let keys = keys();
        Self {
            app: keys.app().await,
            _keys: keys,
        }
    }

    fn person<'a>(&'a self, key: &'a str) -> Person<'a> {
        Person {
            app: &self.app,
            key: Some(key),
        }
    }

    async fn decide(&self, body: Value) -> Value {
        self.app.decide_as("ea_feed", body).await
    }
}

impl Office {
    /// The decision as it is now.
    async fn read(&self, decision: &Value) -> Value {
        let headers = [("authorization", "Bearer ea_feed")];
        self.app.get_with(&path_of(decision), &headers).await.body
    }
}

fn keys() -> KeyFile {
    KeyFile::new(&[
        entry("feed", "acme", "ea_feed", ""),
        entry("manager", "acme", "ea_manager", "roles = [\"manager\"]"),
        entry("vp", "acme", "ea_vp", "roles = [\"manager\", \"vp\"]"),
        entry(
            "ben",
            "acme",
            "ea_ben",
            "roles = [\"manager\"]\nuser = \"ben\"",
        ),
        entry(
            "dora",
            "acme",
            "ea_dora",
            "roles = [\"cfo\"]\nuser = \"dora\"",
        ),
        entry("ana", "acme", "ea_ana", "user = \"ana\""),
        entry("zeta", "zeta", "ea_zeta", "roles = [\"cfo\"]"),
    ])
}

/// A person at the page.
struct Person<'a> {
    app: &'a TestApp,
    key: Option<&'a str>,
}

/// What the browser of a person gets.
#[derive(Debug)]
struct Seen {
    status: u16,
    location: Option<String>,
    html: String,
}

impl Person<'_> {
    async fn get(&self, path: &str) -> Seen {
        self.send(Method::GET, path, &[]).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Seen {
        self.send(Method::POST, path, fields).await
    }

    async fn send(&self, method: Method, path: &str, fields: &[(&str, &str)]) -> Seen {
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .build()
            .unwrap();
        let mut request = client
            .request(method, format!("{}{path}", self.app.url))
            .header("sec-fetch-site", "same-origin");
        if !fields.is_empty() {
            let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
            let fields = fields
                .iter()
                .map(|(name, value)| format!("{name}={}", encode(value)));
            request = request
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(fields.collect::<Vec<_>>().join("&"));
        }
        if let Some(key) = self.key {
            request = request.bearer_auth(key);
        }
        let response = request.send().await.unwrap();
        let location = response.headers().get(LOCATION);
        Seen {
            status: response.status().as_u16(),
            location: location.map(|location| location.to_str().unwrap().to_owned()),
            html: response.text().await.unwrap(),
        }
    }
}

/// The address of a decision.
fn view_of(decision: &Value) -> String {
    format!("/ui/decisions/{}", id_of(decision))
}

/// The value of a hidden field.
fn hidden<'a>(html: &'a str, name: &str) -> &'a str {
    let field = format!("<input type=\"hidden\" name=\"{name}\" value=\"");
    let (_, rest) = html
        .split_once(&field)
        .unwrap_or_else(|| panic!("no {field} in {html}"));
    rest.split('"').next().unwrap()
}

/// The ids of the decisions in a queue, in its order.
fn pick_ids(html: &str) -> Vec<String> {
    let picks = html.split("name=\"picked\" value=\"").skip(1);
    picks
        .filter_map(|pick| Some(pick.split(':').next()?.to_owned()))
        .collect()
}
