//! The script and the style sheet. They are in the binary, and their paths contain a hash of their
//! content, so that browsers may keep them for ever.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::http::render;
use crate::page::PageState;

const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");
/// Bytes of the hash in a path.
const HASH_BYTES: usize = 8;

/// The assets, by the names under which they are served.
pub(crate) struct Assets {
    script: String,
    style: String,
}

impl Assets {
    pub(super) fn new() -> Self {
        let hash = |text: &str| hex::encode(&Sha256::digest(text)[..HASH_BYTES]);
        Self {
            script: format!("{}.js", hash(SCRIPT)),
            style: format!("{}.css", hash(STYLE)),
        }
    }

    /// The path of the script.
    pub(super) fn script_path(&self) -> String {
        format!("/ui/assets/{}", self.script)
    }

    /// The path of the style sheet.
    pub(super) fn style_path(&self) -> String {
        format!("/ui/assets/{}", self.style)
    }
}

/// `GET /ui/assets/{name}`
pub(super) async fn serve(State(page): State<PageState>, Path(name): Path<String>) -> Response {
    let (content_type, text) = if name == page.assets.script {
        ("text/javascript; charset=utf-8", SCRIPT)
    } else if name == page.assets.style {
        ("text/css; charset=utf-8", STYLE)
    } else {
        return render::no_such_route().await.into_response();
    };
    let head = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (head, text).into_response()
}
