//! Requests to the API, made in this process on behalf of the person at the page. They pass every layer
//! of a request from outside, except that the caller is known already.

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
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
        peer: Option<SocketAddr>,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Answer, Failure> {
        let request = request(method, path, "application/json", body.to_string())?;
        self.json(viewer, peer, request).await
    }

    /// Sends one expense as the viewer. With the same idempotency key it has no second effect.
    ///
    /// # Errors
    /// Never in practice: the answer comes from this process.
    pub(crate) async fn send_expense(
        &self,
        viewer: &Viewer,
        peer: Option<SocketAddr>,
        key: HeaderValue,
        expense: &Value,
    ) -> Result<Answer, Failure> {
        let (path, body) = ("/v1/expenses", expense.to_string());
        let mut request = request(Method::POST, path, "application/json", body)?;
        request.headers_mut().insert(idempotency::KEY, key);
        self.json(viewer, peer, request).await
    }

    async fn json(
        &self,
        viewer: &Viewer,
        peer: Option<SocketAddr>,
        request: Request,
    ) -> Result<Answer, Failure> {
        let (status, bytes) = self.answer(viewer, peer, request).await?;
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(Answer { status, body })
    }

    async fn answer(
        &self,
        viewer: &Viewer,
        peer: Option<SocketAddr>,
        mut request: Request,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let headers = request.headers_mut();
        headers.insert(header::HOST, HeaderValue::from_static("localhost"));
        let encoded = utf8_percent_encode(&viewer.identity.tenant_id, NON_ALPHANUMERIC);
        if let Ok(baggage) = HeaderValue::from_str(&format!("tenant.id={encoded}")) {
            headers.insert("baggage", baggage);
        }
        request.extensions_mut().insert(viewer.caller.clone());
        if let Some(peer) = peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        let response = self.0.clone().oneshot(request).await;
        let response = response.map_err(|_| Failure::internal())?;
        let status = response.status();
        let bytes = to_bytes(response.into_body(), MAX_ANSWER_BYTES).await;
        let bytes = bytes.map_err(|_| Failure::internal())?;
        Ok((status, bytes))
    }
}

fn request(
    method: Method,
    path: &str,
    content_type: &'static str,
    body: String,
) -> Result<Request, Failure> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, content_type)
        .body(Body::from(body))
        .map_err(|_| Failure::internal())
}
