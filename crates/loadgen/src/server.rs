//! The registries under test, as child processes.
//!
//! Owns starting one on a fresh data directory and a free loopback port, waiting until it answers,
//! and ending it: SIGTERM, and SIGKILL if it does not obey. Keeps the invariant that no process
//! outlives its [`Server`], however that ends, and that nothing else is ever signalled. The data
//! directory goes with [`Server::stop`].

mod product;
mod tracer;

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::timeout;

pub(crate) use product::{Product, Software};
use tracer::Tracee;
pub(crate) use tracer::Tracer;

use crate::affinity::Pinning;
use crate::gauge::Gauge;
use crate::registry::{Registry, Session};

const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(20);

/// Why a server could not be started or ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    #[error("cannot prepare {path}")]
    Prepare {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot start {program}")]
    Spawn {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("no free port")]
    Port(#[source] io::Error),
    #[error("{program} ended before it answered ({status}); its output is in {log}")]
    Ended {
        program: PathBuf,
        status: ExitStatus,
        log: PathBuf,
    },
    #[error("{program} did not answer GET /v2/ within {} s; its output is in {log}", START_LIMIT.as_secs())]
    Silent { program: PathBuf, log: PathBuf },
    #[error("{program} was not found below its tracer")]
    Lost { program: PathBuf },
    #[error("cannot wait for {program}")]
    Wait {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Where servers are started.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    /// Data directories are made here, and removed.
    pub(crate) data: PathBuf,
    /// Servers' output is kept here.
    pub(crate) logs: PathBuf,
    pub(crate) pinning: Option<Pinning>,
}

/// A registry that runs and answers.
pub(crate) struct Server {
    program: PathBuf,
    /// Declared before the child, which is its tracer: it must go first.
    tracee: Option<Tracee>,
    child: Child,
    folder: PathBuf,
    pub(crate) registry: Registry,
    pub(crate) gauge: Gauge,
}

// === impl Server ===

impl Server {
    /// Starts a registry without any data. `name` distinguishes the servers of one ground.
    pub(crate) async fn start(
        software: &Software,
        name: &str,
        ground: &Ground,
    ) -> Result<Self, ServerError> {
        Self::launch(software, name, ground, None).await
    }

    /// The same below a tracer, which makes it slow: nothing that is timed may run on it.
    pub(crate) async fn start_traced(
        software: &Software,
        name: &str,
        ground: &Ground,
        tracer: &Tracer,
    ) -> Result<Self, ServerError> {
        Self::launch(software, name, ground, Some(tracer)).await
    }

    async fn launch(
        software: &Software,
        name: &str,
        ground: &Ground,
        tracer: Option<&Tracer>,
    ) -> Result<Self, ServerError> {
        let folder = ground.data.join(name);
        let log = ground.logs.join(format!("{name}.log"));
        fresh_folder(&folder)?;
        let address = free_address().map_err(ServerError::Port)?;
        let prepared = software
            .prepare(&folder, address)
            .map_err(prepare(&folder))?;
        let mut command = match tracer {
            Some(tracer) => tracer.around(&prepared),
            None => prepared.command(),
        };
        let append = File::options().create(true).append(true).open(&log);
        let output = append.map_err(prepare(&log))?;
        let errors = output.try_clone().map_err(prepare(&log))?;
        command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .kill_on_drop(true);
        let child = spawn(&mut command, ground.pinning).map_err(|source| ServerError::Spawn {
            program: software.binary.clone(),
            source,
        })?;
        let gauge = child.id().map_or_else(|| Gauge::of(0), Gauge::adopt);
        let mut server = Self {
            program: software.binary.clone(),
            tracee: None,
            child,
            folder,
            registry: Registry::at(address),
            gauge,
        };
        server.answers(&log).await?;
        if tracer.is_some() {
            let tracee = server.child.id().and_then(Tracee::below);
            let program = software.binary.clone();
            server.tracee = Some(tracee.ok_or(ServerError::Lost { program })?);
        }
        Ok(server)
    }

    async fn answers(&mut self, log: &Path) -> Result<(), ServerError> {
        let (registry, program) = (self.registry.clone(), self.program.clone());
        let log = log.to_owned();
        tokio::select! {
            () = first_answer(&registry) => Ok(()),
            status = self.child.wait() => Err(match status {
                Ok(status) => ServerError::Ended { program, status, log },
                Err(source) => ServerError::Wait { program, source },
            }),
            () = tokio::time::sleep(START_LIMIT) => Err(ServerError::Silent { program, log }),
        }
    }

    /// Ends the server and removes its data.
    pub(crate) async fn stop(mut self) -> Result<(), ServerError> {
        let wait = |source| ServerError::Wait {
            program: self.program.clone(),
            source,
        };
        let child = || Pid::from_raw(i32::try_from(self.child.id()?).ok()?);
        if let Some(pid) = self.tracee.as_ref().map_or_else(child, Tracee::pid) {
            // A process that ended by itself is waited for all the same.
            let _gone = kill_process(pid, Signal::TERM);
        }
        match timeout(STOP_LIMIT, self.child.wait()).await {
            Ok(status) => {
                status.map_err(wait)?;
                // What it traced has ended with it; its number may be anybody's.
                if let Some(tracee) = self.tracee.take() {
                    tracee.forget();
                }
            }
            Err(_) => self.child.kill().await.map_err(wait)?,
        }
        std::fs::remove_dir_all(&self.folder).map_err(prepare(&self.folder))
    }
}

/// Starts the child on the servers' CPU, so that all its threads stay there.
fn spawn(command: &mut Command, pinning: Option<Pinning>) -> io::Result<Child> {
    match pinning {
        Some(pinning) => pinning.on_servers_cpu(|| command.spawn()),
        None => command.spawn(),
    }
}

async fn first_answer(registry: &Registry) {
    let mut poll = tokio::time::interval(POLL);
    loop {
        poll.tick().await;
        if let Ok(mut session) = Session::open(registry).await
            && session.ping().await.is_ok()
        {
            return;
        }
    }
}

fn fresh_folder(folder: &Path) -> Result<(), ServerError> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => std::fs::create_dir_all(folder),
    }
    .map_err(prepare(folder))
}

/// A port that was free a moment ago. Both products want to be told one.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn prepare(path: &Path) -> impl Fn(io::Error) -> ServerError + use<> {
    let path = path.to_owned();
    move |source| ServerError::Prepare {
        path: path.clone(),
        source,
    }
}
