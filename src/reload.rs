//! Values that are loaded from files and may change while the service runs. The files are read at
//! the start, every few seconds after that, and on request (SIGHUP). A change is applied as a whole
//! or, when it cannot be parsed, rejected as a whole; the previous value then stays in use.
//!
//! Files are polled and not watched with `notify`: a mounted Kubernetes Secret changes by swapping
//! symbolic links in a directory above the file, which a watch on the file does not report, and
//! modification times are too coarse to detect every change. These files are small: reading them
//! costs less than a request, and they are parsed only when their content has changed.
//!
//! Each value has one task, the only writer of a watch channel. Readers take the current `Arc` from
//! the channel and keep it for as long as they work with it, so a reload never changes a decision
//! that is being made. The task ends when the last [`Reloaded`] of its value is dropped.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::toml_reader::diagnostic::Diagnostics;

/// Makes every [`Reloaded`] that was started with it read its files now.
#[derive(Clone, Debug, Default)]
pub struct ReloadRequests(watch::Sender<()>);

impl ReloadRequests {
    /// Requests a reload; returns before it has happened.
    pub fn ask(&self) {
        self.0.send_replace(());
    }
}

/// The value in use, and whether it is still that of the files.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The value of the last files that could be parsed.
    pub value: Arc<T>,
    /// Why the current files cannot be parsed; absent while the value comes from them.
    pub diagnostics: Option<Arc<Diagnostics>>,
    n_applied: u64,
    n_rejected: u64,
}

/// How often the files changed since the start, and with which result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReloadCounts {
    /// Changes that were applied.
    pub n_applied: u64,
    /// Changes that were rejected.
    pub n_rejected: u64,
    /// Whether the last change was rejected, so that the value in use is not that of the files.
    pub is_stale: bool,
}

// Not derived, because `#[derive(Clone)]` would require `T: Clone`.
impl<T> Clone for Loaded<T> {
    fn clone(&self) -> Self {
        Self {
            value: Arc::clone(&self.value),
            diagnostics: self.diagnostics.clone(),
            ..*self
        }
    }
}

/// A summary for `/readyz?verbose`: the value, or the first diagnostic of the rejected files.
impl<T: fmt::Display> fmt::Display for Loaded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.diagnostics.as_ref().and_then(|found| found.0.first());
        match first {
            None => self.value.fmt(f),
            Some(diagnostic) => write!(f, "stale: {diagnostic}"),
        }
    }
}

/// A value that follows its files until the last clone of it is dropped; cheap to clone.
pub struct Reloaded<T>(watch::Receiver<Loaded<T>>);

impl<T> Reloaded<T> {
    /// The value in use now.
    pub fn now(&self) -> Loaded<T> {
        self.0.borrow().clone()
    }

    /// How many changes were applied and rejected so far.
    pub fn counts(&self) -> ReloadCounts {
        let loaded = self.0.borrow();
        ReloadCounts {
            n_applied: loaded.n_applied,
            n_rejected: loaded.n_rejected,
            is_stale: loaded.diagnostics.is_some(),
        }
    }
}

impl<T> Clone for Reloaded<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Reloaded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reloaded")
    }
}

impl<T: Send + Sync + 'static> Reloaded<T> {
    /// Loads a value, and spawns the task that follows its files on the current runtime. `what` is
    /// the name of the value in the log, `read` returns the content of the files, and `parse` turns
    /// the content into the value.
    ///
    /// # Errors
    /// When the files cannot be parsed: there is no previous value to fall back to.
    pub fn start<S: PartialEq + Send + 'static>(
        what: &'static str,
        read: impl Fn() -> S + Send + 'static,
        parse: impl Fn(&S) -> Result<T, Diagnostics> + Send + 'static,
        interval: Duration,
        requests: &ReloadRequests,
    ) -> Result<Self, Diagnostics> {
        let mut content = read();
        let (sender, receiver) = watch::channel(Loaded {
            value: Arc::new(parse(&content)?),
            diagnostics: None,
            n_applied: 0,
            n_rejected: 0,
        });
        let check = move || {
            content = changed(&read, &content)?;
            Some(parse(&content))
        };
        tokio::spawn(follow(what, check, interval, requests.clone(), sender));
        Ok(Self(receiver))
    }
}

/// The content of the files, if it is not what it was before. The files are read until two reads
/// agree, so that files which are being replaced are not read half old and half new.
fn changed<S: PartialEq>(read: impl Fn() -> S, before: &S) -> Option<S> {
    let mut content = read();
    if content == *before {
        return None;
    }
    loop {
        let again = read();
        if again == content {
            return Some(content);
        }
        content = again;
    }
}

async fn follow<T: Send + Sync + 'static>(
    what: &'static str,
    mut check: impl FnMut() -> Option<Result<T, Diagnostics>> + Send + 'static,
    interval: Duration,
    requests: ReloadRequests,
    sender: watch::Sender<Loaded<T>>,
) {
    let mut requested = requests.0.subscribe();
    loop {
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            _requested = requested.changed() => {}
            () = sender.closed() => return,
        }
        // Reading files blocks, and must not delay requests.
        let checking = tokio::task::spawn_blocking(move || {
            let result = check();
            (check, result)
        });
        // Fails when the runtime shuts down.
        let Ok((returned, result)) = checking.await else {
            return;
        };
        check = returned;
        match result {
            None => {}
            Some(Ok(value)) => {
                sender.send_modify(|loaded| {
                    loaded.value = Arc::new(value);
                    loaded.diagnostics = None;
                    loaded.n_applied += 1;
                });
                tracing::info!("{what} reloaded");
            }
            Some(Err(diagnostics)) => {
                tracing::warn!(
                    error = %diagnostics,
                    "{what} cannot be reloaded; the previous ones stay in use"
                );
                sender.send_modify(|loaded| {
                    loaded.diagnostics = Some(Arc::new(diagnostics));
                    loaded.n_rejected += 1;
                });
            }
        }
    }
}
