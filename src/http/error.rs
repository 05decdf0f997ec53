//! The whole error contract: every [`Code`], and the body that carries one,
//! `application/problem+json` ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)). The table of
//! codes in the documents and the problems in `/openapi.json` are generated from the enum. A
//! refused request has no side effect.
//!
//! Handlers return a [`Problem`]; a layer around them, in `render`, writes it out and logs it.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use strum::{Display, EnumMessage, VariantArray};
use utoipa::ToSchema;

use crate::agent::resolve::refusal::Refusal;
use crate::agent::supersede::SupersedeRefusal;
use crate::domain::body::{BodyError, FieldError};
use crate::error_chain::error_chain;
use crate::ledger::LedgerError;
use crate::redact::redact;

/// The media type of problems.
pub const PROBLEM_JSON: &str = "application/problem+json";
/// Characters of a host that a problem repeats: the most a name can have.
const MAX_SHOWN_HOST: usize = 253;

/// Every code of a problem. Codes are stable: programs branch on them.
// Sorted by status. The doc of a variant is its meaning in the documents and in `/openapi.json`.
#[derive(Serialize, ToSchema, Display, EnumMessage, VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The body is not valid JSON.
    NotJson,
    /// The body ended before it was complete.
    BodyCutOff,
    /// The path or the query is not valid UTF-8.
    MalformedRequest,
    /// A header that has one value, such as `Authorization` or `Content-Type`, comes more than once.
    RepeatedHeader,
    /// The `Idempotency-Key` is not 1 to 255 visible ASCII characters, 240 for a batch.
    InvalidIdempotencyKey,
    /// A query parameter is unknown, repeated, or has a value that is not accepted.
    UnknownFilter,
    /// The cursor does not name a decision of this tenant.
    UnknownCursor,
    /// The API key is missing, unknown, revoked or expired.
    Unauthorized,
    /// The API key does not have the role.
    RoleMissing,
    /// The expense needs a higher role.
    RoleTooLow,
    /// A person cannot approve or deny an expense of their own, or one that they handed in.
    OwnExpense,
    /// The API key belongs to another person than `actor` names.
    AnotherActor,
    /// A rule denies the expense; `detail` names what it allows and the role that may set it aside.
    ExceptionNeeded,
    /// This tenant has no decision with this id, or none that the user of this API key may see.
    NotFound,
    /// The path does not exist.
    NoSuchRoute,
    /// The path does not support the method.
    NoSuchMethod,
    /// The person has approved the expense already; another person has to approve it too.
    AlreadyApproved,
    /// The decision is not open.
    NotOpen,
    /// The decision has already been resolved in another way.
    AlreadySettled,
    /// The decision was superseded by a newer one; `superseded_by` of the decision names it.
    AlreadySuperseded,
    /// The decision that `supersedes` names rests on the advice of a model, so it stays.
    HasAdvice,
    /// The `Idempotency-Key` was used with another body.
    IdempotencyConflict,
    /// The body, or a line of a batch, is larger than 64 KiB.
    BodyTooLarge,
    /// The `Content-Type` is missing, or is not the one that the route accepts; or the body has a
    /// `Content-Encoding`.
    UnsupportedMediaType,
    /// Without API keys, the host of a request has to be an IP address, `localhost`, or a name that
    /// `--allowed-host` allows.
    MisdirectedRequest,
    /// Fields are invalid, missing, unknown or repeated, or the body is not a JSON object; `errors`
    /// lists all of them.
    InvalidExpense,
    /// Fields of a resolution are invalid, missing, unknown or repeated, or do not fit the expense;
    /// `errors` lists all of them.
    InvalidResolution,
    /// Fields of feedback are invalid, missing, unknown or repeated; `errors` lists all of them.
    InvalidFeedback,
    /// The service failed; its log and the trace show where.
    Internal,
    /// As many requests as the service allows are in progress, or the model has more calls waiting
    /// than it can answer in time.
    Overloaded,
    /// The request was not answered within the deadline; a decision in progress is still recorded.
    DeadlineExceeded,
    /// The ledger cannot be used, so the outcome is unknown.
    LedgerUnavailable,
}

