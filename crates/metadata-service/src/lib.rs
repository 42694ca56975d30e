#![doc = include_str!("../README.md")]

mod changes;
mod config;
mod group;
mod grpc;
mod identity;
mod outbox;
mod patience;
mod raft;
mod read;
mod recovery;
mod room;
mod service;
mod state;
mod store;
mod sweep;
mod trim;
mod write;

use std::io;
use std::sync::Arc;

use meridian_catalog::{Command, Refusal, Reply};
use meridian_chassis::Supervisor;
use meridian_clients::WriteError;
use meridian_clock::Clock;
use meridian_error::{Classify, Code};
use meridian_eventlog::EventLog;
use meridian_oci::RegistryName;

pub use config::{Config, Retention};
pub use grpc::{GRPC_SERVICE, GrpcAdapter, metadata_server};
pub use identity::ClaimError;
pub use outbox::PublishError;
pub use service::MetadataService;

use group::Group;
use identity::Claim;
use outbox::Publisher;
use recovery::told;

/// What the service stands on.
pub struct Ports {
    /// Where events are published.
    pub events: Arc<dyn EventLog>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
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
    let group = Group::start(&config, &config.data_dir, &claim.identity, ports.clock);
    let group = told("opening the metadata", group).await;
    let group = Arc::new(group.map_err(StartError::Open)?);
    told(
        "applying the end of the metadata log",
        initialize(&config, &group),
    )
    .await?;
    let topic = outbox::topic(config.region);
    let linger = config.publish_linger;
    let mut publisher = Publisher::new(Arc::clone(&group), ports.events, topic, linger);
    let caught_up = told("catching up with the event log", publisher.catch_up()).await;
    caught_up.map_err(StartError::Publish)?;

    let stop = supervisor.background_token();
    supervisor.spawn_background("metadata.outbox", {
        let stop = stop.clone();
        async move { publisher.run(stop).await.map_err(Into::into) }
    });
    supervisor.spawn_background("metadata.sweep", {
        let (group, stop) = (Arc::clone(&group), stop.clone());
        async move {
            sweep::run(&group, stop).await;
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
                () = stop.cancelled() => Ok(()),
            };
            group.stop().await;
            // Held until here, so that nobody opens the directory before the log is closed.
            drop(claim);
            outcome
        }
    });
    Ok(MetadataService::new(group))
}

/// Makes an empty state into this region's, with its first registry; brings the settings in force.
async fn initialize(config: &Config, group: &Group) -> Result<(), StartError> {
    let settings = config.retention.into();
    let default = "default".parse::<RegistryName>();
    let commands = [
        Command::Initialize {
            region: config.region,
            epoch: 1,
            settings,
        },
        Command::CreateRegistry {
            name: default.expect("`default` is a valid name"),
        },
        Command::Configure(settings),
    ];
    for command in commands {
        let reply = group.propose(None, command).await;
        match reply.map_err(StartError::Group)? {
            Reply::Refused(Refusal::RegistryExists) => {}
            Reply::Refused(refusal) => return Err(StartError::Refused(refusal)),
            _ => {}
        }
    }
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
