//! Checks the base URL of the model's endpoint and the headers that are sent with every call. A URL
//! or header with which no call can work is refused at the start. The flags, and the checks of
//! parameters, are in `model`.

use std::path::Path;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::base_url;
use crate::llm::endpoint::ModelApi;
use crate::telemetry::settings::{Variables, variable};

/// The endpoint of OpenAI itself.
pub(super) const OPENAI_BASE_URL: &str = "https://api.openai.com/v1";

/// The routes that people copy with the base URL from an example. The service adds its own.
const ROUTES: [&str; 7] = [
    "/api/chat",
    "/api/generate",
    "/chat/completions",
    "/completions",
    "/responses",
    "/messages",
    "/embeddings",
];

/// Headers that the HTTP client or the service sets, or that must not leave the service.
const RESERVED_HEADERS: [&str; 13] = [
    "accept-encoding",
    "baggage",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "upgrade",
];

/// Checks the base URL, and adds what is wrong with it to `errors`. `named_api` is the API that the
/// operator names, if any. No message repeats the URL, which may contain a password or a key.
pub(super) fn base_url(
    text: &str,
    named_api: Option<ModelApi>,
    errors: &mut Vec<String>,
) -> Option<Url> {
    let url = match base_url::parse(text) {
        Ok(url) => url,
        Err(wrong) => {
            errors.push(format!(
                "OPENAI_BASE_URL {wrong}; write a URL such as \"{OPENAI_BASE_URL}\""
            ));
            return None;
        }
    };
    if let Some(wrong) = unusable(&url, named_api) {
        errors.push(format!("OPENAI_BASE_URL {wrong}"));
        return None;
    }
    Some(url)
}

/// Why no call below this URL can work, and how to repair it.
fn unusable(url: &Url, named_api: Option<ModelApi>) -> Option<String> {
    if !url.username().is_empty() || url.password().is_some() {
        return Some(
            "contains a user or a password; send them as a header, with --model-header \
             'authorization=$VARIABLE'"
                .to_owned(),
        );
    }
    let path = url.path().trim_end_matches('/').to_ascii_lowercase();
    if let Some(route) = ROUTES.iter().find(|route| path.ends_with(*route)) {
        return Some(format!(
            "ends in {route}, but the service adds the route itself; leave it out"
        ));
    }
    let host = url.host_str().unwrap_or_default();
    let api = ModelApi::of_host(host, url.port_or_known_default());
    // If the operator names another API than the host and port suggest, the usual path does not
    // apply: a server on Ollama's port may have none.
    let is_other = named_api.is_some_and(|named| named != api);
    if let Some(usual) = api.usual_path().filter(|_| path.is_empty() && !is_other) {
        return Some(format!(
            "has no path, and the API of {host} is below one; add it, usually \"{usual}\""
        ));
    }
    let has_version = url.query_pairs().any(|(key, _)| key == "api-version");
    if api == ModelApi::Azure && path.starts_with("/openai/deployments/") && !has_version {
        return Some("names a deployment of Azure but no version; add ?api-version=…".to_owned());
    }
    None
}

/// Checks the headers, and adds what is wrong with them to `errors`. Each is `NAME=@FILE` or
/// `NAME=$VARIABLE`. No message repeats what follows a name, which may be a secret by mistake.
pub(super) fn headers(
    given: &[String],
    variables: &Variables,
    errors: &mut Vec<String>,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for pair in given {
        match header(pair, variables) {
            Ok((name, value)) => {
                if headers.insert(&name, value).is_some() {
                    errors.push(format!("--model-header names {name} twice; leave one out"));
                }
            }
            Err(wrong) => errors.push(format!("--model-header {wrong}")),
        }
    }
    headers
}

fn header(pair: &str, variables: &Variables) -> Result<(HeaderName, HeaderValue), String> {
    const FORM: &str = "write NAME=@FILE, or 'NAME=$VARIABLE' in quotes";
    let (name, source) = pair
        .split_once('=')
        .ok_or_else(|| format!("has no \"=\" after the name; {FORM}"))?;
    let name: HeaderName = name
        .trim()
        .parse()
        .map_err(|_| format!("has a name that no header can have; {FORM}"))?;
    if RESERVED_HEADERS.contains(&name.as_str()) {
        return Err(format!(
            "names {name}, which the service sets itself; leave it out"
        ));
    }
    let variable_name = source.strip_prefix('$').and_then(name_of_variable);
    let text = match (source.strip_prefix('@'), variable_name) {
        (Some(file), _) => std::fs::read_to_string(Path::new(file))
            .map_err(|error| format!("{name}: the file {file} cannot be read: {error}"))?,
        (_, Some(named)) => variable(variables, named)
            .map(str::to_owned)
            .ok_or_else(|| format!("{name}: the variable {named} is not set"))?,
        _ => {
            return Err(format!(
                "{name} takes its value from a file or a variable; {FORM}"
            ));
        }
    };
    let text = text.trim();
    let is_sendable = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let value = HeaderValue::from_str(text).ok().filter(|_| is_sendable);
    let mut value = value.ok_or_else(|| {
        format!("{name}: the value is empty or cannot be sent; write one line of visible ASCII characters")
    })?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// The name of a variable, written as `NAME` or `{NAME}`; `None` when the text is not a name, and
/// may be a secret that begins with `$`.
fn name_of_variable(text: &str) -> Option<&str> {
    let in_braces = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'));
    let name = in_braces.unwrap_or(text);
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some(name)
}
