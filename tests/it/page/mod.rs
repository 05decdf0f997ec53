//! The page in the browser, without a browser: what each view shows, what the forms do, and what holds
//! of every response. The helpers here ask for views and send forms as a browser does.

mod assets;
mod export;
mod list;
mod live;
mod overview;
mod safety;
mod visibility;

use std::collections::BTreeMap;

use regex::Regex;
use reqwest::redirect::Policy;

use crate::harness::TestApp;

/// A text that is markup, if it is not escaped, in an element and in an attribute.
pub(crate) const MARKUP: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&amp;";

/// A view, which is there.
pub(crate) async fn view(app: &TestApp, path: &str) -> String {
    let reply = app.get(path).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    reply.body.as_str().expect("a view is HTML").to_owned()
}

/// The response to a form that the page itself sends.
pub(crate) async fn send_form(
    app: &TestApp,
    path: &str,
    fields: &[(&str, &str)],
) -> reqwest::Response {
    let client = reqwest::Client::builder().redirect(Policy::none());
    client
        .build()
        .unwrap()
        .post(format!("{}{path}", app.url))
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(encoded(fields))
        .send()
        .await
        .unwrap()
}

/// Fields as a form or a query holds them.
pub(crate) fn encoded(fields: &[(&str, &str)]) -> String {
    let encode = |text: &str| {
        text.bytes()
            .map(|byte| match byte.is_ascii_alphanumeric() {
                true => char::from(byte).to_string(),
                false => format!("%{byte:02X}"),
            })
            .collect::<String>()
    };
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    fields.join("&")
}

/// Where a response sends the browser on to.
pub(crate) fn location(response: &reqwest::Response) -> String {
    response.headers()["location"].to_str().unwrap().to_owned()
}

/// The values of an attribute in HTML, in order, as they were before they were escaped.
pub(crate) fn attributes(html: &str, name: &str) -> Vec<String> {
    let pattern = Regex::new(&format!("\\s{name}=\"([^\"]*)\"")).unwrap();
    pattern
        .captures_iter(html)
        .map(|found| unescaped(&found[1]))
        .collect()
}

fn unescaped(text: &str) -> String {
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&amp;", "&"),
    ];
    entities
        .iter()
        .fold(text.to_owned(), |text, (entity, c)| text.replace(entity, c))
}

/// The ids of the decisions in the rows of a view.
pub(crate) fn ids(html: &str) -> Vec<String> {
    attributes(html, "data-id")
}

/// HTML with one element per line, and with a name in place of every id, time and hash, which differ
/// from run to run; the same id gets the same name.
pub(crate) fn normalised(html: &str) -> String {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let id = Regex::new(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").unwrap();
    let named = id.replace_all(html, |found: &regex::Captures| {
        let next = format!("<id {}>", names.len() + 1);
        names.entry(found[0].to_owned()).or_insert(next).clone()
    });
    let replacements = [
        (r"/ui/assets/[0-9a-f]+", "/ui/assets/<hash>"),
        (r"<time [^>]*>[^<]*", "<time …>"),
        ("><", ">\n<"),
    ];
    replacements
        .iter()
        .fold(named.into_owned(), |text, (pattern, name)| {
            let pattern = Regex::new(pattern).unwrap();
            pattern.replace_all(&text, *name).into_owned()
        })
}
