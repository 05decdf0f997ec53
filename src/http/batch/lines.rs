//! The lines of a batch: how the body is split, and what a line with a key of its own looks like.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio_util::bytes::{Bytes, BytesMut};
use tokio_util::codec::{AnyDelimiterCodec, AnyDelimiterCodecError, Decoder};
use utoipa::ToSchema;

use crate::domain::body::without_mark;
use crate::domain::submission::Submission;
use crate::http::limits::MAX_BODY_BYTES;

/// A line with an idempotency key of its own; any other line is the expense itself.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyedLine {
    /// The key.
    pub idempotency_key: String,
    /// The expense, as the line would be without a key.
    #[schema(value_type = Submission)]
    pub expense: Box<RawValue>,
}

/// The parts of a line from which its request is made.
pub(super) struct Line {
    /// The key of its own that the line has, if any.
    pub(super) key: Option<String>,
    /// The expense, as the body of a request of its own.
    pub(super) expense: Bytes,
}

impl Line {
    fn parse(line: Bytes) -> Self {
        // Any line may begin with a byte order mark, because a batch may be joined from files that
        // begin with one.
        let line = line.slice_ref(without_mark(&line));
        match serde_json::from_slice(&line) {
            Ok(KeyedLine {
                idempotency_key,
                expense,
            }) => Self {
                key: Some(idempotency_key),
                expense: expense.get().to_owned().into(),
            },
            Err(_) => Self {
                key: None,
                expense: line,
            },
        }
    }

    pub(super) fn is_blank(&self) -> bool {
        self.expense.trim_ascii().is_empty()
    }
}

/// A line with more bytes than a body may have.
pub(super) struct TooLong;

/// Splits the body into lines and continues after one that is too long. Lines are bytes: the JSON
/// parser finds out whether they are text.
///
/// The OpenAPI description declares a binary file, because Swagger UI would put quotes around a
/// text.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary, description = "A JSON object on each line: a `Submission`, or a `KeyedLine`")]
pub(super) struct Lines(AnyDelimiterCodec);

impl Lines {
    pub(super) fn new() -> Self {
        Self(AnyDelimiterCodec::new_with_max_length(
            b"\n".to_vec(),
            Vec::new(),
            MAX_BODY_BYTES,
        ))
    }

    fn item(
        decoded: Result<Option<Bytes>, AnyDelimiterCodecError>,
    ) -> io::Result<Option<Result<Line, TooLong>>> {
        match decoded {
            Ok(line) => Ok(line.map(|line| Ok(Line::parse(line)))),
            Err(AnyDelimiterCodecError::MaxChunkLengthExceeded) => Ok(Some(Err(TooLong))),
            Err(AnyDelimiterCodecError::Io(error)) => Err(error),
        }
    }
}

impl Decoder for Lines {
    type Item = Result<Line, TooLong>;
    type Error = io::Error;

    fn decode(&mut self, bytes: &mut BytesMut) -> io::Result<Option<Self::Item>> {
        Self::item(self.0.decode(bytes))
    }

    fn decode_eof(&mut self, bytes: &mut BytesMut) -> io::Result<Option<Self::Item>> {
        Self::item(self.0.decode_eof(bytes))
    }
}
