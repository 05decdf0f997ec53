//! The page: a decision explorer and a review queue in the browser, served by the process that decides.
//! Every view is a URL that holds all of its state, and works without JavaScript. The views show
//! decisions as the ledger holds them and compute nothing of their own; what a person does on the page
//! is a request to the API, made in this process (`api`), so it has the same checks, answers and
//! traces.
//!
//! Requests for the page are not traced, like those of probes: they would outnumber the decisions.
//!
//! Read in this order: `login` begins and ends sessions, and `session` finds the one that a request
//! belongs to; `viewer` is the person as the views know them; `layout` draws what surrounds every view;
//! then comes one file or folder per view. The script and the style sheet are in `assets`.

mod api;
mod assets;
mod decision;
mod document;
mod fact_fields;
mod failure;
mod figures;
mod form;
mod format;
mod layout;
mod list;
mod live;
mod login;
mod overview;
pub mod plot;
mod policies;
mod posting;
mod render;
mod resolve;
mod review;
mod rows;
mod same_origin;
mod search;
mod session;
mod viewer;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;

use crate::config::public_url::PublicUrl;
use crate::http::AppState;
use crate::http::head;
use crate::http::limits;
use crate::redact::pseudonym::Pseudonyms;
use api::Api;
use assets::Assets;
use failure::Failure;
use session::Sessions;

/// Only what this service serves itself is loaded, and nothing inline runs. No other site may show the
/// page in a frame.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Headers of every response of the page.
const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // No other site learns where a reader comes from. With `no-referrer` browsers would send our own forms
    // with `Origin: null`, which is the origin of a form on another site too.
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

/// What the views share.
#[derive(Clone)]
pub(crate) struct PageState {
    /// The service.
    pub(crate) app: Arc<AppState>,
    /// The API, for everything that writes.
    pub(crate) api: Api,
    /// Script and style sheet.
    pub(crate) assets: Arc<Assets>,
    /// The sessions of browsers.
    pub(crate) sessions: Arc<Sessions>,
    /// One permit for each live stream.
    pub(crate) live: Arc<Semaphore>,
    /// The permit to count figures in the background.
    pub(crate) counting: Arc<Semaphore>,
    /// Whether the model is the offline one, without injected faults.
    pub(crate) is_faultless: bool,
}

/// The routes of the page, in addition to those of the API.
pub fn routes(
    app: &Arc<AppState>,
    api: Router,
    pseudonyms: &Pseudonyms,
    is_faultless: bool,
) -> Router {
    let is_secure = app
        .config
        .public_url
        .as_ref()
        .is_some_and(PublicUrl::is_https);
    let state = PageState {
        app: Arc::clone(app),
        api: Api::new(api),
        assets: Arc::new(Assets::new()),
        sessions: Arc::new(Sessions::new(pseudonyms, is_secure)),
        live: Arc::new(Semaphore::new(live::MAX_STREAMS)),
        counting: Arc::new(Semaphore::new(1)),
        is_faultless,
    };
    let views = Router::new()
        .route(overview::PATH, get(overview::show))
        .route(overview::EXPENSE_PATH, post(posting::expense))
        .route(overview::DEMO_PATH, post(posting::demo))
        .route(list::PATH, get(list::show))
        .route(list::export::CSV_PATH, get(list::export::csv))
        .route(list::export::NDJSON_PATH, get(list::export::ndjson))
        .route(live::PATH, get(live::follow))
        .route("/ui/decisions/{id}", get(decision::show))
        .route("/ui/decisions/{id}/json", get(decision::json))
        .route(
            "/ui/decisions/{id}/resolution",
            get(decision::back).post(decision::resolve),
        )
        .route(
            "/ui/decisions/{id}/feedback",
            get(decision::back).post(decision::give_feedback),
        )
        .route(review::PATH, get(review::show).post(review::resolve))
        .route(review::PICKED_PATH, post(review::resolve_picked))
        .route(policies::PATH, get(policies::show))
        .route("/ui/{*rest}", get(no_such_view))
        .layer(from_fn_with_state(state.clone(), session::authenticate))
        .route(login::PATH, get(login::show).post(login::begin))
        .route(login::LOGOUT_PATH, post(login::end))
        .method_not_allowed_fallback(async || Failure::no_such_method())
        .layer(DefaultBodyLimit::max(limits::MAX_BODY_BYTES))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(Arc::clone(app), limits::within_deadline))
        .layer(from_fn_with_state(state.clone(), same_origin::check));
    Router::new()
        .route("/", get(root))
        .route("/ui", get(|| async { Redirect::permanent("/ui/") }))
        .route("/ui/assets/{name}", get(assets::serve))
        .merge(views)
        .layer(from_fn_with_state(Arc::clone(app), head::check))
        .layer(from_fn_with_state(state.clone(), render::write_failures))
        .layer(from_fn(with_headers))
        .layer(from_fn_with_state(
            Arc::clone(app),
            limits::close_when_draining,
        ))
        .with_state(state)
}

/// Sends browsers to the page. Other clients learn where the routes of the API are listed.
async fn root(headers: HeaderMap) -> Response {
    let accepts_html = headers.get_all(header::ACCEPT).iter().any(|value| {
        value
            .to_str()
            .is_ok_and(|value| value.contains("text/html"))
    });
    match accepts_html {
        true => Redirect::to("/ui/").into_response(),
        false => crate::http::render::no_such_route().await.into_response(),
    }
}

async fn no_such_view() -> Failure {
    Failure::not_found("There is no such page")
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    // The record of the panic itself comes before this one, and names the place in the code.
    Failure::internal("a view panicked").into_response()
}

async fn with_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
        .headers_mut()
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-cache"));
    response
}
