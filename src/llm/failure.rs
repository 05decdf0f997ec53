//! What an endpoint says when it fails: read from the body of an error status, and from a 200 whose
//! body reports a failure. Endpoints agree neither on where they say it nor on the type of any
//! field, so every known place is searched, and a field of an unexpected type does not hide the
//! others.

use std::time::Duration;

use crate::llm::ModelError;
use crate::llm::completion::{first_choice, label};
use crate::llm::error_text::{bounded, without_tags};
use crate::llm::failure_codes::{
    code_of, is_of_proxy, is_used_up, says_used_up, status_of_number, status_of_word,
};
use crate::llm::lenient::{self, Members};
use crate::retry_after::wait;

/// The status of a failure in a 200 that names no other: most likely a gateway's model failed.
const UNKNOWN_STATUS: u16 = 502;
/// How deep a message may be nested, as in `{"message": {"detail": [{"msg": …}]}}`.
const MAX_DEPTH: usize = 4;

/// The members that hold a code. The first text among them names the failure.
const CODES: [&str; 6] = [
    "code",
    "type",
    "status",
    "status_code",
    "statusCode",
    "error_code",
];
/// The members that hold a message: a text, or a value that contains one.
const MESSAGES: [&str; 11] = [
    "message",
    "msg",
    "status_msg",
    "detail",
    "errors",
    "error",
    "error_message",
    "error_msg",
    "error_description",
    "faultstring",
    "title",
];
/// The members that report a failure. `base_resp`, which is MiniMax's, also reports success.
const FAILURES: [&str; 3] = ["error", "fault", "base_resp"];

/// A failure as the endpoint reports it.
pub(super) struct Failure {
    pub(super) error: ModelError,
    /// How long the body asks to wait before the next attempt.
    pub(super) retry_after: Option<Duration>,
    /// Whether the message says that a quota is used up; the code may say something else.
    pub(super) says_used_up: bool,
}

/// What a body, or a part of it, says about a failure.
#[derive(Default)]
struct Report {
    codes: Vec<String>,
    message: Option<String>,
    retry_after: Option<Duration>,
}

impl Report {
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
            .or_else(|| self.says_used_up().then_some(402))
    }

    fn says_used_up(&self) -> bool {
        self.message.as_deref().is_some_and(says_used_up)
    }

    /// Whether every code says that nothing failed; if there is no code, whether the message does.
    fn is_success(&self) -> bool {
        let is_fine = |code: &String| {
            matches!(code.to_ascii_lowercase().as_str(), "0" | "ok" | "success")
                || code
                    .parse()
                    .is_ok_and(|code: u16| (200..300).contains(&code))
        };
        match self.codes.is_empty() {
            true => self.message.as_ref().is_some_and(is_fine),
            false => self.codes.iter().all(is_fine),
        }
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

    fn into_failure(self, status: u16) -> Failure {
        Failure {
            error: ModelError::Status {
                status,
                code: self.code(status),
                said: self.message.as_deref().and_then(bounded),
            },
            retry_after: self.retry_after,
            says_used_up: self.says_used_up(),
        }
    }
}

/// The failure of a response with an error status.
pub(super) fn of_error_status(status: u16, body: &str) -> Failure {
    let mut report = report_anywhere(body);
    if report.is_empty() {
        report.message = Some(without_tags(body));
    }
    report.into_failure(status)
}

/// The failure that a response with a success status reports; `None` when it reports none.
pub(super) fn of_success_status(body: &str) -> Option<Failure> {
    if let Some(report) = report_in_completion(body) {
        let status = report.status().unwrap_or(UNKNOWN_STATUS);
        return Some(report.into_failure(status));
    }
    report_of_proxy(body).map(|report| report.into_failure(UNKNOWN_STATUS))
}

/// Reads the page or the line of text with which a proxy reports that it did not reach the
/// endpoint. Only its beginning counts: any page may mention such a failure further down.
fn report_of_proxy(body: &str) -> Option<Report> {
    if body.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let said = bounded(&without_tags(body)).filter(|said| is_of_proxy(said))?;
    Some(Report {
        message: Some(said),
        ..Report::default()
    })
}

/// Reads a failure from a body that should be a completion.
fn report_in_completion(body: &str) -> Option<Report> {
    let unless_empty = |report: Report| (!report.is_empty()).then_some(report);
    let Some(top) = Members::parse(body) else {
        return match lenient::text(body) {
            Some(text) => report_in_completion(&text),
            None => unless_empty(report_anywhere(lenient::items(body)?.first()?.get())),
        };
    };
    if top.raw("choices").is_none() {
        // Other APIs have members with these names too: `{"type": "message", "content": …}`.
        let report = report_anywhere(body);
        let has_error = failure_anywhere(&top).or(top.raw("errors")).is_some();
        let is_failure = has_error || report.message.is_some() || report.status().is_some();
        return (is_failure && !report.is_success()).then_some(report);
    }
    let choice = first_choice(&top).unwrap_or_default();
    let message = choice.object("message").unwrap_or_default();
    let reported = [&top, &choice, &message]
        .into_iter()
        .filter_map(failure_in)
        .map(|raw| report_in(raw, 0))
        // Some gateways put their success there: `{"code": 0, "message": "success"}`.
        .find(|report| !report.is_success());
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
        is_failure.then(|| Report {
            codes: vec![reason],
            ..Report::default()
        })
    };
    reported.or_else(ended)
}

