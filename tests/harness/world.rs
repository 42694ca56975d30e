//! Several regions of processes, and the network between them.
//!
//! Each is in a network of its own, with its broker and its bucket; agents reach the agents and the brokers of
//! the other regions over a network that is slow, loses, and can be cut, also one way. Keeps the invariant
//! that nothing else leads from one region to the other: there is no way out of the network of a region but
//! the links, each of which listens in one of them and connects in the other. Leaves to the regions what
//! runs in them.

use std::sync::Arc;

use meridian_wan::{Mesh, Profile};

use crate::{Authority, Kafka, Namespace, Neighbour, Parts, Plan, Region, S3Server};

/// How many there are, where nothing else is said.
pub const REGIONS: usize = 2;

/// What they are to the network.
const NAMES: [&str; 3] = ["eu", "us", "asia"];

/// Regions that replicate each other.
pub struct World<const N: usize = REGIONS> {
    /// The regions. The first one in their order loses where versions are the same.
    pub regions: [Region; N],
    agents: Mesh,
    /// The ways to brokers: apart, so that they alone may be cut.
    logs: Mesh,
    buckets: [S3Server; N],
}

// === impl World ===

impl World {
    /// Plans of regions with a broker each, in whose network they are.
    pub fn plans() -> [Plan; REGIONS] {
        Self::plan_all()
    }

    /// The brokers of each region.
    pub fn kafka() -> [Kafka; REGIONS] {
        Self::brokers()
    }
}

impl<const N: usize> World<N> {
    /// Plans of regions of which each has one member of its metadata group.
    pub fn plans_of_one_member() -> [Plan; N] {
        Self::plan_all().map(|plan| Plan {
            has_one_member: true,
            ..plan
        })
    }

    fn plan_all() -> [Plan; N] {
        Self::brokers().map(|kafka| {
            let mut plan = Plan {
                namespace: Some(kafka.namespace()),
                ..Plan::with_brokers(kafka.brokers)
            };
            // So often that tombstones are dropped while clients work.
            plan.set("MERIDIAN_METADATA__HEARTBEAT_INTERVAL", "50ms");
            plan
        })
    }

    fn brokers() -> [Kafka; N] {
        let regions: Vec<_> = Parts::find().regions.into_iter().take(N).collect();
        let regions = regions.try_into().ok();
        regions.expect("Kafka of each region is among the parts, which are started as root")
    }

    /// Starts all processes, with such a network between the regions, and waits until they serve.
    pub fn start(mut plans: [Plan; N], wan: &str) -> Self {
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
        let names = &NAMES[..N];
        let [mut agents, mut logs] =
            [1, 2].map(|seed| Mesh::new(names.iter().copied(), profile, seed));
        for mesh in [&mut agents, &mut logs] {
            for (name, namespace) in NAMES.iter().zip(&namespaces) {
                mesh.settle(name, namespace.place());
            }
        }
        let kafka = Self::brokers();
        for (here, there) in pairs(N) {
            let lead = |mesh: &mut Mesh, from: &str, to: &str| {
                let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
                mesh.link(NAMES[here], NAMES[there], from, to).unwrap();
            };
            let agent = regions[here].spare(there);
            lead(&mut agents, &agent, &regions[there].door());
            let brokers = &kafka[there];
            for (door, broker) in brokers.doors.iter().zip(&brokers.far_brokers) {
                lead(&mut logs, door, broker);
            }
            let name = regions[there].name();
            regions[here].know(Neighbour {
                name,
                agent,
                events: brokers.from_afar(),
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
        let (kafka, bucket) = (&Self::brokers()[region], &self.buckets[region]);
        let brokers = kafka.brokers.iter().chain(&kafka.far_brokers).cloned();
        let others = [bucket.address().to_string()].into_iter().chain(brokers);
        self.regions[region].addresses().chain(others).collect()
    }

    /// Nothing passes between the regions.
    pub fn part(&self) {
        (0..N).for_each(|region| self.mute(region));
    }

    /// Nothing passes between two regions.
    pub fn part_two(&self, one: usize, other: usize) {
        for mesh in [&self.agents, &self.logs] {
            mesh.part(NAMES[one], NAMES[other]).unwrap();
        }
    }

    /// Nothing passes from a region to others; what comes from there does.
    pub fn mute(&self, from: usize) {
        for to in (0..N).filter(|to| *to != from) {
            for mesh in [&self.agents, &self.logs] {
                mesh.lane(NAMES[from], NAMES[to]).unwrap().cut();
            }
        }
    }

    /// Nothing passes between a region and others.
    pub fn isolate(&self, region: usize) {
        let others = (0..N).filter(|other| *other != region);
        others.for_each(|other| self.part_two(region, other));
    }

    /// No region reaches the brokers of another one.
    pub fn cut_logs(&self) {
        for (here, there) in pairs(N) {
            self.logs.part(NAMES[here], NAMES[there]).unwrap();
        }
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

/// Each region of so many, with each other one.
fn pairs(count: usize) -> impl Iterator<Item = (usize, usize)> {
    let all = move |here| (0..count).map(move |there| (here, there));
    (0..count)
        .flat_map(all)
        .filter(|(here, there)| here != there)
}
