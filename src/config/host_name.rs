//! A host name in one spelling, so that names can be compared.

use reqwest::Url;

/// A host name in lower case and ASCII, without the dot of the DNS root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName(String);

impl HostName {
    /// Reads a name such as `expense-agent` or `agent.example.com`; `None` when the text is
    /// anything else, such as a URL, a name with a port, or a pattern.
    pub fn parse(text: &str) -> Option<Self> {
        if text.contains([':', '/', '?', '#', '@', '\\']) {
            return None;
        }
        // International names become ASCII as they do in browsers.
        let url: Url = format!("http://{text}").parse().ok()?;
        let host = url.host_str()?;
        let name = host.strip_suffix('.').unwrap_or(host);
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        (!name.is_empty() && name.bytes().all(is_name)).then(|| Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