/// The member that holds a failure.
fn failure_in<'a>(object: &Members<'a>) -> Option<&'a str> {
    FAILURES.iter().find_map(|name| object.raw(name))
}

/// The member that holds a failure: at the top or, if nothing there says what failed, one level
/// below, as in `{"Response": {"Error": …}}`.
fn failure_anywhere<'a>(top: &Members<'a>) -> Option<&'a str> {
    let is_silent = || report_of(top, 0).message.is_none();
    let below = || top.objects().find_map(|object| failure_in(&object));
    failure_in(top).or_else(|| is_silent().then(below).flatten())
}

/// Reads a failure from any JSON: an object, or a list, whose first item counts.
fn report_anywhere(text: &str) -> Report {
    let Some(top) = Members::parse(text) else {
        let is_json = text.trim_start().starts_with(['[', '"']);
        return if is_json {
            report_in(text, 0)
        } else {
            Report::default()
        };
    };
    match failure_anywhere(&top) {
        Some(raw) => {
            let mut report = report_in(raw, 0);
            // If the text is JSON itself, its message was read above, and differs from the text.
            let is_plain = |text: &String| report.message.as_ref() == Some(text);
            let Some(text) = lenient::text(raw).filter(is_plain) else {
                if report.message.is_none() {
                    let beside = report_of(&top, 0);
                    report.codes.extend(beside.codes);
                    report.message = beside.message;
                }
                return report;
            };
            // The text is a code if there is a message beside it, as in `{"error": "Bad Request",
            // "message": …}`, or if it is a single word.
            let beside = report_of(&top, 0);
            let has_other = beside.message.as_ref().is_some_and(|other| *other != text);
            let is_code = !text.contains(' ') || has_other;
            let code = is_code.then_some(text).and_then(code_of);
            Report {
                codes: code.into_iter().chain(beside.codes).collect(),
                message: beside.message.or(report.message),
                retry_after: beside.retry_after,
            }
        }
        None => report_of(&top, 0),
    }
}

/// Reads the codes and the message of a JSON value.
fn report_in(raw: &str, depth: usize) -> Report {
    if depth > MAX_DEPTH {
        return Report::default();
    }
    if let Some(object) = Members::parse(raw) {
        return report_of(&object, depth);
    }
    if let Some(items) = lenient::items(raw) {
        return items
            .first()
            .map(|item| report_in(item.get(), depth + 1))
            .unwrap_or_default();
    }
    // A number is a code, and `true` at least says that something failed.
    let message = lenient::text(raw);
    let quoted = |text: &str| report_quoted(text, depth);
    if let Some(report) = message.as_deref().and_then(quoted) {
        return report;
    }
    let code = match raw {
        "true" => Some("error".to_owned()),
        number => number.parse::<f64>().ok().map(|_| number.to_owned()),
    };
    Report {
        codes: code.into_iter().collect(),
        message,
        retry_after: None,
    }
}

/// Reads a message that is the JSON of another failure, or ends with such JSON, as a gateway's
/// message does when it quotes the endpoint behind it.
fn report_quoted(text: &str, depth: usize) -> Option<Report> {
    let (words, json) = text.split_at(text.find(['{', '['])?);
    let words = words.trim();
    // JSON after words may be anything that the message is about, such as a schema.
    if !words.is_empty() {
        failure_in(&Members::parse(json)?)?;
    }
    let mut report = Some(report_in(json, depth + 1)).filter(|report| !report.is_empty())?;
    if !words.is_empty() {
        let inner = report.message.unwrap_or_default();
        report.message = Some(format!("{words} {inner}"));
    }
    Some(report)
}

fn report_of(object: &Members<'_>, depth: usize) -> Report {
    let mut codes: Vec<String> = CODES
        .iter()
        .filter_map(|name| object.label(name).and_then(code_of))
        .collect();
    let mut message = None;
    let mut retry_after = wait_in(object);
    for inner in MESSAGES.iter().filter_map(|name| object.raw(name)) {
        let inner = report_in(inner, depth + 1);
        codes.extend(inner.codes);
        message = message.or(inner.message);
        retry_after = retry_after.max(inner.retry_after);
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
    Report {
        codes,
        message,
        retry_after,
    }
}

/// The wait that a failure asks for, in itself or in its details, where Google puts it.
fn wait_in(failure: &Members<'_>) -> Option<Duration> {
    let details = failure.items("details");
    let details = details
        .iter()
        .filter_map(|detail| Members::parse(detail.get()));
    let waits = details.filter_map(|place| wait_named_in(&place));
    waits.chain(wait_named_in(failure)).max()
}

fn wait_named_in(place: &Members<'_>) -> Option<Duration> {
    let texts = ["retry_delay", "retry_after"].map(|name| place.label(name));
    texts.iter().flatten().filter_map(|text| wait(text)).max()
}
