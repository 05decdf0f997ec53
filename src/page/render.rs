//! The layer that writes failures out, as documents of the page, and logs those of the service.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use maud::html;

use crate::http::error::{PROBLEM_JSON, Problem};
use crate::page::PageState;
use crate::page::document::document;
use crate::page::failure::Failure;

/// Writes failures out, those of the layers that the page shares with the API included, and logs their
/// causes, which are logged nowhere else. A request that is not for the page, such as one for `/`, gets the problem as JSON.
pub(super) async fn write_failures(
    State(page): State<PageState>,
    request: Request,
    next: Next,
) -> Response {
    let is_page = request.uri().path().starts_with("/ui");
    let mut response = next.run(request).await;
    let problem = response.extensions_mut().remove::<Problem>();
    let failure = match problem {
        Some(problem) if is_page => Some(problem.into()),
        Some(problem) => {
            let head = [(header::CONTENT_TYPE, PROBLEM_JSON)];
            return (problem.code.status(), head, Json(problem)).into_response();
        }
        None => response.extensions_mut().remove::<Failure>(),
    };
    let failure = failure.or_else(|| Failure::of_framework(&response).filter(|_| is_page));
    let Some(Failure {
        status,
        title,
        detail,
        cause,
    }) = failure
    else {
        return response;
    };
    if let Some(cause) = cause {
        tracing::error!(
            status = status.as_u16(),
            cause,
            "a request for the page failed"
        );
    }
    let content = html! {
        main #content {
            h1 { (title) }
            p { (detail) }
            p { a href="/ui/" { "Overview" } }
        }
    };
    let mut rendered = (status, document(&page.assets, &title, &content)).into_response();
    if let Some(allow) = response.headers_mut().remove(header::ALLOW) {
        rendered.headers_mut().insert(header::ALLOW, allow);
    }
    rendered
}
