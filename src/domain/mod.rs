//! Plain values with their invariants: what an expense is, what money is, what a decision holds.
//! No IO, no policy and no telemetry here; `policy` judges these values, `agent` makes decisions of
//! them.

pub mod body;
pub mod decision;
pub mod expense;
pub mod money;
pub mod resolution;
pub mod ruling;
pub mod short_hash;
pub mod step;
pub mod submission;
pub mod tenant;
pub mod tokens;
pub mod validation;
