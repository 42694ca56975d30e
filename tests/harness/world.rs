//! Two regions of processes, and the network between them.
//!
//! Each has a broker of its own; agents reach the agent and the broker of the other region over a
//! network that is slow, loses, and can be cut, also one way. Keeps the invariant that nothing else leads
//! from one region to the other. Leaves to the regions what runs in them.

use std::sync::Arc;

use meridian_wan::{Mesh, Profile};

use crate::{Authority, Neighbour, Parts, Plan, Region};

/// How many there are.
pub const REGIONS: usize = 2;

/// What they are to the network.
const NAMES: [&str; REGIONS] = ["eu", "us"];

/// Two regions that replicate each other.
pub struct World {
    /// The regions. The first one in their order loses where versions are the same.
    pub regions: [Region; REGIONS],
    agents: Mesh,
    /// The ways to brokers: apart, so that they alone may be cut.
    logs: Mesh,
}

// === impl World ===

impl World {
    /// Plans of regions of one member each, with a broker each.
    pub fn plans() -> [Plan; REGIONS] {
        let parts = Parts::find();
        [parts.kafka, parts.other_kafka].map(|kafka| {
            let kafka = kafka.expect("Kafka of either region is among the parts");
            let mut plan = Plan {
                is_small: true,
                ..Plan::with_brokers(kafka.brokers)
            };
            // So often that tombstones are dropped while clients work.
            plan.set("MERIDIAN_METADATA__HEARTBEAT_INTERVAL", "50ms");
            plan
        })
    }

    /// Starts all processes, with such a network between the regions, and waits until they serve.
    pub fn start(plans: [Plan; REGIONS], wan: &str) -> Self {
        let authority = Arc::<Authority>::default();
        let mut regions = plans.map(|plan| Region::lay(plan, Arc::clone(&authority)));
        let profile: Profile = wan.parse().unwrap();
        let [mut agents, mut logs] = [1, 2].map(|seed| Mesh::new(NAMES, profile, seed));
        let parts = Parts::find();
        let kafka = [parts.kafka.unwrap(), parts.other_kafka.unwrap()];
        for here in 0..REGIONS {
            let there = other(here);
            let lead = |mesh: &mut Mesh, from: &str, to: &str| {
                let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
                mesh.link(NAMES[here], NAMES[there], from, to).unwrap();
            };
            let agent = regions[here].spare();
            lead(&mut agents, &agent, &regions[there].door());
            let brokers = &kafka[there];
            for (door, broker) in brokers.doors.iter().zip(&brokers.far_brokers) {
                lead(&mut logs, door, broker);
            }
            let name = regions[there].name();
            regions[here].know(Neighbour {
                name,
                agent,
                brokers: brokers.doors.clone(),
            });
        }
        regions.iter_mut().for_each(Region::begin);
        Self {
            regions,
            agents,
            logs,
        }
    }

    /// Where clients find all frontends, region by region.
    pub fn bases(&self) -> Vec<String> {
        self.regions.iter().flat_map(Region::bases).collect()
    }

    /// Nothing passes between the regions.
    pub fn part(&self) {
        self.cut_logs();
        self.mute(0);
        self.mute(1);
    }

    /// Nothing passes from a region to the other one; what comes from there does.
    pub fn mute(&self, from: usize) {
        for mesh in [&self.agents, &self.logs] {
            let lane = mesh.lane(NAMES[from], NAMES[other(from)]);
            lane.unwrap().cut();
        }
    }

    /// No region reaches the brokers of the other one.
    pub fn cut_logs(&self) {
        self.logs.part(NAMES[0], NAMES[1]).unwrap();
    }

    /// Everything passes again.
    pub fn heal(&self) {
        self.agents.heal();
        self.logs.heal();
    }

    /// Changes what the network is like.
    pub fn set_wan(&self, wan: &str) {
        let profile: Profile = wan.parse().unwrap();
        for mesh in [&self.agents, &self.logs] {
            mesh.lanes()
                .for_each(|(_, _, lane)| lane.set_profile(profile));
        }
    }

    /// Ends all connections between the regions, at once; new ones are made.
    pub fn reset(&self) {
        let links = self.agents.links().iter().chain(self.logs.links());
        links.for_each(meridian_wan::Link::reset);
    }
}

/// The other one of two.
const fn other(region: usize) -> usize {
    1 - region
}
