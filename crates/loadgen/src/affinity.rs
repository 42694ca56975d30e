//! Who runs on which CPU.
//!
//! Servers have CPU 0, the generator has CPU 1: then throughput is 1 / CPU per operation and does
//! not depend on who takes whose time. A child inherits the affinity of the thread that starts it,
//! so a server is started, with all the threads it will have, while the generator's thread stands
//! on the servers' CPU for a moment.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The CPUs of the two sides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pinning {
    pub(crate) servers: usize,
    pub(crate) generator: usize,
}

// === impl Pinning ===

impl Pinning {
    /// The first two CPUs that this process may use, with the calling thread moved to the second.
    /// Nothing, and no one is pinned, where there is only one.
    pub(crate) fn establish() -> Option<Self> {
        let allowed = sched_getaffinity(None).ok()?;
        let mut cpus = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu));
        let pinning = Self {
            servers: cpus.next()?,
            generator: cpus.next()?,
        };
        move_to(pinning.generator).then_some(pinning)
    }

    /// Runs `act` on the servers' CPU. It must not be given up to another thread in between.
    pub(crate) fn on_servers_cpu<T>(&self, act: impl FnOnce() -> T) -> T {
        let moved = move_to(self.servers);
        let result = act();
        if moved {
            move_to(self.generator);
        }
        result
    }
}

fn move_to(cpu: usize) -> bool {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).is_ok()
}
