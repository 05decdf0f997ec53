//! An expense agent whose every decision is a trace: the model advises, policy code decides, the
//! trace proves it.
//!
//! Read in this order:
//! 1. [`domain`]: what an expense is, and what a decision holds.
//! 2. [`agent`]: the story, classify -> policy lookup -> decide, in [`agent::Agent::run`].
//! 3. [`policy`]: the engine that has the last word.
//! 4. [`rulebook`]: what a policies folder holds, for each tenant.
//! 5. [`llm`]: the model seam, and OpenAI behind it.
//! 6. [`offline`]: the model that needs no key, and the faults it can inject.
//! 7. [`ledger`]: the durable memory.
//! 8. [`keys`]: API keys, which say who may come in and for which tenant.
//! 9. [`redact`]: what must not leave, whichever way.
//! 10. [`telemetry`]: how all of it is seen.
//! 11. [`http`], [`cli`], [`app`], [`config`]: the ways in.
//! 12. [`clock`], [`reload`], [`toml_reader`]: what several of these stand on.
//!
//! What always holds, and is tested:
//! - No outcome is more lenient than the policy engine's verdict, whatever the model says.
//! - A decision is judged by one rulebook from its first step to its record, whatever is loaded
//!   meanwhile.
//! - A decision that was answered is in the ledger.
//! - With API keys, the key alone decides the tenant of a request.
//! - No text leaves (spans, logs, problems) without redaction, and none that could not be redacted.
//! - Every span that began is exported, sampled out, dropped or in flight, and counted as that.
//! - No binary float touches an amount.
//! - OpenTelemetry is imported under `telemetry` alone, async-openai in `llm::openai` alone, sqlx
//!   and rusqlite under `ledger` alone, and the environment is read in `config` alone.

pub mod domain;

pub mod agent;

pub mod policy;

pub mod rulebook;

pub mod llm;

pub mod offline;

pub mod ledger;

pub mod keys;

pub mod redact;

pub mod telemetry;

pub mod http;

pub mod cli;

pub mod app;

pub mod clock;

pub mod error_chain;

mod lock;

pub mod reload;

pub mod toml_reader;

pub mod config;
