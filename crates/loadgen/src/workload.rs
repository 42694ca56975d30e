//! The table of workloads, and what a workload is.
//!
//! A workload is a row of the table: it says what is compared, and makes cases for one server. A case is what is measured,
//! with its own connections: prepared once, armed before each block, fired for the block, and
//! verified at the end. Only [`Case::fire`] is timed. Cases of one workload may share data in the
//! server; they hold what they share and fill it on first use.
//!
//! Adding a row is one file here with its targets, and one line in [`WORKLOADS`].

mod commit;
mod connections;
mod delete_tagged;
mod events;
mod ledger;
mod manifest_read;
mod negative_read;
mod pull_hot;
mod push_layer;
mod push_small;
mod repeat;
mod replication;
mod scale;
mod start_up;
mod stock;
mod tag_list;
mod tail;
mod webhooks;

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;

pub(crate) use connections::raise_file_limit;
pub(crate) use scale::{Scale, ScaleArgs};

use crate::bench::{Side, Sides};
use crate::client::CallError;
use crate::content::Noise;
use crate::drive::Block;
use crate::gauge::{Gauge, GaugeError};
use crate::kafka::Stream;
use crate::metric::Target;
use crate::registry::Registry;
use crate::sample::Sample;
use crate::server::{Far, Hooks, Product, ServerError};

/// All rows, in the order in which they run.
pub(crate) const WORKLOADS: &[&dyn Workload] = &[
    &push_small::PushSmall::DEV,
    &push_small::PushSmall::REGION,
    &push_layer::PushLayer,
    &pull_hot::PullHot,
    &manifest_read::ManifestRead::DEV,
    &manifest_read::ManifestRead::REGION,
    &negative_read::NegativeRead,
    &tag_list::TagList,
    &delete_tagged::DeleteTagged,
    &connections::Connections,
    &commit::Commits,
    &events::Events::LOG,
    &push_small::PushSmall::EVENTS,
    &webhooks::Backlog::ONE,
    &webhooks::Backlog::MANY,
    &webhooks::Neighbours::OURS,
    &webhooks::Neighbours::PEER,
    &events::Events::FIRST_ATTEMPTS,
    &webhooks::Pending,
    &start_up::StartUp,
    &start_up::Growth,
    &replication::Lag::USUAL,
    &replication::Effort,
    &replication::AtOnce,
    &replication::Change,
    &replication::Burst::TAGS,
    &replication::Burst::BACKLOG,
    &replication::Fetch,
    &replication::Trouble,
    &replication::Lag::LONG,
];

/// What most rows compare.
const REGISTRIES: Sides<Product> = Sides {
    ours: Product::Meridian,
    peer: Product::Distribution,
};

/// The same, where each of our services is processes of its own.
const REGIONS: Sides<Product> = Sides {
    ours: Product::Region,
    peer: Product::Distribution,
};

/// Why a case failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Gauge(#[from] GaugeError),
    #[error("this workload reads the server's memory and needs its process id")]
    NoGauge,
    #[error("this workload needs to know who leads the group")]
    NoLeader,
    #[error("this workload needs Kafka")]
    NoBrokers,
    #[error("this workload needs two places, which `loadgen bench` starts")]
    NoFarPlace,
    #[error("this workload needs receivers of webhooks, which `loadgen bench` has")]
    NoHooks,
    #[error("receivers cannot listen")]
    Receivers(#[source] std::io::Error),
    #[error("receivers of webhooks were not told as they should be: {0}")]
    Told(String),
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// One row of the table.
pub(crate) trait Workload: Sync {
    fn about(&self) -> About;

    /// The cases at this site, always the same in the same order. Does no I/O.
    fn cases(&self, site: &Site, scale: &Scale) -> Vec<Box<dyn Case>>;

    /// Whether it takes so long that it is run only when it is named.
    fn is_long(&self) -> bool {
        false
    }
}

/// What there is to say about a row.
pub(crate) struct About {
    /// As in the table of the performance document: `P1`.
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// What one operation is called, in the singular.
    pub(crate) operation: &'static str,
    pub(crate) products: Sides<Product>,
    pub(crate) fresh: Fresh,
    pub(crate) targets: &'static [Target],
}

/// For how long a server and its data live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fresh {
    /// All cases of the workload: they share set-up and leave little behind.
    Workload,
    /// One case: it leaves much behind.
    Case,
    /// One block: its figures depend on what the process did before.
    Block,
    /// The data live for one case. The processes are started anew for each block, when it begins, on
    /// what they kept, of which nothing is in the page cache.
    Start,
}

/// One server under load.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) side: Side,
    pub(crate) product: Product,
    pub(crate) registry: Registry,
    /// Who leads its consensus group, if that has several members.
    pub(crate) leader: Option<SocketAddr>,
    /// Where its events are read, if they go to Kafka.
    pub(crate) stream: Option<Stream>,
    /// The other place, if it has two.
    pub(crate) far: Option<Far>,
    /// Whom it tells of pushes, if it does.
    pub(crate) hooks: Option<Hooks>,
    /// The server's processes, if they are known.
    pub(crate) gauge: Option<Gauge>,
    pub(crate) noise: Noise,
}

