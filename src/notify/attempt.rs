//! One attempt to deliver a notification: a request, and what the status of the response means.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use strum::{Display, IntoStaticStr};

use crate::notify::Receiver;
use crate::notify::message::Message;
use crate::retry_after::retry_after;

/// What became of an attempt.
#[derive(Debug)]
pub struct Attempt {
    /// What follows from it.
    pub result: AttemptResult,
    /// The status of the response; `None` when there was none.
    pub status: Option<u16>,
    /// Why the notification was not accepted.
    pub failure: Option<Failure>,
    /// How long the receiver asks to wait before the next attempt.
    pub retry_after: Option<Duration>,
}

/// What follows from an attempt, in the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum AttemptResult {
    /// The receiver accepted the notification.
    Delivered,
    /// It did not, and another attempt follows.
    Failed,
    /// It refused the notification for good.
    Refused,
    /// It did not, and too much time has passed for another attempt.
    Expired,
}

/// Why a receiver did not accept a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It answered with a status that is no success.
    #[error("the receiver answers with status {0}")]
    Status(u16),
    /// It did not answer in time.
    #[error("the receiver does not answer in time")]
    Timeout,
    /// It cannot be reached, or the connection broke.
    #[error("the receiver cannot be reached")]
    Connection,
}

impl Failure {
    /// The class of the failure, for spans.
    pub fn error_type(self) -> String {
        match self {
            Self::Status(status) => status.to_string(),
            Self::Timeout => "timeout".to_owned(),
            Self::Connection => "connection".to_owned(),
        }
    }

    /// Whether another attempt would fare no better: the receiver says that the request is wrong. A
    /// redirect is not followed, because it may lead where the operator did not want the notification
    /// to go, but it may be lifted.
    fn is_final(self) -> bool {
        match self {
            Self::Status(408 | 409 | 425 | 429) => false,
            Self::Status(status) => (400..500).contains(&status),
            Self::Timeout | Self::Connection => false,
        }
    }
}

/// The client of all receivers.
///
/// # Errors
/// When TLS cannot be initialised.
pub fn client(timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("expense-agent/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Sends a notification once. `is_last` says that no attempt will follow if this one fails.
pub async fn attempt(
    client: &reqwest::Client,
    receiver: &Receiver,
    message: &Message,
    now: Timestamp,
    is_last: bool,
) -> Attempt {
    let seconds = now.as_second();
    let request = client
        .post(receiver.url.clone())
        .header(CONTENT_TYPE, "application/json")
        .header("webhook-id", &message.id)
        .header("webhook-timestamp", seconds)
        .header(
            "webhook-signature",
            message.signatures(seconds, &receiver.secrets),
        )
        .body(message.body.clone());
    // Of the response only the head is read: its body means nothing, and may be without end.
    match request.send().await {
        Ok(response) => of_response(response.status().as_u16(), response.headers(), is_last),
        Err(error) if error.is_timeout() => failed(Failure::Timeout, is_last),
        Err(_) => failed(Failure::Connection, is_last),
    }
}

fn of_response(status: u16, headers: &HeaderMap, is_last: bool) -> Attempt {
    let attempt = match status {
        200..=299 => Attempt {
            result: AttemptResult::Delivered,
            status: None,
            failure: None,
            retry_after: None,
        },
        _ => failed(Failure::Status(status), is_last),
    };
    Attempt {
        status: Some(status),
        retry_after: retry_after(headers),
        ..attempt
    }
}

fn failed(failure: Failure, is_last: bool) -> Attempt {
    let result = match (failure.is_final(), is_last) {
        (true, _) => AttemptResult::Refused,
        (false, true) => AttemptResult::Expired,
        (false, false) => AttemptResult::Failed,
    };
    Attempt {
        result,
        status: None,
        failure: Some(failure),
        retry_after: None,
    }
}
