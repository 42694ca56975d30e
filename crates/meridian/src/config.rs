//! The settings of a process.
//!
//! Owns the layout of the one file: a section for each service and port, each defined beside the
//! code that obeys it.

use std::path::PathBuf;

use meridian_chassis::config::{self, Environment, Overrides};
use meridian_chassis::http::ListenAddress;
use meridian_chassis::telemetry::TelemetryConfig;
use meridian_clock::Region;
use serde::{Deserialize, Serialize};

use crate::cli::Dev;
use crate::exit::Exit;

/// The prefix of settings in the environment.
const PREFIX: &str = "MERIDIAN_";

/// All settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// The name of the region.
    pub(crate) region: Region,
    /// Where all data lie.
    pub(crate) data_dir: Option<PathBuf>,
    /// How long requests may go on after a stop was asked for.
    #[serde(with = "config::duration")]
    pub(crate) grace: std::time::Duration,
    /// What is logged.
    pub(crate) log: TelemetryConfig,
    /// The frontend.
    pub(crate) frontend: meridian_frontend::Config,
    /// The blob service.
    pub(crate) blob: meridian_blob_service::Config,
    /// The metadata service.
    pub(crate) metadata: meridian_metadata_service::Config,
    /// The embedded event log.
    pub(crate) events: meridian_eventlog::DiskConfig,
}

/// The settings of `meridian dev`.
pub(crate) fn of_dev(options: &Dev) -> Result<Config, Exit> {
    let listen = options.listen.map(|address| vec![ListenAddress::Tcp(address)]);
    let overrides = Overrides::default()
        .set("--listen", "frontend.listen", listen)
        .set("--data-dir", "data_dir", &options.data_dir);
    let environment = Environment::of_process(PREFIX).without("CRASH_POINT");
    let mut config: Config = config::load_from(options.config.as_deref(), environment, overrides)?;
    if config.data_dir.is_none() {
        config.data_dir = Some(default_data_dir()?);
    }
    Ok(config)
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
                // A member tells each step of each election, which is for those who ask.
                level: "info,openraft=warn".to_owned(),
                ..TelemetryConfig::default()
            },
            frontend: meridian_frontend::Config::default(),
            blob: meridian_blob_service::Config::default(),
            metadata,
            events: meridian_eventlog::DiskConfig::default(),
        }
    }
}
