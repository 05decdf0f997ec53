//! Wiring: a [`Config`] becomes a service, and the service runs until it is asked to stop. The
//! program and the tests both build it here; nothing is global. How a request is handled is in
//! `http`.

use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::agent::Agent;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::model::ModelConfig;
use crate::connections::{Connections, server};
use crate::domain::decision::Decision;
use crate::http::{AppState, router};
use crate::keys::access::Access;
use crate::keys::local::LocalKey;
use crate::keys::{ApiKeys, KeyFile};
use crate::ledger::{Ledger, LedgerError};
use crate::llm::ChatModel;
use crate::llm::breaker::{Breaker, BreakerState, Guarded};
use crate::llm::health::{EndpointHealth, Watched};
use crate::llm::openai::{OpenAi, OpenAiConfig};
use crate::llm::permits::Limited;
use crate::llm::priced::Priced;
use crate::notify::worker::Workers;
use crate::offline::Offline;
use crate::offline::fault::Faults;
use crate::page;
use crate::redact::pseudonym::Pseudonyms;
use crate::reload::{ReloadRequests, Reloaded};
use crate::rulebook::Rulebooks;
use crate::rulebook::files::FolderFiles;
use crate::telemetry::Instruments;
use crate::telemetry::projections::chat::TracedModel;
use crate::toml_reader::diagnostic::Diagnostics;

