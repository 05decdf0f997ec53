//! Wiring: a [`Config`] becomes a service, and the service runs until it is told to stop. `main`
//! and the tests both go through here; nothing is global.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio_util::task::TaskTracker;

use crate::agent::Agent;
use crate::clock::Clock;
use crate::config::{Config, ModelConfig};
use crate::http::{AppState, router};
use crate::keys::access::Access;
use crate::keys::{ApiKeys, KeyFile};
use crate::ledger::{Ledger, LedgerError};
use crate::llm::ChatModel;
use crate::llm::breaker::{Breaker, Guarded};
use crate::llm::openai::{OpenAi, OpenAiConfig};
use crate::llm::priced::Priced;
use crate::offline::Offline;
use crate::offline::fault::Faults;
use crate::reload::{ReloadRequests, Reloaded};
use crate::rulebook::Folder;
use crate::rulebook::files::FolderFiles;
use crate::telemetry::Instruments;
use crate::telemetry::projections::chat::TracedModel;
use crate::toml_reader::diagnostic::Diagnostics;

/// How long the ledger's connections are waited for at the end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The service cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The policies, or the tables beside them, are wrong.
    #[error("the policies cannot be used")]
    Policies(#[source] Diagnostics),
    /// The API keys are wrong.
    #[error("the API keys cannot be used")]
    Keys(#[source] Diagnostics),
    /// The ledger cannot be opened.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The model's client cannot be set up.
    #[error("the model's client cannot be set up")]
    Model(#[from] reqwest::Error),
}

/// The service, ready to be served.
pub struct App {
    state: Arc<AppState>,
    instruments: Instruments,
    router: Router,
    linger: Option<Duration>,
    drain_timeout: Duration,
    reloads: ReloadRequests,
}

impl App {
    /// Loads policies and API keys, opens the ledger and sets up the model.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub async fn build(
        config: &Config,
        clock: Clock,
        instruments: Instruments,
    ) -> Result<Self, BuildError> {
        let reloads = ReloadRequests::default();
        let folder = folder(config, &reloads).map_err(BuildError::Policies)?;
        let breaker = breaker(config);
        let model = model(config, clock.clone(), breaker.clone())?;
        let access = access(config, clock.clone(), &reloads).map_err(BuildError::Keys)?;
        let ledger = Ledger::open(&config.store).await?;
        tracing::info!(model = model.info().model, policies = %folder.now(), api_keys = %access, "ready to decide");
        let state = Arc::new(AppState {
            agent: Agent {
                model,
                ledger,
                redacts_prompts: !config.raw_prompts,
            },
            folder,
            access,
            breaker,
            clock,
            trace_url: config.trace_url.clone(),
            sampling: config.telemetry.sampling,
            deadline: config.deadline,
            key_retention: config.key_retention,
            redacts_ledger: config.redact_ledger,
            slots: Arc::new(Semaphore::new(config.max_in_flight)),
            decisions: TaskTracker::new(),
            is_draining: AtomicBool::new(false),
        });
        watch_reloads(&state, &instruments);
        if let Some(breaker) = &state.breaker {
            instruments.watch_breaker(&state.agent.model.info().model, breaker);
        }
        let router = router(state.clone(), instruments.clone());
        let (linger, drain_timeout) = (config.linger, config.drain_timeout);
        Ok(Self {
            state,
            instruments,
            router,
            linger,
            drain_timeout,
            reloads,
        })
    }

    /// Where to ask for a look at the files that may change while the service runs.
    pub fn reload_requests(&self) -> ReloadRequests {
        self.reloads.clone()
    }

    /// Serves until `stop` is done, and lingers; then finishes what is under way, within the drain
    /// timeout.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let state = Arc::clone(&self.state);
        let draining = Arc::new(Notify::new());
        let has_begun = Arc::clone(&draining);
        let service = self
            .router
            .into_make_service_with_connect_info::<SocketAddr>();
        // A small answer must not wait for a full packet.
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY cannot be set");
            }
        });
        let server = axum::serve(listener, service).with_graceful_shutdown(async move {
            stop.await;
            state.is_draining.store(true, Ordering::Relaxed);
            if let Some(linger) = self.linger {
                tracing::info!(
                    ?linger,
                    "stopping: requests are still taken, and callers told to leave their connections"
                );
                tokio::time::sleep(linger).await;
            }
            tracing::info!("stopping: no new requests, those under way are finished");
            has_begun.notify_one();
        });
        let decisions = &self.state.decisions;
        let finished = async {
            server.await?;
            // Decisions whose clients went away are finished as well.
            decisions.close();
            decisions.wait().await;
            Ok(())
        };
        let overdue = async {
            draining.notified().await;
            tokio::time::sleep(self.drain_timeout).await;
        };
        let served = tokio::select! {
            result = finished => result,
            () = overdue => {
                tracing::warn!(n_decisions = decisions.len(), "some requests did not finish before the drain timeout");
                Ok(())
            }
            never = self.instruments.watch_ledger(&self.state.agent.ledger) => match never {},
        };
        // What was not done by then may never give its connection back.
        let _closed_or_late =
            tokio::time::timeout(CLOSE_TIMEOUT, self.state.agent.ledger.close()).await;
        served
    }

    /// Lets some work use the routes without a listener, then finishes what is under way.
    pub async fn without_listener<T>(self, work: impl AsyncFnOnce(Router) -> T) -> T {
        let done = work(self.router).await;
        self.state.decisions.close();
        self.state.decisions.wait().await;
        self.state.agent.ledger.close().await;
        done
    }
}

