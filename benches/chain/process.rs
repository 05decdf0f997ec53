//! The measured process, and its figures in `/proc`.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// How long a process may take to start or to stop.
const TIMEOUT: Duration = Duration::from_secs(60);
/// A tick of `/proc/PID/stat`: a hundredth of a second on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// A process that serves HTTP.
pub(crate) struct Process {
    /// The URL on which it listens.
    pub(crate) url: String,
    /// The time from its start until it was ready.
    pub(crate) start: Duration,
    child: Child,
    pid: u32,
}

/// The resources that a process has used so far.
#[derive(Clone, Copy)]
pub(crate) struct Usage {
    /// Processor time, in user and kernel mode.
    pub(crate) cpu: Duration,
    /// Resident memory now.
    pub(crate) resident_kib: u64,
    /// The peak of resident memory.
    pub(crate) peak_kib: u64,
}

impl Process {
    /// Starts a program, and waits until it prints its address.
    pub(crate) async fn start(mut command: Command) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().context("the process has ended")?;
        let mut lines = BufReader::new(
            child
                .stdout
                .take()
                .context("standard output is not piped")?,
        )
        .lines();
        let line = tokio::time::timeout(TIMEOUT, lines.next_line())
            .await
            .context("the process does not start")??;
        let line = line.context("the process ended instead of listening")?;
        let url = line
            .strip_prefix("listening on ")
            .and_then(|rest| rest.split(';').next());
        let url = url
            .with_context(|| format!("the process printed \"{line}\" instead of its address"))?
            .to_owned();
        Ok(Self {
            url,
            start: begun.elapsed(),
            child,
            pid,
        })
    }

    /// The resources that it has used so far.
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        let folder = Path::new("/proc").join(self.pid.to_string());
        let stat = std::fs::read_to_string(folder.join("stat"))?;
        // The name of the program is in brackets and may contain blanks. User and system time are
        // the twelfth and thirteenth fields after it.
        let (_, fields) = stat
            .rsplit_once(") ")
            .context("/proc/PID/stat has no name in brackets")?;
        let ticks: Vec<u32> = fields
            .split(' ')
            .skip(11)
            .take(2)
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        let status = std::fs::read_to_string(folder.join("status"))?;
        let kib = |name: &str| -> anyhow::Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            Ok(line
                .with_context(|| format!("/proc/PID/status has no {name}"))?
                .trim()
                .trim_end_matches(" kB")
                .parse()?)
        };
        Ok(Usage {
            cpu: TICK * ticks.iter().sum(),
            resident_kib: kib("VmRSS:")?,
            peak_kib: kib("VmHWM:")?,
        })
    }

    /// Stops it with SIGTERM, as an orchestrator does, and waits for its end.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let kill = Command::new("kill")
            .arg(self.pid.to_string())
            .status()
            .await?;
        ensure!(kill.success(), "the process ended before it was stopped");
        match tokio::time::timeout(TIMEOUT, self.child.wait()).await {
            Ok(status) => status.map(drop).map_err(Into::into),
            Err(_) => bail!("the process does not stop"),
        }
    }
}
