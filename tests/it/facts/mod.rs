//! The facts of an expense on every surface: requests, answers, the record, exports, tables, prompts
//! and the page. Each test iterates over all facts, so that a new fact cannot be missing from one.

mod groups;
mod record;
mod requests;
mod shown;
mod tables;
