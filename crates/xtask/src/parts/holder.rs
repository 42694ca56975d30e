//! The process that owns the parts between `parts up` and `parts down`.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::file::Description;
use super::{Options, Parts, VARIABLE};
use crate::process::interrupt;
use crate::workspace::Workspace;

const START_LIMIT: Duration = Duration::from_mins(3);
const END_LIMIT: Duration = Duration::from_mins(1);
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Starts an owner, and leaves it when the parts have answered.
pub(super) fn up(options: Options, workspace: &Workspace) -> Result<()> {
    let file = file(workspace);
    if let Some(owner) = owner(&file)? {
        bail!("parts are up already, owned by process {owner}; `cargo xtask parts down` ends them");
    }
    let log = workspace.cache().join("parts.log");
    fs::create_dir_all(workspace.cache())?;
    let said = File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
    let mut holder = Command::new(std::env::current_exe()?)
        .args(["parts", "hold", "--brokers", &options.brokers.to_string()])
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said)
        // Of its own, so that Ctrl-C here does not reach it.
        .process_group(0)
        .spawn()
        .context("the owner of the parts cannot be started")?;
    if let Err(error) = wait_for(&mut holder, &file) {
        let _ = kill_process(Pid::from_child(&holder), Signal::TERM);
        let _ = holder.wait();
        let said = fs::read_to_string(&log).unwrap_or_default();
        bail!("{error:#}\n{said}");
    }
    print!("{}", fs::read_to_string(&file)?);
    println!("\nfor tests: {VARIABLE}={}", file.display());
    Ok(())
}

fn wait_for(holder: &mut Child, file: &Path) -> Result<()> {
    let begun = Instant::now();
    while !Description::read(file).is_ok_and(|parts| parts.owner == holder.id()) {
        if let Some(status) = holder.try_wait()? {
            bail!("the parts do not start: {status}");
        }
        if interrupt::struck() || begun.elapsed() > START_LIMIT {
            bail!("the parts are not up after {} s", begun.elapsed().as_secs());
        }
        thread::sleep(BETWEEN_LOOKS);
    }
    Ok(())
}

/// Owns `parts` until it is told to end.
pub(super) fn hold(parts: &Parts, workspace: &Workspace) -> Result<()> {
    let file = file(workspace);
    Description::read(parts.file())?.write(&file)?;
    while !interrupt::struck() {
        thread::sleep(BETWEEN_LOOKS);
    }
    fs::remove_file(&file)?;
    Ok(())
}

/// Ends the owner, and waits until it has gone.
pub(super) fn down(workspace: &Workspace) -> Result<()> {
    let file = file(workspace);
    let Some(owner) = owner(&file)? else {
        println!("no parts are up");
        return Ok(());
    };
    let pid = i32::try_from(owner).ok().and_then(Pid::from_raw);
    kill_process(pid.context("no process has that id")?, Signal::TERM)?;
    let begun = Instant::now();
    while is_owner(owner) {
        if begun.elapsed() > END_LIMIT {
            bail!("process {owner}, which owns the parts, does not end");
        }
        thread::sleep(BETWEEN_LOOKS);
    }
    println!("the parts have ended");
    Ok(())
}

fn file(workspace: &Workspace) -> PathBuf {
    workspace.cache().join("parts.toml")
}

/// The owner that the file names, if it lives. A file that a killed owner left is removed; its parts
/// end with the next command that makes a scratch folder.
fn owner(file: &Path) -> Result<Option<u32>> {
    let missing = |error: &anyhow::Error| {
        let error = error.downcast_ref::<std::io::Error>();
        error.is_some_and(|error| error.kind() == ErrorKind::NotFound)
    };
    match Description::read(file) {
        Ok(parts) if is_owner(parts.owner) => Ok(Some(parts.owner)),
        Ok(_) => {
            fs::remove_file(file)?;
            Ok(None)
        }
        Err(error) if missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a process of that id is one that holds parts, and not a stranger that got the id.
fn is_owner(id: u32) -> bool {
    let command = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    let mut words = command.split(|byte| *byte == 0);
    words.any(|word| word == b"parts") && words.next().is_some_and(|word| word == b"hold")
}
