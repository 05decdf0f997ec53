//! The address by which people reach the service: scheme, host and port. The page is at the root of it,
//! because its links begin with `/ui/`.

use reqwest::Url;

use crate::base_url;
use crate::config::host_name::HostName;

/// A scheme, a host and a port, such as `https://expenses.example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(Url);

impl PublicUrl {
    /// Reads a URL with nothing but a scheme, a host and a port; `None` when the text is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let url = base_url::parse(text).ok()?;
        let has_more = url.path() != "/"
            || url.query().is_some()
            || !url.username().is_empty()
            || url.password().is_some();
        (!has_more).then_some(Self(url))
    }

    /// The URL as browsers write an origin: without a slash at the end, or a port that is the scheme's
    /// own.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// Whether people reach the service over TLS, which a proxy in front of it terminates.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The host, unless it is an address.
    pub fn host_name(&self) -> Option<HostName> {
        HostName::parse(self.0.domain()?)
    }
}
