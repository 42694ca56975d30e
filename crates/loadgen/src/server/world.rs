//! Two regions of ours on this machine, and a network between them.
//!
//! Each is one process with all services, and a broker of its own for its events, of which there are two
//! among the parts. Owns what they have to be told of each other; nothing else is set, so that they run as
//! they do by default.
//!
//! ```text
//! generator ══▶ near ══▶ its broker ◀──────────── far ══▶ its broker ══▶ generator
//!                ▲ └──────────────────── wan ──────▶ ▲ └ also the other way round
//!                └─────────────────────────────────┘
//! ```

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use super::far::{Far, Later};
use super::product::{Layout, Prepared};
use super::region::fresh_name;
use super::wan::{Place, Wan};
use super::{Ground, free_addresses};
use crate::kafka::{Kafka, Parts, Stream};
use crate::registry::Registry;

/// Where one of them listens, for whom.
const DOORS: [&str; 5] = [
    "FRONTEND__LISTEN",
    "BLOB__LISTEN",
    "METADATA__LISTEN",
    "REPLICATION__LISTEN",
    "REPLICATION__PEER_LISTEN",
];

/// What a region is made of.
const SERVICES: [&str; 3] = ["frontend", "blob", "metadata"];
const AGENT: &str = "replication";

/// Names and values.
type Settings = Vec<(String, String)>;

/// The near region and the far one.
struct World<'a> {
    regions: [Region<'a>; 2],
    wan: Wan,
}

/// One of the two.
struct Region<'a> {
    place: Place,
    name: meridian_clock::Region,
    /// In the order of [`DOORS`].
    addresses: Vec<SocketAddr>,
    kafka: &'a Kafka,
    /// What each of its processes is told.
    known: Settings,
}

/// Both of them.
pub(super) fn regions(program: &Path, folder: &Path, parts: &Parts) -> io::Result<Layout> {
    let world = World::new(parts)?;
    let all: Vec<_> = SERVICES.into_iter().chain([AGENT]).collect();
    let named = world.regions.iter().zip(["near", "far"]);
    let processes = named.map(|(region, name)| region.process(program, folder, name, &all));
    let processes = processes.collect();
    Ok(world.layout(processes, None))
}

/// The same, where the far one has no agent until somebody starts it.
pub(super) fn regions_apart(
    program: &Path,
    folder: &Path,
    parts: &Parts,
    ground: &Ground,
) -> io::Result<Layout> {
    let world = World::new(parts)?;
    let all: Vec<_> = SERVICES.into_iter().chain([AGENT]).collect();
    let [near, far] = &world.regions;
    let processes = vec![
        near.process(program, folder, "near", &all),
        far.process(program, folder, "far", &SERVICES),
    ];
    let agent = Later {
        prepared: far.process(program, folder, "far-agent", &[AGENT]),
        log: ground.logs.join(format!("{}-agent.log", far.name)),
        pinning: ground.pinning,
    };
    Ok(world.layout(processes, Some(agent)))
}

// === impl World ===

impl<'a> World<'a> {
    fn new(parts: &'a Parts) -> io::Result<Self> {
        let mut near = Region::new(Place::Near, parts.kafka()?)?;
        let mut far = Region::new(Place::Far, parts.other_kafka()?)?;
        let mut wan = Wan::new();
        near.learn(&far, &mut wan)?;
        far.learn(&near, &mut wan)?;
        Ok(Self {
            regions: [near, far],
            wan,
        })
    }

    fn layout(self, processes: Vec<Prepared>, agent: Option<Later>) -> Layout {
        let [near, far] = &self.regions;
        let beside = [near.kafka, far.kafka].map(|kafka| &kafka.processes[..]);
        Layout {
            processes,
            doors: vec![near.frontend()],
            stream: Some(near.stream()),
            far: Some(Far {
                registry: Registry::at(far.frontend()),
                stream: Some(far.stream()),
                copier: None,
                agent: agent.map(Arc::new),
                wan: Arc::new(self.wan),
            }),
            beside: beside.concat(),
            ..Layout::default()
        }
    }
}