/// What every tenant's expenses are judged by, for as long as the service runs.
fn folder(config: &Config, reloads: &ReloadRequests) -> Result<Reloaded<Folder>, Diagnostics> {
    let dir = config.policies.clone();
    Reloaded::start(
        "policies",
        move || FolderFiles::read(&dir),
        Folder::parse,
        config.reload_interval,
        reloads,
    )
}

/// Shows in the metrics what becomes of files that may change.
fn watch_reloads(state: &AppState, instruments: &Instruments) {
    let folder = state.folder.clone();
    instruments.watch_reloads("policies", move || folder.counts());
    if let Access::Keyed { keys, .. } = state.access.clone() {
        instruments.watch_reloads("api_keys", move || keys.counts());
    }
}

/// What keeps calls from a model that is down; the one in this process has no use for it.
fn breaker(config: &Config) -> Option<Arc<Breaker>> {
    let limits = config
        .model_breaker
        .filter(|_| matches!(config.model, ModelConfig::OpenAi(_)))?;
    Some(Arc::new(Breaker::new(limits)))
}

/// The model as it was asked for: behind its breaker, priced, and with a span for every call.
fn model(
    config: &Config,
    clock: Clock,
    breaker: Option<Arc<Breaker>>,
) -> Result<Arc<dyn ChatModel>, BuildError> {
    let openai = match &config.model {
        ModelConfig::Offline { faults, fault_seed } => {
            return Ok(traced(
                Offline::new(Faults::new(faults, *fault_seed)),
                config,
                clock,
            ));
        }
        ModelConfig::OpenAi(openai) => OpenAi::new(OpenAiConfig::clone(openai))?,
    };
    Ok(match breaker {
        Some(breaker) => traced(Guarded::new(openai, breaker), config, clock),
        None => traced(openai, config, clock),
    })
}

fn traced(model: impl ChatModel + 'static, config: &Config, clock: Clock) -> Arc<dyn ChatModel> {
    Arc::new(TracedModel::new(
        Priced::new(model, clock),
        config.propagate_to_model,
    ))
}

/// Who is let in: everyone, or the holders of keys.
fn access(config: &Config, clock: Clock, reloads: &ReloadRequests) -> Result<Access, Diagnostics> {
    let Some(file) = config.api_keys.clone() else {
        return Ok(Access::Anonymous);
    };
    let read = move || KeyFile::read(&file);
    let keys = Reloaded::start(
        "API keys",
        read,
        ApiKeys::parse,
        config.reload_interval,
        reloads,
    )?;
    Ok(Access::Keyed { keys, clock })
}
