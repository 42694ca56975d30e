//! What can be started, and how each product is configured, equal in what it promises.
//!
//! All acknowledge a write only when its bytes are on disk: that is the default of each, and
//! nothing here changes it. No authentication, no TLS, no access log, no telemetry; deletion on.
//! Between processes of ours goes plain HTTP/2, which loopback allows; the peers have no TLS
//! either. Distribution keeps the descriptor cache that its own image switches on.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tokio::process::Command;

use super::far::Far;
use super::hooks::{Hooks, PATIENCE, Teller};
use super::region::Region;
use super::{Ground, distribution, etcd, free_addresses, world};
use crate::kafka::{Parts, Stream};

/// Something that the harness can start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Product {
    /// Ours, all services in one process.
    Meridian,
    /// A region of ours: three members, a blob service and two frontends, a process each.
    Region,
    /// The same, whose events go to Kafka.
    RegionWithKafka,
    /// The same, with a dispatcher, which is a process, too, and tells so many receivers of pushes.
    RegionTelling(u32),
    /// The metadata group of a region of ours, alone: three members.
    Members,
    /// Ours, all services in one process, which tells so many receivers of pushes.
    MeridianTelling(u32),
    /// The CNCF registry, one process.
    Distribution,
    /// The same, which tells so many receivers of pushes.
    DistributionTelling(u32),
    /// Three members.
    Etcd,
    /// Brokers that run already; nothing is started.
    Kafka,
    /// Two regions of ours, a process each, and a network between them.
    Regions,
    /// The same, less the agent of the far one, which is a process for somebody else to start.
    RegionsApart,
    /// Two of the CNCF registry, and what copies from one to the other over such a network.
    Copied,
    /// The CNCF registry, and over such a network another one that pulls through it.
    PulledThrough,
}

/// The programs that products are, and the brokers that are there.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub(crate) ours: PathBuf,
    pub(crate) distribution: PathBuf,
    pub(crate) etcd: PathBuf,
    /// Copies images from one registry to another.
    pub(crate) skopeo: PathBuf,
    pub(crate) parts: Parts,
}

/// The processes of a product, and where it is found when they run.
#[derive(Default)]
pub(crate) struct Layout {
    pub(super) processes: Vec<Prepared>,
    /// Where it speaks the API of a registry.
    pub(super) doors: Vec<SocketAddr>,
    /// Its consensus group, if it has several members.
    pub(super) group: Option<Group>,
    /// Where its events are read, if they go to Kafka.
    pub(super) stream: Option<Stream>,
    /// The other place, if it has two.
    pub(super) far: Option<Far>,
    /// Whom it tells of pushes, if it does.
    pub(super) hooks: Option<Hooks>,
    /// Processes of others that work for it.
    pub(super) beside: Vec<u32>,
}

/// A command line that is ready to be run.
pub(super) struct Prepared {
    /// Distinguishes the processes of a product.
    pub(super) name: String,
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(String, String)>,
}

/// Those that can be asked who leads.
pub(super) enum Group {
    /// Members of ours, by their data directories.
    Ours {
        program: PathBuf,
        data: Vec<PathBuf>,
    },
    Etcd {
        members: Vec<SocketAddr>,
    },
}

// === impl Product ===

