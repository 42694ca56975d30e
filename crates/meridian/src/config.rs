//! The settings of a process.
//!
//! Owns the layout of the one file: a section for each service and port, each defined beside the
//! code that obeys it. Every process reads the same file, and obeys the sections of the services
//! that it runs.

mod cache;
mod events;
mod regions;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[cfg(feature = "s3")]
use meridian_blobstore::S3Config;
use meridian_chassis::config::{self, Environment, Overrides};
use meridian_chassis::http::ListenAddress;
use meridian_chassis::identity::IdentityConfig;
use meridian_chassis::probes::AdminConfig;
use meridian_chassis::telemetry::{TelemetryConfig, TraceConfig};
use meridian_clients::grpc::GrpcConfig;
use meridian_clock::Region;
use serde::{Deserialize, Serialize};

use crate::cli::{Dev, EventsOptions, Run};
use crate::exit::Exit;
use crate::management::ManagementConfig;
use crate::role::{Cast, Role};
use crate::stdout;

pub(crate) use cache::{Cache, CacheKind};
pub(crate) use events::{Events, Kind};
pub(crate) use regions::{RegionConfig, faults as regions_faults};

/// The prefix of settings in the environment.
const PREFIX: &str = "MERIDIAN_";

/// All settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// The name of the region.
    pub(crate) region: Region,
    /// Where all data of this process lie.
    pub(crate) data_dir: Option<PathBuf>,
    /// How long requests may go on after a stop was asked for.
    #[serde(with = "config::duration")]
    pub(crate) grace: std::time::Duration,
    /// What is logged.
    pub(crate) log: TelemetryConfig,
    /// Where traces go.
    pub(crate) telemetry: TraceConfig,
    /// Where probes and metrics are served.
    pub(crate) admin: AdminConfig,
    /// Where operators ask and change what this process does.
    pub(crate) management: ManagementConfig,
    /// What gRPC tells of itself.
    pub(crate) grpc: GrpcSettings,
    /// By what the services know each other. Without it, gRPC between them is plain.
    pub(crate) identity: Option<IdentityConfig>,
    /// The frontend.
    pub(crate) frontend: meridian_frontend::Config,
    /// The blob service.
    pub(crate) blob: meridian_blob_service::Config,
    /// The metadata service.
    pub(crate) metadata: meridian_metadata_service::Config,
    /// The replication agent.
    pub(crate) replication: meridian_replication_agent::Config,
    /// The dispatcher of webhooks.
    pub(crate) webhooks: meridian_webhook_dispatcher::Config,
    /// The event log.
    pub(crate) events: Events,
    /// Where the bytes of blobs rest.
    pub(crate) blobs: Blobs,
    /// Where is kept what may be lost.
    pub(crate) cache: Cache,
    /// The services that other processes run.
    pub(crate) services: Services,
    /// The other regions.
    pub(crate) regions: BTreeMap<Region, RegionConfig>,
}

/// Where the instances of a service are found: one endpoint, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "an endpoint, or a list of endpoints")]
pub(crate) enum Endpoints {
    /// One instance, or a name behind which there are several.
    One(String),
    /// Several, which are called in turn.
    Several(Vec<String>),
}

/// What the gRPC listeners of a process tell of themselves.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GrpcSettings {
    /// Whether they describe their services to those who ask, for tools of developers.
    pub(crate) reflection: bool,
}

/// Where the bytes of blobs rest.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Blobs {
    /// In which kind of store.
    pub(crate) store: BlobStoreKind,
    /// The bucket, if it is one.
    #[cfg(feature = "s3")]
    pub(crate) s3: S3Config,
}

/// A kind of blob store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BlobStoreKind {
    /// Files in the data directory.
    #[default]
    Disk,
    /// A bucket of S3, or of what speaks like it.
    #[cfg(feature = "s3")]
    S3,
}

/// Where services are found that a process does not run itself, and how they are called.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Services {
    /// The metadata service: `http://<host>:<port>` or `unix:/<path>`; with an identity,
    /// `https://<host>:<port>`. Where it has several members, a list of them: each can answer.
    pub(crate) metadata: Endpoints,
    /// The blob service, likewise.
    pub(crate) blob: Endpoints,
    /// The replication agents of this region, likewise. Called if there are other regions.
    pub(crate) replication: Endpoints,
    /// How they are called.
    pub(crate) calls: GrpcConfig,
}

