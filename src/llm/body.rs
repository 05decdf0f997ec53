//! The body of a response as text. An endpoint or a proxy may compress it unasked, send it as a
//! stream, begin it with a byte order mark, or write something that is almost JSON. `completion`
//! and `failure` read the text.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use reqwest::header::{CONTENT_ENCODING, HeaderMap};
use serde_json::value::RawValue;

use crate::domain::body::without_mark;
use crate::llm::event_stream;
use crate::llm::mended_json::mended;

/// The largest body that is accepted, before and after decompression. A structured answer has a few
/// hundred bytes; an endpoint that sends a thousand times as much is broken or hostile.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// The text of a body; `None` when it is a stream that ends before its answer does.
pub(super) fn text<'a>(body: &'a [u8], headers: &HeaderMap) -> Option<Cow<'a, str>> {
    let body = unzipped(body, headers);
    let text = match body {
        Cow::Borrowed(body) => String::from_utf8_lossy(without_mark(body)),
        Cow::Owned(body) => String::from_utf8_lossy(without_mark(&body))
            .into_owned()
            .into(),
    };
    if event_stream::is_stream(&text) {
        return event_stream::joined(&text).map(Cow::Owned);
    }
    // A mended text that still is not JSON has another error, so it is left as it was sent.
    let is_json = |text: &str| serde_json::from_str::<&RawValue>(text).is_ok();
    match mended(&text) {
        Cow::Owned(mended) if is_json(&mended) => Some(mended.into()),
        _ => Some(text),
    }
}

/// The body, decompressed if its headers say that it is compressed. The HTTP client is not
/// configured to do this, because it would then ask every endpoint to compress a few hundred bytes.
fn unzipped<'a>(body: &'a [u8], headers: &HeaderMap) -> Cow<'a, [u8]> {
    let encoding = headers.get(CONTENT_ENCODING).map(|value| value.as_bytes());
    let is_zipped = encoding.is_some_and(|encoding| {
        [b"gzip".as_slice(), b"x-gzip"]
            .iter()
            .any(|gzip| encoding.eq_ignore_ascii_case(gzip))
    });
    // The decoder reserves a window of 32 KiB, so it is only made for a body that needs it.
    if !is_zipped {
        return body.into();
    }
    let mut unzipped = Vec::new();
    let mut decoder = MultiGzDecoder::new(body).take(MAX_BYTES as u64);
    match decoder.read_to_end(&mut unzipped) {
        Ok(_) => unzipped.into(),
        Err(_) => body.into(),
    }
}