impl Product {
    /// What it is called in a report.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Meridian => "meridian",
            Self::Region => "a region of meridian",
            Self::RegionWithKafka => "a region of meridian with Kafka",
            Self::RegionTelling(_) => "a region of meridian with Kafka and webhooks",
            Self::Members => "three members of meridian",
            Self::MeridianTelling(_) => "meridian with webhooks",
            Self::Distribution => "distribution",
            Self::DistributionTelling(_) => "distribution with notifications",
            Self::Etcd => "three members of etcd",
            Self::Kafka => "Kafka",
            Self::Regions => "two regions of meridian",
            Self::RegionsApart => "two regions of meridian, an agent apart",
            Self::Copied => "two of distribution and skopeo",
            Self::PulledThrough => "distribution behind one that pulls through",
        }
    }

    /// What is started; nothing for what runs already.
    pub(crate) fn started(self, programs: &Programs) -> Vec<&Path> {
        match self {
            Self::Meridian
            | Self::Region
            | Self::RegionWithKafka
            | Self::RegionTelling(_)
            | Self::Members
            | Self::MeridianTelling(_)
            | Self::Regions
            | Self::RegionsApart => vec![&programs.ours],
            Self::Distribution | Self::DistributionTelling(_) | Self::PulledThrough => {
                vec![&programs.distribution]
            }
            Self::Copied => vec![&programs.distribution, &programs.skopeo],
            Self::Etcd => vec![&programs.etcd],
            Self::Kafka => Vec::new(),
        }
    }

    /// Chooses free ports, and writes what the product needs into `folder`.
    /// What a product starts later, it starts where servers are.
    pub(super) fn layout(
        self,
        programs: &Programs,
        folder: &Path,
        ground: &Ground,
    ) -> io::Result<Layout> {
        let parts = &programs.parts;
        let region = || Region::new(&programs.ours, folder);
        match self {
            Self::Meridian => dev(&programs.ours, folder),
            Self::Region => Ok(region()?.whole()),
            Self::RegionWithKafka => Ok(region()?.with_events_in(parts.kafka()?)?.whole()),
            Self::RegionTelling(count) => region()?.with_events_in(parts.kafka()?)?.telling(count),
            Self::Members => Ok(region()?.members()),
            Self::MeridianTelling(count) => dev_telling(&programs.ours, folder, count),
            Self::Distribution => distribution::alone(&programs.distribution, folder),
            Self::DistributionTelling(count) => {
                distribution::telling(&programs.distribution, folder, count)
            }
            Self::Etcd => etcd::members(&programs.etcd, folder),
            Self::Kafka => Ok(region()?.with_events_in(parts.kafka()?)?.events()),
            Self::Regions => world::regions(&programs.ours, folder, parts),
            Self::RegionsApart => world::regions_apart(&programs.ours, folder, parts, ground),
            Self::Copied => distribution::copied(programs, folder, ground.pinning),
            Self::PulledThrough => distribution::pulled_through(&programs.distribution, folder),
        }
    }
}

/// What a program says of itself, for the report.
pub(crate) async fn version(program: &Path) -> String {
    let mut command = Command::new(program);
    command.arg("--version").kill_on_drop(true);
    let limit = std::time::Duration::from_secs(10);
    match tokio::time::timeout(limit, command.output()).await {
        Ok(Ok(output)) => last_words(&String::from_utf8_lossy(&output.stdout)),
        _ => "unknown".to_owned(),
    }
}

/// The first line without a leading path.
fn last_words(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    match line.split_once(' ') {
        Some((path, rest)) if path.contains('/') => rest.to_owned(),
        _ => line.to_owned(),
    }
}

fn dev(program: &Path, folder: &Path) -> io::Result<Layout> {
    let doors = free_addresses(1)?;
    let process = Prepared::new("meridian", program)
        .args(["dev", "--listen", &doors[0].to_string(), "--data-dir"])
        .args([folder.join("data")]);
    Ok(Layout::registry(process, doors))
}

/// The same, with receivers of webhooks.
fn dev_telling(program: &Path, folder: &Path, count: u32) -> io::Result<Layout> {
    let mut layout = dev(program, folder)?;
    let processes = layout.processes.into_iter();
    let prompt = |process: Prepared| {
        // By default it gathers events for 100 ms, beside which no delay would be seen.
        let process = process.env("MERIDIAN_METADATA__PUBLISH_LINGER", "0s");
        process.env("MERIDIAN_WEBHOOKS__TIMEOUT", PATIENCE)
    };
    layout.processes = processes.map(prompt).collect();
    let teller = Teller {
        program: program.to_owned(),
        data: folder.join("data"),
    };
    layout.hooks = Some(Hooks::new(count, Some(teller))?);
    Ok(layout)
}

// === impl Layout ===

impl Layout {
    pub(super) fn registry(process: Prepared, doors: Vec<SocketAddr>) -> Self {
        Self {
            processes: vec![process],
            doors,
            ..Self::default()
        }
    }
}

// === impl Prepared ===

impl Prepared {
    pub(super) fn new(name: impl Into<String>, program: &Path) -> Self {
        Self {
            name: name.into(),
            program: program.to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    pub(super) fn args(mut self, words: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.arguments.extend(words.into_iter().map(Into::into));
        self
    }

    pub(super) fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_does_not_carry_the_path_of_the_program() {
        let said = "/opt/registry github.com/distribution/distribution/v3 v3.1.1\n";
        assert_eq!(
            last_words(said),
            "github.com/distribution/distribution/v3 v3.1.1"
        );
        assert_eq!(last_words("meridian 0.1.0"), "meridian 0.1.0");
    }
}