/// Time limit for ending deliveries and closing the ledger's connections at the end, half of it for each.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why the service cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The policies, or the tables beside them, are invalid.
    #[error("the policies cannot be used")]
    Policies(#[source] Diagnostics),
    /// The file of API keys is invalid.
    #[error("the API keys cannot be used")]
    Keys(#[source] Diagnostics),
    /// The local key cannot be made.
    #[error("the operating system provides no random bytes for a key")]
    LocalKey(#[from] getrandom::Error),
    /// The ledger cannot be opened.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The client of the receivers of notifications cannot be built.
    #[error("the client of the receivers of notifications cannot be built")]
    Notify(#[source] reqwest::Error),
    /// The model's client cannot be built.
    #[error("the model's client cannot be built")]
    Model(#[from] reqwest::Error),
}

/// The service, ready to be served.
pub struct App {
    state: Arc<AppState>,
    instruments: Instruments,
    connections: Arc<Connections>,
    router: Router,
    reloads: ReloadRequests,
    notifications: Workers,
    /// Whether the model is the offline one, without injected faults.
    is_faultless: bool,
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
        let rulebooks = rulebooks(config, &reloads).map_err(BuildError::Policies)?;
        let breaker = breaker(config);
        let endpoint = Arc::new(EndpointHealth::default());
        let model = model(config, clock.clone(), breaker.clone(), &endpoint)?;
        let access = access(config, clock.clone(), &reloads)?;
        let ledger = Ledger::open(&config.store).await?;
        let ledger = ledger.notifying(config.notify.notified());
        tracing::info!(model = model.info().model, policies = %rulebooks.now(), api_keys = %access, "ready to decide");
        let state = Arc::new(AppState {
            agent: Agent {
                model,
                ledger,
                redacts_prompts: !config.raw_prompts,
            },
            rulebooks,
            access,
            breaker,
            endpoint,
            clock,
            sampling: config.telemetry.sampling,
            permits: Arc::new(Semaphore::new(config.http.max_in_flight)),
            model_concurrency: config.model_concurrency,
            config: config.http.clone(),
            decisions: TaskTracker::new(),
            stopping: CancellationToken::new(),
            page_origin: OnceLock::new(),
        });
        watch_reloads(&state, &instruments);
        if let Some(breaker) = &state.breaker {
            instruments.watch_breaker(&state.agent.model.info().model, breaker);
        }
        let notifications = notifications(config, &state, &instruments)?;
        let connections = Arc::new(Connections::default());
        instruments.watch_connections(&connections);
        let api = router(state.clone(), instruments.clone());
        Ok(Self {
            state,
            instruments,
            connections,
            router: api,
            reloads,
            notifications,
            is_faultless: matches!(&config.model, ModelConfig::Offline { faults, .. } if faults.is_empty()),
        })
    }

    /// The service with its page, unless the settings leave it out. The key of the pseudonyms also signs the
    /// page's sessions.
    pub fn with_page(self, pseudonyms: &Pseudonyms) -> Self {
        if !self.state.config.has_page {
            return self;
        }
        let api = self.router;
        let pages = page::routes(&self.state, api.clone(), pseudonyms, self.is_faultless);
        Self {
            router: pages.merge(api),
            ..self
        }
    }

    /// A handle that makes the service check policies and API keys for changes at once.
    pub fn reload_requests(&self) -> ReloadRequests {
        self.reloads.clone()
    }

    /// The key that was made for the person who started the service, if one was.
    pub fn local_key(&self) -> Option<&SecretString> {
        self.state.access.local_key().map(|key| &key.text)
    }

    /// Serves until `stop` resolves, and for the pre-stop delay after that; then accepts no more
    /// requests and finishes those in progress, within the drain timeout.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let state = Arc::clone(&self.state);
        if let Ok(address) = listener.local_addr()
            && let Some(origin) = state.config.page_origin(address)
        {
            // Only a second listener could find it set, and links need only one origin.
            let _ = state.page_origin.set(origin);
        }
        let drain_timeout = state.config.drain_timeout;
        let draining = Arc::new(Notify::new());
        let drain_begins = Arc::clone(&draining);
        let limits = state.config.connection_limits();
        let stop = async move {
            stop.await;
            state.stopping.cancel();
            if let Some(delay) = state.config.pre_stop_delay {
                tracing::info!(
                    ?delay,
                    "stopping: requests are still accepted, and clients are asked to close their connections"
                );
                tokio::time::sleep(delay).await;
            }
            tracing::info!("stopping: no new requests are accepted, those in progress finish");
            drain_begins.notify_one();
        };
        let server = server::serve(listener, self.router, limits, self.connections, stop);
        let decisions = &self.state.decisions;
        let finished = async {
            server.await;
            // Decisions outlive clients that disconnect, so the server alone is not enough.
            decisions.close();
            decisions.wait().await;
        };
        let stop_notifying = CancellationToken::new();
        let mut notifying = pin!(self.notifications.run(&stop_notifying));
        let overdue = async {
            draining.notified().await;
            tokio::time::sleep(drain_timeout).await;
        };
        tokio::select! {
            () = finished => {}
            () = overdue => {
                tracing::warn!(n_decisions = decisions.len(), "some requests did not finish before the drain timeout");
            }
            never = self.instruments.watch_ledger(&self.state.agent.ledger, &self.state.clock) => match never {},
            () = &mut notifying => {}
        }
        // An attempt that ends here is not made again at the next start, but a receiver may never answer.
        stop_notifying.cancel();
        let _ended_or_late = tokio::time::timeout(CLOSE_TIMEOUT / 2, notifying).await;
        // A decision that missed the drain timeout may never return its connection.
        let _closed_or_late =
            tokio::time::timeout(CLOSE_TIMEOUT / 2, self.state.agent.ledger.close()).await;
    }

    /// Runs `work`, which calls the routes without a listener, then finishes the decisions in
    /// progress.
    pub async fn without_listener<T>(self, work: impl AsyncFnOnce(Router) -> T) -> T {
        let done = work(self.router).await;
        self.state.decisions.close();
        self.state.decisions.wait().await;
        self.state.agent.ledger.close().await;
        done
    }
}

/// The policies of every tenant, reloaded when their files change. Files that only look like policies
/// are named in the log.
fn rulebooks(
    config: &Config,
    reloads: &ReloadRequests,
) -> Result<Reloaded<Rulebooks>, Diagnostics> {
    let dir = config.policies.clone();
    Reloaded::start(
        "policies",
        move || FolderFiles::read(&dir),
        |files| {
            let rulebooks = Rulebooks::parse(files)?;
            for passed_over in &rulebooks.passed_over {
                tracing::warn!("{passed_over}");
            }
            Ok(rulebooks)
        },
        config.reload_interval,
        reloads,
    )
}

/// The workers that deliver notifications. Only a service that listens runs them: what `decide` records
/// is delivered by the service on the same ledger.
fn notifications(
    config: &Config,
    state: &Arc<AppState>,
    instruments: &Instruments,
) -> Result<Workers, BuildError> {
    let app = Arc::clone(state);
    let page_url = Arc::new(move |decision: &Decision| app.page_url(decision));
    let ledger = &state.agent.ledger;
    Workers::new(&config.notify, ledger, &state.clock, instruments, page_url)
        .map_err(BuildError::Notify)
}

/// Reports the outcome of every reload in the metrics.
fn watch_reloads(state: &AppState, instruments: &Instruments) {
    let rulebooks = state.rulebooks.clone();
    instruments.watch_reloads("policies", move || rulebooks.counts());
    if let Access::Keyed { keys, .. } = state.access.clone() {
        instruments.watch_reloads("api_keys", move || keys.counts());
    }
}

/// The model's circuit breaker. The offline model needs none: it runs in this process.
fn breaker(config: &Config) -> Option<Arc<Breaker>> {
    let limits = config
        .model_breaker
        .filter(|_| matches!(config.model, ModelConfig::OpenAi(_)))?;
    Some(Arc::new(Breaker::new(limits).on_change(log_breaker)))
}

/// Logs that the circuit breaker opened or closed.
fn log_breaker(state: BreakerState) {
    match state {
        BreakerState::Open => tracing::warn!(
            "the model's circuit breaker opened: too many calls in a row got no answer; expenses that \
             need the model go to review until a probe is answered"
        ),
        BreakerState::Closed => {
            tracing::info!("the model's circuit breaker closed: the endpoint answers again");
        }
        BreakerState::HalfOpen => {}
    }
}

/// The configured model: behind its circuit breaker and its permits, priced, and with a span for
/// every call.
fn model(
    config: &Config,
    clock: Clock,
    breaker: Option<Arc<Breaker>>,
    endpoint: &Arc<EndpointHealth>,
) -> Result<Arc<dyn ChatModel>, BuildError> {
    let mut model: Arc<dyn ChatModel> = match &config.model {
        ModelConfig::Offline { faults, fault_seed } => {
            return Ok(priced_and_traced(
                Offline::new(Faults::new(faults, *fault_seed)),
                config,
                clock,
            ));
        }
        ModelConfig::OpenAi(openai) => Arc::new(OpenAi::new(OpenAiConfig::clone(openai))?),
    };
    model = Arc::new(Watched::new(model, Arc::clone(endpoint)));
    if let Some(breaker) = &breaker {
        model = Arc::new(Guarded::new(model, Arc::clone(breaker)));
    }
    // Outside the breaker, so that a call whose turn comes while the breaker is open fails at once.
    if let Some(n_calls) = config.model_concurrency {
        model = Arc::new(Limited::new(model, n_calls, breaker));
    }
    Ok(priced_and_traced(model, config, clock))
}

/// Adds the price and the span of every call to a model.
fn priced_and_traced(
    model: impl ChatModel + 'static,
    config: &Config,
    clock: Clock,
) -> Arc<dyn ChatModel> {
    Arc::new(TracedModel::new(
        Priced::new(model, clock),
        config.propagate_to_model,
    ))
}

/// Who may use the service: everyone, or the holders of keys.
fn access(config: &Config, clock: Clock, reloads: &ReloadRequests) -> Result<Access, BuildError> {
    let Some(file) = config.http.api_keys.clone() else {
        let makes_key = config.http.makes_local_key;
        let local_key = makes_key.then(LocalKey::generate).transpose()?;
        return Ok(Access::Anonymous { local_key });
    };
    let read = move || KeyFile::read(&file);
    let keys = Reloaded::start(
        "API keys",
        read,
        ApiKeys::parse,
        config.reload_interval,
        reloads,
    );
    let keys = keys.map_err(BuildError::Keys)?;
    Ok(Access::Keyed { keys, clock })
}