impl Code {
    /// The HTTP status that the code is answered with.
    pub fn status(self) -> StatusCode {
        match self {
            Self::NotJson
            | Self::BodyCutOff
            | Self::MalformedRequest
            | Self::RepeatedHeader
            | Self::InvalidIdempotencyKey
            | Self::UnknownFilter
            | Self::UnknownCursor => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::RoleMissing
            | Self::RoleTooLow
            | Self::OwnExpense
            | Self::AnotherActor
            | Self::ExceptionNeeded => StatusCode::FORBIDDEN,
            Self::NotFound | Self::NoSuchRoute => StatusCode::NOT_FOUND,
            Self::NoSuchMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::AlreadyApproved
            | Self::NotOpen
            | Self::AlreadySettled
            | Self::AlreadySuperseded
            | Self::HasAdvice
            | Self::IdempotencyConflict => StatusCode::CONFLICT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::MisdirectedRequest => StatusCode::MISDIRECTED_REQUEST,
            Self::InvalidExpense | Self::InvalidResolution | Self::InvalidFeedback => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Overloaded | Self::DeadlineExceeded | Self::LedgerUnavailable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// What the code means: the doc of its variant, in one line.
    pub fn meaning(self) -> String {
        let doc = self.get_documentation().unwrap_or_default();
        doc.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// Exhaustive, so that a new reason to refuse a resolution needs a code here.
impl From<Refusal> for Code {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::AnotherActor => Self::AnotherActor,
            Refusal::RoleMissing => Self::RoleMissing,
            Refusal::RoleTooLow => Self::RoleTooLow,
            Refusal::OwnExpense => Self::OwnExpense,
            Refusal::ExceptionNeeded => Self::ExceptionNeeded,
            Refusal::AlreadyApproved => Self::AlreadyApproved,
            Refusal::NotOpen => Self::NotOpen,
            Refusal::AlreadySettled => Self::AlreadySettled,
            Refusal::AlreadySuperseded => Self::AlreadySuperseded,
            Refusal::InvalidResolution => Self::InvalidResolution,
        }
    }
}

/// Exhaustive, so that a new reason to refuse superseding needs a code here.
impl From<SupersedeRefusal> for Code {
    fn from(refusal: SupersedeRefusal) -> Self {
        match refusal {
            SupersedeRefusal::AlreadySettled => Self::AlreadySettled,
            SupersedeRefusal::AlreadySuperseded => Self::AlreadySuperseded,
            SupersedeRefusal::HasAdvice => Self::HasAdvice,
        }
    }
}

/// Why a request was refused or failed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// The status in words.
    pub title: &'static str,
    /// A stable code for programs.
    pub code: Code,
    /// What was wrong and what would be accepted, for people.
    pub detail: String,
    /// The fields that were wrong, each with what would be accepted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// The trace of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The error inside the service, for its log only.
    #[serde(skip)]
    pub cause: Option<String>,
}

impl Problem {
    /// A problem with the status of its code; `detail` is for people.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self::with_status(code.status(), code, detail)
    }

    pub(super) fn with_status(status: StatusCode, code: Code, detail: impl Into<String>) -> Self {
        Self {
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or_default(),
            code,
            detail: detail.into(),
            errors: Vec::new(),
            trace_id: None,
            cause: None,
        }
    }

    /// The request has no valid API key. The problem does not say why the key is invalid: that
    /// would help to guess one.
    pub fn unauthorized() -> Self {
        let detail = "this route requires a valid API key; send it as `Authorization: Bearer KEY`";
        Self::new(Code::Unauthorized, detail)
    }

    /// A header that has one value comes more than once.
    pub fn repeated_header(name: &str) -> Self {
        let detail = format!("`{name}` is in the request more than once; send it once");
        Self::new(Code::RepeatedHeader, detail)
    }

    /// The request names a host that is not one of this service.
    pub fn misdirected(host: &str) -> Self {
        let shown: String = host.chars().take(MAX_SHOWN_HOST).collect();
        let detail = format!(
            "this service has no API keys and does not know the host \"{shown}\"; send the request to its IP address \
             or to localhost, or name the host with `--allowed-host` when the service starts"
        );
        Self::new(Code::MisdirectedRequest, detail)
    }

    /// The service has as many requests in progress as it allows.
    pub fn overloaded() -> Self {
        let detail = "as many requests as the service allows are in progress; retry in a moment";
        Self::new(Code::Overloaded, detail)
    }

    /// The request was not answered in time.
    pub fn deadline_exceeded() -> Self {
        let detail =
            "the request was not answered in time; a decision in progress is still recorded";
        Self::new(Code::DeadlineExceeded, detail)
    }

    /// The body is not JSON, or has invalid fields; `code` is the code for invalid fields.
    pub fn body(error: BodyError, code: Code) -> Self {
        let detail = error.to_string();
        match error {
            BodyError::NotJson(..) => Self::new(Code::NotJson, detail),
            BodyError::Fields(errors) => Self {
                errors,
                ..Self::new(code, detail)
            },
        }
    }

    /// One field of an expense is not accepted; `message` says what would be.
    pub fn invalid_field(field: &str, message: impl Into<String>) -> Self {
        let error = FieldError {
            field: field.to_owned(),
            message: message.into(),
        };
        Self::body(BodyError::Fields(vec![error]), Code::InvalidExpense)
    }

    /// The service failed; the cause is logged, and not shown to the client.
    pub fn internal(cause: impl Into<String>) -> Self {
        Self {
            cause: Some(cause.into()),
            ..Self::new(Code::Internal, "the service failed; the trace shows where")
        }
    }

    /// The problem without personal data that may have come with the request: clients log problems.
    pub(super) fn redacted(mut self) -> Self {
        self.detail = redact(&self.detail).into_owned();
        for FieldError { field, message } in &mut self.errors {
            *field = redact(field).into_owned();
            *message = redact(message).into_owned();
        }
        self
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        // The write may have been committed although its confirmation was lost.
        let detail = "the ledger cannot be used right now, so the outcome is unknown; retry in a moment, a decision \
                      with the same `Idempotency-Key`";
        Self {
            cause: Some(error_chain(&error)),
            ..Self::new(Code::LedgerUnavailable, detail)
        }
    }
}

impl IntoResponse for Problem {
    /// Only attaches the problem: `render` writes the body, because it knows the trace.
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status);
        let mut response = status
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            .into_response();
        response.extensions_mut().insert(self);
        response
    }
}
