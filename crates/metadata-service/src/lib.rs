#![doc = include_str!("../README.md")]

mod backlog;
mod changes;
mod config;
mod describe;
mod duty;
mod events;
mod group;
mod grpc;
mod heartbeat;
mod identity;
mod leadership;
mod list;
mod members;
mod membership;
mod metrics;
mod outbox;
mod patience;
mod raft;
mod read;
mod recovery;
mod replica;
mod room;
mod service;
mod state;
mod store;
mod sweep;
mod tail;
mod trim;
mod webhooks;
mod write;

use std::io;
use std::sync::Arc;

use meridian_catalog::Refusal;
use meridian_chassis::Supervisor;
use meridian_clients::WriteError;
use meridian_clock::Clock;
use meridian_error::{Classify, Code};
use meridian_eventlog::EventLog;
use tokio_util::sync::CancellationToken;

pub use config::{Config, GroupConfig, OutboxConfig, Retention};
pub use events::{EventsStatus, ShardStatus};
pub use grpc::{
    GRPC_SERVICE, GrpcAdapter, RAFT_GRPC_SERVICE, REPLICA_GRPC_SERVICE, RaftAdapter,
    ReplicaAdapter, WEBHOOKS_GRPC_SERVICE, WebhooksAdapter, metadata_server, replica_server,
    webhooks_server,
};
pub use heartbeat::RemoveError;
pub use identity::ClaimError;
pub use membership::{Change, GroupStatus, MemberStatus, ReformError};
pub use outbox::PublishError;
pub use raft::peer::Dial;
pub use service::MetadataService;
pub use tail::{EventPage, ReadFrom};

use group::Group;
use identity::Claim;
use leadership::Leadership;
use recovery::told;
use tail::Tail;

/// What the service stands on.
pub struct Ports {
    /// Where events are published.
    pub events: Arc<dyn EventLog>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// How other members are reached.
    pub dial: Dial,
}

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// The log or the state cannot be opened.
    #[error("the metadata in the data directory cannot be opened")]
    Open(#[source] io::Error),
    /// The state refuses what a start needs.
    #[error("the metadata refuses to be started: {0:?}")]
    Refused(Refusal),
    /// Raft does not run.
    #[error("the metadata group does not run")]
    Group(#[source] WriteError),
    /// Events cannot be published.
    #[error("events cannot be published")]
    Publish(#[source] PublishError),
}

/// Starts the metadata service.
///
/// # Errors
///
/// When its data cannot be opened, or do not fit the configuration or the event log.
pub async fn start(
    config: Config,
    ports: Ports,
    supervisor: &mut Supervisor,
) -> Result<MetadataService, StartError> {
    let claim = Claim::new(&config.data_dir, config.region)?;
    let group = Group::start(&config, claim, ports.dial, ports.clock, supervisor);
    let group = told("opening the metadata", group).await;
    let group = Arc::new(group.map_err(StartError::Open)?);
    let (peers, interval) = (config.peers.clone(), config.heartbeat_interval);
    let named = peers.clone();
    let tail = Tail {
        log: Arc::clone(&ports.events),
        topic: outbox::topic(config.region),
    };
    let leadership = Leadership {
        topic: tail.topic.clone(),
        config,
        group: Arc::clone(&group),
        events: ports.events,
    };
    metrics::show(&group, supervisor.metrics());
    let stop = supervisor.background_token();
    supervisor.spawn_background("metadata.duty", {
        let (group, stop) = (Arc::clone(&group), stop.clone());
        async move {
            duty::run(&group, stop).await;
            Ok(())
        }
    });
    // What was published is recorded by Raft, so that it stops last.
    let told_all = CancellationToken::new();
    if group.is_alone() {
        start_alone(leadership, told_all.clone(), supervisor).await?;
    } else {
        group.come_to_life();
        leadership.spawn(told_all.clone(), supervisor);
    }
    supervisor.spawn_background("metadata.backlog", {
        let (group, stop) = (Arc::clone(&group), stop.clone());
        async move {
            backlog::run(&group, stop).await;
            Ok(())
        }
    });
    supervisor.spawn_background("metadata.sweep", {
        let (group, stop) = (Arc::clone(&group), stop.clone());
        async move {
            sweep::run(&group, stop).await;
            Ok(())
        }
    });
    supervisor.spawn_background("metadata.heartbeat", {
        let (group, stop) = (Arc::clone(&group), stop.clone());
        async move {
            heartbeat::run(&group, &peers, interval, stop).await;
            Ok(())
        }
    });
    supervisor.spawn_background("metadata.trim", {
        let (group, stop) = (Arc::clone(&group), stop.clone());
        async move {
            trim::run(&group, stop).await;
            Ok(())
        }
    });
    supervisor.spawn_background("metadata.raft", {
        let group = Arc::clone(&group);
        async move {
            let outcome = tokio::select! {
                why = group.failed() => Err(why.into()),
                () = async { tokio::join!(stop.cancelled(), told_all.cancelled()); } => Ok(()),
            };
            group.stop().await;
            outcome
        }
    });
    Ok(MetadataService::new(group, tail, named))
}

/// A group of one leads at once, or does not start.
async fn start_alone(
    leadership: Leadership,
    told_all: CancellationToken,
    supervisor: &Supervisor,
) -> Result<(), StartError> {
    let group = Arc::clone(&leadership.group);
    group.lead_alone().await.map_err(StartError::Open)?;
    told(
        "applying the end of the metadata log",
        leadership::initialize(&leadership.config, &group),
    )
    .await?;
    group.come_to_life();
    let mut publisher = leadership.publisher();
    let caught_up = told("catching up with the event log", publisher.catch_up()).await;
    let is_caught_up = match caught_up {
        Ok(()) => {
            group.verify();
            true
        }
        Err(error) if error.is_final() => return Err(StartError::Publish(error)),
        Err(error) => {
            let error = meridian_error::chain(&error);
            tracing::warn!(error, "writes wait until the event log has been looked at");
            false
        }
    };
    let stop = supervisor.background_token();
    supervisor.spawn_background("metadata.outbox", async move {
        let _told_all = told_all.drop_guard();
        if !is_caught_up {
            let Some(caught_up) = stop.run_until_cancelled(leadership.caught_up()).await else {
                return Ok(());
            };
            publisher = caught_up?;
            group.verify();
            tracing::info!("the event log has been looked at: writes are taken");
        }
        publisher.run(stop).await.map_err(Into::into)
    });
    Ok(())
}

// === impl StartError ===

impl Classify for StartError {
    fn code(&self) -> Code {
        match self {
            Self::Claim(ClaimError::InUse(_)) => Code::AlreadyExists,
            Self::Claim(_) | Self::Refused(_) => Code::InvalidArgument,
            Self::Open(_) => Code::Internal,
            Self::Group(error) => error.code(),
            Self::Publish(_) => Code::Conflict,
        }
    }
}
