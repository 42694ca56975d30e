//! A process of Meridian, from its settings to its end, whichever services it runs.
//!
//! Owns the order: what can be wrong with the settings is looked at before anything is opened, then
//! the data directory is taken, then each service is started after those that it calls, and what
//! the process is gets told when it does its work. A service that runs here is called directly, one
//! that does not over gRPC; nobody can tell which. A process may be several regions, each of which
//! lives as if it were alone, until the first of them ends. Leaves to the services what they do.
//!
//! ```text
//! settings ── doors bound ── identity read ── others found ── directory taken ── metadata ── blob
//!          ── agent ── dispatcher ── frontend ── told
//! ```

mod abroad;
mod agents;
mod caches;
mod data;
mod directory;
mod doors;
mod embedded;
mod judge;
mod metrics;
mod others;
mod services;
mod stage;
mod webhooks;

use std::path::PathBuf;
use std::pin::pin;

use futures::future::join_all;
use meridian_chassis::grpc::Port;
use meridian_chassis::http::{ListenAddress, Listener};
use meridian_chassis::identity::{Identity, Reach};
use meridian_chassis::telemetry::Telemetry;
use meridian_chassis::token::Tokens;
use meridian_chassis::{Supervisor, panic_hook, probes, signals, telemetry};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::exit::Exit;
use crate::role::{Cast, Role};
pub(crate) use abroad::{Abroad, Shelf};
pub(crate) use directory::Directory;
use doors::Doors;
use others::Others;
use services::Services;
use stage::Stage;

pub(crate) use directory::admin_socket;

/// Where a process listens, and where its data lie.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) frontend: Vec<ListenAddress>,
    pub(crate) is_tls: bool,
    pub(crate) is_mutual: bool,
    pub(crate) blob: Vec<ListenAddress>,
    pub(crate) data: Vec<ListenAddress>,
    pub(crate) is_data_tls: bool,
    pub(crate) metadata: Vec<ListenAddress>,
    pub(crate) replication: Vec<ListenAddress>,
    pub(crate) peers: Vec<ListenAddress>,
    /// Where operators find the dispatcher of webhooks, which has no port of its own.
    pub(crate) webhooks: Option<ListenAddress>,
    pub(crate) management: Vec<ListenAddress>,
    pub(crate) is_managed_by_tls: bool,
    pub(crate) data_dir: Option<PathBuf>,
}

/// A region that a process is, or the part of one.
pub(crate) struct Installation {
    pub(crate) config: Config,
    pub(crate) cast: Cast,
    /// What it has of regions that run in the same process.
    pub(crate) abroad: Abroad,
    /// Called when it does its work.
    pub(crate) tell: Tell,
}

/// Says what a process is.
pub(crate) type Tell = Box<dyn FnOnce(&Places) + Send>;

/// The other processes of the region, and who this one is to them.
struct Peers {
    others: Others,
    identity: Option<Identity>,
    has_reflection: bool,
    /// What operators show.
    tokens: Option<Tokens>,
}

/// Serves until it is asked to stop. `tell` is called when the process does its work.
pub(crate) async fn serve(config: Config, cast: Cast, tell: fn(&Places)) -> Result<(), Exit> {
    let installation = Installation {
        config,
        cast,
        abroad: Abroad::default(),
        tell: Box::new(tell),
    };
    serve_all(vec![installation]).await
}

/// Serves several regions in one process; what is logged, and where traces go, is as the first says.
/// With the end of one, for whatever reason, all end.
pub(crate) async fn serve_all(installations: Vec<Installation>) -> Result<(), Exit> {
    let Some(Installation { config, cast, .. }) = installations.first() else {
        return Ok(());
    };
    let telemetry = telemetry::install(&config.log, &config.telemetry, &cast.to_string());
    let mut telemetry = telemetry.map_err(|error| Exit::classified(&error))?;
    panic_hook::install();
    let ended = live_together(installations, &mut telemetry).await;
    telemetry.close().await;
    ended
}

async fn live_together(
    installations: Vec<Installation>,
    telemetry: &mut Telemetry,
) -> Result<(), Exit> {
    let stop = CancellationToken::new();
    let mut asked = pin!(signals());
    let mut lives = Vec::new();
    for installation in installations {
        lives.push(Life::prepare(installation, telemetry)?);
    }
    let lives = lives.into_iter().map(|life| {
        let stop = stop.clone();
        async move {
            let _all = stop.clone().drop_guard();
            Box::pin(life.run(stop)).await
        }
    });
    let mut ended = pin!(join_all(lives));
    let ended = tokio::select! {
        ended = &mut ended => ended,
        () = &mut asked => {
            stop.cancel();
            ended.await
        }
    };
    ended.into_iter().collect()
}

