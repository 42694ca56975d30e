//! What a group of processes took of the CPU, the kernel's part included.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{GaugeError, form, read};

/// A cgroup (version 1, controller `cpuacct`) that lives as long as this value.
#[derive(Debug)]
pub(crate) struct Cgroup {
    folder: PathBuf,
}

// === impl Cgroup ===

impl Cgroup {
    /// Makes a cgroup and moves the processes with all their threads into it. Nothing where the
    /// controller is not mounted or the user may not do that, or without processes.
    pub(crate) fn around(pids: &[u32]) -> Option<Self> {
        let first = pids.first()?;
        let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
        let folder = mount_point(&mounts)?.join(format!("loadgen-{first}"));
        std::fs::create_dir(&folder).ok()?;
        let cgroup = Self { folder };
        for pid in pids {
            std::fs::write(cgroup.folder.join("cgroup.procs"), pid.to_string()).ok()?;
        }
        cgroup.usage().is_ok().then_some(cgroup)
    }

    /// CPU time that all members used since they came.
    pub(crate) fn usage(&self) -> Result<Duration, GaugeError> {
        let path = self.folder.join("cpuacct.usage");
        let path = path.to_string_lossy();
        let nanos = read(&path)?.trim().parse().map_err(|_| form(&path))?;
        Ok(Duration::from_nanos(nanos))
    }
}

impl Drop for Cgroup {
    /// Waits a moment for members that were killed and have yet to go. An empty cgroup that
    /// stays behind all the same does no harm.
    fn drop(&mut self) {
        const TRIES: u32 = 50;
        const PAUSE: Duration = Duration::from_millis(4);
        for _ in 0..TRIES {
            match std::fs::remove_dir(&self.folder) {
                Err(error) if error.kind() == ErrorKind::ResourceBusy => std::thread::sleep(PAUSE),
                _ => return,
            }
        }
    }
}

fn mount_point(mounts: &str) -> Option<&Path> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (point, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
        let accounts = kind == "cgroup" && options.split(',').any(|it| it == "cpuacct");
        accounts.then(|| Path::new(point))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_controller_is_found_alone_and_in_company() {
        let alone = "cgroup /sys/fs/cgroup/cpuacct cgroup rw,relatime,cpuacct 0 0";
        let both = "tmpfs /x tmpfs rw 0 0\ncgroup /c/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0";
        let unified = "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0";
        assert_eq!(
            mount_point(alone),
            Some(Path::new("/sys/fs/cgroup/cpuacct"))
        );
        assert_eq!(mount_point(both), Some(Path::new("/c/cpu,cpuacct")));
        assert_eq!(mount_point(unified), None);
    }
}
