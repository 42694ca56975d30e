//! Counting the calls of a server that wait for the disk.
//!
//! Each of its processes runs below an `strace`, which writes one line per such call and lets all
//! others pass (`--seccomp-bpf`). The lines before and after some work are counted; what the server
//! does at its start does not count. Timing is meaningless meanwhile.

use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;

use super::product::Prepared;

/// Every call that makes data durable before it returns.
const CALLS: &[&str] = &[
    "fsync",
    "fdatasync",
    "syncfs",
    "sync",
    "msync",
    "sync_file_range",
];

/// An `strace` that can be used here.
#[derive(Debug, Clone)]
pub(crate) struct Tracer {
    /// Has a log for each process.
    logs: PathBuf,
}

/// A process below a tracer, killed with this value: it would outlive its tracer otherwise.
#[derive(Debug)]
pub(super) struct Tracee(Option<Pid>);

/// Calls seen so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SyncCount(u64);

// === impl Tracer ===

impl Tracer {
    /// Nothing where there is no `strace`, where it may not trace, or where the kernel does not
    /// tell what it has started. Logs lie in `logs`.
    pub(crate) async fn find(logs: PathBuf) -> Option<Self> {
        std::fs::metadata(children(std::process::id())).ok()?;
        std::fs::create_dir_all(&logs).ok()?;
        let tracer = Self { logs };
        let probe = Prepared::new("probe", Path::new("true"));
        let mut command = tracer.around(&probe);
        command
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true);
        let limit = std::time::Duration::from_secs(10);
        let status = tokio::time::timeout(limit, command.status())
            .await
            .ok()?
            .ok()?;
        status.success().then_some(tracer)
    }

    /// The command with the tracer around it. The tracer ends when what it traces does.
    pub(super) fn around(&self, prepared: &Prepared) -> Command {
        let mut command = Command::new("strace");
        command
            .args(["--follow-forks", "--seccomp-bpf", "--quiet=all"])
            .args(["--signal=none", &format!("--trace={}", CALLS.join(","))])
            .arg("--output")
            .arg(self.logs.join(&prepared.name))
            .arg("--")
            .arg(&prepared.program)
            .args(&prepared.arguments)
            .envs(
                prepared
                    .environment
                    .iter()
                    .map(|(name, value)| (name, value)),
            );
        command
    }

    /// All calls so far, of servers before this one as well.
    pub(crate) fn count(&self) -> io::Result<SyncCount> {
        let mut count = 0;
        for log in std::fs::read_dir(&self.logs)? {
            let log = std::fs::read_to_string(log?.path())?;
            count += log.lines().filter(|line| is_call(line)).count() as u64;
        }
        Ok(SyncCount(count))
    }
}

/// A call is logged where it begins; a second line may tell that it was resumed.
fn is_call(line: &str) -> bool {
    let call = line.split_once(' ').map_or(line, |(_pid, call)| call);
    call.trim_start()
        .split_once('(')
        .is_some_and(|(name, _)| CALLS.contains(&name))
}

/// The file that lists the processes which the first thread of a process has started.
fn children(process: u32) -> String {
    format!("/proc/{process}/task/{process}/children")
}

// === impl Tracee ===

impl Tracee {
    /// What this tracer has started.
    pub(super) fn below(tracer: u32) -> Option<Self> {
        let list = std::fs::read_to_string(children(tracer)).ok()?;
        let first = list.split_ascii_whitespace().next()?;
        Some(Self(Some(Pid::from_raw(first.parse().ok()?)?)))
    }

    pub(super) fn pid(&self) -> Option<Pid> {
        self.0
    }

    /// Lets go of a process that has ended.
    pub(super) fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for Tracee {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // It may have ended by itself.
            let _gone = kill_process(pid, Signal::KILL);
        }
    }
}

// === impl SyncCount ===

impl SyncCount {
    pub(crate) fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_in_the_logs_of_all_processes() {
        let folder = tempfile::tempdir().unwrap();
        let logs = folder.path().to_owned();
        std::fs::write(logs.join("one"), "1 fsync(3) = 0\n1 fsync(3) = 0\n").unwrap();
        std::fs::write(logs.join("two"), "2 fdatasync(3) = 0\n").unwrap();
        let count = Tracer { logs }.count().unwrap();
        assert_eq!(count.since(SyncCount(0)), 3);
    }

    #[test]
    fn a_call_counts_once_whether_or_not_it_was_interrupted() {
        let log = [
            "101  fdatasync(9)                      = 0",
            "102 fsync(12 <unfinished ...>",
            "102 <... fsync resumed>)               = 0",
            "102 +++ exited with 0 +++",
            "103 sync_file_range(3, 0, 4096, SYNC_FILE_RANGE_WRITE) = 0",
        ];
        assert_eq!(log.iter().filter(|line| is_call(line)).count(), 3);
    }
}
