//! One process of a server.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout_at};

use super::product::Prepared;
use super::tracer::{Tracee, Tracer};
use super::{ServerError, prepare};
use crate::affinity::Pinning;

/// A child that ends with this value.
pub(super) struct Process {
    program: PathBuf,
    log: PathBuf,
    /// Declared before the child, which is its tracer: it must go first.
    tracee: Option<Tracee>,
    child: Child,
}

// === impl Process ===

impl Process {
    /// Starts it; all that it says is appended to `log`.
    pub(super) fn start(
        prepared: &Prepared,
        log: &Path,
        tracer: Option<&Tracer>,
        pinning: Option<Pinning>,
    ) -> Result<Self, ServerError> {
        let mut command = match tracer {
            Some(tracer) => tracer.around(prepared),
            None => prepared.command(),
        };
        let append = File::options().create(true).append(true).open(log);
        let output = append.map_err(prepare(log))?;
        let errors = output.try_clone().map_err(prepare(log))?;
        command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .kill_on_drop(true);
        let child = spawn(&mut command, pinning).map_err(|source| ServerError::Spawn {
            program: prepared.program.clone(),
            source,
        })?;
        Ok(Self {
            program: prepared.program.clone(),
            log: log.to_owned(),
            tracee: None,
            child,
        })
    }

    pub(super) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Finds what its tracer has started, so that it can be ended.
    pub(super) fn find_tracee(&mut self) -> Result<(), ServerError> {
        self.tracee = self.child.id().and_then(Tracee::below);
        match self.tracee {
            Some(_) => Ok(()),
            None => Err(ServerError::Lost {
                program: self.program.clone(),
            }),
        }
    }

    /// Fails if it has ended.
    pub(super) fn still_runs(&mut self) -> Result<(), ServerError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(ServerError::Ended {
                program: self.program.clone(),
                status,
                log: self.log.clone(),
            }),
            Err(source) => Err(self.unknown(source)),
        }
    }

    /// Asks it to end.
    pub(super) fn terminate(&self) {
        let child = || Pid::from_raw(i32::try_from(self.child.id()?).ok()?);
        if let Some(pid) = self.tracee.as_ref().map_or_else(child, Tracee::pid) {
            // A process that ended by itself is waited for all the same.
            let _gone = kill_process(pid, Signal::TERM);
        }
    }

    /// Waits for its end, and kills it if that does not come in time.
    pub(super) async fn end(mut self, deadline: Instant) -> Result<(), ServerError> {
        match timeout_at(deadline, self.child.wait()).await {
            Ok(status) => {
                status.map_err(|source| self.unknown(source))?;
                // What it traced has ended with it; its number may be anybody's.
                if let Some(tracee) = self.tracee.take() {
                    tracee.forget();
                }
                Ok(())
            }
            Err(_) => {
                let killed = self.child.kill().await;
                killed.map_err(|source| self.unknown(source))
            }
        }
    }

    fn unknown(&self, source: io::Error) -> ServerError {
        ServerError::Wait {
            program: self.program.clone(),
            source,
        }
    }
}

/// Starts the child on the servers' CPU, so that all its threads stay there.
pub(super) fn spawn(command: &mut Command, pinning: Option<Pinning>) -> io::Result<Child> {
    match pinning {
        Some(pinning) => pinning.on_servers_cpu(|| command.spawn()),
        None => command.spawn(),
    }
}
