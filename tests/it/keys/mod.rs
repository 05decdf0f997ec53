//! API keys: what a key file may contain, how a key is created, and which requests it admits as
//! which tenant.
//! Files are in `file`, requests in `access`; that keys change while the service runs is in
//! `crate::reload`.

mod access;
mod file;
