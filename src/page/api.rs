//! Requests to the API, made in this process on behalf of the person at the page. They pass every layer
//! of a request from outside, except that the caller is known already.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderValue, Method, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tower::ServiceExt;

use crate::http::idempotency;
use crate::page::failure::Failure;
use crate::page::viewer::Viewer;

/// The most bytes of an answer: far above the size of any, which this process writes.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// The API of this process.
#[derive(Clone)]
pub(crate) struct Api(Router);

/// An answer of the API.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl Answer {
    /// What a problem says, its fields included.
    pub(crate) fn problem(&self) -> String {
        let detail = self.body["detail"].as_str().unwrap_or("the request failed");
        let fields = self.body["errors"].as_array().into_iter().flatten();
        fields
            .filter_map(|error| {
                Some(format!(
                    "; {}: {}",
                    error["field"].as_str()?,
                    error["message"].as_str()?
                ))
            })
            .fold(detail.to_owned(), |text, field| text + &field)
    }
}

impl Api {
    pub(super) fn new(routes: Router) -> Self {
        Self(routes)
    }

    /// Sends a request as the viewer.
    ///
    /// # Errors
    /// Never in practice: the answer comes from this process.
    pub(crate) async fn send(
        &self,
        viewer: &Viewer,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Answer, Failure> {
        self.answer(viewer, request(method, path, body)?).await
    }

    /// Sends one expense as the viewer. With the same idempotency key it has no second effect.
    ///
    /// # Errors
    /// Never in practice: the answer comes from this process.
    pub(crate) async fn send_expense(
        &self,
        viewer: &Viewer,
        key: HeaderValue,
        expense: &Value,
    ) -> Result<Answer, Failure> {
        let mut request = request(Method::POST, "/v1/expenses", expense)?;
        request.headers_mut().insert(idempotency::KEY, key);
        self.answer(viewer, request).await
    }

    async fn answer(&self, viewer: &Viewer, mut request: Request) -> Result<Answer, Failure> {
        let headers = request.headers_mut();
        headers.insert(header::HOST, HeaderValue::from_static("localhost"));
        let encoded = utf8_percent_encode(&viewer.identity.tenant_id, NON_ALPHANUMERIC);
        if let Ok(baggage) = HeaderValue::from_str(&format!("tenant.id={encoded}")) {
            headers.insert("baggage", baggage);
        }
        request.extensions_mut().insert(viewer.caller.clone());
        if let Some(peer) = viewer.peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        let Ok(response) = self.0.clone().oneshot(request).await;
        let status = response.status();
        let bytes = to_bytes(response.into_body(), MAX_ANSWER_BYTES).await;
        let bytes = bytes.map_err(|error| Failure::of_error(&error))?;
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(Answer { status, body })
    }
}

fn request(method: Method, path: &str, body: &Value) -> Result<Request, Failure> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .map_err(|error| Failure::of_error(&error))
}
