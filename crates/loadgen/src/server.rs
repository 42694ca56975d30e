//! The servers under test, as child processes.
//!
//! Owns starting a product on a fresh data directory and free loopback ports, waiting until it
//! answers, and ending it: SIGTERM, and SIGKILL if it does not obey. Keeps the invariant that no
//! process outlives its [`Server`], however that ends, and that nothing else is ever signalled. The
//! data directory goes with [`Server::stop`].

mod cold;
mod copier;
mod distribution;
mod etcd;
mod far;
mod hooks;
mod leader;
mod process;
mod product;
mod region;
mod tracer;
mod wan;
mod world;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use tokio::time::{Instant, interval, timeout};

pub(crate) use copier::Copier;
pub(crate) use far::{Agent, Far};
pub(crate) use hooks::Hooks;
use process::Process;
use product::Layout;
pub(crate) use product::{Product, Programs, version};
pub(crate) use tracer::Tracer;
pub(crate) use wan::Wan;

use crate::affinity::Pinning;
use crate::gauge::Gauge;
use crate::kafka::Stream;
use crate::registry::{Registry, Session};

const START_LIMIT: Duration = Duration::from_secs(60);
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
    #[error("{program} ended before it answered ({status}); its output is in {log}")]
    Ended {
        program: PathBuf,
        status: ExitStatus,
        log: PathBuf,
    },
    #[error("{what} did not answer within {} s; its output is in {logs}", START_LIMIT.as_secs())]
    Silent { what: &'static str, logs: PathBuf },
    #[error("{what} have another leader than at first: writes went a longer way")]
    Moved { what: &'static str },
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

/// A product that runs and answers.
pub(crate) struct Server {
    pub(crate) product: Product,
    name: String,
    ground: Ground,
    folder: PathBuf,
    layout: Layout,
    processes: Vec<Process>,
    /// Who led its group when it began to answer.
    pub(crate) leader: Option<SocketAddr>,
    pub(crate) gauge: Gauge,
}

// === impl Server ===

impl Server {
    /// Starts a product without any data. `name` distinguishes the servers of one ground.
    pub(crate) async fn start(
        product: Product,
        programs: &Programs,
        name: &str,
        ground: &Ground,
    ) -> Result<Self, ServerError> {
        let mut server = Self::lay_out(product, programs, name, ground)?;
        server.launch(None)?;
        server.answers().await?;
        Ok(server)
    }

    /// The same below a tracer, which makes it slow: nothing that is timed may run on it.
    pub(crate) async fn start_traced(
        product: Product,
        programs: &Programs,
        name: &str,
        ground: &Ground,
        tracer: &Tracer,
    ) -> Result<Self, ServerError> {
        let mut server = Self::lay_out(product, programs, name, ground)?;
        server.launch(Some(tracer))?;
        server.answers().await?;
        let mut processes = server.processes.iter_mut();
        processes.try_for_each(Process::find_tracee)?;
        Ok(server)
    }

    fn lay_out(
        product: Product,
        programs: &Programs,
        name: &str,
        ground: &Ground,
    ) -> Result<Self, ServerError> {
        let folder = ground.data.join(name);
        fresh_folder(&folder)?;
        let layout = product.layout(programs, &folder, ground);
        let layout = layout.map_err(prepare(&folder))?;
        Ok(Self {
            product,
            name: name.to_owned(),
            ground: ground.clone(),
            gauge: Gauge::beside(&layout.beside),
            layout,
            folder,
            processes: Vec::new(),
            leader: None,
        })
    }

    /// Where its clients find it, if it is a registry.
    pub(crate) fn registry(&self) -> Registry {
        Registry::behind(&self.layout.doors)
    }

    /// Where its events are read, if they go to Kafka.
    pub(crate) fn stream(&self) -> Option<&Stream> {
        self.layout.stream.as_ref()
    }

    /// The other place, if it has two.
    pub(crate) fn far(&self) -> Option<&Far> {
        self.layout.far.as_ref()
    }

    /// Whom it tells of pushes, if it does.
    pub(crate) fn hooks(&self) -> Option<Hooks> {
        let named = |role| {
            let processes = self.layout.processes.iter().zip(&self.processes);
            let of_role = processes.filter(move |(it, _)| it.name.starts_with(role));
            of_role.filter_map(|(_, process)| process.id()).collect()
        };
        let hooks = self.layout.hooks.clone()?;
        Some(Hooks {
            members: named("metadata"),
            dispatcher: named("webhooks"),
            ..hooks
        })
    }

    /// Starts all its processes, and waits for nothing.
    fn launch(&mut self, tracer: Option<&Tracer>) -> Result<(), ServerError> {
        for prepared in &self.layout.processes {
            let log = format!("{}-{}.log", self.name, prepared.name);
            let log = self.ground.logs.join(log);
            let process = Process::start(prepared, &log, tracer, self.ground.pinning)?;
            self.processes.push(process);
        }
        let pids = self.processes.iter().filter_map(Process::id);
        self.gauge.adopt(pids.collect());
        Ok(())
    }

    async fn answers(&mut self) -> Result<(), ServerError> {
        let Self {
            layout, processes, ..
        } = self;
        tokio::select! {
            leader = layout.answers() => {
                self.leader = leader;
                Ok(())
            }
            ended = first_end(processes) => Err(ended),
            () = tokio::time::sleep(START_LIMIT) => Err(ServerError::Silent {
                what: self.product.name(),
                logs: self.ground.logs.clone(),
            }),
        }
    }

    /// Fails if clients, who know the leader and nobody else, may have been forwarded.
    pub(crate) async fn keeps_its_leader(&self) -> Result<(), ServerError> {
        let what = self.product.name();
        let Some(group) = self
            .layout
            .group
            .as_ref()
            .filter(|_| self.layout.doors.is_empty())
        else {
            return Ok(());
        };
        match timeout(START_LIMIT, leader::of(group)).await {
            Ok(leader) if self.leader == Some(leader) => Ok(()),
            Ok(_) => Err(ServerError::Moved { what }),
            Err(_) => Err(ServerError::Silent {
                what,
                logs: self.ground.logs.clone(),
            }),
        }
    }

    /// Ends its processes, and has nothing of what they keep stay in the page cache.
    pub(crate) async fn freeze(&mut self) -> Result<(), ServerError> {
        self.halt().await?;
        cold::evict(&self.folder).map_err(prepare(&self.folder))
    }

    /// Starts its processes again on what they kept, and waits for nothing.
    pub(crate) fn thaw(&mut self) -> Result<(), ServerError> {
        self.launch(None)
    }

    /// Ends the server and removes its data. Tells the first thing that went wrong.
    pub(crate) async fn stop(mut self) -> Result<(), ServerError> {
        let ended = self.halt().await;
        let removed = std::fs::remove_dir_all(&self.folder).map_err(prepare(&self.folder));
        ended.and(removed)
    }

    /// Ends all its processes at the same time.
    async fn halt(&mut self) -> Result<(), ServerError> {
        self.processes.iter().for_each(Process::terminate);
        let deadline = Instant::now() + STOP_LIMIT;
        let mut ended = Ok(());
        for process in self.processes.drain(..) {
            ended = ended.and(process.end(deadline).await);
        }
        self.gauge.adopt(Vec::new());
        ended
    }
}

// === impl Layout ===

impl Layout {
    /// Returns when it does its work, with the leader of its group.
    async fn answers(&self) -> Option<SocketAddr> {
        let leader = match &self.group {
            Some(group) => Some(leader::of(group).await),
            None => None,
        };
        for door in &self.doors {
            first_answer(&Registry::at(*door)).await;
        }
        if let Some(far) = &self.far {
            first_answer(&far.registry).await;
        }
        leader
    }
}

/// Returns when one of the processes has ended.
async fn first_end(processes: &mut [Process]) -> ServerError {
    let mut poll = interval(POLL);
    loop {
        poll.tick().await;
        if let Err(ended) = processes.iter_mut().try_for_each(Process::still_runs) {
            return ended;
        }
    }
}

async fn first_answer(registry: &Registry) {
    let mut poll = interval(POLL);
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

/// Ports that were free a moment ago, none of them twice. All products want to be told theirs.
fn free_addresses(count: usize) -> io::Result<Vec<SocketAddr>> {
    let bind = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let held: Vec<TcpListener> = (0..count).map(bind).collect::<Result<_, _>>()?;
    held.iter().map(TcpListener::local_addr).collect()
}

fn prepare(path: &Path) -> impl Fn(io::Error) -> ServerError + use<> {
    let path = path.to_owned();
    move |source| ServerError::Prepare {
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn free_addresses_differ() {
        let addresses = free_addresses(8).unwrap();
        assert_eq!(addresses.iter().collect::<BTreeSet<_>>().len(), 8);
    }
}
