//! API keys: what a file of them may hold, how one is made, and whom it lets in, as which tenant.
//! Files are in `file`, requests in `access`; that keys change while the service runs is in
//! `crate::reload`.

mod access;
mod file;
