//! The headers of a call: the key, the organisation and the project that are billed, and the
//! headers that the operator configured. Any of them may be secret, so their values are removed
//! from the text of an endpoint that repeats them.

use std::borrow::Cow;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use crate::llm::endpoint::KeyHeader;

/// The shortest value that is removed from an endpoint's text; a shorter one is no secret.
const MIN_SECRET_BYTES: usize = 8;

/// The headers of every call. Those in `own` replace the others of the same name. An empty key,
/// organisation or project is not sent, because some endpoints reject an empty key.
///
/// # Panics
/// When a value cannot be sent in a header, which `config` checks.
pub(super) fn of(
    key_header: KeyHeader,
    key: &SecretString,
    organization: &str,
    project: &str,
    own: HeaderMap,
) -> HeaderMap {
    let key = key.expose_secret();
    let (key_name, key_value) = match key_header {
        KeyHeader::Bearer => (AUTHORIZATION, format!("Bearer {key}")),
        KeyHeader::ApiKey => (HeaderName::from_static("api-key"), key.to_owned()),
    };
    let organization_name = HeaderName::from_static("openai-organization");
    let project_name = HeaderName::from_static("openai-project");
    let mut headers = HeaderMap::new();
    for (name, value, is_set) in [
        (key_name, key_value.as_str(), !key.is_empty()),
        (organization_name, organization, !organization.is_empty()),
        (project_name, project, !project.is_empty()),
    ] {
        if is_set {
            let mut value = HeaderValue::from_str(value)
                .expect("`config` checks that these values can be sent in a header");
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
    headers.extend(own);
    headers
}

/// The values of a request that may be secret: those of its sensitive headers, and those in the
/// query of its URL.
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    pub(super) fn of(request: &reqwest::Request) -> Self {
        let values = request.headers().values();
        let of_headers = values
            .filter(|value| value.is_sensitive())
            .filter_map(|value| value.to_str().ok())
            // In a value such as `Bearer KEY`, the key alone is a secret as well.
            .flat_map(|value| [Some(value), value.split_whitespace().last()])
            .flatten()
            .map(str::to_owned);
        let of_query = request
            .url()
            .query_pairs()
            .filter(|(name, _)| name != "api-version")
            .map(|(_, value)| value.into_owned());
        let secrets = of_headers.chain(of_query);
        Self(
            secrets
                .filter(|secret| secret.len() >= MIN_SECRET_BYTES)
                .collect(),
        )
    }

    /// What the endpoint said, without the secrets that it repeats. They are removed before the
    /// text is read and shortened, because a secret that was cut in two would not be found.
    pub(super) fn removed_from<'a>(&self, said: &'a str) -> Cow<'a, str> {
        let mut said = Cow::Borrowed(said);
        for secret in &self.0 {
            let escaped = secret.replace('\\', "\\\\").replace('"', "\\\"");
            for form in [secret, &escaped, &escaped.replace('/', "\\/")] {
                if said.contains(form) {
                    said = said.replace(form, "[SECRET]").into();
                }
            }
        }
        said
    }
}
