//! Under which circumstances a bench ran.

use std::path::Path;

use serde::Serialize;

use crate::bench::{Bench, Gate, Plan, Side};
use crate::server::version;
use crate::workload::Scale;

/// What the figures cannot be read without.
#[derive(Serialize)]
pub(crate) struct Header {
    /// The command that made the report.
    pub(crate) command: String,
    /// When it began, UTC.
    pub(crate) began: String,
    pub(crate) machine: Machine,
    /// What the programs say of themselves.
    pub(crate) software: Vec<String>,
    pub(crate) block_s: f64,
    pub(crate) pairs: usize,
    pub(crate) gate: Gate,
    pub(crate) scale: Scale,
    /// Why fsyncs are not counted, if they are not.
    pub(crate) syncs: &'static str,
}

#[derive(Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cpus: usize,
    pub(crate) kernel: String,
    pub(crate) memory_mib: u64,
    /// What the servers' data lie on.
    pub(crate) filesystem: String,
    /// The servers' CPU and the generator's, if they could be pinned.
    pub(crate) pinned: Option<[usize; 2]>,
}

// === impl Header ===

impl Header {
    pub(crate) async fn of(bench: &Bench, command: String, began: String) -> Self {
        let plan = bench.plan();
        Self {
            command,
            began,
            machine: Machine::this(bench),
            software: software(plan).await,
            block_s: plan.block.as_secs_f64(),
            pairs: plan.pairs,
            gate: plan.gate,
            scale: plan.scale.clone(),
            syncs: if bench.can_count_syncs() {
                "counted below strace, in a run of its own"
            } else {
                "not counted: strace is not installed or may not trace"
            },
        }
    }
}

/// The programs of all rows, each once.
async fn software(plan: &Plan) -> Vec<String> {
    let mut programs = Vec::new();
    for workload in &plan.workloads {
        let products = plan.products(*workload);
        for side in Side::BOTH {
            for program in products.of(side).started(&plan.programs) {
                if !programs.contains(&program) {
                    programs.push(program);
                }
            }
        }
    }
    let mut software = Vec::new();
    for program in programs {
        software.push(version(program).await);
    }
    software
}

// === impl Machine ===

impl Machine {
    fn this(bench: &Bench) -> Self {
        let system = rustix::system::uname();
        let information = rustix::system::sysinfo();
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |line: &str| {
            Some(
                line.strip_prefix("model name")?
                    .split_once(':')?
                    .1
                    .trim()
                    .to_owned(),
            )
        };
        Self {
            cpu: cpuinfo
                .lines()
                .find_map(field)
                .unwrap_or_else(|| "unknown".to_owned()),
            cpus: cpuinfo
                .lines()
                .filter(|line| line.starts_with("processor"))
                .count(),
            kernel: system.release().to_string_lossy().into_owned(),
            memory_mib: (information.totalram * information.mem_unit as u64) >> 20,
            filesystem: filesystem(&bench.plan().data),
            pinned: bench.pinning().map(|it| [it.servers, it.generator]),
        }
    }
}

fn filesystem(folder: &Path) -> String {
    let Ok(status) = rustix::fs::statfs(folder) else {
        return "an unknown file system".to_owned();
    };
    match status.f_type {
        0xEF53 => "ext4".to_owned(),
        0x5846_5342 => "xfs".to_owned(),
        0x9123_683E => "btrfs".to_owned(),
        0x794C_7630 => "overlayfs".to_owned(),
        0x0102_1994 => "tmpfs, where nothing is durable".to_owned(),
        other => format!("file system {other:#x}"),
    }
}
