//! Plain values with their invariants: what an expense is, what money is, what a decision contains.
//! There is no IO, no policy and no telemetry here. `policy` judges these values, and `agent` makes
//! decisions from them.

pub mod approvers;
pub mod body;
pub mod cap;
pub mod counter;
pub mod credit;
pub mod decision;
pub mod expense;
pub mod facts;
pub mod feedback;
pub mod figures;
pub mod milliseconds;
pub mod money;
pub mod notification;
pub mod overturned;
pub mod receipt;
pub mod resolution;
pub mod ruling;
pub mod share;
pub mod short_hash;
pub mod step;
pub mod submission;
pub mod tenant;
pub mod tokens;
pub mod validation;
