//! A program that runs beside us until it is stopped or dropped.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::{Group, interrupt, tail};

/// How long a service may take to end by itself.
const GRACE: Duration = Duration::from_secs(15);
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

pub(crate) struct Service {
    shown: String,
    group: Group,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Service {
    pub(super) fn new(shown: String, group: Group, log: &Path) -> Self {
        Self {
            shown,
            group,
            log: log.to_owned(),
            ended: None,
        }
    }

    /// The id of its process, which is also that of its group.
    pub(crate) fn id(&self) -> i32 {
        self.group.id()
    }

    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.look(Duration::ZERO)
    }

    /// Waits so long for its end.
    pub(crate) fn ends_within(&mut self, limit: Duration) -> bool {
        self.look(limit).is_some()
    }

    /// Looks until `ready` says so. Fails, with the end of the log, when the service ends before or
    /// the time is over.
    pub(crate) fn wait_until(
        &mut self,
        limit: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<()> {
        let begun = Instant::now();
        loop {
            interrupt::check()?;
            if ready() {
                return Ok(());
            }
            if let Some(status) = self.look(BETWEEN_LOOKS) {
                bail!("{}: {status}\n{}", self.shown, self.log_end());
            }
            if begun.elapsed() > limit {
                bail!(
                    "{}: not ready after {} s\n{}",
                    self.shown,
                    limit.as_secs(),
                    self.log_end()
                );
            }
        }
    }

    /// Ends it without asking, where nothing of it is needed any more.
    pub(crate) fn kill(&mut self) {
        if self.ended().is_none() {
            self.group.kill();
            self.look(GRACE);
        }
    }

    /// The end of what it said.
    pub(crate) fn log_end(&self) -> String {
        File::open(&self.log)
            .map_err(Into::into)
            .and_then(|mut log| tail(&mut log))
            .unwrap_or_else(|error| format!("no log: {error:#}"))
    }

    fn look(&mut self, patience: Duration) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.group.wait(patience).and_then(Result::ok);
        }
        self.ended
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if self.ended().is_some() {
            return;
        }
        self.group.terminate();
        if self.look(GRACE).is_none() {
            self.group.kill();
            self.look(GRACE);
        }
    }
}
