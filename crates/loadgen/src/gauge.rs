//! What a server's processes use, read from outside.
//!
//! Owns the account of one server, which may be several processes: CPU time from a cgroup that has
//! them alone where one can be made (nanoseconds, all threads, kernel work in their context
//! included), else from `/proc/PID/stat` (ticks of 10 ms); resident memory from
//! `/proc/PID/status`, added up. Leaves to the bench when to read.

mod cgroup;
mod host;
mod process;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) use host::{HostReading, Pressure};
pub(crate) use process::{cpu_of, cpu_of_helpers};

use cgroup::Cgroup;

/// Why something about a process or the machine could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GaugeError {
    #[error("cannot read {path}")]
    Read {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("{path} does not look as expected")]
    Form { path: String },
}

/// Reads the processes of one server. Clones read the same ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gauge(Arc<Mutex<Account>>);

#[derive(Debug, Default)]
struct Account {
    pids: Vec<u32>,
    cgroup: Option<Cgroup>,
    /// Processes that the server stands on, and that are nobody's to pay for.
    beside: Vec<u32>,
}

/// CPU time of processes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CpuTime {
    pub(crate) user: Duration,
    pub(crate) system: Duration,
}

// === impl Gauge ===

impl Gauge {
    /// A gauge of a process that is already running, whose cgroup is not touched.
    pub(crate) fn of(pid: u32) -> Self {
        let account = Account {
            pids: vec![pid],
            ..Account::default()
        };
        Self(Arc::new(Mutex::new(account)))
    }

    /// A gauge of no process yet, where those of `beside` are known to work for the server.
    pub(crate) fn beside(beside: &[u32]) -> Self {
        let account = Account {
            beside: beside.to_owned(),
            ..Account::default()
        };
        Self(Arc::new(Mutex::new(account)))
    }

    /// Reads these from now on, which were just started, and puts them into a cgroup of their own,
    /// if that can be had.
    pub(crate) fn adopt(&self, pids: Vec<u32>) {
        let mut account = self.account();
        account.cgroup = Cgroup::around(&pids);
        account.pids = pids;
    }

    /// Knows of one more process that works for the server.
    pub(crate) fn stand_on(&self, pid: u32) {
        self.account().beside.push(pid);
    }

    /// That one ends.
    pub(crate) fn stand_without(&self, pid: u32) {
        self.account().beside.retain(|it| *it != pid);
    }

    /// Where CPU time is read from, for the report.
    pub(crate) fn source(&self) -> &'static str {
        match self.account().cgroup {
            Some(_) => "cgroup cpuacct.usage",
            None => "/proc/PID/stat",
        }
    }

    /// CPU time used so far.
    pub(crate) fn cpu(&self) -> Result<Duration, GaugeError> {
        let account = self.account();
        match &account.cgroup {
            Some(cgroup) => cgroup.usage(),
            None => sum(&account.pids).map(CpuTime::total),
        }
    }

    /// CPU time used so far by the server and by what it stands on, divided into user and system.
    pub(crate) fn cpu_time(&self) -> Result<CpuTime, GaugeError> {
        let account = self.account();
        sum(account.pids.iter().chain(&account.beside))
    }

    /// Resident memory now, in KiB.
    pub(crate) fn resident(&self) -> Result<u64, GaugeError> {
        self.account().status_kib("VmRSS:")
    }

    /// The most that was resident since the last [`Gauge::forget_peak`], in KiB. Of several
    /// processes it is the sum of their peaks.
    pub(crate) fn peak(&self) -> Result<u64, GaugeError> {
        self.account().status_kib("VmHWM:")
    }

    /// Begins a new peak. Where the kernel refuses, the peak stays that of the process's life.
    pub(crate) fn forget_peak(&self) {
        for pid in &self.account().pids {
            let _refused = std::fs::write(format!("/proc/{pid}/clear_refs"), "5");
        }
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sum<'a>(pids: impl IntoIterator<Item = &'a u32>) -> Result<CpuTime, GaugeError> {
    pids.into_iter().try_fold(CpuTime::default(), |sum, pid| {
        let time = cpu_of(&pid.to_string())?;
        Ok(CpuTime {
            user: sum.user + time.user,
            system: sum.system + time.system,
        })
    })
}

// === impl Account ===

impl Account {
    fn status_kib(&self, key: &str) -> Result<u64, GaugeError> {
        let each = self.pids.iter().map(|pid| process::status_kib(*pid, key));
        each.sum()
    }
}

// === impl CpuTime ===

impl CpuTime {
    pub(crate) fn total(self) -> Duration {
        self.user + self.system
    }
}

fn read(path: &str) -> Result<String, GaugeError> {
    std::fs::read_to_string(path).map_err(|source| GaugeError::Read {
        path: path.to_owned(),
        source,
    })
}

fn form(path: &str) -> GaugeError {
    GaugeError::Form {
        path: path.to_owned(),
    }
}

/// The length of a number of clock ticks.
fn ticks(count: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_nanos(count.saturating_mul(1_000_000_000 / per_second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_several_processes_are_added_up() {
        let this = std::process::id();
        let (one, two) = (Gauge::of(this), Gauge::of(this));
        two.account().pids.push(this);
        assert!(two.resident().unwrap() > one.resident().unwrap() * 3 / 2);
        let before = two.cpu_time().unwrap().total();
        assert!(before <= one.cpu_time().unwrap().total() * 2);
    }

    #[test]
    fn what_a_server_stands_on_is_known_but_not_charged() {
        let gauge = Gauge::beside(&[std::process::id()]);
        assert_eq!(gauge.cpu().unwrap(), Duration::ZERO);
        assert_eq!(gauge.resident().unwrap(), 0);
        assert!(gauge.cpu_time().is_ok());
    }
}
