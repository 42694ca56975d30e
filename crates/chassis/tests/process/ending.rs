//! How a process ends. The ignored tests are the processes: each is run by the test before it.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use meridian_chassis::telemetry::{Format, TelemetryConfig};
use meridian_chassis::{Supervisor, panic_hook, signals, telemetry};
use rustix::process::{Pid, Signal, kill_process};

use crate::TURN;

struct Process {
    child: Child,
    log: BufReader<ChildStderr>,
}

impl Process {
    fn start(test: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--ignored", "--nocapture"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Self { child, log }
    }

    /// Reads the log up to a line with `text`.
    fn read_until(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert!(self.log.read_line(&mut line).unwrap() > 0, "no {text:?}");
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }
}

fn install() {
    let config = TelemetryConfig {
        format: Format::Human,
        ..TelemetryConfig::default()
    };
    let traces = telemetry::TraceConfig::default();
    let _telemetry = telemetry::install(&config, &traces, "test").unwrap();
    panic_hook::install();
}

#[test]
fn a_panic_in_any_task_is_logged_and_aborts() {
    let _turn = TURN.lock();
    let mut process = Process::start("ending::panics");
    process.read_until("out of cheese");
    let status = process.child.wait().unwrap();
    assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()));
}

#[tokio::test]
#[ignore = "a process that other tests start"]
async fn panics() {
    install();
    let supervisor = Supervisor::new();
    supervisor.spawn("clumsy", async { panic!("out of cheese") });
    let _ended = supervisor.run(std::future::pending(), Duration::ZERO).await;
}

#[test]
fn the_first_signal_asks_and_the_second_ends() {
    let _turn = TURN.lock();
    for (first, second, code) in [
        (Signal::TERM, Signal::TERM, 143),
        (Signal::TERM, Signal::INT, 130),
    ] {
        let mut process = Process::start("ending::is_deaf");
        process.read_until("ready");
        process.signal(first);
        process.read_until("asked to stop");
        process.signal(second);
        process.read_until("a second time");
        assert_eq!(process.child.wait().unwrap().code(), Some(code));
    }
}

#[tokio::test]
#[ignore = "a process that other tests start"]
async fn is_deaf() {
    install();
    let stop = signals();
    let supervisor = Supervisor::new();
    supervisor.spawn("deaf", std::future::pending());
    tracing::info!("ready");
    let _ended = supervisor.run(stop, Duration::from_secs(60)).await;
}
