//! The subcommands of `policies`, with which the authors of policies try them before a service uses
//! them.

mod cases;
pub mod check;
pub mod explain;
mod judging;
pub mod new;
pub mod test;
