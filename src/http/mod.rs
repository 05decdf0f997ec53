//! The HTTP API: routes, the order of their layers, and the state that handlers share. One file per
//! resource. The whole error contract is in `error`; `admission` decides which requests are
//! admitted.

pub mod admission;
pub mod batch;
mod bounds;
pub mod docs;
mod earlier;
mod employee_group;
pub mod error;
pub mod expenses;
mod fact_bounds;
pub mod feedback;
pub mod head;
pub mod health;
pub mod idempotency;
pub mod limits;
pub mod listing;
pub mod metrics;
pub mod policies;
pub mod render;
pub mod resolutions;
mod text_bounds;

use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};

use axum::middleware::{from_fn, from_fn_with_state};
use axum::{Extension, Router};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::agent::Agent;
use crate::clock::Clock;
use crate::config::http::HttpConfig;
use crate::domain::decision::Decision;
use crate::keys::access::Access;
use crate::keys::identity::DEFAULT_TENANT;
use crate::llm::breaker::Breaker;
use crate::llm::health::EndpointHealth;
use crate::reload::Reloaded;
use crate::rulebook::{Rulebook, Rulebooks};
use crate::telemetry::Instruments;
use crate::telemetry::projections::server;
use crate::telemetry::sampling::Sampling;
use crate::telemetry::spans::baggage::as_user;
use batch::{MAX_AT_ONCE, SingleRoute};
use error::Problem;

/// What handlers share.
pub struct AppState {
    /// Decides expenses, with the model and the ledger.
    pub agent: Agent,
    /// The policies of every tenant.
    pub rulebooks: Reloaded<Rulebooks>,
    /// Who may use the service.
    pub access: Access,
    /// The model's circuit breaker; `None` when it has none.
    pub breaker: Option<Arc<Breaker>>,
    /// Whether the model's endpoint answers.
    pub endpoint: Arc<EndpointHealth>,
    /// The current time.
    pub clock: Clock,
    /// Which traces are kept.
    pub sampling: Sampling,
    /// Limits of requests, and what answers show.
    pub config: HttpConfig,
    /// One permit for each request that may be in progress.
    pub permits: Arc<Semaphore>,
    /// How many model calls are made at once; `None` for any number.
    pub model_concurrency: Option<NonZeroU32>,
    /// Decisions in progress. They outlive clients that disconnect.
    pub decisions: TaskTracker,
    /// Cancelled when the service begins to stop.
    pub stopping: CancellationToken,
    /// What links to the page begin with: set once the service listens, and unset if it has no page or
    /// it is not known how people reach it.
    pub page_origin: OnceLock<String>,
}

impl AppState {
    /// Whether the service has begun to stop.
    pub fn is_draining(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// The policies, rates and prices of a tenant, as they are loaded now.
    pub fn rulebook(&self, tenant_id: &str) -> Rulebook {
        self.rulebooks.now().value.rulebook(tenant_id).clone()
    }

    /// Runs what a person began in a task of its own: a client that disconnects must not stop it
    /// half-way.
    ///
    /// # Errors
    /// When the work panics.
    async fn detached<T: Send + 'static>(
        &self,
        user_id: &str,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Problem> {
        let task = self.decisions.spawn(as_user(user_id, work));
        task.await
            .map_err(|error| Problem::internal(error.to_string()))
    }

    /// The link to a decision on the page, if the page has a known address.
    pub fn page_url(&self, decision: &Decision) -> Option<String> {
        let origin = self.page_origin.get()?;
        let (id, tenant_id) = (decision.id, &decision.tenant_id);
        // A key decides the tenant; without one, the page shows that of the URL.
        let tenant = match self.access.requires_key() || tenant_id == DEFAULT_TENANT {
            true => String::new(),
            false => format!(
                "?tenant={}",
                utf8_percent_encode(tenant_id, NON_ALPHANUMERIC)
            ),
        };
        Some(format!("{origin}/ui/decisions/{id}{tenant}"))
    }
}

/// All routes. Probes and metrics are not traced: their spans would far outnumber those of
/// decisions.
pub fn router(state: Arc<AppState>, instruments: Instruments) -> Router {
    let expenses = OpenApiRouter::new().routes(routes!(expenses::create, listing::list));
    // The lines of a batch go through the same layers as single requests.
    let (single, _) = expenses
        .clone()
        .layer(from_fn(admission::require_identity))
        .split_for_parts();
    let routes = traced(single, &state, &instruments).with_state(state.clone());
    let single = SingleRoute {
        routes,
        n_at_once: n_lines_at_once(&state),
        // A client that sends nothing at all has been closed as stalled by then. This limit is for
        // a client that keeps sending, but no complete line with an expense.
        line_timeout: state.config.connection_limits().stall_timeout * 2,
    };
    let (api, openapi) = OpenApiRouter::with_openapi(docs::Contract::openapi())
        .merge(expenses)
        .routes(routes!(expenses::get))
        .routes(routes!(batch::create))
        .layer(Extension(single))
        .routes(routes!(resolutions::create))
        .routes(routes!(feedback::list))
        .routes(routes!(feedback::give, feedback::take_back))
        .routes(routes!(policies::list))
        .layer(from_fn(admission::require_identity))
        .split_for_parts();
    let (untraced, of_untraced) = health::routes().merge(metrics::routes()).split_for_parts();
    let pages = docs::pages(openapi.merge_from(of_untraced), &state.access);
    let traced = traced(api.merge(pages), &state, &instruments);
    let untraced = untraced
        .method_not_allowed_fallback(render::no_such_method)
        .layer(Extension(instruments))
        .layer(from_fn_with_state(state.clone(), head::check))
        .layer(from_fn(render::write_problems));
    let closing = from_fn_with_state(state.clone(), limits::close_when_draining);
    untraced.merge(traced).layer(closing).with_state(state)
}

/// The most lines of one batch in progress at once. More lines than there are permits for requests
/// would cause each other to be refused. More lines than model calls that are made at once would
/// wait for each other, and use up their deadlines: the deadline of a line begins with the line.
fn n_lines_at_once(state: &AppState) -> usize {
    let n_calls = state
        .model_concurrency
        .and_then(|n_calls| usize::try_from(n_calls.get()).ok())
        .unwrap_or(MAX_AT_ONCE);
    MAX_AT_ONCE
        .min(state.permits.available_permits())
        .min(n_calls)
}

/// Adds the layers around a handler, innermost first. Authentication is the outermost, so that the
/// server span already knows whom the request is for; the deadline is inside the span, so that a
/// request that misses it is traced as well.
fn traced(
    routes: Router<Arc<AppState>>,
    state: &Arc<AppState>,
    instruments: &Instruments,
) -> Router<Arc<AppState>> {
    routes
        .fallback(render::no_such_route)
        .method_not_allowed_fallback(render::no_such_method)
        .layer(CatchPanicLayer::custom(render::panicked))
        .layer(from_fn_with_state(state.clone(), limits::within_deadline))
        .layer(from_fn_with_state(state.clone(), head::check))
        .layer(from_fn(render::write_problems))
        .layer(from_fn_with_state(instruments.clone(), server::trace))
        .layer(from_fn_with_state(
            (
                state.access.clone(),
                state.agent.ledger.recorded_tenants.clone(),
                instruments.clone(),
            ),
            admission::authenticate,
        ))
}
