//! An expense agent whose every decision is a trace: the model advises, policy code decides, the trace proves it.
//!
//! Read in this order:
//! 1. [`domain`]: what an expense is, and what a decision holds.
//! 2. [`chain`]: the story, classify -> policy lookup -> decide, in [`chain::Chain::run`].
//! 3. [`policy`]: the engine that has the last word.
//! 4. [`llm`]: the model seam, OpenAI and offline.
//! 5. [`ledger`]: the durable memory.
//! 6. [`keys`]: API keys, which say who may come in and for which tenant.
//! 7. [`telemetry`]: how all of it is seen.
//! 8. [`http`], [`cli`], [`app`], [`config`]: the ways in.
//!
//! What always holds, and is tested:
//! - No outcome is more lenient than the policy engine's verdict, whatever the model says.
//! - A decision that was answered is in the ledger.
//! - With API keys, the key alone decides the tenant of a request.
//! - Every span that began is exported, sampled out, dropped or in flight, and counted as that.
//! - No binary float touches an amount.
//! - OpenTelemetry is imported under `telemetry` alone, async-openai in `llm::openai` alone, and the environment is read
//!   in `config` alone.

pub mod domain;

pub mod chain;

pub mod policy;

pub mod llm;

pub mod ledger;

pub mod keys;

pub mod telemetry;

pub mod http;

pub mod cli;

pub mod app;

pub mod clock;

pub mod reload;

pub mod toml_reader;

pub mod config;
