//! URLs from the configuration to which paths are added: of the model's endpoint, a trace backend, a
//! trace UI, or a service. Every such URL is read by [`parse`] and extended by [`extended`], so that a
//! query stays a query and a path in front of the service stays in front.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use reqwest::Url;
use reqwest::header::HeaderValue;

/// Reads a URL to which paths can be added: `http` or `https`, with a host and without a fragment.
///
/// # Errors
/// With what is wrong with the text, as the end of a sentence. It repeats no part of the text, which
/// may contain a password or a key.
pub fn parse(text: &str) -> Result<Url, &'static str> {
    let url: Url = text
        .parse()
        .map_err(|_| "is not a URL with a scheme and a host")?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("is not a URL of http or https");
    }
    if url.fragment().is_some() {
        return Err("has a fragment, the part from # on, which is never sent");
    }
    if url.port() == Some(0) {
        return Err("has port 0, on which nothing can listen");
    }
    Ok(url)
}

/// The URL with the segments of `path` added to its own path. The query stays; slashes at the end of
/// the URL's path, and at either end of `path`, make no empty segments.
pub fn extended(url: &Url, path: &str) -> Url {
    let mut extended = url.clone();
    let own_path = url.path().trim_end_matches('/').to_owned();
    extended.set_path(&own_path);
    if let Ok(mut segments) = extended.path_segments_mut() {
        segments
            .pop_if_empty()
            .extend(path.split('/').filter(|segment| !segment.is_empty()));
    }
    extended
}

/// The URL without user and password.
pub fn without_user(url: &Url) -> Url {
    let mut url = url.clone();
    // Both fail only for URLs without a host, which cannot have a user either.
    let _removed = url.set_password(None).and_then(|()| url.set_username(""));
    url
}

/// User and password of the URL as the value of an `Authorization` header; `None` when it has neither.
/// Not every HTTP client takes them from the URL, and some write the URL into the log.
pub fn credentials(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decoded = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    let password = decoded(url.password().unwrap_or_default());
    let pair = [decoded(url.username()), b":".to_vec(), password].concat();
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The URL as messages and log lines may show it: without user, password and query, all of which may
/// be secret.
pub fn shown(url: &Url) -> String {
    let mut shown = without_user(url);
    shown.set_query(None);
    shown.to_string()
}
