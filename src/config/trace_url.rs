//! A template of links to a trace UI, and how one is read.

use reqwest::Url;

use crate::base_url;

/// The placeholder of the trace id in a template.
const PLACEHOLDER: &str = "{trace_id}";

/// A template of links to a trace UI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceUrl(Form);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    /// A text with the placeholder. The placeholder may be anywhere, in a fragment too: some trace
    /// UIs keep their state there.
    Template(String),
    /// The base URL of a Jaeger UI.
    Jaeger(Url),
}

impl TraceUrl {
    /// Reads a URL with the placeholder `{trace_id}`, or the base URL of a Jaeger UI. `None` when
    /// the text is neither.
    pub fn parse(text: &str) -> Option<Self> {
        if !text.contains(PLACEHOLDER) {
            // Everyone who reads an answer sees the link, so it has neither user nor password.
            let base = base_url::without_user(&base_url::parse(text).ok()?);
            return Some(Self(Form::Jaeger(base)));
        }
        let url: Url = text.replace(PLACEHOLDER, "0").parse().ok()?;
        matches!(url.scheme(), "http" | "https").then(|| Self(Form::Template(without_user(text))))
    }

    /// The link to one trace.
    pub fn of(&self, trace_id: &str) -> String {
        match &self.0 {
            Form::Template(text) => text.replace(PLACEHOLDER, trace_id),
            Form::Jaeger(base) => base_url::extended(base, &format!("trace/{trace_id}")).into(),
        }
    }
}

/// The template without user and password. It is not written anew by [`Url`], which would encode the
/// placeholder.
fn without_user(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("//") else {
        return text.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    format!("{scheme}//{host}{path}")
}
