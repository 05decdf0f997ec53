//! The exports of one signal as they arrived, over gRPC and HTTP. How they are read is in the file of
//! the signal.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use prost::Message;

use super::otlp_receiver::decompress;

/// Every export so far, shared by both transports and the test.
#[derive(Clone, Default)]
pub(crate) struct SignalInbox<R>(Arc<Mutex<Vec<R>>>);

impl<R: Message + Default> SignalInbox<R> {
    /// What `read` finds in the exports so far, in order of arrival.
    pub(super) fn read<T>(&self, read: impl Fn(&R) -> Vec<T>) -> Vec<T> {
        self.0.lock().unwrap().iter().flat_map(read).collect()
    }

    /// Every export so far as bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.read(Message::encode_to_vec)
    }

    pub(super) fn accept(&self, export: R) {
        self.0.lock().unwrap().push(export);
    }
}

/// The route of a signal over HTTP. The answer to an export that is accepted as a whole is an empty
/// message, which has no bytes.
pub(super) async fn export_over_http<R: Message + Default>(
    State(inbox): State<SignalInbox<R>>,
    headers: HeaderMap,
    body: Bytes,
) {
    let export = R::decode(&decompress(&headers, &body)[..]);
    inbox.accept(export.expect("the body is an export of this signal in protobuf"));
}
