//! An expense agent that can be observed and trusted: a model advises, policy code decides, and one
//! trace for each decision shows how.
//!
//! # Reading order
//!
//! The business logic:
//!
//! 1. [`domain`]: the values. What an expense is, and what a decision says about it.
//! 2. [`agent`]: the run of one expense, classify, policy lookup, decide, in [`agent::Agent::run`].
//! 3. [`policy`]: the engine whose verdict is final.
//! 4. [`rulebook`]: the policies folder, from which each tenant gets its policies, exchange rates
//!    and prices.
//! 5. [`llm`] and [`offline`]: the interface to the model, its implementation for OpenAI, and a
//!    model that needs neither key nor network.
//! 6. [`ledger`]: the durable store of decisions, with caps, idempotency keys and the hash chain.
//!
//! What surrounds it:
//!
//! 7. [`export`]: decisions as lines, for spreadsheets and programs.
//! 8. [`keys`]: API keys, and whom a request is for.
//! 9. [`spelling`]: the one spelling by which people, tenants, trips and merchants are compared.
//! 10. [`amounts`]: the amounts that a model's reason names.
//! 11. [`redact`]: what is removed from every text that leaves the service.
//! 12. [`telemetry`]: how all of this becomes traces, metrics and log records. The agent imports
//!     only `telemetry::spans::step::step` of it.
//! 13. [`notify`]: webhooks for expenses that wait for a person, from an outbox in the ledger.
//! 14. [`connections`]: the connections of clients and their limits.
//! 15. [`http`]: the API. [`http::admission`] decides which requests are admitted, [`http::error`]
//!     is the whole error contract.
//! 16. [`page`]: the decision explorer in the browser.
//! 17. [`config`], [`app`] and [`cli`]: settings, wiring, and the program's subcommands.
//!
//! [`base_url`], [`clock`], [`demo`], [`error_chain`], [`reload`] and [`toml_reader`] support several of
//! these.
//!
//! Imports run in one direction. From the lowest to the highest: the supporting modules, `spelling`,
//! `redact`, `domain`, `amounts`, `policy`, `rulebook`, `llm`, `keys`, `ledger`, `export`,
//! `telemetry::spans` with what it needs, `notify`, `agent`, `offline`, the rest of `telemetry`,
//! `config`, `http`, `page`, `app`, `cli`.
//!
//! # What always holds
//!
//! Each of these has tests, listed in `tests/README.md`.
//!
//! - No outcome is more lenient than the verdict of the policy engine, regardless of the model's
//!   answers.
//! - A decision uses one rulebook from its first step to its record, even if another is loaded
//!   meanwhile.
//! - A decision that was answered is in the ledger.
//! - A purchase, its credits and its resolution come to the same sum in every order, and caps hold
//!   exactly what is paid or pending.
//! - With API keys, the key alone decides the tenant of a request.
//! - No text leaves the service in a span, a log record or a problem without redaction. A text that
//!   cannot be redacted is not sent.
//! - Every span that started is exported, sampled out, dropped or in flight, and counted as one of
//!   these.
//! - Amounts are decimals; no binary float touches one.
//! - Only `telemetry` imports OpenTelemetry, only `llm::openai` async-openai, only `ledger` sqlx
//!   and rusqlite. Only `config` reads the environment.

pub mod domain;

pub mod agent;

pub mod policy;

pub mod rulebook;

pub mod llm;

pub mod offline;

pub mod ledger;

pub mod export;

pub mod keys;

pub mod spelling;

pub mod amounts;

pub mod redact;

pub mod telemetry;

pub mod notify;

pub mod connections;

pub mod http;

pub mod page;

pub mod config;

pub mod app;

pub mod cli;

pub mod base_url;

pub mod clock;

pub mod demo;

pub mod error_chain;

pub mod reload;

pub mod toml_reader;

mod lock;

mod retry_after;