/// A region between its settings and its end.
struct Life {
    installation: Installation,
    doors: Doors,
    peers: Peers,
    directory: Option<Directory>,
    supervisor: Supervisor,
}

/// By what the processes of the region know this one, if it speaks with any.
fn identity(config: &Config, cast: &Cast) -> Result<Option<Identity>, Exit> {
    let Some(settings) = config.identity.clone().filter(|_| cast.has_peers()) else {
        return Ok(None);
    };
    let roles: Vec<_> = cast.roles().map(Role::identity).collect();
    let identity = Identity::load(settings, config.region, &roles);
    identity.map(Some).map_err(|error| Exit::classified(&error))
}

fn data_dir(config: &Config) -> Result<PathBuf, Exit> {
    config.data_dir.clone().ok_or_else(|| {
        Exit::misconfigured("data_dir: missing; name a directory for the data with --data-dir")
    })
}

/// Says what this process is when it does its work: not before.
fn announce(places: Places, tell: Tell, supervisor: &Supervisor) {
    let (readiness, stop) = (supervisor.readiness().clone(), supervisor.token());
    supervisor.spawner().spawn_child("announce", async move {
        if stop.run_until_cancelled(readiness.ready()).await.is_some() {
            tell(&places);
        }
    });
}

// === impl Life ===

impl Life {
    /// Looks at the settings, and opens what can be in the way. What is wrong so far has changed
    /// nothing.
    fn prepare(mut installation: Installation, telemetry: &mut Telemetry) -> Result<Self, Exit> {
        let Installation {
            config,
            cast,
            abroad,
            ..
        } = &mut installation;
        judge::judge(config, cast)?;
        let mut doors = Doors::bind(config, cast, std::mem::take(&mut abroad.peers))?;
        data::settle(config, cast, &doors);
        let tokens = config.management.tokens()?;
        let identity = identity(config, cast)?;
        let others = Others::find(config, cast, identity.as_ref())?;
        let directory = match cast.keeps_data() {
            true => Some(Directory::claim(data_dir(config)?)?),
            false => None,
        };
        if let Some(directory) = &directory {
            embedded::complete(config, cast, directory)?;
        }
        let supervisor = Supervisor::new();
        telemetry.measure(&supervisor);
        if let Some(identity) = &identity {
            let renewed = identity.renew(supervisor.token());
            supervisor.spawner().spawn_child("identity", renewed);
            metrics::of_identity(identity, supervisor.metrics());
        }
        probes::serve(std::mem::take(&mut doors.probes), &supervisor);
        let peers = Peers {
            others,
            identity,
            has_reflection: config.grpc.reflection,
            tokens,
        };
        Ok(Self {
            installation,
            doors,
            peers,
            directory,
            supervisor,
        })
    }

    /// Serves until `stop`.
    async fn run(self, stop: CancellationToken) -> Result<(), Exit> {
        let places = self.places();
        let Self {
            installation,
            doors,
            peers,
            directory,
            mut supervisor,
        } = self;
        let Installation {
            config,
            cast,
            abroad,
            tell,
        } = installation;
        let grace = config.grace;
        let stage = Stage {
            cast: &cast,
            peers: &peers,
            abroad: &abroad,
            directory: directory.as_ref(),
        };
        let started = tokio::select! {
            started = stage.start(config, doors, &mut supervisor) => started.map(|()| true)?,
            () = stop.cancelled() => false,
        };
        let ended = if started {
            announce(places, tell, &supervisor);
            supervisor.run(stop.cancelled(), grace).await
        } else {
            // What was started by then ends in order; the rest was not to be.
            supervisor.run(async {}, grace).await
        };
        ended.map_err(|error| Exit::failed(&error))
    }

    fn places(&self) -> Places {
        let config = &self.installation.config;
        Places {
            is_tls: config.frontend.tls.is_some(),
            is_data_tls: config.blob.data.tls.is_some(),
            is_managed_by_tls: config.management.tls.is_some(),
            is_mutual: self.peers.identity.is_some(),
            data_dir: self.directory.as_ref().map(|it| it.root().to_owned()),
            webhooks: self
                .directory
                .as_ref()
                .filter(|_| self.installation.cast.has(Role::Webhooks))
                .map(|it| ListenAddress::Unix(it.admin_socket())),
            ..self.doors.places()
        }
    }
}

// === impl Peers ===

impl Peers {
    fn port(&self, role: Role, reach: Reach, listeners: Vec<Listener>) -> Port {
        Port {
            role: role.identity(),
            reach,
            listeners,
            identity: self.identity.clone(),
            methods: meridian_proto::METHODS,
            reflection: self.has_reflection.then_some(meridian_proto::DESCRIPTORS),
        }
    }
}
