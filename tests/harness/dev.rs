//! `meridian dev`, or `meridian run`, as a child process.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, mpsc};
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
    /// What starts the binary, if it is not started as it is.
    wrapper: Vec<String>,
    command: Vec<String>,
    listen: Option<String>,
    data_dir: PathBuf,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
}

/// A running registry.
#[derive(Debug)]
pub struct Dev {
    child: Child,
    base: String,
    /// What it says on standard error.
    said: Mutex<mpsc::Receiver<String>>,
    /// What it prints after the line that says where it serves.
    told: Mutex<mpsc::Receiver<String>>,
}

/// A process that was started, and may not serve yet.
pub struct Starting {
    dev: Dev,
    /// What the line says from which its address is taken.
    wanted: &'static str,
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
    let this = std::env::current_exe().unwrap();
    let folder = this.parent().unwrap();
    // Test programs lie in a folder of their own beside the programs.
    let folder = match folder.ends_with("deps") {
        true => folder.parent().unwrap(),
        false => folder,
    };
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
            wrapper: Vec::new(),
            command: vec!["dev".to_owned()],
            listen: Some("127.0.0.1:0".to_owned()),
            data_dir: data_dir.into(),
            environment: Vec::new(),
            arguments: Vec::new(),
        }
    }

    /// Services as a process of their own, with their data in `data_dir`. One service listens on a
    /// free port; several listen where the settings say.
    pub fn run(services: &[&str], data_dir: impl Into<PathBuf>) -> Self {
        let mut command = vec!["run".to_owned()];
        command.extend(services.iter().map(ToString::to_string));
        let dev = Self::new(data_dir);
        Self {
            listen: dev.listen.filter(|_| services.len() == 1),
            command,
            ..dev
        }
    }

    /// Listens there instead of on a free port.
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = Some(address.into());
        self
    }

    /// Has no port.
    #[must_use]
    pub fn portless(mut self) -> Self {
        self.listen = None;
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Has another program start it: one that becomes it, such as `ip netns exec NAME`.
    #[must_use]
    pub fn within(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(ToString::to_string).collect();
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
        self.launch().ready()
    }

    /// Starts it and waits for nothing.
    pub fn launch(&self) -> Starting {
        let address = self.listen.iter().flat_map(|to| ["--listen", to]);
        let mut program = self.wrapper.iter().map(PathBuf::from).chain([binary()]);
        let mut child = Command::new(program.next().unwrap())
            .args(program)
            .args(&self.command)
            .args(address)
            .arg("--data-dir")
            .arg(&self.data_dir)
            .args(&self.arguments)
            .envs(self.environment.iter().cloned())
            // Of those tests that may have a server of their own: it looks like a setting.
            .env_remove("MERIDIAN_TEST_ADDR")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = listen(child.stderr.take().unwrap(), |line| eprintln!("  | {line}"));
        let told = listen(child.stdout.take().unwrap(), |_| {});
        let base = String::new();
        let (said, told) = (Mutex::new(said), Mutex::new(told));
        // Of several services, clients want the one that speaks with them.
        let is_among = self.command.iter().any(|service| service == "frontend");
        Starting {
            dev: Dev {
                child,
                base,
                said,
                told,
            },
            wanted: if is_among { "frontend" } else { "" },
        }
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
            Err(ended) => panic!("it ended with {}:\n{}", ended.status, ended.said),
        }
    }
}

/// The address in the line that says where it listens.
fn address(line: &str) -> Option<String> {
    let schemes = ["http://", "https://", "unix:"];
    let start = schemes.iter().find_map(|scheme| line.find(scheme))?;
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

/// The next line that contains `word`.
fn log_line(said: &mpsc::Receiver<String>, word: &str) -> String {
    let deadline = Instant::now() + START;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = said.recv_timeout(left);
        let line = line.unwrap_or_else(|_| panic!("no line that it prints has `{word}`"));
        if line.contains(word) {
            return line;
        }
    }
}

// === impl Starting ===

impl Starting {
    /// Waits until it serves.
    ///
    /// # Errors
    ///
    /// How it ended, if it did not get that far.
    pub fn ready(mut self) -> Result<Dev, Ended> {
        let deadline = Instant::now() + START;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.dev.told.lock().unwrap().recv_timeout(left);
            let wanted = |line: String| Some(line).filter(|line| line.contains(self.wanted));
            match line.map(|line| wanted(line).as_deref().and_then(address)) {
                Ok(Some(base)) => {
                    self.dev.base = base;
                    return Ok(self.dev);
                }
                Ok(None) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    let status = self.dev.child.wait().unwrap();
                    let said = self.dev.said();
                    return Err(Ended { status, said });
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    panic!("it does not serve within {START:?}");
                }
            }
        }
    }

    /// The next line of its log that contains `word`.
    pub fn log_line(&self, word: &str) -> String {
        log_line(&self.dev.said.lock().unwrap(), word)
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !self.dev.is_running()
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(self) -> ExitStatus {
        self.dev.stop()
    }
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

    /// The next line of its log that contains `word`. Waits for it, on this thread.
    pub fn log_line(&self, word: &str) -> String {
        log_line(&self.said.lock().unwrap(), word)
    }

    /// The address in the next line that it prints which contains `word`, such as that of its data
    /// endpoint. Waits for it, on this thread.
    pub fn place(&self, word: &str) -> String {
        address(&log_line(&self.told.lock().unwrap(), word)).unwrap()
    }

    /// The next line that it prints which contains `word`. Waits for it, on this thread.
    pub fn told_line(&self, word: &str) -> String {
        log_line(&self.told.lock().unwrap(), word)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, without any cleaning up.
    pub fn kill(mut self) {
        self.end();
    }

    /// The same, for one that is asked about afterwards. It may have ended by itself.
    pub fn end(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Has it stand still, as a machine that is starved of time does, until [`Dev::go_on`].
    pub fn pause(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).unwrap();
    }

    /// Has it go on.
    pub fn go_on(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).unwrap();
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(mut self) -> ExitStatus {
        self.ask_to_stop();
        self.wait(END).expect("`meridian dev` does not stop")
    }

    /// Asks it to stop.
    pub fn ask_to_stop(&self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
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

    /// What it has said on standard error that nobody has asked for yet. Waits until it has ended.
    pub fn said(&self) -> String {
        let said = self.said.lock().unwrap();
        said.iter().collect::<Vec<_>>().join("\n")
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
