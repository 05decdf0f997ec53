//! A template of links to a trace UI, and how one is read.

use reqwest::Url;

/// A template of links to a trace UI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceUrl(String);

impl TraceUrl {
    /// Reads a URL with the placeholder `{trace_id}`, or the base URL of a Jaeger UI. `None` when
    /// the text is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let template = match text.contains("{trace_id}") {
            true => text.to_owned(),
            false => format!("{}/trace/{{trace_id}}", text.trim_end_matches('/')),
        };
        let url: Url = template.replace("{trace_id}", "0").parse().ok()?;
        matches!(url.scheme(), "http" | "https").then_some(Self(template))
    }

    /// The link to one trace.
    pub fn of(&self, trace_id: &str) -> String {
        self.0.replace("{trace_id}", trace_id)
    }
}
