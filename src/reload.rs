//! Values that live in files and may change while the service runs: read at the start, read again
//! every few seconds and when somebody asks, and swapped as a whole. A change that cannot be used
//! is not taken; what was in use stays so.
//!
//! Files are read, not watched: a mounted Kubernetes Secret changes by swapping symbolic links far
//! above the file, and times of modification are too coarse to trust. Files of settings are small,
//! so reading them costs less than a request, and only what reads otherwise than before is parsed.

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
    n_taken: u64,
    n_refused: u64,
}

/// How often files changed since the start, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Changes that were taken into use.
    pub n_taken: u64,
    /// Changes that were refused.
    pub n_refused: u64,
    /// Whether what is in use is not what the files say.
    pub is_stale: bool,
}

impl<T> Clone for Loaded<T> {
    fn clone(&self) -> Self {
        Self {
            value: Arc::clone(&self.value),
            faults: self.faults.clone(),
            ..*self
        }
    }
}

/// In a few words, for people who ask whether what is in use is what the files say.
impl<T: fmt::Display> fmt::Display for Loaded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.faults.as_ref().and_then(|faults| faults.0.first()) {
            None => self.value.fmt(f),
            Some(fault) => write!(f, "stale: {fault}"),
        }
    }
}

/// A value that follows its files, for as long as somebody holds it; cheap to clone.
pub struct Reloaded<T>(watch::Receiver<Loaded<T>>);

impl<T> Reloaded<T> {
    /// What is in use now.
    pub fn now(&self) -> Loaded<T> {
        self.0.borrow().clone()
    }

    /// What became of changes.
    pub fn tally(&self) -> Tally {
        let Loaded {
            n_taken,
            n_refused,
            ref faults,
            ..
        } = *self.0.borrow();
        Tally {
            n_taken,
            n_refused,
            is_stale: faults.is_some(),
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
    /// Loads a value, and begins to follow its files in a task of its own on the current runtime.
    /// `what` names the value in the log, `read` gives what the files say, and `parse` makes
    /// the value of it.
    ///
    /// # Errors
    /// When the files cannot be used: there is nothing yet that could stay in use.
    pub fn start<S: PartialEq + Send + 'static>(
        what: &'static str,
        read: impl Fn() -> S + Send + 'static,
        parse: impl Fn(&S) -> Result<T, FileFaults> + Send + 'static,
        interval: Duration,
        requests: &ReloadRequests,
    ) -> Result<Self, FileFaults> {
        let mut said = read();
        let (sender, receiver) = watch::channel(Loaded {
            value: Arc::new(parse(&said)?),
            faults: None,
            n_taken: 0,
            n_refused: 0,
        });
        let look = move || {
            said = changed(&read, &said)?;
            Some(parse(&said))
        };
        tokio::spawn(follow(what, look, interval, requests.clone(), sender));
        Ok(Self(receiver))
    }
}

/// What files say, when it is not what they said before. They are read until two reads agree, so
/// that files which are being replaced are not taken half old and half new.
fn changed<S: PartialEq>(read: impl Fn() -> S, before: &S) -> Option<S> {
    let mut said = read();
    if said == *before {
        return None;
    }
    loop {
        let again = read();
        if again == said {
            return Some(said);
        }
        said = again;
    }
}

async fn follow<T: Send + Sync + 'static>(
    what: &'static str,
    mut look: impl FnMut() -> Option<Result<T, FileFaults>> + Send + 'static,
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
        // Reading files blocks, and must not hold requests up.
        let looking = tokio::task::spawn_blocking(move || {
            let found = look();
            (look, found)
        });
        let Ok((same, found)) = looking.await else {
            return;
        };
        look = same;
        match found {
            None => {}
            Some(Ok(value)) => {
                sender.send_modify(|loaded| {
                    loaded.value = Arc::new(value);
                    loaded.faults = None;
                    loaded.n_taken += 1;
                });
                tracing::info!("{what} reloaded");
            }
            Some(Err(faults)) => {
                tracing::warn!(%faults, "{what} cannot be reloaded; those loaded before stay in use");
                sender.send_modify(|loaded| {
                    loaded.faults = Some(Arc::new(faults));
                    loaded.n_refused += 1;
                });
            }
        }
    }
}