// === impl Region ===

impl<'a> Region<'a> {
    fn new(place: Place, kafka: &'a Kafka) -> io::Result<Self> {
        let name: meridian_clock::Region = fresh_name().parse().map_err(io::Error::other)?;
        let addresses = free_addresses(DOORS.len())?;
        let mut known = vec![("MERIDIAN_REGION".to_owned(), name.to_string())];
        let doors = DOORS.iter().zip(&addresses);
        known.extend(doors.map(|(door, at)| (format!("MERIDIAN_{door}"), list(&[*at]))));
        let services = ["BLOB", "METADATA", "REPLICATION"];
        let services = services.into_iter().zip(&addresses[1..]);
        known.extend(services.map(|(service, at)| {
            let setting = format!("MERIDIAN_SERVICES__{service}");
            (setting, format!("http://{at}"))
        }));
        known.extend(events("MERIDIAN_EVENTS", &kafka.brokers));
        Ok(Self {
            place,
            name,
            addresses,
            kafka,
            known,
        })
    }

    fn frontend(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Where other regions call.
    fn agent(&self) -> SocketAddr {
        self.addresses[DOORS.len() - 1]
    }

    fn stream(&self) -> Stream {
        Stream {
            brokers: self.kafka.brokers.clone(),
            region: self.name,
        }
    }

    /// Has it know the other one, and reach it over the network.
    fn learn(&mut self, other: &Self, wan: &mut Wan) -> io::Result<()> {
        let agent = wan.lead(self.place, other.agent())?;
        for (door, broker) in other.kafka.doors.iter().zip(&other.kafka.far_brokers) {
            wan.lead_at(self.place, *door, *broker)?;
        }
        let name = other.name.to_string().to_uppercase();
        let section = format!("MERIDIAN_REGIONS__{name}");
        let endpoints = (format!("{section}__ENDPOINTS"), format!("http://{agent}"));
        self.known.push(endpoints);
        let events = events(&format!("{section}__EVENTS"), &other.kafka.doors);
        self.known.extend(events);
        Ok(())
    }

    fn process(&self, program: &Path, folder: &Path, name: &str, services: &[&str]) -> Prepared {
        let process = Prepared::new(name, program)
            .args(["run"])
            .args(services)
            .args(["--data-dir".into(), folder.join(name)]);
        let known = self.known.iter().cloned();
        known.fold(process, |process, (name, value)| process.env(name, value))
    }
}

/// Where events are.
fn events(section: &str, brokers: &[impl ToString]) -> Settings {
    let settings = [
        ("KIND", "kafka".to_owned()),
        ("KAFKA__SINGLE_BROKER", "true".to_owned()),
        ("KAFKA__BROKERS", list(brokers)),
    ];
    let settings = settings.into_iter();
    settings
        .map(|(name, value)| (format!("{section}__{name}"), value))
        .collect()
}

/// A list as settings have it.
fn list(items: &[impl ToString]) -> String {
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    format!("{items:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_region_finds_the_other_one_over_the_network_alone() {
        let kafka = |number: u16| Kafka {
            brokers: vec![format!("127.0.0.1:{number}")],
            processes: vec![number.into()],
            far_brokers: vec![([127, 0, 0, 1], number).into()],
            doors: free_addresses(1).unwrap(),
        };
        let (one, two) = (kafka(1), kafka(2));
        let mut near = Region::new(Place::Near, &one).unwrap();
        let far = Region::new(Place::Far, &two).unwrap();
        near.learn(&far, &mut Wan::new()).unwrap();
        let known: Vec<_> = near.known.iter().map(|(_, value)| value).collect();
        assert!(known.contains(&&list(&two.doors)), "{known:?}");
        for hidden in [far.agent().to_string(), two.brokers[0].clone()] {
            assert!(known.iter().all(|it| !it.contains(&hidden)), "{known:?}");
        }
    }
}
