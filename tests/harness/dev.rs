//! `meridian dev` as a child process.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::registry::Client;

/// How long a start may take: a data directory that was left by a crash is put in order first.
const START: Duration = Duration::from_secs(60);
/// How long an end may take.
const END: Duration = Duration::from_secs(60);

/// What to start.
#[derive(Debug, Clone)]
pub struct DevBuilder {
    data_dir: PathBuf,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
}

/// A running registry.
pub struct Dev {
    child: Child,
    base: String,
}

/// A registry that ended before it served.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// What it said on standard error.
    pub said: String,
}

/// The binary under test.
///
/// # Panics
///
/// When it was not built.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    let binary = folder.join("meridian");
    assert!(
        binary.is_file(),
        "{} is missing: run `cargo build --workspace --features meridian/failpoints` first",
        binary.display()
    );
    binary
}

// === impl DevBuilder ===

impl DevBuilder {
    /// A registry with its data in `data_dir`, on a free port, that keeps no garbage for long.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            environment: Vec::new(),
            arguments: Vec::new(),
        }
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a command-line argument.
    #[must_use]
    pub fn arg(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Starts it and waits until it serves.
    ///
    /// # Errors
    ///
    /// How it ended, if it did not get that far.
    pub fn try_start(&self) -> Result<Dev, Ended> {
        let mut child = Command::new(binary())
            .arg("dev")
            .args(["--listen", "127.0.0.1:0"])
            .arg("--data-dir")
            .arg(&self.data_dir)
            .args(&self.arguments)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = listen(child.stderr.take().unwrap(), |line| eprintln!("  | {line}"));
        let lines = listen(child.stdout.take().unwrap(), |_| {});
        let deadline = Instant::now() + START;
        let mut base = None;
        while base.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) => base = address(&line),
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    let status = child.wait().unwrap();
                    let said = said.iter().collect::<Vec<_>>().join("\n");
                    return Err(Ended { status, said });
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    panic!("`meridian dev` does not serve within {START:?}");
                }
            }
        }
        Ok(Dev {
            child,
            base: base.unwrap(),
        })
    }

    /// Starts it and waits until it serves.
    ///
    /// # Panics
    ///
    /// When it does not.
    #[track_caller]
    pub fn start(&self) -> Dev {
        match self.try_start() {
            Ok(dev) => dev,
            Err(ended) => panic!("`meridian dev` ended with {}:\n{}", ended.status, ended.said),
        }
    }
}

/// The address in the line that says where it listens.
fn address(line: &str) -> Option<String> {
    let start = line.find("http://").or_else(|| line.find("https://"))?;
    let address = line[start..].split_whitespace().next()?;
    Some(address.trim_end_matches('/').to_owned())
}

/// Reads lines in the background, so that the child never waits for a reader.
fn listen(
    pipe: impl std::io::Read + Send + 'static,
    echo: impl Fn(&str) + Send + 'static,
) -> mpsc::Receiver<String> {
    let (send, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            echo(&line);
            // Nobody may be listening any more; the pipe is emptied all the same.
            drop(send.send(line));
        }
    });
    lines
}

// === impl Dev ===

impl Dev {
    /// Where it serves, such as `http://127.0.0.1:41234`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// `host:port`.
    pub fn host(&self) -> &str {
        self.base.split_once("://").unwrap().1
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        Client::new(self.base.clone())
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, without any cleaning up.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(mut self) -> ExitStatus {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
        self.wait(END).expect("`meridian dev` does not stop")
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self, deadline: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + deadline;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            if Instant::now() > end {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
