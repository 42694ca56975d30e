//! What a server process uses, read from outside.
//!
//! Owns the account of one process: CPU time from a cgroup of its own where one can be made
//! (nanoseconds, all threads, kernel work in their context included), else from
//! `/proc/PID/stat` (ticks of 10 ms); resident memory from `/proc/PID/status`. Leaves to the bench
//! when to read.

mod cgroup;
mod host;
mod process;

use std::io;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use host::{HostReading, Pressure};
pub(crate) use process::cpu_of;

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

/// Reads one process.
#[derive(Debug, Clone)]
pub(crate) struct Gauge {
    pid: u32,
    cgroup: Option<Arc<Cgroup>>,
}

/// CPU time of a process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CpuTime {
    pub(crate) user: Duration,
    pub(crate) system: Duration,
}

// === impl Gauge ===

impl Gauge {
    /// A gauge of a process that is already running, whose cgroup is not touched.
    pub(crate) fn of(pid: u32) -> Self {
        Self { pid, cgroup: None }
    }

    /// Puts a process that was just started into a cgroup of its own, if that can be had.
    pub(crate) fn adopt(pid: u32) -> Self {
        Self {
            pid,
            cgroup: Cgroup::around(pid).map(Arc::new),
        }
    }

    /// Where CPU time is read from, for the report.
    pub(crate) fn source(&self) -> &'static str {
        match self.cgroup {
            Some(_) => "cgroup cpuacct.usage",
            None => "/proc/PID/stat",
        }
    }

    /// CPU time used so far.
    pub(crate) fn cpu(&self) -> Result<Duration, GaugeError> {
        match &self.cgroup {
            Some(cgroup) => cgroup.usage(),
            None => cpu_of(&self.pid.to_string()).map(CpuTime::total),
        }
    }

    /// CPU time used so far, divided into user and system.
    pub(crate) fn cpu_time(&self) -> Result<CpuTime, GaugeError> {
        cpu_of(&self.pid.to_string())
    }

    /// Resident memory now, in KiB.
    pub(crate) fn resident(&self) -> Result<u64, GaugeError> {
        process::status_kib(self.pid, "VmRSS:")
    }

    /// The most that was resident since the last [`Gauge::forget_peak`], in KiB.
    pub(crate) fn peak(&self) -> Result<u64, GaugeError> {
        process::status_kib(self.pid, "VmHWM:")
    }

    /// Begins a new peak. Where the kernel refuses, the peak stays that of the process's life.
    pub(crate) fn forget_peak(&self) {
        let _refused = std::fs::write(format!("/proc/{}/clear_refs", self.pid), "5");
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
