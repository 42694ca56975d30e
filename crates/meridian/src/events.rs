//! The event log of a process: which it is, and how it is set up.
//!
//! Owns the choice between the log in the data directory and Kafka. The log of another region is read
//! only, and not looked at before: that region keeps its promises.

#[cfg(feature = "kafka")]
mod kafka;
mod unreached;

use std::sync::Arc;

use http::Method;
use meridian_chassis::Supervisor;
use meridian_chassis::telemetry::{self, TraceConfig};
use meridian_clock::{Clock, Region};
use meridian_eventlog::{EventLog, ReopeningEventLog};

use crate::cli::{self, EventsOptions};
use crate::config::{self, Config, Kind, RegionConfig};
use crate::exit::Exit;
use crate::management::Events;
use crate::process::Directory;
use crate::verbs;
use unreached::Unreached;

/// Opens the log that the settings choose; one on disk lies in `directory`.
pub(crate) async fn open(
    config: &Config,
    directory: &Directory,
    clock: Arc<dyn Clock>,
    supervisor: &Supervisor,
) -> Result<Arc<dyn EventLog>, Exit> {
    match config.events.kind() {
        Kind::Disk => {
            let log =
                ReopeningEventLog::open(directory.events()?, config.events.disk(), clock).await;
            Ok(Arc::new(log.map_err(|error| Exit::classified(&error))?))
        }
        #[cfg(feature = "kafka")]
        Kind::Kafka => Ok(kafka::open(config, supervisor).await?),
    }
}

/// Opens the log of another region.
#[cfg_attr(
    not(feature = "kafka"),
    expect(clippy::unused_async, reason = "only Kafka is reached from elsewhere")
)]
pub(crate) async fn of_region(
    region: Region,
    settings: &RegionConfig,
) -> Result<Arc<dyn EventLog>, Exit> {
    match settings.events.kind() {
        Kind::Disk => Ok(Arc::new(Unreached(region))),
        #[cfg(feature = "kafka")]
        Kind::Kafka => Ok(kafka::of_region(&settings.events.kafka).await?),
    }
}

/// `meridian events`
pub(crate) async fn run(verb: cli::Events) -> Result<(), Exit> {
    let options = match &verb {
        cli::Events::Init(options) | cli::Events::Check(options) => options,
        cli::Events::Status(options) => return status(options).await,
    };
    let config = config(options)?;
    // Why a connection fails is told there only.
    let telemetry = telemetry::install(&config.log, &TraceConfig::default(), "events")
        .map_err(|error| Exit::classified(&error))?;
    let done = match config.events.kind() {
        Kind::Disk => Err(Exit::misconfigured(
            "events.kind is \"disk\": the metadata service keeps that log by itself; set it to \
             \"kafka\", and name events.kafka.brokers",
        )),
        #[cfg(feature = "kafka")]
        Kind::Kafka => kafka::set_up(&config, &verb).await,
    };
    telemetry.close().await;
    done
}

/// `meridian events status`
async fn status(options: &cli::Status) -> Result<(), Exit> {
    let client = verbs::client(&options.target)?;
    let events: Events = client.call(Method::GET, "/v1/events").await?;
    verbs::print(&options.target, &events)
}

fn config(options: &EventsOptions) -> Result<Config, Exit> {
    let config = config::of_events(options)?;
    let faults = config.events.faults();
    if !faults.is_empty() {
        return Err(Exit::misconfigured_in(faults));
    }
    Ok(config)
}

/// Everything that is wrong with the log that the settings choose, in words that begin with the key.
pub(crate) fn faults(config: &Config) -> Vec<String> {
    let mut faults = config.events.faults();
    if config.metadata.group.advertise.is_some() {
        faults.extend(config.events.fault_of_several().map(ToOwned::to_owned));
    }
    faults
}
