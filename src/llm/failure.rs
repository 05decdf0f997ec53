//! What an endpoint says when it fails: read from the body of an error status, and from a 200 whose
//! body reports a failure. Endpoints agree neither on where they say it nor on the type of any field,
//! so every place that is known is searched, and nothing that is odd is lost beside it.

use std::sync::LazyLock;

use regex::Regex;

use crate::llm::completion::label;
use crate::llm::failure_codes::{is_used_up, status_of_number, status_of_word};
use crate::llm::lenient::{self, Members};
use crate::llm::{Message, ModelError};
use crate::redact::redact;

/// The status of a failure in a 200 that names none: the endpoint is a gateway to a model that failed.
const UNKNOWN_STATUS: u16 = 502;
/// The longest piece of an endpoint's own words that is kept.
const MAX_SAID_CHARS: usize = 300;
/// How much of a body is searched for them.
const MAX_SEARCHED_CHARS: usize = 4_096;
/// How deep a message may be nested, as in `{"message": {"detail": [{"msg": …}]}}`.
const MAX_DEPTH: usize = 4;
/// The shortest run of characters that counts as a repetition of the request.
const ECHO_CHARS: usize = 12;

/// The members that hold a code. The first text among them names the failure.
const CODES: [&str; 6] = [
    "code",
    "type",
    "status",
    "status_code",
    "statusCode",
    "error_code",
];
/// The members that hold a message, a text or something that contains one.
const MESSAGES: [&str; 10] = [
    "message",
    "msg",
    "detail",
    "errors",
    "error",
    "error_message",
    "error_msg",
    "error_description",
    "faultstring",
    "title",
];
/// What was found in a body.
#[derive(Default)]
struct Told {
    codes: Vec<String>,
    message: Option<String>,
}

impl Told {
    fn is_empty(&self) -> bool {
        self.codes.is_empty() && self.message.is_none()
    }

    /// The status that a code or the message means.
    fn status(&self) -> Option<u16> {
        let numbers = self.codes.iter().filter_map(|code| status_of_number(code));
        let words = self.codes.iter().chain(&self.message);
        numbers
            .chain(words.filter_map(|text| status_of_word(text)))
            .next()
    }

    /// The code that says most: a used-up quota, else the first that is a word, else a number that
    /// is not the status itself.
    fn code(&self, status: u16) -> Option<String> {
        let is_number = |code: &String| code.parse::<f64>().is_ok();
        let used_up = self.codes.iter().find(|code| is_used_up(code));
        let word = || self.codes.iter().find(|code| !is_number(code));
        let number = || self.codes.iter().find(|code| **code != status.to_string());
        let code = used_up.or_else(word).or_else(number)?;
        Some(label(code.clone()))
    }

    fn into_error(self, status: u16) -> ModelError {
        ModelError::Status {
            status,
            code: self.code(status),
            said: self.message.as_deref().and_then(bounded),
        }
    }
}

/// The failure of a response with an error status.
pub(super) fn of_error_status(status: u16, body: &str) -> ModelError {
    let mut told = told_anywhere(body);
    if told.is_empty() {
        told.message = Some(without_tags(body));
    }
    told.into_error(status)
}

/// The failure that a response with a success status reports; `None` when it reports none.
pub(super) fn of_success_status(body: &str) -> Option<ModelError> {
    let told = told_by_completion(body)?;
    let status = told.status().unwrap_or(UNKNOWN_STATUS);
    Some(told.into_error(status))
}

/// Reads a failure from a body that should be a completion.
fn told_by_completion(body: &str) -> Option<Told> {
    let told = |told: Told| (!told.is_empty()).then_some(told);
    let Some(top) = Members::parse(body) else {
        return told(told_anywhere(lenient::items(body)?.first()?.get()));
    };
    if !top.has("choices") {
        // Other APIs have members with these names too: `{"type": "message", "content": …}`.
        let told = told_anywhere(body);
        let has_error = ["error", "errors", "fault"]
            .iter()
            .any(|name| top.raw(name).is_some());
        let is_failure = has_error || told.message.is_some() || told.status().is_some();
        return (is_failure && !told.is_success()).then_some(told);
    }
    let choices = top.items("choices");
    let choice = choices
        .first()
        .and_then(|raw| Members::parse(raw.get()))
        .unwrap_or_default();
    let message = choice.object("message").unwrap_or_default();
    let reported = [&top, &choice, &message]
        .into_iter()
        .filter_map(|place| place.raw("error"))
        .map(|raw| told_by(raw, 0))
        // Some gateways put their success there: `{"code": 0, "message": "success"}`.
        .find(|told| !told.is_success());
    let ended = || {
        let reason = choice.text("finish_reason")?;
        let is_failure = matches!(
            reason.to_ascii_lowercase().as_str(),
            "error"
                | "server_error"
                | "network_error"
                | "insufficient_system_resource"
                | "abort"
                | "aborted"
                | "cancelled"
        );
        is_failure.then(|| Told {
            codes: vec![reason],
            message: None,
        })
    };
    reported.or_else(ended)
}