/// What a case is measured by, and how it wants to be run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) measures: Measures,
    /// Whether a block is run and thrown away before the first pair.
    pub(crate) warm_up: bool,
    /// Whether latencies are also taken at a fixed rate.
    pub(crate) open_loop: bool,
    /// Whether the server's fsyncs per operation are counted.
    pub(crate) count_syncs: bool,
    /// Bytes that a block leaves on the server's disk, if they matter.
    pub(crate) leaves: u64,
    /// No more pairs than this.
    pub(crate) pairs: usize,
    /// How long preparing may take, and arming, firing and verifying each.
    pub(crate) limit: Duration,
}

/// Which figures make sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measures {
    Operations,
    Bytes,
    /// Only what the case itself reports.
    Own,
}

/// One measured case at one site.
#[async_trait]
pub(crate) trait Case: Send {
    fn name(&self) -> String;

    fn manner(&self) -> Manner;

    /// Puts the data there that the case needs. Called once.
    async fn prepare(&mut self) -> Result<(), LoadError> {
        Ok(())
    }

    /// Everything before a block that must not be timed: connections, content, digests.
    async fn arm(&mut self) -> Result<(), LoadError>;

    /// The timed part.
    async fn fire(&mut self, block: &Block) -> Result<Sample, LoadError>;

    /// Reads back what the registry said it has. Returns how much was compared.
    async fn verify(&mut self) -> Result<Verified, LoadError>;
}

/// What was compared after the blocks.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub(crate) struct Verified {
    /// Items read back and compared by digest or status.
    pub(crate) checked: u64,
    /// Items that could have been.
    pub(crate) of: u64,
}

// === impl Site ===

impl Site {
    /// For those who only ask which cases there are.
    pub(crate) fn nowhere(noise: &Noise) -> Self {
        Self {
            side: Side::Ours,
            product: Product::Meridian,
            registry: Registry::behind(&[]),
            leader: None,
            stream: None,
            far: None,
            hooks: None,
            gauge: None,
            noise: noise.clone(),
        }
    }
}

// === impl Manner ===

impl Manner {
    pub(crate) const fn of(measures: Measures) -> Self {
        Self {
            measures,
            warm_up: true,
            open_loop: false,
            count_syncs: false,
            leaves: 0,
            pairs: usize::MAX,
            limit: Duration::from_secs(120),
        }
    }
}

/// The rows with these identifiers; for none all that do not take long.
pub(crate) fn select(identifiers: &[String]) -> Result<Vec<&'static dyn Workload>, String> {
    if identifiers.is_empty() {
        let usual = WORKLOADS.iter().filter(|it| !it.is_long());
        return Ok(usual.copied().collect());
    }
    identifiers
        .iter()
        .map(|wanted| {
            let found = WORKLOADS
                .iter()
                .find(|it| it.about().id.eq_ignore_ascii_case(wanted));
            found.copied().ok_or_else(|| wanted.clone())
        })
        .collect()
}

/// Whether one of `wanted` is a part of a case's name, or the whole of it. No wishes select all.
pub(crate) fn is_selected(case: &str, wanted: &[String]) -> bool {
    let fits = |wish: &String| wish == case || has_part(case, wish);
    wanted.is_empty() || wanted.iter().any(fits)
}

/// The name of a case is a list: `GET by tag, c=64`.
pub(crate) fn has_part(case: &str, part: &str) -> bool {
    case.split(", ").any(|it| it == part)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_row_has_its_own_identifier_and_distinct_case_names() {
        let site = Site::nowhere(&Noise::new());
        let mut identifiers = BTreeSet::new();
        for workload in WORKLOADS {
            let about = workload.about();
            assert!(identifiers.insert(about.id), "{}", about.id);
            let cases = workload.cases(&site, &Scale::full());
            let names: BTreeSet<String> = cases.iter().map(|case| case.name()).collect();
            assert_eq!(names.len(), cases.len(), "{}", about.id);
            for target in about.targets {
                let meant = names.iter().any(|name| target.means(name));
                assert!(meant, "{}: no case is meant by {:?}", about.id, target.case);
            }
        }
    }

    #[test]
    fn cases_are_selected_by_whole_parts_of_their_names() {
        let wanted = ["c=1".to_owned(), "HEAD by tag, c=64".to_owned()];
        assert!(is_selected("GET by tag, c=1", &wanted));
        assert!(is_selected("HEAD by tag, c=64", &wanted));
        assert!(!is_selected("GET by tag, c=16", &wanted));
        assert!(is_selected("GET by tag, c=16", &[]));
    }

    #[test]
    fn rows_are_selected_by_identifier_in_the_given_order() {
        let ids = |wanted: &[&str]| -> Result<Vec<_>, String> {
            let wanted: Vec<String> = wanted.iter().map(|it| (*it).to_owned()).collect();
            Ok(select(&wanted)?.iter().map(|it| it.about().id).collect())
        };
        assert_eq!(ids(&["g1", "P1"]), Ok(vec!["G1", "P1"]));
        let usual = ids(&[]).unwrap();
        assert!(usual.contains(&"R1") && !usual.contains(&"R1/long"));
        assert_eq!(ids(&["r1/long"]), Ok(vec!["R1/long"]));
        assert_eq!(ids(&["Z9"]), Err("Z9".to_owned()));
    }
}
