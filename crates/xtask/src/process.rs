//! Runs other programs.
//!
//! Owns the rule that no program outlives its use: each has a deadline, runs in a process group of
//! its own, and the whole group ends with it, with a [`Service`] that is dropped, or with Ctrl-C.
//! What to run, and what its answer means, is left to the commands.

mod group;
pub(crate) mod interrupt;
mod service;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use group::Group;
pub(crate) use service::Service;

/// How much of what a failed program said is shown.
const SHOWN: u64 = 8 << 10;
/// How much of an answer is kept in memory.
const KEPT: u64 = 16 << 20;

/// A program, its arguments, and how long it may take.
pub(crate) struct Program {
    command: Command,
    limit: Duration,
}

impl Program {
    /// Two minutes, unless [`Program::limit`] says otherwise.
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        Self {
            command,
            limit: Duration::from_mins(2),
        }
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub(crate) fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn without_env(mut self, name: impl AsRef<OsStr>) -> Self {
        self.command.env_remove(name);
        self
    }

    pub(crate) fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it to its end; what it says goes where our own words go.
    pub(crate) fn run(mut self) -> Result<()> {
        let shown = self.shown();
        let status = self.wait(&shown)?;
        if !status.success() {
            bail!("{shown}: {status}");
        }
        Ok(())
    }

    /// Runs it to its end and returns its standard output; a failure shows the end of all it said.
    pub(crate) fn output(self) -> Result<String> {
        let shown = self.shown();
        let said = self.said()?;
        if !said.status.success() {
            bail!(
                "{shown}: {}\n{}{}",
                said.status,
                said.stderr,
                end_of(&said.stdout)
            );
        }
        Ok(said.stdout)
    }

    /// Runs it to its end, which may be a failure, and returns what it said.
    pub(crate) fn said(mut self) -> Result<Said> {
        let shown = self.shown();
        // Files, not pipes: nothing blocks on a reader, and nobody who inherits them keeps us waiting.
        let mut stdout = tempfile::tempfile().context("no temporary file")?;
        let mut stderr = tempfile::tempfile().context("no temporary file")?;
        self.command.stdout(stdout.try_clone()?);
        self.command.stderr(stderr.try_clone()?);
        let status = match self.wait(&shown) {
            Ok(status) => status,
            Err(error) => bail!("{error:#}\n{}", tail(&mut stderr)?),
        };
        stdout.rewind()?;
        let mut answer = Vec::new();
        stdout.take(KEPT).read_to_end(&mut answer)?;
        Ok(Said {
            status,
            stdout: String::from_utf8_lossy(&answer).into_owned(),
            stderr: tail(&mut stderr)?,
        })
    }

    /// Starts it beside us; everything it says goes to `log`.
    pub(crate) fn start(mut self, log: &Path) -> Result<Service> {
        let shown = self.command.get_program().to_string_lossy().into_owned();
        let file = File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
        self.command.stdout(file.try_clone()?).stderr(file);
        let group = Group::start(&mut self.command).with_context(|| shown.clone())?;
        Ok(Service::new(shown, group, log))
    }

    fn wait(&mut self, shown: &str) -> Result<ExitStatus> {
        let group = Group::start(&mut self.command).with_context(|| shown.to_owned())?;
        let begun = Instant::now();
        let ended = group.wait(self.limit);
        interrupt::check()?;
        match ended {
            Some(status) => status.with_context(|| shown.to_owned()),
            None => {
                group.kill();
                bail!("{shown}: not done after {} s", begun.elapsed().as_secs());
            }
        }
    }

    fn shown(&self) -> String {
        let words = std::iter::once(self.command.get_program()).chain(self.command.get_args());
        words
            .map(OsStr::to_string_lossy)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// What a program said.
pub(crate) struct Said {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The first program of that name in `PATH` or where administrators' programs lie.
pub(crate) fn find(name: &str) -> Option<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(Into::into))
        .map(|dir| dir.join(name))
        .find(|program| program.is_file())
        .map(Into::into)
}

/// An address of loopback that was free a moment ago; who is to have it fails loudly if it is not.
pub(crate) fn free_address() -> Result<String> {
    let [address] = free_addresses()?;
    Ok(address)
}

/// Several, all different.
pub(crate) fn free_addresses<const N: usize>() -> Result<[String; N]> {
    free_addresses_at(Ipv4Addr::LOCALHOST)
}

/// The same, at another address of loopback.
pub(crate) fn free_addresses_at<const N: usize>(host: Ipv4Addr) -> Result<[String; N]> {
    let listen = || TcpListener::bind((host, 0)).context("no free port");
    let listeners: Vec<TcpListener> = (0..N).map(|_| listen()).collect::<Result<_>>()?;
    let mut addresses = [const { String::new() }; N];
    for (address, listener) in addresses.iter_mut().zip(&listeners) {
        *address = listener.local_addr()?.to_string();
    }
    Ok(addresses)
}

fn tail(file: &mut File) -> Result<String> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(SHOWN)))?;
    let mut bytes = Vec::new();
    file.take(SHOWN).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn end_of(text: &str) -> &str {
    let start = text.len().saturating_sub(4096);
    let start = (start..text.len()).find(|at| text.is_char_boundary(*at));
    start.map_or("", |start| &text[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        Program::new("sh").args(["-c", script])
    }

    #[test]
    fn output_is_what_the_program_wrote() {
        assert_eq!(
            shell("printf hello; printf no >&2").output().unwrap(),
            "hello"
        );
    }

    #[test]
    fn a_failure_shows_what_was_said() {
        let error = shell("echo because >&2; exit 3").output().unwrap_err();
        assert!(error.to_string().contains("because"), "{error}");
        assert!(error.to_string().contains("exit status: 3"), "{error}");
    }

    #[test]
    fn a_deadline_ends_the_whole_group() {
        let begun = Instant::now();
        let error = shell("echo started >&2; sleep 60 & sleep 60")
            .limit(Duration::from_millis(200))
            .output()
            .unwrap_err();
        assert!(format!("{error:#}").contains("not done after"), "{error:#}");
        assert!(format!("{error:#}").contains("started"), "{error:#}");
        assert!(begun.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn what_a_program_leaves_behind_ends_with_it() {
        let pid = shell("sleep 60 >/dev/null 2>&1 & printf $!")
            .output()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut gone = false;
        while !gone && Instant::now() < deadline {
            std::thread::yield_now();
            let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
            gone = status.map_or(true, |status| status.contains("State:\tZ"));
        }
        assert!(gone, "process {pid} is still here");
    }

    #[test]
    fn a_service_ends_when_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let mut service = shell("echo up; exec sleep 60").start(&log).unwrap();
        assert!(service.ended().is_none());
        let begun = Instant::now();
        drop(service);
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}