impl Told {
    /// Whether every code says that nothing failed.
    fn is_success(&self) -> bool {
        let is_fine = |code: &String| {
            matches!(code.as_str(), "0" | "ok" | "OK" | "success")
                || code
                    .parse()
                    .is_ok_and(|code: u16| (200..300).contains(&code))
        };
        !self.codes.is_empty() && self.codes.iter().all(is_fine)
    }
}

/// Reads a failure from any JSON: an object, or a list of which the first item counts.
fn told_anywhere(text: &str) -> Told {
    let Some(top) = Members::parse(text) else {
        return lenient::items(text)
            .unwrap_or_default()
            .first()
            .map(|raw| told_by(raw.get(), 0))
            .unwrap_or_default();
    };
    match top.raw("error").or_else(|| top.raw("fault")) {
        Some(raw) => {
            let mut told = told_by(raw, 0);
            let Some(text) = lenient::text(raw) else {
                if told.message.is_none() {
                    let beside = told_by_object(&top, 0);
                    told.codes.extend(beside.codes);
                    told.message = beside.message;
                }
                return told;
            };
            // In `{"error": "Bad Request", "message": …}` the text is a code, and alone it may be one.
            let beside = told_by_object(&top, 0);
            let is_code = !text.contains(' ') || beside.message.as_ref() != Some(&text);
            Told {
                codes: is_code
                    .then_some(text)
                    .into_iter()
                    .chain(beside.codes)
                    .collect(),
                message: beside.message,
            }
        }
        None => told_by_object(&top, 0),
    }
}

/// Reads codes and message from a JSON value.
fn told_by(raw: &str, depth: usize) -> Told {
    if depth > MAX_DEPTH {
        return Told::default();
    }
    if let Some(object) = Members::parse(raw) {
        return told_by_object(&object, depth);
    }
    if let Some(items) = lenient::items(raw) {
        return items
            .first()
            .map(|item| told_by(item.get(), depth + 1))
            .unwrap_or_default();
    }
    // A number is a code, and `true` at least says that something failed.
    let message = lenient::text(raw);
    let code = match raw {
        "true" => Some("error".to_owned()),
        number => number.parse::<f64>().ok().map(|_| number.to_owned()),
    };
    Told {
        codes: code.into_iter().collect(),
        message,
    }
}

fn told_by_object(object: &Members<'_>, depth: usize) -> Told {
    let mut codes: Vec<String> = CODES.iter().filter_map(|name| object.label(name)).collect();
    let mut message = None;
    for inner in MESSAGES.iter().filter_map(|name| object.raw(name)) {
        let inner = told_by(inner, depth + 1);
        codes.extend(inner.codes);
        message = message.or(inner.message);
    }
    // The field that is wrong, as FastAPI (`loc`) and OpenAI (`param`) name it.
    let place: Vec<String> = object
        .items("loc")
        .iter()
        .chain(&object.items("param"))
        .filter_map(|part| lenient::text(part.get()))
        .collect();
    if let Some(text) = message.as_mut().filter(|_| !place.is_empty()) {
        *text = format!("{}: {text}", place.join("."));
    }
    Told { codes, message }
}

/// The text with the runs that repeat the request left out: some endpoints quote what they refuse,
/// and the request contains what an employee wrote.
pub(super) fn without_echo(said: &str, sent: &[Message]) -> String {
    // A quotation may be escaped, and so is the request, which is JSON.
    let plain = |text: &str| text.chars().filter(|c| *c != '\\').collect::<Vec<_>>();
    let said = plain(said);
    let sent: Vec<String> = sent
        .iter()
        .map(|message| plain(&message.text).into_iter().collect())
        .collect();
    let mut is_echo = vec![false; said.len()];
    for (start, run) in said.windows(ECHO_CHARS).enumerate() {
        let run: String = run.iter().collect();
        if sent.iter().any(|text| text.contains(&run)) {
            is_echo[start..start + ECHO_CHARS].fill(true);
        }
    }
    let mut kept = String::new();
    for (index, c) in said.iter().enumerate() {
        match (is_echo[index], index > 0 && is_echo[index - 1]) {
            (false, _) => kept.push(*c),
            (true, false) => kept.push('…'),
            (true, true) => {}
        }
    }
    kept
}

/// One line, redacted and cut; `None` when nothing is left.
fn bounded(text: &str) -> Option<String> {
    let searched: String = text.chars().take(MAX_SEARCHED_CHARS).collect();
    let printable = searched.replace(char::is_control, " ");
    let line = printable.split_whitespace().collect::<Vec<_>>().join(" ");
    let redacted = redact(&line);
    let kept: String = redacted.chars().take(MAX_SAID_CHARS).collect();
    (!kept.is_empty()).then_some(kept)
}

/// The text of a page of HTML, as proxies answer; any other text as it is.
fn without_tags(text: &str) -> String {
    static TAGS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new("(?is)<style.*?</style>|<script.*?</script>|<[^>]*>")
            .expect("the pattern is a constant, and tests use it")
    });
    let text: String = text.chars().take(MAX_SEARCHED_CHARS).collect();
    if !text.trim_start().starts_with('<') {
        return text;
    }
    TAGS.replace_all(&text, " ").into_owned()
}
