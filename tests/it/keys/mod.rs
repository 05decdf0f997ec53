//! API keys: key files and new keys in `file`, the requests that a key admits in `access`, the
//! decisions that it shows in `visibility`. How keys are reloaded while the service runs is tested in
//! `crate::reload`.

mod access;
mod file;
mod visibility;
