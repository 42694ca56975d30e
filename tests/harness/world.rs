//! Two regions of processes, and the network between them.
//!
//! Each is in a network of its own, with its broker and its bucket; agents reach the agent and the broker of
//! the other region over a network that is slow, loses, and can be cut, also one way. Keeps the invariant
//! that nothing else leads from one region to the other: there is no way out of the network of a region but
//! the links, each of which listens in one of them and connects in the other. Leaves to the regions what
//! runs in them.

use std::sync::Arc;

use meridian_wan::{Mesh, Profile};

use crate::{Authority, Kafka, Namespace, Neighbour, Parts, Plan, Region, S3Server};

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
    buckets: [S3Server; REGIONS],
}

// === impl World ===

impl World {
    /// Plans of regions with a broker each, in whose network they are.
    pub fn plans() -> [Plan; REGIONS] {
        Self::kafka().map(|kafka| {
            let mut plan = Plan {
                namespace: Some(kafka.namespace()),
                ..Plan::with_brokers(kafka.brokers)
            };
            // So often that tombstones are dropped while clients work.
            plan.set("MERIDIAN_METADATA__HEARTBEAT_INTERVAL", "50ms");
            plan
        })
    }

    /// The brokers of each region.
    pub fn kafka() -> [Kafka; REGIONS] {
        let regions = Parts::find().regions;
        let regions = regions.try_into().ok();
        regions.expect("Kafka of either region is among the parts, which are started as root")
    }

    /// Starts all processes, with such a network between the regions, and waits until they serve.
    pub fn start(mut plans: [Plan; REGIONS], wan: &str) -> Self {
        let namespaces = plans.each_ref().map(|plan| {
            let namespace = plan.namespace.clone();
            namespace.expect("a region of several has a network of its own")
        });
        let buckets = namespaces.each_ref().map(bucket);
        for (plan, bucket) in plans.iter_mut().zip(&buckets) {
            plan.blob.extend(bucket.settings());
        }
        let authority = Arc::<Authority>::default();
        let mut regions = plans.map(|plan| Region::lay(plan, Arc::clone(&authority)));
        let profile: Profile = wan.parse().unwrap();
        let [mut agents, mut logs] = [1, 2].map(|seed| Mesh::new(NAMES, profile, seed));
        for mesh in [&mut agents, &mut logs] {
            for (name, namespace) in NAMES.iter().zip(&namespaces) {
                mesh.settle(name, namespace.place());
            }
        }
        let kafka = Self::kafka();
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
            buckets,
        }
    }

    /// Where clients find all frontends, region by region.
    pub fn bases(&self) -> Vec<String> {
        self.regions.iter().flat_map(Region::bases).collect()
    }

    /// Where all that listens in a region is found there, `host:port`; for nobody else.
    pub fn addresses(&self, region: usize) -> Vec<String> {
        let (kafka, bucket) = (&Self::kafka()[region], &self.buckets[region]);
        let brokers = kafka.brokers.iter().chain(&kafka.far_brokers).cloned();
        let others = [bucket.address().to_string()].into_iter().chain(brokers);
        self.regions[region].addresses().chain(others).collect()
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

/// An empty bucket that is found in there.
fn bucket(namespace: &Namespace) -> S3Server {
    let any = "127.0.0.1:0".parse().unwrap();
    S3Server::serve(namespace.listen(any).unwrap())
}

/// The other one of two.
const fn other(region: usize) -> usize {
    1 - region
}
