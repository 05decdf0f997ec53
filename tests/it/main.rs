//! The integration tests, in one binary: the real router on a free port, a real ledger in a new
//! folder, a fake OpenAI over real HTTP, and spans read back from memory, from an OTLP receiver or
//! from a real Jaeger.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot continue panics right there"
)]
#![expect(
    clippy::too_many_lines,
    reason = "a table of cases, and a course of events, read best in one piece"
)]

mod access;
mod alerts;
mod amounts;
mod api;
mod approvers;
mod architecture;
mod audit;
mod back_pressure;
mod batch;
mod breaker;
mod browser;
mod budget;
mod caps;
mod collector;
mod commands;
mod common_rules;
mod compat;
mod connections;
mod credits;
mod database_url;
mod decide;
mod decision_page;
mod delivery;
mod deployment;
mod documentation;
mod duplicate_rule;
mod duplicates;
mod durability;
mod encoding;
mod endings;
mod endpoint_bodies;
mod endpoint_failures;
mod endpoint_forms;
mod endpoint_retries;
mod endpoints;
mod error_chain;
mod evidence;
mod evidence_places;
mod export;
mod facts;
mod feedback;
mod figures;
mod forbidden;
mod harness;
mod hash_chain;
mod hostile;
mod idempotency;
mod identity;
mod imports;
mod keys;
mod leaks;
mod ledger;
mod log_events;
mod metrics;
mod notify;
mod one_object;
mod page;
mod panics;
mod permits;
mod phoenix;
mod plans;
mod policy;
mod policy_guide;
mod policy_lint;
mod policy_reference;
mod policy_tools;
mod prompt_variants;
mod prompts;
mod queue;
mod rates;
mod reading;
mod real_model_servers;
mod reasons;
mod record_fields;
mod recording;
mod records;
mod redaction;
mod reload;
mod reload_policies;
mod request_head;
mod resolutions;
mod respelling;
mod rule_language;
mod rules;
mod sampling;
mod schemathesis;
mod search;
mod spelling;
mod splits;
mod tenants;
mod times;
mod tls;
mod trace_headers;
mod traces;
mod urls;
mod versions;
mod windows;
