//! The event log of a process: which it is, and how it is set up.
//!
//! Owns the choice between the log in the data directory and Kafka. The log of another region is read
//! only, and not looked at before: that region keeps its promises.

#[cfg(feature = "kafka")]
mod kafka;
mod unreached;

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use meridian_chassis::Supervisor;
use meridian_chassis::telemetry::{self, TraceConfig};
use meridian_clock::{Clock, Region};
use meridian_eventlog::{EventLog, ReopeningEventLog};

use crate::cli::{self, EventsOptions};
use crate::config::{self, Config, Kind, RegionConfig};
use crate::exit::Exit;
use crate::management::{ClientError, EventLogPage, Events};
use crate::process::Directory;
use crate::role::{Cast, Role};
use crate::stdout;
use crate::verbs;
use unreached::Unreached;

/// How often is asked for what is followed.
const EVERY: Duration = Duration::from_millis(250);

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
        Kind::Kafka => {
            kafka::tell_plain(region, &settings.events.kafka);
            Ok(kafka::of_region(&settings.events.kafka).await?)
        }
    }
}

/// Opens this region's log, to be read by a process that does not publish to it.
#[cfg_attr(
    not(feature = "kafka"),
    expect(clippy::unused_async, reason = "only Kafka is reached from elsewhere")
)]
pub(crate) async fn of_here(config: &Config) -> Result<Arc<dyn EventLog>, Exit> {
    match config.events.kind() {
        Kind::Disk => Ok(Arc::new(Unreached(config.region))),
        #[cfg(feature = "kafka")]
        Kind::Kafka => Ok(kafka::of_region(&config.events.kafka).await?),
    }
}

/// Why a process cannot read this region's log, if it cannot.
pub(crate) fn fault_of_reader(config: &Config, cast: &Cast) -> Vec<String> {
    if cast.has(Role::Metadata) {
        return Vec::new();
    }
    match config.events.kind() {
        Kind::Disk => vec![
            "events.kind is \"disk\": that log is the metadata service's own; run `webhooks` in its process, or set \
             events.kind to \"kafka\""
                .to_owned(),
        ],
        #[cfg(feature = "kafka")]
        Kind::Kafka => config.events.faults(),
    }
}

/// `meridian events`
pub(crate) async fn run(verb: cli::Events) -> Result<(), Exit> {
    let options = match &verb {
        cli::Events::Init(options) | cli::Events::Check(options) => options,
        cli::Events::Status(options) => return status(options).await,
        cli::Events::Log(options) => return log(options).await,
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

/// `meridian events log`
async fn log(options: &cli::EventLog) -> Result<(), Exit> {
    let client = verbs::client(&options.target)?;
    let read = async |after: &str| -> Result<EventLogPage, ClientError> {
        let after = match after {
            "" => String::new(),
            after => format!("&after={after}"),
        };
        let path = format!("/v1/events/log?limit=1000{after}");
        client.call(Method::GET, &path).await
    };
    let end = read("end").await?;
    let mut after = match options.new {
        true => end.next.clone(),
        false => String::new(),
    };
    loop {
        if !options.follow && end.is_reached(&after) {
            return Ok(());
        }
        let page = match read(&after).await {
            Err(ClientError::Later(_)) if options.follow => {
                tokio::time::sleep(EVERY).await;
                continue;
            }
            page => page?,
        };
        for event in &page.events {
            if !options.heartbeats && event.is_heartbeat() {
                continue;
            }
            let line = match options.target.json {
                true => serde_json::to_string(event).map_err(|error| Exit::failed(&error))?,
                false => event.to_string(),
            };
            // Who has seen enough closes the pipe.
            stdout::line(line)?;
        }
        if page.next == after {
            tokio::time::sleep(EVERY).await;
        }
        after = page.next;
    }
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