/// The settings of `meridian dev`.
pub(crate) fn of_dev(options: &Dev) -> Result<Config, Exit> {
    let listen = options
        .listen
        .map(|address| vec![ListenAddress::Tcp(address)]);
    let overrides = Overrides::default()
        .set("--listen", "frontend.listen", listen)
        .set("--data-dir", "data_dir", &options.data_dir);
    let mut config = load(options.config.as_deref(), overrides)?;
    if config.data_dir.is_none() {
        config.data_dir = Some(default_data_dir()?);
    }
    Ok(config)
}

/// The settings of `meridian run`.
pub(crate) fn of_run(options: &Run, cast: &Cast) -> Result<Config, Exit> {
    let mut overrides = Overrides::default().set("--data-dir", "data_dir", &options.data_dir);
    if let Some(address) = &options.listen {
        let role = cast.only().ok_or_else(|| {
            Exit::misconfigured(
                "--listen says where one service listens, and there are several; set `listen` in \
                 the section of each in the settings",
            )
        })?;
        if role == Role::Webhooks {
            return Err(Exit::misconfigured(
                "--listen: `webhooks` calls receivers and has no port; operators find it on the socket in its data \
                 directory, or where management.listen says",
            ));
        }
        let key = format!("{role}.listen");
        overrides = overrides.set("--listen", &key, vec![address.clone()]);
    }
    load(options.config.as_deref(), overrides)
}

/// The settings of `meridian events`.
pub(crate) fn of_events(options: &EventsOptions) -> Result<Config, Exit> {
    load(options.config.as_deref(), Overrides::default())
}

fn load(file: Option<&Path>, overrides: Overrides) -> Result<Config, Exit> {
    // What the command line's client is told is no setting.
    let others = ["CRASH_POINT", "SERVER", "TOKEN_FILE", "CA_FILE"];
    let environment = Environment::of_process(PREFIX);
    let environment = others.into_iter().fold(environment, Environment::without);
    Ok(config::load_from(file, environment, overrides)?)
}

/// `meridian` in the user's data folder.
pub(crate) fn default_data_dir() -> Result<PathBuf, Exit> {
    let folder = dirs::data_local_dir().ok_or_else(|| {
        Exit::misconfigured("this user has no data folder; choose a directory with --data-dir")
    })?;
    Ok(folder.join("meridian"))
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        let metadata = meridian_metadata_service::Config::default();
        Self {
            region: metadata.region,
            data_dir: None,
            grace: std::time::Duration::from_secs(20),
            log: TelemetryConfig {
                // A member tells each step of each election, and each attempt to reach another one,
                // which is for those who ask.
                level: "info,openraft=error".to_owned(),
                ..TelemetryConfig::default()
            },
            telemetry: TraceConfig::default(),
            admin: AdminConfig::default(),
            management: ManagementConfig::default(),
            grpc: GrpcSettings::default(),
            identity: None,
            frontend: meridian_frontend::Config::default(),
            blob: meridian_blob_service::Config::default(),
            metadata,
            replication: meridian_replication_agent::Config::default(),
            webhooks: meridian_webhook_dispatcher::Config::default(),
            events: Events::default(),
            blobs: Blobs::default(),
            cache: Cache::default(),
            services: Services::default(),
            regions: BTreeMap::new(),
        }
    }
}

impl Config {
    /// Prints the settings in force, as a file that has the same effect.
    pub(crate) fn print(&self) -> Result<(), Exit> {
        let text = toml::to_string_pretty(self).map_err(|error| Exit::failed(&error))?;
        stdout::text(text)
    }
}

// === impl Endpoints ===

impl Default for Endpoints {
    /// Nowhere.
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl Endpoints {
    /// All of them.
    pub(crate) fn all(&self) -> &[String] {
        match self {
            Self::One(endpoint) => std::slice::from_ref(endpoint),
            Self::Several(endpoints) => endpoints,
        }
    }
}

// === impl Services ===

impl Default for Services {
    /// Where the services listen by default.
    fn default() -> Self {
        Self {
            metadata: Endpoints::One("http://127.0.0.1:7401".to_owned()),
            blob: Endpoints::One("http://127.0.0.1:7402".to_owned()),
            replication: Endpoints::One("http://127.0.0.1:7404".to_owned()),
            calls: GrpcConfig::default(),
        }
    }
}
