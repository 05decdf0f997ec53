//! Values that live in files and may change while the service runs: read at the start, read again every few seconds and
//! when somebody asks, and swapped as a whole. A change that cannot be used is not taken; what was in use stays so.
//!
//! The file is read, not watched: a mounted Kubernetes Secret changes by swapping symbolic links far above the file, and
//! times of modification are too coarse to trust. Files of settings are small, so reading one costs less than a request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::toml_reader::FileFaults;

/// Asks every [`Reloaded`] it was given to for a look at its files, now.
#[derive(Clone, Debug, Default)]
pub struct ReloadRequests(watch::Sender<()>);

impl ReloadRequests {
    /// Asks for a look.
    pub fn ask(&self) {
        self.0.send_replace(());
    }
}

/// What is in use, and whether it is what the files say.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The value of the last files that could be used.
    pub value: Arc<T>,
    /// What is wrong with the files as they are now.
    pub faults: Option<Arc<FileFaults>>,
}

/// A value that follows its files, for as long as somebody holds it; cheap to clone.
pub struct Reloaded<T>(watch::Receiver<Loaded<T>>);

impl<T> Reloaded<T> {
    /// What is in use now.
    pub fn now(&self) -> Loaded<T> {
        let loaded = self.0.borrow();
        Loaded { value: Arc::clone(&loaded.value), faults: loaded.faults.clone() }
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

impl<T: PartialEq + Send + Sync + 'static> Reloaded<T> {
    /// Loads a value, and begins to follow its files in a task of its own on the current runtime. `what` names the value
    /// in the log.
    ///
    /// # Errors
    /// When the files cannot be used: there is nothing yet that could stay in use.
    pub fn start(
        what: &'static str,
        load: impl Fn() -> Result<T, FileFaults> + Send + Sync + 'static,
        interval: Duration,
        requests: &ReloadRequests,
    ) -> Result<Self, FileFaults> {
        let (sender, receiver) = watch::channel(Loaded { value: Arc::new(load()?), faults: None });
        tokio::spawn(follow(what, Arc::new(load), interval, requests.clone(), sender));
        Ok(Self(receiver))
    }
}

async fn follow<T: PartialEq + Send + Sync + 'static>(
    what: &'static str,
    load: Arc<impl Fn() -> Result<T, FileFaults> + Send + Sync + 'static>,
    interval: Duration,
    requests: ReloadRequests,
    sender: watch::Sender<Loaded<T>>,
) {
    let mut asked = requests.0.subscribe();
    loop {
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            _asked = asked.changed() => {}
            () = sender.closed() => return,
        }
        let load = Arc::clone(&load);
        // Reading files blocks, and must not hold requests up.
        let Ok(loaded) = tokio::task::spawn_blocking(move || load()).await else { return };
        let Some(next) = sender.borrow().after(loaded) else { continue };
        let faults = next.faults.clone();
        sender.send_replace(next);
        match faults {
            None => tracing::info!("{what} reloaded"),
            Some(faults) => tracing::warn!(%faults, "{what} cannot be reloaded; those loaded before stay in use"),
        }
    }
}

impl<T: PartialEq> Loaded<T> {
    /// What is in use after the files were read again; `None` when nothing has changed. A fault that stays is no change,
    /// so each is logged once.
    fn after(&self, read: Result<T, FileFaults>) -> Option<Self> {
        match read {
            Ok(value) if self.faults.is_none() && value == *self.value => None,
            Ok(value) => Some(Self { value: Arc::new(value), faults: None }),
            Err(faults) if self.faults.as_deref() == Some(&faults) => None,
            Err(faults) => Some(Self { value: Arc::clone(&self.value), faults: Some(Arc::new(faults)) }),
        }
    }
}
