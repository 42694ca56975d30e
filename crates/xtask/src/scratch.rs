//! A folder for what a run leaves behind, and the end of it.
//!
//! Everything that a command starts keeps its data here, so that one removal cleans up. A run that
//! was itself killed leaves its folder, its services and their mounts; the next run finds them by the
//! dead run's id in the folder's name and ends them. Folders of living runs are left alone.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::process::Service;

const PREFIX: &str = "meridian-xtask.";
/// Names the services of a run, so that a later one can end them.
const SERVICES: &str = "services";

pub(crate) struct Scratch {
    dir: TempDir,
}

impl Scratch {
    pub(crate) fn new() -> Result<Self> {
        sweep(&std::env::temp_dir());
        let dir = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{}.", std::process::id()))
            .tempdir()
            .context("no temporary folder")?;
        Ok(Self { dir })
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A folder of that name, made if it is not there.
    pub(crate) fn dir(&self, name: &str) -> Result<PathBuf> {
        let dir = self.path().join(name);
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        Ok(dir)
    }

    /// Notes a service that keeps its data here.
    pub(crate) fn note(&self, service: &Service) -> Result<()> {
        let mut file = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path().join(SERVICES))?;
        writeln!(file, "{}", service.id())?;
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        unmount(self.path());
    }
}

/// Removes what dead runs left in `parent`. Not being able to is no reason to stop.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let dir = entry.path();
        if owner(&dir).is_some_and(|owner| !alive(owner)) {
            end_services(&dir);
            unmount(&dir);
            if let Err(error) = fs::remove_dir_all(&dir) {
                eprintln!("cannot remove {}: {error}", dir.display());
            }
        }
    }
}

/// The run that a folder belongs to, by its name.
fn owner(dir: &Path) -> Option<u32> {
    let name = dir.file_name()?.to_str()?;
    name.strip_prefix(PREFIX)?.split('.').next()?.parse().ok()
}

fn alive(id: u32) -> bool {
    Path::new("/proc").join(id.to_string()).exists()
}

/// Ends the services that were noted in `dir`: those among them whose command line names it, since
/// the others' ids belong to strangers by now.
fn end_services(dir: &Path) {
    let noted = fs::read_to_string(dir.join(SERVICES)).unwrap_or_default();
    for id in noted.lines().filter_map(|line| line.parse::<i32>().ok()) {
        let command = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&command).contains(&*dir.to_string_lossy())
            && let Some(leader) = Pid::from_raw(id)
        {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// Engines mount below their data folders; what is still mounted there cannot be removed.
fn unmount(dir: &Path) {
    let table = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut below: Vec<&str> = table
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .filter(|point| Path::new(point).starts_with(dir))
        .collect();
    below.sort_unstable();
    for point in below.into_iter().rev() {
        // Not a `Program`: those are refused after Ctrl-C, and this is the cleaning up.
        let unmounted = Command::new("umount").args(["--lazy", point]).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("cannot unmount {point}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_run_is_swept_and_a_living_one_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let dead = parent.path().join(format!("{PREFIX}{}.abc", child.id()));
        let ours = parent
            .path()
            .join(format!("{PREFIX}{}.abc", std::process::id()));
        let other = parent.path().join("somebody-else");
        for dir in [&dead, &ours, &other] {
            fs::create_dir(dir).unwrap();
        }
        sweep(parent.path());
        assert!(!dead.exists());
        assert!(ours.exists());
        assert!(other.exists());
    }

    #[test]
    fn a_folder_names_its_owner() {
        assert_eq!(owner(Path::new("/tmp/meridian-xtask.12.x")), Some(12));
        assert_eq!(owner(Path::new("/tmp/meridian-xtask.x.12")), None);
        assert_eq!(owner(Path::new("/tmp/another.12.x")), None);
    }
}
